"""Simulated populations and capture histories from a model and its survey."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ...survey.captures import CaptureHistory
from ...survey.errors import refuse
from ...survey.habitat import HabitatMask
from ...survey.together import Together, together
from ...survey.units import density_to_animals_per_cell
from .engine.shapes import SHAPES
from .simulate_search import draw as draw_places
from .simulate_ways import from_searched_cells
from .telemetry import simulate_like

CHUNK = 2_000_000  # hazards drawn at a time
MOST = 2e7  # animals of one simulated population
NOTHING = 35.0  # minus the logarithm of a hazard, relative to its peak, that is none
COLUMNS = ["animal", "occasion", "detector", "count"]


def simulate_population(
    mask: HabitatMask,
    D,
    seed: int,
    *,
    distribution: str = "poisson",
    clusters: tuple[float, float] | None = None,
) -> pd.DataFrame:
    """Activity centres (columns x, y, metres): a Poisson process, inhomogeneous where D is, or a clustered one.

    Parameters
    ----------
    D : expected animals per 100 km², a number or one value per habitat cell [M]
    seed : of NumPy's default generator
    distribution : "poisson" number of animals, or "binomial": exactly round(∫ D dx) of them
    clusters : (mean number of animals of a cluster, standard deviation of their places about its centre [m]): a Thomas
        process (Thomas 1949), its clusters scattered over the habitat and around it, their animals kept with
        probability D(x)/max D, so that D is the expected density all the same

    Raises
    ------
    SurveyError : D below zero, clusters of no animals or without extent, clusters of a fixed number of animals
    """
    rng = np.random.default_rng(seed)
    if clusters is None:
        return _population(mask, D, rng, distribution)
    if distribution != "poisson":
        raise refuse("the number of animals of clusters is random", "Use distribution='poisson'", value=distribution)
    return _clustered(mask, D, rng, *clusters)


def _clustered(mask: HabitatMask, D, rng: np.random.Generator, size: float, sd: float) -> pd.DataFrame:
    """See `simulate_population`: a Thomas process thinned to D."""
    if not (size > 0 and sd > 0):
        raise refuse("clusters need a mean size and an extent above 0", "Correct clusters=", value=(size, sd))
    D = np.broadcast_to(np.asarray(D, float), (mask.size,))
    if np.any(D < 0) or not np.isfinite(D).all():
        raise refuse("density must be 0 or more everywhere", "Correct D", value=float(D.min()))
    x, y = mask.centres()
    edge = 5.0 * sd + 0.5 * mask.spacing
    west, east, south, north = x.min() - edge, x.max() + edge, y.min() - edge, y.max() + edge
    parents = rng.poisson(D.max() / size * (east - west) * (north - south) / 1e8)
    children = rng.poisson(size, parents)
    px = np.repeat(rng.uniform(west, east, parents), children) + rng.normal(0.0, sd, children.sum())
    py = np.repeat(rng.uniform(south, north, parents), children) + rng.normal(0.0, sd, children.sum())
    cell = mask.cell_of(px, py)
    kept = (cell >= 0) & (rng.random(len(cell)) * D.max() < D[cell])
    return pd.DataFrame({"x": px[kept], "y": py[kept]})


def _population(mask: HabitatMask, D, rng: np.random.Generator, distribution: str) -> pd.DataFrame:
    """See `simulate_population`."""
    mu = density_to_animals_per_cell(np.broadcast_to(np.asarray(D, float), (mask.size,)), mask.cell_area)
    if np.any(mu < 0) or not np.isfinite(mu).all():
        raise refuse("density must be 0 or more everywhere", "Correct D", value=float(mu.min()))
    total = float(mu.sum())
    if total > MOST:
        raise refuse(
            "so many animals are not simulated",
            "Look at D: an estimate without spatial recaptures has no upper limit (see fit.verdict)",
            value=f"{total:,.0f} expected in the mask",
        )
    N = int(rng.poisson(total)) if distribution == "poisson" else round(total)
    cell = np.sort(rng.choice(mask.size, N, p=mu / total)) if N else np.empty(0, int)
    x, y = mask.centres()
    jitter = rng.uniform(-0.5, 0.5, (2, N)) * mask.spacing
    return pd.DataFrame({"x": x[cell] + jitter[0], "y": y[cell] + jitter[1]})


def simulate_sessions(
    model, values: Mapping[str, object], seed: int, centres: pd.DataFrame | None, removed: float | None = None
):
    """See `SCR.simulate`. Animals that are never detected are not in the data."""
    if removed is not None and not 0.0 <= removed <= 1.0:
        raise refuse("removed is the probability that a detected animal is removed", "Give 0 to 1", value=removed)
    for name in model.sessions[0].strata.columns:
        raise refuse(
            "detection depends on a covariate of animals, and the model does not say how it is distributed",
            "Use classes= for a covariate of few values",
            value=name,
        )
    rng = np.random.default_rng(seed)
    vector = model.parameters.vector_from(values)
    natural = model.parameters.values(vector)
    made = []
    for s in model.sessions:
        lost = _share_removed(s.captures) if removed is None else removed
        made.append(_simulate(model, s, vector, model.values_of(natural, s), rng, centres, lost))
    return made[0] if len(made) == 1 else made


def _simulate(model, session, vector, values, rng: np.random.Generator, centres, lost: float) -> CaptureHistory:
    at = _population(session.mask, values["D"], rng, model.distribution) if centres is None else centres
    of_class = _classes(model, session, values, at, rng)
    until = rng.spawn(1)[0].geometric(lost, len(at)) if lost > 0 else None  # the detections stay the same
    frames = [_detections(model, session, m, vector, at, of_class, rng, until) for m in session.methods]
    frames = frames if until is None else _until_lost(frames, until)
    seen = np.unique(np.concatenate([frame["animal"] for frame in frames])).astype(int)
    width = max(3, len(str(len(seen))))
    names = {a: f"A{i + 1:0{width}d}" for i, a in enumerate(seen)}
    animals = _covariates(model, session, of_class[seen], list(names.values()), rng)
    found = {}
    for m, frame in zip(session.methods, frames, strict=True):
        frame["animal"] = frame["animal"].map(names)
        d, occasions = m.captures.detectors, m.captures.occasions
        frame["detector"] = np.asarray(d.id, object)[frame["detector"].to_numpy(int)]
        found[m.name] = CaptureHistory(frame, d, animals=animals, occasions=occasions, session=session.name)
    whole = together(found) if isinstance(session.captures, Together) else found[""]
    return whole.with_telemetry(simulate_like(session, values, at, names, of_class, rng))


def _share_removed(captures: CaptureHistory) -> float:
    """The share of the occasions on which an animal was detected that it was removed on."""
    each = captures.detections.groupby(["animal", "occasion"])["removed"].any()
    return float(each.mean()) if len(each) else 0.0


def _until_lost(frames: list[pd.DataFrame], until: np.ndarray) -> list[pd.DataFrame]:
    """The detections by each method until the animal is removed, on the `until`-th occasion [N] that it is detected on.

    The last of its detections there, in the order of the methods, is marked as the removal. What an animal would have
    done after its removal says nothing of what it did before, so that it can be left out.
    """
    whole = pd.concat([frame[["animal", "occasion"]] for frame in frames]).drop_duplicates().sort_values(["occasion"])
    whole = whole.assign(time=whole.groupby("animal").cumcount() + 1)
    end = whole[whole["time"] == until[whole["animal"].to_numpy(int)]].set_index("animal")["occasion"]
    each = pd.concat(frames, keys=range(len(frames)))
    last = each["animal"].map(end)
    kept = each.assign(removed=each["occasion"] == last)[~(each["occasion"] > last)]
    kept["removed"] &= ~kept.duplicated(["animal", "occasion"], keep="last")
    own = [kept[kept.index.get_level_values(0) == i].droplevel(0) for i in range(len(frames))]
    return [
        part[[*frame.columns, "removed"]].astype(frame.dtypes.to_dict())
        for part, frame in zip(own, frames, strict=True)
    ]


def _detections(
    model, session, method, vector, at: pd.DataFrame, of_class: np.ndarray, rng, until: np.ndarray | None = None
) -> pd.DataFrame:
    """Detections by one method of the animals at `at`: the position of the animal, occasion, position of detector.

    until : int [N], see `_until_lost`; only where what one animal does matters to others are they left out here
    """
    detectors = method.captures.detectors
    effort, table = np.where(detectors.used, detectors.effort, 0.0), detection_table(model, session, method, vector)
    found = []
    step = max(1, CHUNK // max(1, effort.size))
    common = {"k", "K"} & set(method.arranged.learned.names) or detectors.kind in ("single", "capped")
    if common:  # what detectors have become, or hold, is common to all animals
        step = max(1, len(at))
    if common and until is not None and len(session.methods) > 1:
        what = "removals are not simulated by several methods where what detectors hold or have become is common to all"
        raise refuse(what, "Simulate with removed=0", value=method.name)
    for begin in range(0, len(at), step):
        part = at.iloc[begin : begin + step]
        mine, gone = of_class[begin : begin + step], until if common else None
        if detectors.located:
            drawn = _searched(rng, model, session, method, part, effort, table, mine, vector)
        else:
            distance = _distances(model, session, vector, part, detectors, table)
            columns = ("animal", "occasion", "detector", "count")
            drawn = dict(zip(columns, _draw(rng, model, method, distance, effort, table, mine, gone), strict=True))
        frame = pd.DataFrame(drawn)
        found.append(frame.assign(animal=frame["animal"] + begin, occasion=frame["occasion"] + 1))
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=COLUMNS, dtype=int)


def _searched(
    rng, model, session, method, at: pd.DataFrame, effort, table, of_class: np.ndarray, vector
) -> dict[str, np.ndarray]:
    """Columns of the detections on lines or in areas."""
    detectors, arranged = method.captures.detectors, method.arranged
    states = _States(arranged.learned.names, len(at), len(detectors))
    whose = of_class[:, None] if len(table) > 1 else np.zeros((1, 1), int)
    x, y, parts = at["x"].to_numpy(float), at["y"].to_numpy(float), []
    far = None
    if session.metric is not None:
        values = model.values_of(model.parameters.values(vector), session)
        far = from_searched_cells(session.metric, values, x, y, _reach(model, table))
    for s in range(len(effort)):
        parameters = table[whose, arranged.code[s], states.now()]
        a, k, px, py = draw_places(rng, model.detection, detectors, effort[s], x, y, parameters, far)
        states.learn(a, k)
        parts.append((a, np.full(len(a), s), k, np.ones(len(a), int), px, py))
    columns = ("animal", "occasion", "detector", "count", "x", "y")
    return dict(zip(columns, map(np.concatenate, zip(*parts, strict=True)), strict=True))


def _distances(model, session, vector, at: pd.DataFrame, detectors, table: np.ndarray) -> np.ndarray:
    """[n, K] metres of animals from detectors; where distances are no straight lines those of the animals' cells."""
    x, y = at["x"].to_numpy(), at["y"].to_numpy()
    if session.metric is None:
        return np.hypot(x[:, None] - detectors.x, y[:, None] - detectors.y)
    values = model.values_of(model.parameters.values(vector), session)
    return session.metric.between(values, x, y, detectors.x, detectors.y, _reach(model, table))


def _reach(model, table: np.ndarray) -> float:
    """Metres beyond which no hazard is."""
    shape, sigma, third = SHAPES[model.detection.name], table[..., 1].ravel(), table[..., 2].ravel()
    return float(shape.reach(np.full(sigma.shape, NOTHING), sigma, third).max())


def _classes(model, session, values, at: pd.DataFrame, rng: np.random.Generator) -> np.ndarray:
    """int [N]: the class of each animal; that of `at` where it has a column with the name of the classes."""
    if model.classes is None:
        return np.zeros(len(at), int)
    if model.classes.name in at:
        known = pd.Index(model.classes.labels).get_indexer(pd.Index(at[model.classes.name].astype(str)))
        if (known < 0).any():
            raise refuse("centres have a class that the model does not know", f"Use {model.classes.labels}")
        return known
    share = session.proportions(values).value
    return rng.choice(len(share), len(at), p=share / share.sum())


def _covariates(model, session, of_class: np.ndarray, names: list[str], rng: np.random.Generator) -> pd.DataFrame:
    """The class of each detected animal, unknown as often as in the data."""
    if model.classes is None or model.classes.latent:
        return pd.DataFrame()
    label = np.asarray(model.classes.labels, object)[of_class]
    known = model.classes.member(session.captures) >= 0
    if len(known) and not known.all():
        label[rng.random(len(label)) >= known.mean()] = None
    return pd.DataFrame({model.classes.name: label}, index=names)


def detection_table(model, session, method, vector: np.ndarray) -> np.ndarray:
    """[classes, codes, states, 3]: detection parameters of every class, set of covariates and learned state.

    A fourth column is the size of clumped counts.

    The data need not hold all of them: an animal of a simulation may learn what none has learned.
    """
    arranged, labels = method.arranged, (None,) if model.classes is None else model.classes.labels
    W, codes = arranged.learned.states, len(arranged.covariates)
    frame = arranged.covariates.iloc[np.repeat(np.arange(codes), W)].reset_index(drop=True)
    frame = pd.concat([frame, arranged.learned.frame(np.tile(np.arange(W), codes))], axis=1)
    frame = frame.assign(**session.extra)
    column = {name: j for j, name in enumerate(model.detection.parameters)}
    column |= {"size": 3} if session.clumped else {}
    table = np.ones((len(labels), codes, W, 3 + session.clumped))
    for c, label in enumerate(labels):
        here = frame if model.classes is None else frame.assign(**{model.classes.name: label})
        for name, j in column.items():
            p = model.parameters[name]
            where = model.parameters.slice_of(name)
            value = p.fixed if p.design is None else p.link.inverse(p.design.at(here) @ vector[where])
            table[c, :, :, j] = np.reshape(np.broadcast_to(value, (codes * W,)), (codes, W))
    return table


class _States:
    """What animals and detectors have learned, from occasion to occasion."""

    def __init__(self, names: tuple[str, ...], n: int, K: int):
        self.bit = {name: 1 << j for j, name in enumerate(names)}
        shapes = {"b": (n, 1), "B": (n, 1), "bk": (n, K), "Bk": (n, K), "k": (1, K), "K": (1, K)}
        self.learned = {name: np.zeros(shapes[name], bool) for name in names}

    def now(self) -> np.ndarray:
        """int, broadcasts to [n, K]."""
        return sum((self.bit[name] * state for name, state in self.learned.items()), np.zeros((1, 1), int))

    def learn(self, animal: np.ndarray, detector: np.ndarray) -> None:
        """Detections of this occasion make the states of the next."""
        for name, state in self.learned.items():
            if name[0].isupper():
                state[:] = False
            row = np.zeros_like(animal) if state.shape[0] == 1 and name in ("k", "K") else animal
            state[row, detector if name not in ("b", "B") else np.zeros_like(detector)] = True


def _draw(rng, model, method, distance, effort, table, of_class, until=None):
    """Detections (animal, occasion, detector, count) of animals at `distance` [n, K] from the detectors.

    until : int [n], see `_until_lost`; None: nobody is removed
    """
    shape, kind, arranged = model.detection, method.captures.detectors.kind, method.arranged
    n, (S, K) = len(distance), effort.shape
    states = _States(arranged.learned.names, n, K)
    whose = of_class[:, None] if len(table) > 1 else np.zeros((1, 1), int)
    animals, occasions, places, counts = [], [], [], []
    times = np.zeros(n, int)
    for s in range(S):
        parameters = table[whose, arranged.code[s], states.now()]  # [n or 1, K, 3]
        unit = shape.hazard_at(distance, *np.moveaxis(parameters[..., :3], -1, 0))
        unit = unit if until is None else np.where((times < until)[:, None], unit, 0.0)
        hazard = unit * effort[s]
        if kind in ("multi", "single"):
            a, k, c = _one_trap(rng, hazard) if kind == "multi" else _one_animal(rng, hazard)
        elif kind == "capped":  # detectors are to animals what animals are to multi-catch traps
            k, a, c = _one_trap(rng, hazard.T) if n else (np.empty(0, int),) * 3
        elif kind == "proximity":
            a, k = np.nonzero(rng.random((n, K)) < -np.expm1(-hazard))
            c = np.ones(len(a), int)
        else:
            drawn = _counts(rng, model.counts, unit, effort[s], parameters)
            a, k = np.nonzero(drawn)
            c = drawn[a, k]
        states.learn(a, k)
        times[a] += 1  # once an animal, however many detections
        for whole, part in ((animals, a), (occasions, np.full(len(a), s)), (places, k), (counts, c)):
            whole.append(part)
    return tuple(np.concatenate(part).astype(int) for part in (animals, occasions, places, counts))


def _counts(rng, counts: str, unit, effort, parameters):
    """Counts [n, K] of one occasion."""
    if counts == "binomial":
        return rng.binomial(effort.astype(int), -np.expm1(-unit))
    mean = unit * effort
    if counts == "negative binomial":
        size = np.broadcast_to(parameters[..., 3], mean.shape)
        mean = rng.gamma(size) * mean / size
    return rng.poisson(mean)


def _one_animal(rng, hazard):
    """Single-catch traps: every animal and trap has its moment of meeting; the first of all free pairs comes true.

    An animal that is in a trap and a trap that holds an animal meet no more (Distiller & Borchers 2015).
    """
    with np.errstate(divide="ignore"):
        moment = rng.exponential(size=hazard.shape) / hazard
    animal, trap = np.unravel_index(np.argsort(moment, axis=None), moment.shape)
    within = moment[animal, trap] < 1.0
    free, empty, caught = np.ones(hazard.shape[0], bool), np.ones(hazard.shape[1], bool), []
    for i, j in zip(animal[within], trap[within], strict=True):
        if free[i] and empty[j]:
            free[i] = empty[j] = False
            caught.append((i, j))
    a, k = np.array(sorted(caught), int).reshape(-1, 2).T
    return a, k, np.ones(len(a), int)


def _one_trap(rng, hazard):
    """Competing hazards: caught with probability 1 - exp(-H), in trap k with probability h_k / H."""
    total = hazard.cumsum(axis=1)
    H = total[:, -1]
    caught = np.flatnonzero(rng.random(len(H)) < -np.expm1(-H))
    where = rng.random(len(caught)) * H[caught]
    k = np.array([np.searchsorted(total[a], u, side="right") for a, u in zip(caught, where, strict=True)], int)
    return caught, k, np.ones(len(caught), int)
