"""Two results.json beside each other: every number that moved, by how much of its error, and what had changed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .reproduce import TOLERANCE, changed_versions, compare_numbers
from .results import read_results

CAUSES = ("data", "config", "version")
TOLD = ("report.previous", "report.language", "report.public", "report.public_grid")  # how, not what, is told


@dataclass(frozen=True)
class Moved:
    """One number then and now, with the standard error that it had then (NaN for what has none)."""

    what: str
    then: float | None
    now: float | None
    se: float

    @property
    def difference(self) -> float:
        return float("nan") if self.then is None or self.now is None else self.now - self.then

    @property
    def errors(self) -> float:
        """The difference in standard errors of then; NaN where there is none."""
        return self.difference / self.se if self.se > 0 else float("nan")


@dataclass(frozen=True)
class Comparison:
    """What moved between two results, and the changes that can be the reason."""

    moved: tuple[Moved, ...]
    unmoved: int
    changes: tuple[tuple[str, str], ...]  # (data, config or version; what changed, in words)

    @property
    def causes(self) -> tuple[str, ...]:
        """Which kinds of things changed. One alone is the reason; of several each can be."""
        found = {kind for kind, _ in self.changes}
        return tuple(kind for kind in CAUSES if kind in found)

    @property
    def why(self) -> str:
        """The reason of every number that moved, as far as it can be known without fitting again."""
        if not self.causes:
            return "nothing is known to have changed"
        return self.causes[0] if len(self.causes) == 1 else " or ".join(self.causes)

    @property
    def furthest(self) -> float:
        """The largest move in standard errors; NaN where none has one."""
        sizes = [abs(m.errors) for m in self.moved if math.isfinite(m.errors)]
        return max(sizes, default=float("nan"))


def compare(before: str | Path | dict, after: str | Path | dict) -> Comparison:
    """Compare two results.json (paths, folders of reports, or their content).

    Raises
    ------
    SurveyError : a file that is no results.json
    """
    then, now = (given if isinstance(given, dict) else read_results(given)[0] for given in (before, after))
    return compare_results(then, now)


def compare_results(then: dict[str, Any], now: dict[str, Any]) -> Comparison:
    """As `compare`, of contents."""
    errors = _standard_errors(then)
    moved, unmoved = [], 0
    for number in compare_numbers(then, now):
        if number.same:
            unmoved += 1
        else:
            moved.append(Moved(number.what, number.then, number.now, errors.get(number.what, float("nan"))))
    files = list(_inputs(then, now))
    changes = [(kind, text) for kind, text in files if kind == "data"]
    changes += [(kind, text) for kind, text in files if kind == "config"]
    changes += [("config", text) for text in _settings(then, now)]
    changes += [("version", text) for text in changed_versions(then, now)]
    return Comparison(tuple(moved), unmoved, tuple(changes))


def _standard_errors(results: dict[str, Any]) -> dict[str, float]:
    """The standard error of each estimate, by the name that the number has."""
    rows = results["estimates"]
    return {f"{r['model']}: {r['quantity']} in {r['scope']}": r["se"] for r in rows if r["se"] is not None}


def _inputs(then: dict[str, Any], now: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Files that changed, came or went, each as data or config; the form itself is told key by key instead, and the
    last report is not data. Forms of years, parks and sites are config, a registry of identities is data."""
    held, registries = [], set()
    for side in (then, now):
        last = side["config"].get("report", {}).get("previous")
        held.append({e["path"]: e["sha256"] for e in side["inputs"][1:] if e["path"] != last})
        registries.add((side["config"].get("data") or {}).get("registry"))
    old, new = held
    for path in dict.fromkeys([*old, *new]):
        form = path.endswith(".toml") and path not in registries and "registr" not in path.rsplit("/", 1)[-1]
        kind = "config" if form else "data"
        if path not in new:
            yield kind, f"{path} is no longer read"
        elif path not in old:
            yield kind, f"{path} is new"
        elif old[path] != new[path]:
            yield kind, f"{path} is not the file it was"


def _settings(then: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    """Keys of the form with another value, but for those of how the report is told."""
    old, new = (dict(_flat(side["config"])) for side in (then, now))
    for key in dict.fromkeys([*old, *new]):
        a, b = old.get(key, "not there"), new.get(key, "not there")
        added = any(v in (None, [], {}) for v in (a, b)) and "not there" in (a, b)  # a key of another version, unused
        if a != b and key not in TOLD and not added:
            yield f"{key} was {_told(a)} and is {_told(b)}"
    if then["reported"] != now["reported"] and not any(m["name"] == then["reported"] for m in now["models"]):
        yield f"the reported model was {then['reported']!r} and is {now['reported']!r}"


def _told(value: Any) -> str:
    return value if value == "not there" else repr(value)


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of a form by its place: models.constant.D, regions.1.file. Entries that have a name go by it."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list) and any(isinstance(inner, dict) for inner in value):
        for i, inner in enumerate(value):
            own = str(inner.get("name", inner.get("year", i + 1))) if isinstance(inner, dict) else str(i + 1)
            yield from _flat(inner, f"{name}.{own}")
    else:
        yield name, value


__all__ = ["TOLERANCE", "Comparison", "Moved", "compare", "compare_results"]
