"""Several methods of detecting the same animals at the same time: cameras and scats, traps and searches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pandas as pd
from shapely import points

from .captures import CaptureHistory
from .detectors import Detectors
from .display import facts_html
from .errors import Problems, refuse
from .ledger import Ledger
from .telemetry import Telemetry

COLUMNS = ("animal", "occasion", "detector", "count", "removed")


@dataclass(frozen=True, eq=False)
class Together(CaptureHistory):
    """The capture histories of one session by several methods, the animals being matched by their names.

    Made by `together`. Seen as one `CaptureHistory` it has the detectors of all methods, named "method: detector", and
    all detections; occasions are numbered within each method. `methods` holds the histories by method.
    """

    methods: Mapping[str, CaptureHistory] = field(default_factory=dict)
    _keeps_places: ClassVar[bool] = True

    @property
    def loses(self) -> bool:
        """Whether an animal did not return to the population after a detection."""
        return bool(self.detections["removed"].any())

    def capture_frequencies(self) -> pd.Series:
        """Number of animals detected on 1, 2, 3, … occasions, those of different methods being different."""
        of = self.detectors.covariates["method"].to_numpy()[self.detector_index]
        seen = self.detections[["animal", "occasion"]].assign(method=of).drop_duplicates().groupby("animal").size()
        return seen.value_counts().sort_index().rename_axis("occasions").rename("animals")

    def with_animals(self, covariates: pd.DataFrame) -> Together:
        """The same with more covariates of the animals, see `CaptureHistory.with_animals`."""
        whole = CaptureHistory.with_animals(self, covariates)
        assert isinstance(whole, Together)
        return whole

    def of_occasions(self, occasions, kind: str | None = None) -> Together:
        """Not known: every method numbers its occasions by itself."""
        raise refuse(
            "methods number their occasions by themselves", "Take the occasions of each method, then together()"
        )

    def equals(self, other: object) -> bool:
        """The same methods with the same histories, in the same order."""
        if not isinstance(other, Together) or list(self.methods) != list(other.methods):
            return False
        pairs = zip(self.methods.values(), other.methods.values(), strict=True)
        return CaptureHistory.equals(self, other) and all(a.equals(b) for a, b in pairs)

    def shared(self) -> pd.Series:
        """Number of animals by the methods that detected them, such as "camera", "scat" and "camera + scat"."""
        seen = pd.DataFrame({m: self.animals.index.isin(c.animals.index) for m, c in self.methods.items()})
        words = [" + ".join(seen.columns[row]) for row in seen.to_numpy(bool)]
        return pd.Series(words, dtype=object).value_counts(sort=False).rename_axis("detected by").rename("animals")

    def __repr__(self) -> str:
        parts = "; ".join(
            f"{m}: {c.n_animals} animals, {c.n_detections} detections, {c.detectors!r}" for m, c in self.methods.items()
        )
        return f"CaptureHistory {self.session!r}: {self.n_animals} animals by {len(self.methods)} methods ({parts})"

    def _repr_html_(self) -> str:
        by = ", ".join(f"{words}: {n}" for words, n in self.shared().items())
        facts = {"animals": self.n_animals, "animals by method": by or "none", "detections": self.n_detections}
        facts |= {f"{m}": repr(c) for m, c in self.methods.items()}
        return facts_html(f"Capture histories of survey {self.session}, by several methods", facts)


def methods_of(captures: CaptureHistory) -> Mapping[str, CaptureHistory]:
    """The histories by method; of an ordinary `CaptureHistory` itself, under the name ""."""
    return captures.methods if isinstance(captures, Together) else {"": captures}


def together(
    methods: Mapping[str, CaptureHistory], session: str | None = None, *, telemetry: Telemetry | None = None
) -> Together:
    """One session whose evidence comes from several methods; an animal has one name in all of them.

    Parameters
    ----------
    methods : {name: CaptureHistory}, such as {"camera": …, "scat": …}; each with its own kind of detectors, occasions
        and effort. In formulas of a model `method` is the factor of these names in this order.
    session : name of the session; that of the methods if it is the same
    telemetry : fixes of collared animals, see `CaptureHistory.with_telemetry`

    Notes
    -----
    Covariates of the animals are put together. Where animals were lost on capture, all methods must have the same
    occasions: an animal that was removed on one is exposed to nothing after it.

    Raises
    ------
    SurveyError : no method, different CRS or sessions, covariates of an animal that contradict each other, a loss
        while methods differ in their occasions
    """
    if not methods or not all(type(c) is CaptureHistory for c in methods.values()):
        kinds = [type(c).__name__ for c in methods.values()]
        raise refuse("methods are several CaptureHistory by name", 'Write {"camera": …, "scat": …}', value=kinds)
    named = {str(name).strip(): c for name, c in methods.items()}
    if "" in named or len(named) < len(methods):
        raise refuse("every method needs its own name", 'Write {"camera": …, "scat": …}', value=list(methods))
    parts = list(named.values())
    _check_space(named)
    if session is None and len({c.session for c in parts}) > 1:
        found = sorted({c.session for c in parts})
        raise refuse("the methods are of different sessions", "Say session=, if they are of one", value=found)
    collared = [m for m, c in named.items() if c.telemetry is not None]
    if collared:
        what = "telemetry belongs to the animals and not to a method"
        raise refuse(what, "Give it to the whole: survey.together({…}, telemetry=…)", value=collared)
    same = all(c.occasions.equals(parts[0].occasions) for c in parts) and len({c.n_occasions for c in parts}) == 1
    frames = [c.detections.assign(detector=f"{m}: " + c.detections["detector"]) for m, c in named.items()]
    if any("x" in frame for frame in frames):
        frames = [frame.reindex(columns=[*COLUMNS, "x", "y"]) for frame in frames]
    whole = Together(
        detections=pd.concat(frames, ignore_index=True),
        detectors=_all_detectors(named),
        animals=_all_animals(named),
        occasions=parts[0].occasions if same else pd.DataFrame(),
        session=parts[0].session if session is None else session,
        ledger=_all_ledgers(named),
        tables=next((c.tables for c in parts if c.tables is not None), None),
        telemetry=telemetry,
        methods=named,
    )
    occasions = {m: c.n_occasions for m, c in named.items()}
    if whole.loses and len(set(occasions.values())) > 1:
        raise refuse(
            "an animal was removed by one method, and another has other occasions, so that it is not known until when "
            "the animal was exposed to it",
            "Give all methods the same occasions",
            value=occasions,
        )
    return whole


def _check_space(named: Mapping[str, CaptureHistory]) -> None:
    systems = {m: c.detectors.crs for m, c in named.items()}
    first = next(iter(systems.values()))
    for m, crs in systems.items():
        if crs != first:
            words = {k: "local metres" if v is None else v.name for k, v in systems.items()}
            raise refuse("the methods' detectors have different CRS", f"Make that of {m!r} the same", value=words)


def _all_detectors(named: Mapping[str, CaptureHistory]) -> Detectors:
    """The detectors of all methods as if they were of one kind, for maps and distances."""
    each = [c.detectors for c in named.values()]
    S = max(d.n_occasions for d in each)
    effort = [np.vstack([d.effort, np.zeros((S - d.n_occasions, len(d)))]) for d in each]
    units = list(dict.fromkeys(d.effort_unit for d in each))
    return Detectors(
        id=tuple(f"{m}: {k}" for m, c in named.items() for k in c.detectors.id),
        x=np.concatenate([d.x for d in each]),
        y=np.concatenate([d.y for d in each]),
        effort=np.hstack(effort),
        kind="count",
        crs=each[0].crs,
        effort_unit=" and ".join(units),
        covariates=pd.DataFrame({"method": np.repeat(list(named), [len(d) for d in each])}),
        shapes=tuple(s for d in each for s in d.shapes or list(points(d.positions)))
        if any(d.shapes for d in each)
        else (),
    )


def _all_animals(named: Mapping[str, CaptureHistory]) -> pd.DataFrame:
    """The covariates of all animals; where several methods know one they agree."""
    found, bad = pd.DataFrame(), Problems()
    for m, c in named.items():
        both = found.index.intersection(c.animals.index)
        for name in found.columns.intersection(c.animals.columns):
            a, b = found.loc[both, name], c.animals.loc[both, name]
            for animal in both[(a.notna() & b.notna() & (a != b)).to_numpy(bool)]:
                bad.add(
                    f"the {name} of animal {animal!r} is {a[animal]!r} by one method and {b[animal]!r} by {m!r}",
                    "Correct one of them, or the identity",
                )
        found = found.combine_first(c.animals) if len(found) else c.animals.copy()
    bad.raise_any()
    return found


def _all_ledgers(named: Mapping[str, CaptureHistory]) -> Ledger:
    """The ends of all methods' records."""
    whole = Ledger()
    for c in named.values():
        for file, n in c.ledger.read.items():
            whole.note_read(file, n)
        whole.entries.extend(c.ledger.entries)
    return whole
