"""[marking] of survey.toml: occasions on which animals were marked, and sightings of animals that nobody can name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from ...models import MarkResight
from ...survey.captures import CaptureHistory
from ...survey.columns import Columns
from ...survey.display import some
from ...survey.errors import Problems
from ...survey.ledger import Ledger
from ...survey.sheets import read_sheet
from ...survey.sightings import Sightings, split_marking
from ..model_parts import part_of
from ..parts import Part

ResightModel = part_of(MarkResight)
WORDS = {"identified": "identified", "unidentified": "marked, not identified", "unmarked": "unmarked"}


class Marking(Part):
    """[marking]: all occasions that are not of marking are of sighting, on which animals are not marked."""

    occasions: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        default=(), description="those on which animals were marked, from 1; none: marking was not recorded"
    )
    kind: Literal["proximity", "count", "multi", "single", "capped"] | None = Field(
        default=None, description="of detector while marking, where not that of [occasions]"
    )
    unmarked: str | None = Field(
        default=None, description="table of sightings of unmarked animals: occasion, detector, count; 0 where no row"
    )
    unidentified: str | None = Field(
        default=None, description="such a table of marked animals that could not be identified"
    )

    @model_validator(mode="after")
    def _marked_where(self):
        if not self.occasions and self.kind is not None:
            raise ValueError("[marking] has a kind of detector and no occasions", "Give occasions, or leave kind out")
        return self

    def files(self) -> list[str | None]:
        """The files that it names."""
        return [self.unmarked, self.unidentified]


def check_marking(form) -> None:
    """[marking] and the models of a form go together.

    Raises
    ------
    ValueError : (what, fix), as validators of forms do
    """
    resight: list[Any] = [m for m in form.models if isinstance(m, ResightModel)]
    if form.marking is None:
        if resight:
            name = resight[0].name
            fix = "Add [marking] with the occasions of marking, and tables of unmarked and unidentified sightings"
            raise ValueError(f"model {name!r} is of marking and sighting, and there is no [marking]", fix)
        return
    if len(resight) < len(form.models):
        other = next(m for m in form.models if not isinstance(m, ResightModel))
        fix = 'Use model = "MarkResight", or leave [marking] out'
        raise ValueError(f"model {other.name!r} does not know marking from sighting, and there is [marking]", fix)
    for name, given in (("methods", form.methods), ("telemetry", form.telemetry)):
        if given:
            raise ValueError(f"[{name}] and [marking] do not go together", "Leave one of them out")
    for part in resight:
        if form.marking.occasions and part.marked is not None:
            what = f"model {part.name!r} is told how many are marked, and there are marking occasions"
            raise ValueError(what, "Leave marked out")
        if not form.marking.occasions and part.marked is None:
            what = f"without marking occasions model {part.name!r} needs the number of marked animals"
            raise ValueError(what, "Add marked = their number in the habitat, or 'unknown'")


def read_sightings(
    marking: Marking, captures: CaptureHistory, folder: Path, encoding: str | None = None
) -> tuple[CaptureHistory | None, Sightings, Ledger]:
    """Marking (None where not recorded), sightings, and where the rows of their tables went."""
    S, bad, ledger = captures.n_occasions, Problems(), Ledger()
    for s in sorted(s for s in marking.occasions if s > S):
        bad.add(f"[marking] names occasion {s}; the survey has {S}", "Correct the occasions", value=s)
    tables = {}
    for name, file in (("unmarked", marking.unmarked), ("unidentified", marking.unidentified)):
        if file is not None:
            c = Columns(read_sheet(folder / file, encoding=encoding), bad)
            tables[name] = _counts(c, name, captures, marking, ledger)
    bad.raise_any()
    if marking.occasions:
        begun, seen = split_marking(captures, marking.occasions, marking_kind=marking.kind, **tables)
        return begun, seen, ledger
    return None, Sightings(captures, **tables), ledger


def _counts(c: Columns, name: str, captures: CaptureHistory, marking: Marking, ledger: Ledger) -> np.ndarray:
    """float [S, K] over all occasions of the survey; every fault with its row."""
    d, S = captures.detectors, captures.n_occasions
    counts = np.zeros((S, len(d)))
    if not c.require("occasion", "detector", "count"):
        return counts
    occasion = c.number("occasion", required=True, low=1, high=S, whole=True)
    number = c.number("count", required=True, low=0, whole=True)
    names = c.text("detector", required=True)
    at = pd.Index(d.id, dtype=object).get_indexer(pd.Index(names, dtype=object))
    for i in np.flatnonzero((at < 0) & (names != "")):
        c.fault(i, "there is no such detector", "Use the name of a station of the survey", names[i])
    known = (at >= 0) & (occasion >= 1) & (occasion <= S) & (occasion == np.floor(occasion)) & (number >= 0)
    for i in np.flatnonzero(known):
        s, k = int(occasion[i]) - 1, at[i]
        if s + 1 in marking.occasions:
            fix = "On marking occasions animals are marked, not sighted: leave the row out"
            c.fault(i, f"occasion {s + 1} is one of marking", fix, int(number[i]))
        elif number[i] > 0 and not d.used[s, k]:
            what = f"the effort at {names[i]!r} on occasion {s + 1} is zero or not known"
            c.fault(i, what, "Correct the sighting or the effort", int(number[i]))
        counts[s, k] += number[i]
    ledger.note_read(c.sheet.name, len(c))
    ledger.put(c.sheet.name, c.row, Ledger.USED)
    return counts


def facts(marking: CaptureHistory | None, sightings: Sightings) -> dict[str, str]:
    """What T1 says of marking and of sightings."""
    found = {}
    if marking is None:
        found["Marking"] = "not recorded"
    else:
        times = f"{some(marking.n_detections, 'time')} on {some(marking.n_occasions, 'occasion')}"
        found["Marking"] = f"{some(marking.n_animals, 'animal')}, caught {times} ({marking.detectors.kind})"
    found["Sighting occasions"] = f"{sightings.n_occasions}"
    totals = sightings.totals
    for name, words in WORDS.items():
        found[f"Sightings, {words}"] = f"{totals[name]:,}" if name in totals else "not recorded"
    return found
