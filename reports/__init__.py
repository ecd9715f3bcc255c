"""What we tell people: the command line, the report and its files."""

if __name__ != "uncia.reports":
    raise ImportError(
        f"this folder is the package uncia.reports, not {__name__!r}: run `pip install -e .` once, then `uncia --help`"
    )
