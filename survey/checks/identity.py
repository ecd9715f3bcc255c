"""Are the animals who they are said to be? Names, sexes, ages, observers."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import SequenceMatcher

import numpy as np
import pandas as pd

from ..levels import misspelled
from ..readers.reading import without_marks
from ..together import methods_of
from .finding import Finding, Look, note, some, warning


def left_out(look: Look) -> Iterator[Finding]:
    """Records in which somebody knew the animal, and which do not count for want of a species or a time."""
    tables = look.captures.tables
    if tables is None or "fate" not in tables.records:
        return
    individuals = tables.identities[tables.identities["individual"] != ""]
    known = tables.records[tables.records["record"].isin(individuals["record"])]
    fate, id = known["fate"], "identified-left-out"
    if (rows := known["record"][fate == "no species"]).size:
        what = f"{some(len(rows), 'identified record')} without a species: not counted"
        yield warning(id, what, "Fill in the species", rows)
    if (rows := known["record"][fate == "no time"]).size:
        what = f"{some(len(rows), 'identified record')} without a time: not counted"
        yield warning(id, what, "Fill in the date and time, as well as they are known", rows)
    other = known[fate == "another species"]
    wanted = _loose(str(tables.provenance.get("species", "")))
    alike = other["species"].map(lambda name: SequenceMatcher(None, _loose(name), wanted).ratio() > 0.9)
    if wanted and (rows := other["record"][alike]).size:
        name = ", ".join(map(repr, sorted(set(other["species"][rows.index]))[:3]))
        what = f"{some(len(rows), 'identified record')} of {name}, another species by its spelling: not counted"
        yield warning(id, what, "Correct the spelling, if it is the same species", rows)


def _loose(species: str) -> str:
    return " ".join(species.casefold().replace("_", " ").split())


def names_alike(look: Look) -> Iterator[Finding]:
    """One animal that two methods, or its collar, spell in two ways; within one table the reader tells of them."""
    sources = [list(c.animals.index) for c in methods_of(look.captures).values()]
    sources += [] if look.captures.telemetry is None else [look.captures.telemetry.names]
    names = pd.Series([name for own in sources for name in own], dtype=object).drop_duplicates()
    groups = names.groupby(without_marks(names)).agg(list)
    pairs = [group for group in groups if len(group) > 1 and not any(set(group) <= set(own) for own in sources)]
    if pairs:
        yield warning(
            "names-alike",
            f"{some(len(pairs), 'animal')} under two names that differ in case or marks only: counted as two",
            "Write one name in all tables",
            [" / ".join(group) for group in pairs],
        )


def same_history(look: Look) -> Iterator[Finding]:
    """Animals detected at the same places and occasions: one animal with two names, or two that travel together."""
    found = look.captures.detections
    cell = found["occasion"].to_numpy() * len(look.detectors) + look.captures.detector_index
    if look.detectors.located:  # an area is no place: two animals found in it are where they were found
        cell = found[["x", "y"]].round().assign(cell=cell).groupby(["x", "y", "cell"]).ngroup().to_numpy()
    histories: dict[tuple, list[str]] = {}
    for animal, rows in look.rows_of_animals():
        histories.setdefault(tuple(cell[rows]), []).append(animal)
    for history, animals in histories.items():
        if len(history) >= 3 and len(animals) > 1:
            yield warning(
                "same-history",
                f"{len(animals)} animals have the same {len(history)} detections",
                "Are they one animal (two flanks, two names), or a mother with grown cubs? Keep one history",
                animals,
            )


def _sexes(look: Look) -> pd.Series | None:
    """The sexes of the animals in lower case, missing where not known; None without such a column."""
    animals = look.captures.animals
    name = next((column for column in animals if str(column).lower() == "sex"), None)
    if name is None:
        return None
    sex = animals[name].map(lambda value: value if pd.isna(value) else str(value).strip().lower())
    sex = sex.mask(sex.isin(["", "u", "?", "unknown"]))
    return None if sex.isna().all() else sex


def sex_missing(look: Look) -> Iterator[Finding]:
    """More than a fifth of the animals without a known sex."""
    sex = _sexes(look)
    if sex is not None and sex.isna().mean() > 0.2:
        yield note(
            "sex-missing",
            f"The sex of {sex.isna().sum()} of {len(sex)} animals is not known",
            "Models with sex still use these animals; do not drop them",
            sex.index[sex.isna()],
        )


def few_of_a_sex(look: Look) -> Iterator[Finding]:
    """Fewer than five animals of one sex."""
    sex = _sexes(look)
    if sex is None:
        return
    counts = sex.value_counts()
    for name, n in counts.items():
        if n < 5 and len(counts) > 1:
            yield note(
                "few-of-a-sex",
                f"Only {some(n, 'animal')} of sex {name!r}: differences between the sexes will be poorly known",
                "Share detection between the sexes, or with other surveys",
                sex.index[sex == name],
            )


def sexes_move_differently(look: Look) -> Iterator[Finding]:
    """Pooled standard deviations of the sexes that differ by half or more, each from at least ten movements."""
    sex = _sexes(look)
    if sex is None:
        return
    captures = look.captures
    weight = captures.detections["count"].to_numpy(float)
    step = look.detectors.positions[captures.detector_index] - captures.centroids()[captures.animal_index]
    squares = np.bincount(captures.animal_index, weight * (step**2).sum(axis=1), captures.n_animals)
    spread = {}
    for name in sorted(sex.dropna().unique()):
        own = (sex == name).to_numpy(bool)
        freedom = look.per_animal[own].sum() - own.sum()
        if freedom >= 10 and squares[own].sum() > 0:
            spread[name] = np.sqrt(squares[own].sum() / (2.0 * freedom))
    if len(spread) > 1 and max(spread.values()) > 1.5 * min(spread.values()):
        words = ", ".join(f"{name} {value:,.0f} m" for name, value in spread.items())
        yield note("sexes-move-differently", f"Movement differs by sex: {words}", 'Compare a model with sigma="~ sex"')


def sex_conflict(look: Look) -> Iterator[Finding]:
    """Animals identified as female in one record and as male in another."""
    if not len(look.identities):
        return
    known = look.identities[look.identities["sex"].isin(["female", "male"])]
    both = known.groupby("individual")["sex"].nunique()
    both = both.index[both > 1]
    if len(both):
        yield warning(
            "sex-conflict",
            f"{some(len(both), 'animal')} with both sexes: female in one record and male in another",
            "Look at the images again: a wrong sex is often a wrong identity",
            both,
        )


def one_observer(look: Look) -> Iterator[Finding]:
    """All identities from one person."""
    if not len(look.identities):
        return
    observers = look.identities["observer"].replace("", np.nan).dropna().unique()
    if len(observers) == 1:
        yield warning(
            "one-observer",
            f"All animals were identified by one observer ({observers[0]})",
            "Have a second observer identify them independently, and report the agreement",
        )


def cubs(look: Look) -> Iterator[Finding]:
    """Juveniles among the identified animals."""
    if not len(look.identities):
        return
    young = look.identities.loc[look.identities["life_stage"] == "juvenile", "individual"].unique()
    if len(young):
        yield warning(
            "cubs-included",
            f"{some(len(young), 'animal')} identified as juvenile: cubs move with their mother and often die",
            "Leave cubs out, and say so",
            sorted(young),
        )


def one_flank(look: Look) -> Iterator[Finding]:
    """Left-only and right-only animals may be the same ones; a warning when they could be a tenth of all."""
    if not len(look.identities):
        return
    flanks = look.identities.groupby("individual")["flank"].agg(lambda seen: frozenset(seen) - {""})
    left, right = (flanks.index[flanks.map(lambda seen, side=side: seen == {side})] for side in ("left", "right"))
    if len(left) and len(right):
        yield (warning if min(len(left), len(right)) > 0.1 * look.captures.n_animals else note)(
            "one-flank-animals",
            f"{some(len(left), 'animal')} known from the left only, {len(right)} from the right only: perhaps the same",
            "Use one flank only, or left and right as two sessions with shared detection (survey.flanks)",
            [*left, *right],
        )


def levels_alike(look: Look) -> Iterator[Finding]:
    """Covariates of animals and detectors in which a rare word looks like a frequent one."""
    yield from spelled_alike(look.captures.animals)
    covariates = look.detectors.covariates
    if covariates.shape[1]:
        yield from spelled_alike(covariates.set_axis(pd.Index(look.detectors.id), axis=0))


def spelled_alike(table: pd.DataFrame) -> Iterator[Finding]:
    """Columns of words of a table, whose index names its rows, in which a rare word looks like a frequent one."""
    for name in table:
        if pd.api.types.is_numeric_dtype(table[name]):
            continue
        words = table[name].astype(object)
        for rare, often in misspelled(words).items():
            own, others = words.astype(str) == rare, int((words.astype(str) == often).sum())
            what = f"{str(name)!r} is {rare!r} {some(int(own.sum()), 'time')} and {often!r} {some(others, 'time')}"
            fix = "If both words mean the same, write one of them: each is a level with parameters of its own"
            yield warning("levels-alike", what, fix, table.index[own])


CHECKS = [
    left_out,
    levels_alike,
    names_alike,
    same_history,
    sex_missing,
    few_of_a_sex,
    sexes_move_differently,
    sex_conflict,
    one_observer,
    cubs,
    one_flank,
]
