"""Folders and zip files that hold several tables, opened without unpacking anything to disk."""

from __future__ import annotations

import gzip
import io
import zipfile
from difflib import get_close_matches
from pathlib import Path, PurePosixPath

from .errors import Problems, refuse

MOST_BYTES = 4 * 2**30  # of one package, unpacked
SMALL = 64 * 2**20  # up to here any compression ratio is harmless
MOST_RATIO = 200  # tables of text shrink 5 to 50 times; a bomb shrinks a thousand times


class Files:
    """The files of a survey in one folder or one zip, by their names relative to it, with forward slashes.

    `names` lists all files of a zip, and of a folder only those on its top level: below may be a million images.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        if not self.path.exists():
            raise refuse("there is no such file or folder", _close(self.path), value=str(path))
        self._zip: zipfile.ZipFile | None = None
        if self.path.is_dir():
            self.names = sorted(p.name for p in self.path.iterdir() if p.is_file())
        else:
            data = self.path.read_bytes()
            if not data.startswith(b"PK"):
                raise refuse(
                    "this is neither a folder nor a zip",
                    "Give the folder or the zip of the whole survey",
                    file=self.path,
                )
            self._zip = check_zip(data, self.path.name)
            self.names = sorted(n for n in self._zip.namelist() if not n.endswith("/") and "__MACOSX/" not in n)

    def has(self, name: str) -> bool:
        """Whether there is a file of this name."""
        return name in self.names or (self._zip is None and (self.path / name).is_file())

    def read(self, name: str) -> bytes:
        """The bytes of a file that is there."""
        if self._zip is None:
            return (self.path / name).read_bytes()
        return self._zip.read(name)

    def find(self, name: str) -> str | None:
        """The file called `name`, whatever its folder and case, nearest to the top; None when there is none."""
        same = [n for n in self.names if PurePosixPath(n).name.casefold() == name.casefold()]
        return min(same, key=lambda n: (n.count("/"), n), default=None)


def inside(base: str, path: str, *, file: str) -> str:
    """`path` as a package writes it, relative to the folder `base`; whatever leads out of the package is refused."""
    parts = PurePosixPath(path.replace("\\", "/")).parts
    if "://" in path or path.startswith(("/", "\\")) or ".." in parts or ":" in path[:3]:
        raise refuse(
            "a resource's path leads out of the package",
            "Give the name of a file that lies beside datapackage.json",
            file=file,
            value=path,
        )
    return (PurePosixPath(base) / PurePosixPath(*parts)).as_posix()


def check_zip(data: bytes, name: str) -> zipfile.ZipFile:
    """An opened zip file whose members stay inside it, are readable and unpack to a harmless size."""
    try:
        opened = zipfile.ZipFile(io.BytesIO(data))
    except zipfile.BadZipFile as error:
        raise refuse("this is not a zip file, or it is damaged", "Download or zip it again", file=name) from error
    bad, total = Problems(), 0
    for member in opened.infolist():
        total += member.file_size
        parts = PurePosixPath(member.filename.replace("\\", "/")).parts
        if member.filename.startswith(("/", "\\")) or ".." in parts or ":" in member.filename[:3]:
            bad.add(
                "a file in the zip leads out of it",
                "Do not trust this zip; get it again",
                file=name,
                value=member.filename,
            )
        if member.flag_bits & 1:
            bad.add(
                "a file in the zip has a password", "Unpack it and zip it without one", file=name, value=member.filename
            )
        if member.file_size > SMALL and member.file_size > MOST_RATIO * max(1, member.compress_size):
            bad.add(*_BOMB, file=name, value=f"{member.filename}, {member.file_size / 2**20:,.0f} MiB")
    if total > MOST_BYTES:
        bad.add(*_BOMB, file=name, value=f"{total / 2**30:,.1f} GiB")
    bad.raise_any()
    return opened


_BOMB = (
    "a compressed file unpacks to far more than a survey's table would hold",
    "Do not trust this file; get it again",
)


def gunzip(data: bytes, name: str) -> bytes:
    """The content of a gzipped file, of harmless size."""
    most = min(MOST_BYTES, max(SMALL, MOST_RATIO * len(data)))
    try:
        with gzip.open(io.BytesIO(data)) as file:
            content = file.read(most + 1)
    except (OSError, EOFError) as error:
        raise refuse("the compressed file is damaged", "Download or compress it again", file=name) from error
    if len(content) > most:
        raise refuse(*_BOMB, file=name, value=f"more than {most / 2**20:,.0f} MiB")
    return content


def _close(path: Path) -> str:
    """What to do about a path that does not exist."""
    beside = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    close = get_close_matches(path.name, beside, n=1)
    return f"Did you mean {close[0]!r}?" if close else "Check the path and the spelling"
