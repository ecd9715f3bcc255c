"""environment.lock: every package that the numbers can depend on, with its version and a hash of what is installed.

The lines are requirements that `pip install -r environment.lock` takes; the hash stands in a comment. It is of the
files of the package as its RECORD lists them, without what an installer adds, so that it is the same on every machine
of the same kind.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from ..survey.errors import refuse

NAME = "environment.lock"
LINE = re.compile(r"(?P<name>[\w.-]+)==(?P<version>\S+)(?:\s+# sha256 of content (?P<hash>[0-9a-f]{64}))?")
ADDED = ("INSTALLER", "RECORD", "REQUESTED", "direct_url.json")  # by installers


@dataclass(frozen=True)
class Locked:
    """One package of the lock."""

    name: str
    version: str
    content: str

    def __str__(self) -> str:
        return f"{self.name}=={self.version}" + (f"  # sha256 of content {self.content}" if self.content else "")


def locked() -> list[Locked]:
    """uncia and all that it needs, and what that needs, as installed here."""
    found: dict[str, Locked] = {}
    waiting = ["uncia"]
    while waiting:
        name = _plain(waiting.pop())
        if name in found:
            continue
        try:
            installed = distribution(name)
        except PackageNotFoundError:  # needed on other systems only
            continue
        found[name] = Locked(name, installed.version, "" if name == "uncia" else content_hash(installed))
        waiting += _needed(installed)
    own = Locked("uncia", found["uncia"].version, own_hash()) if "uncia" in found else None
    rest = [found[name] for name in sorted(found) if name != "uncia"]
    return ([own] if own else []) + rest


def _needed(installed: Distribution) -> Iterator[str]:
    """Names of what a package needs here, without extras."""
    from packaging.requirements import Requirement

    for text in installed.requires or ():
        need = Requirement(text)
        if need.marker is None or need.marker.evaluate({"extra": ""}):
            yield need.name


def content_hash(installed: Distribution) -> str:
    """sha256 over path and hash of each file of a package."""
    digest = sha256()
    entries = [(str(f), f.hash.value) for f in installed.files or () if f.hash is not None]
    for path, value in sorted(entries):
        if Path(path).name not in ADDED and not path.startswith("..") and not path.endswith(".pyc"):
            digest.update(f"{path} {value}\n".encode())
    return digest.hexdigest()


def own_hash() -> str:
    """sha256 over the sources of uncia itself, installed or edited in place."""
    from .. import models, survey

    digest = sha256()
    for package in (Path(__file__).parent, Path(str(models.__file__)).parent, Path(str(survey.__file__)).parent):
        for path in sorted(package.rglob("*")):
            if path.suffix in (".py", ".toml", ".html", ".css", ".json") and "__pycache__" not in path.parts:
                text = path.read_bytes().replace(b"\r\n", b"\n")
                digest.update(f"{package.name}/{path.relative_to(package).as_posix()}".encode() + sha256(text).digest())
    return digest.hexdigest()


def text_of_lock() -> str:
    """The lock file."""
    where = f"{platform.system()} {platform.machine()}, {platform.python_implementation()} {platform.python_version()}"
    head = f"# What uncia ran on: {where}\n# pip install -r {NAME}; uncia freeze --check says whether it is the same\n"
    return head + "".join(f"{one}\n" for one in locked())


def freeze(results: str | Path) -> Path:
    """Write environment.lock beside a results.json (or into the folder of a report).

    Raises
    ------
    SurveyError : there is no such file or folder
    """
    place = Path(results)
    if not place.exists() and place.name != NAME:
        raise refuse("there is no such file or folder", "Give the results.json of a report", value=str(place))
    place = place if place.is_dir() else place.parent
    if not place.is_dir():
        raise refuse("there is no such folder", "Give the results.json of a report", value=str(place))
    path = place / NAME
    path.write_text(text_of_lock(), encoding="utf-8", newline="\n")
    return path


def differences(lock: str | Path) -> list[str]:
    """What is installed otherwise than a lock says, in words.

    Raises
    ------
    SurveyError : no such file, or a line that is none of a lock
    """
    path = Path(lock)
    path = path / NAME if path.is_dir() else path
    if not path.is_file():
        raise refuse("there is no such file", "Make one with uncia freeze", file=path, value=str(path))
    then: dict[str, tuple[str, str]] = {}
    for row, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            match = LINE.fullmatch(line.strip())
            if match is None:
                raise refuse(
                    "this is no line of a lock", "Make it again with uncia freeze", file=path, row=row, value=line
                )
            then[match["name"]] = (match["version"], match["hash"] or "")
    now = {one.name: (one.version, one.content) for one in locked()}
    found = []
    for name in dict.fromkeys([*then, *now]):
        if name not in now:
            found.append(f"{name} {then[name][0]} is not installed")
        elif name not in then:
            found.append(f"{name} {now[name][0]} is installed and was not")
        elif then[name][0] != now[name][0]:
            found.append(f"{name} was {then[name][0]} and is {now[name][0]}")
        elif then[name] != now[name]:
            found.append(f"{name} {now[name][0]} has other files than then")
    return found


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
