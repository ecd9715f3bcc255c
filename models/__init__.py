"""What we think happened: population models and their fits."""

if __name__ != "uncia.models":
    raise ImportError(
        f"this folder is the package uncia.models, not {__name__!r}: "
        "run `pip install -e .` once, then `from uncia import models`"
    )
