"""Trees of shortest ways: derivatives of every way's length by the costs of the cells that it runs through.

A tree is a list of nodes, nearest first, the root's children included: node[j] is the cell that place j stands for,
parent[j] the place before it on its way (-1: the detector itself, which stands in the cell `home`), step[j] the metres
between the two. The way to place j is the sum of step × mean cost of the two ends over its steps.
"""

from numba import njit


@njit(nogil=True, cache=True, error_model="numpy")
def pull_trees(start, home, node, parent, step, over, out):
    """out[cells] += derivatives by the costs, given derivatives `over` [places] by the lengths; destroys `over`."""
    for t in range(home.size):
        for j in range(start[t + 1] - 1, start[t] - 1, -1):
            if over[j] == 0.0:
                continue
            half = 0.5 * step[j] * over[j]
            out[node[j]] += half
            if parent[j] >= 0:
                over[parent[j]] += over[j]
                out[node[parent[j]]] += half
            else:
                out[home[t]] += half


@njit(nogil=True, cache=True, error_model="numpy")
def push_trees(start, home, node, parent, step, cost, out):
    """out[places] = length of the way to every place at the costs of all cells, along the ways of the trees."""
    for t in range(home.size):
        for j in range(start[t], start[t + 1]):
            if parent[j] >= 0:
                out[j] = out[parent[j]] + 0.5 * step[j] * (cost[node[j]] + cost[node[parent[j]]])
            else:
                out[j] = 0.5 * step[j] * (cost[node[j]] + cost[home[t]])
