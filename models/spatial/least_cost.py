"""Least-cost distance: how far an animal has to go, not how far apart two points are.

Movement is a graph on the mask's raster. A step between neighbouring cells u and v costs |u − v| (c_u + c_v)/2 metres,
c = exp(Σ α z) the cost of a metre in a cell with the covariates z, and the distance from a detector to a cell is the
least total cost of a way between them (Royle et al. 2013; Sutherland et al. 2015). Where c = 1 everywhere the distance
is that of a straight line but for the directions that steps can have: at most 8.2 % too long with 8 neighbours, 2.7 %
with 16 (knight's moves too). Barriers take out the steps that cross them.

The length of a shortest way is a minimum over ways that are each linear in the costs; its derivative by them is that of
the way which is shortest, exact wherever there is one such way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import shapely
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from ...survey.errors import refuse
from ...survey.habitat import HabitatMask
from ..kernels.least_cost import pull_trees, push_trees
from ..kernels.shortest_ways import grow_trees
from .engine.distances import Around, Reached

STEPS = {8: ((0, 1), (1, 0), (1, 1), (1, -1)), 16: ((0, 1), (1, 0), (1, 1), (1, -1), (1, 2), (2, 1), (1, -2), (2, -1))}
AROUND = 1.6  # cells: a detector is joined to the cells whose centres are no farther
AT_ONCE, KEPT = 1_000_000, 5_000_000  # lengths between cells found at a time, and kept for the derivatives: 160 MB
NEAREST = 1e-6  # m: a detector on the centre of a cell is not quite there
Tree = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # nodes, the ones before, metres, last steps


@dataclass(frozen=True)
class LeastCost:
    """Least-cost distance for `models.SCR(…, distance=LeastCost(…))`.

    Parameters
    ----------
    cost : formula over the covariates of the raster, log cost of a metre = Σ coefficient × covariate; its coefficients
        (the resistance parameters α of Royle et al. 2013) are estimated as the parameter `cost`. It has no intercept,
        because sigma says it: a metre costs 1 where the covariates are 0. None: a metre costs 1 everywhere, and the
        distance is the shortest way through the raster and around the barriers
    barriers : what no step may cross: vector file, GeoDataFrame or geometry in the mask's CRS; lines or polygons
    neighbours : 16 (default; known error of straight lines at most 2.7 %) or 8 (8.2 %)
    through : HabitatMask of the cells that animals can move through, with the covariates of `cost`, on the raster of
        the habitat mask and holding all its cells; the habitat mask itself by default; or "everywhere": all cells of
        its raster in which its covariates have values
    """

    cost: str | None = None
    barriers: Any = None
    neighbours: int = 16
    through: HabitatMask | str | None = None

    def __post_init__(self):
        if self.neighbours not in STEPS:
            raise refuse("a cell has 8 or 16 neighbours", "Give neighbours=8 or 16", value=self.neighbours)
        if not (self.through is None or isinstance(self.through, HabitatMask) or self.through == "everywhere"):
            fix = "Give a HabitatMask, 'everywhere', or leave it out"
            raise refuse("through= says which cells animals can move through", fix, value=self.through)
        if self.cost is not None and not isinstance(self.cost, str):
            fix = "Write e.g. cost='~ ruggedness', or None for the shortest way around barriers"
            raise refuse("the cost of least-cost distance is a formula", fix, value=type(self.cost).__name__)

    def ground(self, mask: HabitatMask) -> HabitatMask:
        """The cells that animals can move through, where those of `mask` are their habitat."""
        if self.through is None or isinstance(self.through, HabitatMask):
            return self.through or mask
        known = np.ones(mask.habitat.shape, bool)
        for layer in mask.covariates.data_vars.values():
            known &= np.isfinite(layer.to_numpy())
        return replace(mask, habitat=mask.habitat | known)

    def __repr__(self) -> str:
        parts = [self.cost or "shortest way", f"{self.neighbours} neighbours"]
        parts += ["barriers"] if self.barriers is not None else []
        return f"LeastCost({', '.join(parts + (['through more than habitat'] if self.through is not None else []))})"


@dataclass(frozen=True, eq=False)
class Landscape:
    """The graph of one session: where steps go, and where detectors stand in it."""

    raster: HabitatMask  # of the N cells that can be walked through
    node_of: np.ndarray  # int [M], node of each habitat cell
    cell_of: np.ndarray  # int [N], habitat cell of each node or -1
    x: np.ndarray  # float [N + K], metres: the nodes, then the K places of detectors
    y: np.ndarray
    u: np.ndarray  # int [steps], directed, ascending
    v: np.ndarray
    metres: np.ndarray  # float [steps]
    start: np.ndarray  # int [N + K + 1], CSR of the steps
    home: np.ndarray  # int [K], node of the cell that each place is in, or of the nearest
    barrier: list | None  # what steps may not cross

    @classmethod
    def of(cls, spec: LeastCost, mask: HabitatMask, x, y, names) -> Landscape:
        """The graph of a mask with places at x, y [K], called `names`.

        Raises
        ------
        SurveyError : another raster, a detector far from every cell
        """
        raster = spec.ground(mask)
        cells = _nodes(raster, mask)
        inverse = np.full(raster.size, -1)
        inverse[cells] = np.arange(mask.size)
        cx, cy = raster.centres()
        u, v = _steps(raster, spec.neighbours)
        joined, home = _joined(raster, cx, cy, np.asarray(x, float), np.asarray(y, float), names)
        whole_x, whole_y = np.append(cx, x), np.append(cy, y)
        from_place, to_cell = joined[:, 0] + raster.size, joined[:, 1]
        barrier = None if spec.barriers is None else _barriers(spec.barriers, raster.crs)
        u, v = _kept(barrier, u, v, whole_x, whole_y)
        from_place, to_cell = _kept(barrier, from_place, to_cell, whole_x, whole_y)
        u, v = np.concatenate([u, v, from_place]), np.concatenate([v, u, to_cell])
        order = np.argsort(u, kind="stable")
        u, v = u[order], v[order]
        metres = np.maximum(np.hypot(whole_x[u] - whole_x[v], whole_y[u] - whole_y[v]), NEAREST)
        start = np.searchsorted(u, np.arange(len(whole_x) + 1))
        return cls(raster, cells, inverse, whole_x, whole_y, u, v, metres, start, home, barrier)

    def joined(self, x, y) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """(place, cell, metres) [J] of the steps from places x, y [P] in the raster, and the cell [P] of each place."""
        N, x, y = self.raster.size, np.asarray(x, float), np.asarray(y, float)
        cx, cy = self.x[:N], self.y[:N]
        pairs, home = _joined(self.raster, cx, cy, x, y, np.arange(len(x)))
        whole_x, whole_y = np.append(cx, x), np.append(cy, y)
        place, cell = _kept(self.barrier, pairs[:, 0] + N, pairs[:, 1], whole_x, whole_y)
        metres = np.hypot(whole_x[place] - cx[cell], whole_y[place] - cy[cell])
        return place - N, cell, np.maximum(metres, NEAREST), home

    def groups(self) -> np.ndarray:
        """int [K]: places with the same number can be reached from each other."""
        n = len(self.x)
        graph = coo_array((np.ones(len(self.u)), (self.u, self.v)), shape=(n, n))
        return connected_components(graph, directed=False)[1][self.raster.size :]

    def frame(self) -> pd.DataFrame:
        """Covariates of the N cells."""
        names = [str(name) for name in self.raster.covariates.data_vars]
        return pd.DataFrame({name: self.raster.covariate(name) for name in names}, index=range(self.raster.size))


class Ways:
    """Shortest ways from the places of a landscape, and between its cells, at one value of the costs."""

    def __init__(self, landscape: Landscape, cost: np.ndarray):
        self.landscape, self.cost = landscape, np.ascontiguousarray(cost, float)
        if not (np.isfinite(self.cost).all() and (self.cost > 0).all()):
            raise ValueError("costs must be finite and above zero")
        own = np.append(self.cost, self.cost[landscape.home])
        self._step = 0.5 * landscape.metres * (own[landscape.u] + own[landscape.v])
        self._parts: dict[int, Tree] = {}  # the tree of every place
        self._found: Trees | None = None
        self._cells: dict[int, tuple[float, Tree]] = {}  # limits and trees of some nodes
        self._kept = 0  # entries of these trees

    def within(self, limit: np.ndarray) -> Reached:
        """All pairs within limit [K], found again only where a limit is greater than those asked for before."""
        found, limit = self._found, np.pad(limit, (0, len(self.landscape.home) - len(limit)))  # the last places: none
        more = np.arange(len(limit)) if found is None else np.flatnonzero(limit > found.limit)
        if found is None or len(more):
            self._parts |= zip(more.tolist(), self._grown(more + self.landscape.raster.size, limit[more]), strict=True)
            wanted = limit if found is None else np.maximum(limit, found.limit)
            found = self._found = _joined_trees(self.landscape, self._parts, wanted)
        return found

    def pull(self, reached: Reached, over: np.ndarray) -> np.ndarray:
        """Derivatives [N] by the costs from those by the distances."""
        assert isinstance(reached, Trees)
        out, along = np.zeros(self.landscape.raster.size), np.zeros(len(reached.node))
        along[reached.at] = over
        pull_trees(reached.tree, self.landscape.home, reached.node, reached.parent, reached.step, along, out)
        return out

    def around(self, cells: np.ndarray, limit: float) -> Iterator[Around]:
        """Distances from habitat cells to all cells that can be walked through, a few habitat cells at a time."""
        nodes, N = self.landscape.node_of[cells], self.landscape.raster.size
        step = max(1, AT_ONCE // N)
        for begin in range(0, len(nodes), step):
            some = nodes[begin : begin + step]
            trees = self._around(some, limit)
            start = np.cumsum([0, *(len(tree[0]) for tree in trees)])
            node, before, metres, steps = (np.concatenate([tree[j] for tree in trees]) for j in range(4))
            parent = np.where(before >= 0, before + np.repeat(start[:-1], np.diff(start)), -1)
            yield Around(start, metres, node, (some, parent, steps))

    def pull_around(self, around: Around, over: np.ndarray) -> np.ndarray:
        """As `pull`, of distances between cells."""
        (home, parent, steps), out = around.trees, np.zeros(self.landscape.raster.size)
        pull_trees(around.start, home, around.cell, parent, steps, over.copy(), out)
        return out

    def to_places(self, from_cell: np.ndarray, x, y) -> np.ndarray:
        """Distances [P] of places x, y from where the cells are `from_cell` [N] metres away."""
        place, cell, metres, home = self.landscape.joined(x, y)
        out = np.full(len(home), np.inf)
        np.minimum.at(out, place, from_cell[cell] + 0.5 * metres * (self.cost[home[place]] + self.cost[cell]))
        return out

    def beside(self) -> tuple[np.ndarray, np.ndarray]:
        """(habitat cell, metres) of some distances of each habitat cell from others: no more than those of its ways."""
        land = self.landscape
        mine = np.flatnonzero(land.u < land.raster.size)
        cell = land.cell_of[land.u[mine]]
        return cell[cell >= 0], self._step[mine][cell >= 0]

    def _around(self, nodes: np.ndarray, limit: float) -> list[Tree]:
        """The trees of some nodes; kept while there is room."""
        trees = {k: self._cells[k][1] for k in nodes.tolist() if k in self._cells and self._cells[k][0] >= limit}
        more = np.array([k for k in nodes.tolist() if k not in trees], np.int64)
        for k, tree in zip(more.tolist(), self._grown(more, np.full(len(more), limit)), strict=True):
            trees[k] = tree
            if self._kept < KEPT:
                self._cells[k], self._kept = (limit, tree), self._kept + len(tree[0])
        return [trees[k] for k in nodes.tolist()]

    def _grown(self, roots: np.ndarray, limit: np.ndarray) -> list[Tree]:
        """The tree of each root, up to its limit."""
        land = self.landscape
        roots, limit = np.ascontiguousarray(roots, np.int64), np.ascontiguousarray(limit, float)
        grown: Any = grow_trees(land.start, land.v, self._step, roots, limit)
        tree, node, before, metres = grown
        which = np.repeat(np.arange(len(roots)), np.diff(tree))
        last = np.where(before >= 0, node[before + tree[which]], roots[which])
        step = np.maximum(np.hypot(land.x[node] - land.x[last], land.y[node] - land.y[last]), NEAREST)
        parts = [slice(a, b) for a, b in pairwise(tree)]
        return [(node[p], before[p], metres[p], step[p]) for p in parts]


@dataclass(frozen=True, eq=False)
class Trees(Reached):
    """Distances with the trees of shortest ways that they were found on, see `kernels.least_cost`."""

    tree: np.ndarray  # int [K + 1], CSR of the places of the trees
    node: np.ndarray
    parent: np.ndarray
    step: np.ndarray
    at: np.ndarray  # int [E], place in the trees of each pair

    def lengths(self, landscape: Landscape, cost: np.ndarray) -> np.ndarray:
        """float [E]: metres of the same ways at other costs."""
        out = np.empty(len(self.node))
        push_trees(self.tree, landscape.home, self.node, self.parent, self.step, np.asarray(cost, float), out)
        return out[self.at]


def _joined_trees(land: Landscape, parts: Mapping[int, Tree], limit: np.ndarray) -> Trees:
    """The trees of all places, one after another."""
    K = len(land.home)
    size = [len(parts[k][0]) for k in range(K)]
    tree = np.concatenate([[0], np.cumsum(size)])
    node, inside, length, steps = (np.concatenate([parts[k][j] for k in range(K)]) for j in range(4))
    parent = np.where(inside >= 0, inside + np.repeat(tree[:-1], size), -1)
    place, cell = np.repeat(np.arange(K), size), land.cell_of[node]
    at = np.flatnonzero(cell >= 0)
    at = at[np.lexsort((cell[at], place[at]))]
    start = np.searchsorted(place[at], np.arange(K + 1))
    return Trees(start, cell[at], length[at], limit.copy(), tree, node, parent, steps, at)


# ---- building the graph ------------------------------------------------------------------------------------------


def _nodes(raster: HabitatMask, mask: HabitatMask) -> np.ndarray:
    """int [M]: the cell of `raster` at each habitat cell."""
    x, y = mask.centres()
    found = raster.cell_of(x, y)
    cx, cy = raster.centres()
    known = found >= 0
    off = np.hypot(cx[found] - x, cy[found] - y)[known].max(initial=0.0)
    if raster.spacing != mask.spacing or off > 0.01 * mask.spacing or raster.crs != mask.crs:
        raise refuse(
            "the raster that animals move through is not that of the habitat mask",
            "Give through= on the same raster, for example mask with habitat=True in more cells",
            value=f"{raster.spacing:g} m, {off:g} m off",
        )
    if not known.all():
        raise refuse(
            f"{int((~known).sum()):,} cells of the habitat mask are not among those that animals can move through",
            "Let through= hold all cells of the habitat mask",
        )
    return found


def _steps(raster: HabitatMask, neighbours: int) -> tuple[np.ndarray, np.ndarray]:
    """Each pair of neighbouring cells once."""
    ny, nx = raster.habitat.shape
    number = np.where(raster.habitat, np.cumsum(raster.habitat).reshape(ny, nx) - 1, -1)
    u, v = [], []
    for dy, dx in STEPS[neighbours]:
        left, right = max(0, -dx), nx - max(0, dx)
        a, b = number[: ny - dy, left:right].ravel(), number[dy:, left + dx : right + dx].ravel()
        both = (a >= 0) & (b >= 0)
        u.append(a[both])
        v.append(b[both])
    return np.concatenate(u), np.concatenate(v)


def _joined(raster: HabitatMask, cx, cy, x, y, names) -> tuple[np.ndarray, np.ndarray]:
    """(place, node) [J, 2] of places and the cells next to them, and the node [K] in or next to which each place is."""
    tree = cKDTree(np.column_stack([cx, cy]))
    away, nearest = tree.query(np.column_stack([x, y]))
    inside = raster.cell_of(x, y)
    home = np.where(inside >= 0, inside, nearest)
    lost = np.flatnonzero(np.asarray(away) > AROUND * raster.spacing)
    if len(lost):
        metres = float(np.asarray(away)[lost[0]])
        raise refuse(
            f"{len(lost)} detector{'s are' if len(lost) > 1 else ' is'} not near a cell that animals can move through",
            f"Extend the raster (through=) to them; {names[lost[0]]!r} is {metres:,.0f} m from the nearest cell",
            value=", ".join(str(names[k]) for k in lost[:5]),
        )
    near = tree.query_ball_point(np.column_stack([x, y]), AROUND * raster.spacing)
    pairs = [(k, node) for k, nodes in enumerate(near) for node in sorted(nodes)]
    return np.array(pairs, int).reshape(-1, 2), home


def _barriers(barriers, crs) -> list:
    """The parts of what cannot be crossed."""
    from ...survey.vector import read_shapes

    return list(shapely.get_parts(read_shapes(barriers, crs)))


def _kept(barrier: list | None, u, v, x, y) -> tuple[np.ndarray, np.ndarray]:
    """The steps that no barrier crosses or touches."""
    if not barrier or not len(u):
        return u, v
    lines = shapely.linestrings(np.stack([np.column_stack([x[u], y[u]]), np.column_stack([x[v], y[v]])], axis=1))
    crossed = np.zeros(len(u), bool)
    crossed[np.unique(shapely.STRtree(lines).query(barrier, predicate="intersects")[1])] = True
    return u[~crossed], v[~crossed]


def seen_across(landscape: Landscape, animals: Sequence[str], places: np.ndarray, names: Sequence[str]):
    """{animal: names of two of its places} of animals known from two places [J] without a way between them."""
    group = landscape.groups()[places]
    found: dict[str, tuple[str, str]] = {}
    first: dict[str, int] = {}
    for row, animal in enumerate(animals):
        before = first.setdefault(str(animal), row)
        if group[before] != group[row]:
            found.setdefault(str(animal), (str(names[before]), str(names[row])))
    return found
