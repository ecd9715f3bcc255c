"""Do the numbers of a results.json come out the same again? Number by number, or which input or version changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..survey.errors import refuse
from .analysis import analyse
from .files import digest
from .results import NUMBERS, TESTED, read_results, results_of
from .study import study_of

TOLERANCE = 1e-6  # relative
OF_A_MODEL = ("loglik", "n_parameters", "aic", "aicc")


@dataclass(frozen=True)
class Number:
    """One number then and now; None where it has no finite value or is not there."""

    what: str
    then: float | None
    now: float | None

    @property
    def same(self) -> bool:
        """Equal to a relative 1e-6, or missing both times."""
        if self.then is None or self.now is None:
            return self.then is self.now
        return abs(self.then - self.now) <= TOLERANCE * max(abs(self.then), abs(self.now))


@dataclass(frozen=True)
class Reproduction:
    """What came of reading, fitting and comparing again."""

    numbers: tuple[Number, ...]
    inputs: tuple[str, ...]  # sentences on files that changed
    versions: tuple[str, ...]  # sentences on software that changed

    @property
    def same(self) -> bool:
        """All numbers came out the same."""
        return all(number.same for number in self.numbers)

    @property
    def different(self) -> tuple[Number, ...]:
        return tuple(number for number in self.numbers if not number.same)


def reproduce(path: str | Path, data: str | Path | None = None, progress: Callable | None = None) -> Reproduction:
    """Read the inputs of a results.json again, fit again, and compare.

    Parameters
    ----------
    path : results.json, or the folder of a report
    data : the folder in which the survey.toml lay; looked for above the results and here by default
    progress : as for `analyse`

    Raises
    ------
    SurveyError : the inputs are not found, or can no longer be read
    """
    then, config = read_results(path)
    folder = find_inputs(then, Path(path), data)
    now = results_of(analyse(study_of(config, folder, then["inputs"][0]["path"]), progress))
    return Reproduction(
        tuple(compare_numbers(then, now)),
        tuple(changed_inputs(then, folder)),
        tuple(changed_versions(then, now)),
    )


def find_inputs(results: dict, path: Path, data: str | Path | None = None) -> Path:
    """The folder in which all inputs lie: the given one, or the nearest above the results, or the current one."""
    wanted = [entry["path"] for entry in results["inputs"]]
    places = [Path(data)] if data is not None else [*path.absolute().parents, Path.cwd()]
    if data is None and path.is_dir():
        places.insert(0, path.absolute())
    held = {place: sum((place / name).is_file() for name in wanted) for place in places}
    best = max(held, key=held.__getitem__)
    if held[best] == len(wanted):
        return best
    missing = [name for name in wanted if not (best / name).is_file()]
    if held[best] == 0:
        raise refuse("the inputs of these results are not found", "Say with --data in which folder survey.toml lies")
    raise refuse(f"{len(missing)} of {len(wanted)} inputs are missing in {best}", "Bring them back", value=missing[:5])


def changed_inputs(results: dict, folder: Path) -> Iterator[str]:
    """Files whose content is another than then."""
    for entry in results["inputs"]:
        if digest(folder / entry["path"]) != entry["sha256"]:
            yield f"{entry['path']} is not the file it was"


def changed_versions(then: dict, now: dict) -> Iterator[str]:
    """Software that is of another version than then."""
    old, new = ({"uncia": side["uncia"]} | side["environment"] for side in (then, now))
    for name in dict.fromkeys([*old, *new]):
        if old.get(name) != new.get(name):
            yield f"{name} was {old.get(name, 'not there')} and is {new.get(name, 'not there')}"


def compare_numbers(then: dict, now: dict) -> Iterator[Number]:
    """Every number of both, in the order of `then`."""
    old, new = dict(_numbers(then)), dict(_numbers(now))
    for what in dict.fromkeys([*old, *new]):
        yield Number(what, old.get(what), new.get(what))


def _numbers(results: dict) -> Iterator[tuple[str, float | None]]:
    for model in results["models"]:
        for name in OF_A_MODEL:
            yield f"{model['name']}: {name}", model[name]
    for row in results["estimates"]:
        for name in NUMBERS:
            what = "" if name == "estimate" else f", {name}"
            yield f"{row['model']}: {row['quantity']} in {row['scope']}{what}", row[name]
    for row in results.get("goodness", ()):
        for name in TESTED:
            yield f"{results['reported']}: {row['test']}, {name}", row[name]
