"""Is the population closed? Tests of the dates on which animals were detected, without their places.

An animal that comes or goes during a survey is detected over a shorter span than one that is there throughout. Given
that an animal was detected on k of t occasions, k >= 2, the span from its first to its last under closure has

    mean (k − 1)(t + 1) / (k + 1)        variance 2 (k − 1)(t + 1)(t − k) / ((k + 1)² (k + 2))

if all occasions are alike (Otis, Burnham, White & Anderson 1978, Wildl. Monogr. 62, p. 66 and appendix K). The second
test allows for occasions that differ, in effort or season: given how many animals each occasion found and on how many
each animal was found, all tables of 0 and 1 are equally probable under closure if log odds of detection are a sum of
animal and occasion (the Rasch model, M_th); the span is compared with that of tables drawn with these margins
(Strona et al. 2014, Nat. Commun. 5:4114, for the draws).

Beside them stand the tests of Stanley & Burnham (1999), see `closure_tables`, which tell animals that come from animals
that go, and allow for occasions that differ but not for animals that do.

All are blind to animals that leave and come back, and take learned responses for movement: animals that avoid cameras
after the first photograph look like animals that left.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import ndtr

from ....survey.captures import CaptureHistory
from ....survey.errors import refuse
from ....survey.together import methods_of
from .closure_tables import by_tables


@dataclass(frozen=True)
class ClosureTest:
    """Spans between first and last detection beside those of a closed population."""

    animals: int  # detected on two occasions or more
    occasions: int  # with effort
    span: float  # mean of the observed spans, occasions
    expected: float  # if the population is closed and all occasions are alike
    z: float  # Otis et al. 1978
    p_otis: float  # one-sided: spans are too short
    expected_given_margins: float  # if occasions may differ
    p_margins: float  # one-sided
    draws: int
    tables: pd.DataFrame  # test, chi_square, df, p of Stanley & Burnham 1999; NaN where there are too few animals

    def __str__(self) -> str:
        return (
            f"Closure, from the dates of {self.animals} animals detected on two occasions or more (no places used): "
            f"their detections span {self.span:.2f} occasions on average.\n"
            f"  all occasions alike (Otis et al. 1978): {self.expected:.2f} expected, z = {self.z:.2f}, "
            f"p = {self.p_otis:.3g}\n"
            f"  occasions that differ (given the margins): {self.expected_given_margins:.2f} expected, "
            f"p = {self.p_margins:.3g}\n"
            f"{self._of_tables()}"
            "A small p says that the population is not closed. "
            "Learned avoidance of detectors looks the same."
        )

    def _of_tables(self) -> str:
        known = self.tables.dropna()
        rows = [
            f"    {r.test}: chi-square {r.chi_square:.2f}, {r.df} d.f., p = {r.p:.3g}\n" for r in known.itertuples()
        ]
        if not rows:
            return "  too few animals for the tables of Stanley & Burnham 1999\n"
        return "  animals alike, by tables (Stanley & Burnham 1999):\n" + "".join(rows)

    __repr__ = __str__


def closure_test(captures: CaptureHistory, seed: int = 1, draws: int = 1000) -> ClosureTest:
    """Were the animals there throughout? From the occasions on which they were detected, not from where.

    Parameters
    ----------
    captures : of one session; occasions on which no detector worked are left out, animals that were removed too
    seed : of the tables drawn with the margins of the data
    draws : their number; p has the resolution 1 / (draws + 1)

    Raises
    ------
    SurveyError : no animal was detected on two occasions, there are fewer than three with effort, or methods that
        differ in their occasions
    """
    table = _table(captures)
    k, t = table.sum(axis=1), table.shape[1]
    if t < 3:
        raise refuse("a closure test needs at least three occasions with effort", "Use shorter occasions", value=t)
    again = k >= 2
    if not again.any():
        raise refuse("no animal was detected on two occasions", "There is nothing to learn of closure", value=0)
    spans = _spans(table)[again]
    mean, variance = span_moments(k[again].astype(float), t)
    spread = float(np.sqrt(variance.sum()))
    z = float((spans - mean).sum() / spread) if spread > 0 else 0.0
    drawn = _drawn_spans(table, again, np.random.default_rng(seed), draws)
    p = float((1 + np.sum(drawn <= spans.mean() + 1e-9)) / (1 + draws))
    observed, expected = float(spans.mean()), float(mean.mean())
    p_otis = float(ndtr(z)) if spread > 0 else 1.0
    of_margins = (float(drawn.mean()), p, draws)
    return ClosureTest(int(again.sum()), t, observed, expected, z, p_otis, *of_margins, by_tables(table))


def span_moments(k: np.ndarray, t: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of last − first of k different occasions out of t, all sets equally probable."""
    mean = (k - 1.0) * (t + 1.0) / (k + 1.0)
    variance = 2.0 * (k - 1.0) * (t + 1.0) * (t - k) / ((k + 1.0) ** 2 * (k + 2.0))
    return mean, variance


def _table(captures: CaptureHistory) -> np.ndarray:
    """bool [n, t]: on which occasions with effort each animal was detected."""
    occasions = {name: one.n_occasions for name, one in methods_of(captures).items()}
    if len(set(occasions.values())) > 1:
        what = "the methods have different occasions, so that their dates are no one sequence"
        raise refuse(what, "Test the captures of one method", value=occasions)
    seen = np.zeros((captures.n_animals, captures.n_occasions), bool)
    seen[captures.animal_index, captures.detections["occasion"].to_numpy() - 1] = True
    gone = np.unique(captures.animal_index[captures.detections["removed"].to_numpy(bool)])
    used = captures.detectors.used.any(axis=1)
    return np.delete(seen, gone, axis=0)[:, used]


def _spans(table: np.ndarray) -> np.ndarray:
    """float [n]: occasions from the first to the last detection of each animal."""
    t = table.shape[1]
    return (t - 1 - table[:, ::-1].argmax(axis=1) - table.argmax(axis=1)).astype(float)


def _drawn_spans(table: np.ndarray, which: np.ndarray, rng: np.random.Generator, draws: int) -> np.ndarray:
    """float [draws]: mean span of some animals in tables with the same margins, by trades between pairs of animals.

    Two animals put together the occasions that only one of them has and deal them out again, each getting as many as
    it gave; the chain goes through all tables with these margins and favours none.
    """
    sets = [set(np.flatnonzero(row)) for row in table]
    n, found = len(sets), np.empty(draws)
    if n < 2:
        found[:] = _spans(table)[which].mean()
        return found
    chosen = np.flatnonzero(which)
    for d in range(-5, draws):  # the first five rounds leave the data behind
        for _ in range(n):
            a, b = rng.choice(n, 2, replace=False)
            mine, theirs = sets[a] - sets[b], sets[b] - sets[a]
            pot = sorted(mine | theirs)
            rng.shuffle(pot)
            both = sets[a] & sets[b]
            sets[a], sets[b] = both | set(pot[: len(mine)]), both | set(pot[len(mine) :])
        if d >= 0:
            found[d] = np.mean([max(sets[i]) - min(sets[i]) for i in chosen])
    return found
