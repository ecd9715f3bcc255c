"""Is there enough to learn from? Numbers of animals, recaptures and movements."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.spatial.distance import pdist
from scipy.special import chdtrc

from .finding import Finding, Look, error, note, some, warning


def few_animals(look: Look) -> Iterator[Finding]:
    """Fewer than twenty animals, or none."""
    n = look.captures.n_animals
    fix = "Report the interval, not only the estimate; plan for more detectors over a larger area"
    if n == 0:
        yield error("no-animals", "No animal was detected", "Estimate occupancy or an upper limit instead of density")
    elif n < 10:
        yield warning("few-animals", f"Only {some(n, 'animal')} detected; precise surveys have more than 20", fix)
    elif n < 20:
        yield note("few-animals", f"{n} animals were detected; precise surveys have more than 20", fix)


def few_recaptures(look: Look) -> Iterator[Finding]:
    """Fewer than twenty detections beyond the first of each animal, or none."""
    n, r = look.captures.n_animals, look.captures.n_recaptures
    if n and r == 0:
        yield error(
            "no-recaptures",
            f"No animal was detected twice ({some(n, 'animal')}), so detection cannot be told from density",
            "Survey longer or with more detectors; pool detection with another survey of the same kind",
        )
    elif n and r < 20:
        yield warning(
            "few-recaptures",
            f"Only {some(r, 'detection')} beyond the first of each of {some(n, 'animal')}; "
            "precise surveys have more than 20",
            "Survey longer, or space detectors so that each animal meets several",
        )


def few_spatial_recaptures(look: Look) -> Iterator[Finding]:
    """Fewer than five detections of an animal at a further detector, or none."""
    r, m = look.captures.n_recaptures, look.captures.n_spatial_recaptures
    fix = "Space detectors closer than about twice sigma, or fix sigma from another study and say so"
    if r and m == 0:
        yield error("no-spatial-recaptures", "No animal was detected at two detectors: sigma cannot be estimated", fix)
    elif r and m < 5:
        what = f"Only {some(m, 'detection')} of an animal at a further detector: sigma and density rest on them"
        yield warning("few-spatial-recaptures", what, fix)


def many_singletons(look: Look) -> Iterator[Finding]:
    """More animals seen once than even strong differences between animals explain: names given twice?

    A geometric distribution of detections (1, 2, 3, …) is what very unequal animals give; it has a share 1/mean of
    ones. In the classic data sets the observed share lies between 4 standard errors below it and 1.6 above.
    """
    n, per_animal = look.captures.n_animals, look.per_animal
    if n < 5 or look.captures.n_recaptures == 0:
        return
    expected = 1.0 / per_animal.mean()
    share = np.mean(per_animal == 1)
    excess = (share - expected) / np.sqrt(expected * (1.0 - expected) / n)
    if excess > 2.5:
        yield warning(
            "many-singletons",
            f"{np.sum(per_animal == 1)} of {n} animals were detected only once, and about {n * expected:.0f} would be "
            "likely: some may be other animals under a second name, which inflates density",
            "Have a second observer check the animals seen once; report how the estimate changes without some of them",
            look.captures.animals.index[per_animal == 1],
        )


def moved_far(look: Look) -> Iterator[Finding]:
    """Two detections of one animal further apart than ten times the pooled standard deviation."""
    for name, rows in look.rows_of_animals():
        places = look.detectors.positions[np.unique(look.captures.detector_index[rows])]
        far = pdist(places).max() if len(places) > 1 else 0.0
        if far > 10.0 * look.movement:
            yield note(
                "moved-far",
                f"Animal {name!r} was detected {far:,.0f} m apart, {far / look.movement:.0f} times the usual movement",
                "Check its identity and the names of these detectors",
                [name],
            )


def counts_clumped(look: Look) -> Iterator[Finding]:
    """Counts of an animal at a detector vary more between occasions than Poisson counts with this effort.

    Given their total T, Poisson counts are multinomial with shares p_s = e_s / sum(e), so that
    X² = sum (y_s - T p_s)² / (T p_s) = sum y_s² / (T p_s) - T has as many degrees of freedom as occasions less one.
    """
    captures, effort = look.captures, np.nan_to_num(look.detectors.effort)
    if look.detectors.kind != "count" or captures.n_occasions < 2:
        return
    y, k = captures.detections["count"].to_numpy(float), captures.detector_index
    share = (effort / np.maximum(effort.sum(axis=0), 1e-300))[captures.detections["occasion"] - 1, k]
    pairs, pair = np.unique(captures.animal_index * len(look.detectors) + k, return_inverse=True)
    total = np.bincount(pair, y)
    free = np.count_nonzero(effort, axis=0)[pairs % len(look.detectors)] - 1
    informative = (total > 1) & (free > 0)
    statistic = np.sum((np.bincount(pair, y**2 / (total[pair] * share)) - total)[informative])
    freedom = np.sum(free[informative])
    if freedom and statistic / freedom > 1.5 and chdtrc(freedom, statistic) < 0.01:
        yield warning(
            "counts-clumped",
            f"Counts vary {statistic / freedom:.1f} times as much between occasions as independent visits would: "
            "intervals will be too narrow",
            'Use counts="negative binomial", kind="proximity" (seen or not per occasion), or a longer independence '
            "interval between records",
        )


def losses(look: Look) -> Iterator[Finding]:
    """Animals that died or were taken away."""
    removed = look.captures.detections.loc[look.captures.detections["removed"], "animal"].unique()  # by any method
    if len(removed):
        yield note(
            "removed-animals",
            f"{len(removed)} of {look.captures.n_animals} animals did not return after a detection",
            "Nothing: the likelihood stops their histories there. Check that this is meant",
            removed,
        )


CHECKS = [few_animals, few_recaptures, few_spatial_recaptures, many_singletons, moved_far, counts_clumped, losses]
