"""How far detections and counts at sites are from their model: what `Fit.goodness` simulates the distribution of.

Detection histories (MacKenzie & Bailey 2004, J. Agric. Biol. Environ. Stat. 9:300): sites with the same visits done in
a season are a cohort; numbers of each history are compared with the expected ones within cohorts, season by season.
Findings of visits and of sites in a season: Pearson's chi-square and Freeman & Tukey's statistic of totals.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from ...survey.errors import refuse

MOST = 64  # different histories in a cohort up to which their numbers are compared
COMPANY = 5  # places with the same visits from which their histories can be compared


def discrepancies(model, vector: np.ndarray) -> dict[str, float]:
    """The statistics of a model of one history at coefficients [p], by name."""
    if hasattr(model, "second"):
        return _of_two_species(model, model.parameters.values(vector))
    if np.any(getattr(model, "known", False)):
        raise refuse("there is no test with sites known to be occupied", "Fit without known_occupied")
    found = {}
    values = model.parameters.values(vector)
    cohorts = short_histories(model)
    if cohorts is not None:
        found["MacKenzie-Bailey"] = _compared(cohorts, _expected(model, values, cohorts))[1]
    return found | totals(model, values)


def totals(model, values) -> dict[str, float]:
    """Freeman-Tukey and Pearson's chi-square of the findings of sites in a season, and of single visits."""
    y, expected = findings(model), model.fitted(values)
    group = place_of(model)
    n = int(group.max()) + 1 if len(group) else 0
    site, site_expected = (np.bincount(group, weights=v, minlength=n) for v in (y, expected))
    found = {}
    for words, seen, mean in (("sites", site, site_expected), ("visits", y, expected)):
        here = mean > 0
        found[f"Freeman-Tukey, {words}"] = float(np.sum((np.sqrt(seen) - np.sqrt(mean)) ** 2))
        found[f"chi-square, {words}"] = float(np.sum((seen[here] - mean[here]) ** 2 / mean[here]))
    return found


class OneOfTwo:
    """One species of a model of two, as a model of its own: its history, its marginal occupancy, its detection."""

    data_kind = "detections"

    def __init__(self, model, values, species: int):
        self.history = (model.history, model.second)[species]
        self.psi = model.marginal(values, species)
        self.p = model.visits[species].probability(values[f"p{species + 1}"])

    def occupied_and_found(self, values):
        """psi [N] and p [V]."""
        return self.psi, self.p

    def fitted(self, values) -> np.ndarray:
        """float [V]: expected findings."""
        return self.psi[self.history.site_of[self.history.done]] * self.p


def _of_two_species(model, values) -> dict[str, float]:
    """The statistics of each species, and of the sites where neither, one or both of them were found."""
    found = {}
    chance, seen = model.found_together(values), np.stack([v.any for v in model.visits], axis=1)
    here = chance.sum(axis=0)
    kinds = np.array([[1, 1], [1, 0], [0, 1], [0, 0]], bool)
    observed = (seen[:, None, :] == kinds).all(axis=2).sum(axis=0)
    found["chi-square, found together"] = float(np.sum((observed - here) ** 2 / here))
    for species, name in enumerate(model.species):
        one = OneOfTwo(model, values, species)
        cohorts = short_histories(one)
        if cohorts is not None:
            found[f"MacKenzie-Bailey, {name}"] = _compared(cohorts, _expected(one, values, cohorts))[1]
        found |= {f"{words}, {name}": value for words, value in totals(one, values).items()}
    return found


def findings(model) -> np.ndarray:
    """float [V]: what the visits that were done found."""
    return model.history.value[model.history.done]


def place_of(model) -> np.ndarray:
    """int [V]: site and season (season fastest) of the visits that were done."""
    h = model.history
    return (h.site_of * h.n_seasons + h.season_of)[h.done]


# ---- histories -----------------------------------------------------------------------------------------------------


Cohorts = list[tuple[str, np.ndarray, np.ndarray, np.ndarray]]


def short_histories(model) -> Cohorts | None:
    """Cohorts where whole histories can be compared: findings of 0 and 1, few different histories in a season.

    And enough places with the same visits: where nearly every place has its own, each history is one of its kind and
    its chi-square is the inverse of a tiny probability, which says nothing of the model.
    """
    one_season = model.data_kind == "detections" and model.history.n_seasons == 1
    if not hasattr(model, "occupied_and_found") and not one_season:
        return None
    cohorts = _cohorts(model)
    if max((len(h) for _, _, h, _ in cohorts), default=0) > MOST:
        return None
    sizes = np.array([len(places) for _, places, _, _ in cohorts])
    return cohorts if sizes[sizes >= COMPANY].sum() >= 0.5 * sizes.sum() else None


def mackenzie_bailey(model, vector: np.ndarray) -> tuple[pd.DataFrame, float]:
    """Observed and expected numbers of each history, and their chi-square (summed over cohorts and seasons)."""
    cohorts = _cohorts(model)
    return _compared(cohorts, _expected(model, model.parameters.values(vector), cohorts))


def _compared(cohorts: Cohorts, expected: list[np.ndarray]) -> tuple[pd.DataFrame, float]:
    frames, total = [], 0.0
    for (label, places, histories, observed), numbers in zip(cohorts, expected, strict=True):
        unseen = len(places) - numbers.sum()  # expected number of all histories that nobody had
        total += float(np.sum((observed - numbers) ** 2 / numbers)) + max(float(unseen), 0.0)
        words = ["".join(map(str, h)) for h in histories]
        frames.append(pd.DataFrame({"cohort": label, "history": words, "observed": observed, "expected": numbers}))
    return pd.concat(frames, ignore_index=True), total


def _cohorts(model) -> Cohorts:
    """Label, places [n] (site and season), different histories [h, visits] and their numbers [h], of each cohort."""
    h, place, y = model.history, place_of(model), findings(model).astype(int)
    keys = [name for name in ("visit", "trail", "method") if name in h.visits]
    texts = [h.visits[key].to_numpy(object)[h.done] for key in keys]
    visit = np.array(["/".join(map(str, parts)) for parts in zip(*texts, strict=True)], object)
    begins = np.flatnonzero(np.diff(place, prepend=-1))
    found: dict[tuple, list[int]] = {}
    for k, (begin, end) in enumerate(zip(begins, np.append(begins[1:], len(place)), strict=True)):
        found.setdefault((place[begin] % h.n_seasons, *visit[begin:end]), []).append(k)
    result = []
    for label, which in found.items():
        rows = begins[which][:, None] + np.arange(len(label) - 1)
        histories, observed = np.unique(y[rows], axis=0, return_counts=True)
        words = ", ".join(label[1:])
        season = "" if h.n_seasons == 1 else f"season {h.season_labels[label[0]]}: "
        result.append((season + words, place[begins[which]], histories, observed))
    return result


def _expected(model, values, cohorts) -> list[np.ndarray]:
    """Expected numbers [h] of the histories of each cohort."""
    if hasattr(model, "occupied_and_found"):
        psi, p = model.occupied_and_found(values)
        starts = np.searchsorted(place_of(model), np.arange(len(psi) + 1))
        found = []
        for _, places, histories, _ in cohorts:
            prob = p[starts[places][:, None] + np.arange(histories.shape[1])]
            found.append(np.array([_number(h, psi[places], prob) for h in histories]))
        return found
    return _by_other_data(model, values, cohorts)


def _number(history: np.ndarray, psi: np.ndarray, p: np.ndarray) -> float:
    """Expected number of sites with a history [visits], from psi [sites] and p [sites, visits]."""
    present = np.prod(np.where(history > 0, p, 1.0 - p), axis=1)
    return float(np.sum(psi * present + (1.0 - psi) * (not history.any())))


def _by_other_data(model, values, cohorts) -> list[np.ndarray]:
    """From the likelihood of each site with another history put onto it, one history of every cohort at a time."""
    place, silence = place_of(model), None
    found = [np.zeros(len(histories)) for _, _, histories, _ in cohorts]
    for k in range(max(len(f) for f in found)):
        y = findings(model).copy()
        turn = [c for c, (_, _, histories, _) in enumerate(cohorts) if k < len(histories) and histories[k].any()]
        for c in turn:
            here = np.isin(place, cohorts[c][1])
            y[here] = np.tile(cohorts[c][2][k], len(cohorts[c][1]))
        total = with_findings(model, y).by_site(values) if turn else np.zeros(0)
        for c in turn:
            found[c][k] = np.exp(total[cohorts[c][1]]).sum()
    for c, (_, places, histories, _) in enumerate(cohorts):
        for k in np.flatnonzero(~histories.any(axis=1)):
            silence = log_silence(model, values) if silence is None else silence
            found[c][k] = np.exp(silence[places]).sum()
    return found


def with_findings(model, y: np.ndarray):
    """The model of the same visits with other findings [V]."""
    whole = np.zeros(len(model.history.value))
    whole[model.history.done] = y
    return model.on(model.history.with_values(whole))


def log_silence(model, values) -> np.ndarray:
    """float [N]: log-probability that nothing is found at a site.

    A model needs a finding somewhere (of the highest kind), so that two models are asked, each with one site at which
    something was found.
    """
    site = model.history.site_of[model.history.done]
    sites = np.unique(site)
    if len(sites) < 2:
        raise refuse("the chance to find nothing needs two sites with visits", "Give more sites", value=len(sites))
    found = []
    for only in (sites[0], sites[-1]):
        y = np.zeros(len(site))
        y[np.flatnonzero(site == only)[0]] = findings(model).max()
        found.append((only, with_findings(model, y).by_site(values)))
    (first, total), (_, other) = found
    total = total.copy()
    total[first] = other[first]
    return total
