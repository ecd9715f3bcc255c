"""Trees of shortest ways from several roots of one graph: Dijkstra (1959), with a binary heap and a limit.

The graph is CSR: from node u steps of `length` lead to `column`, places start[u] .. start[u + 1]. A tree lists the
nodes nearest first, its root left out, with the place of the one before each on its way (-1: the root), counted within
the tree. All that is kept of a node that is not reached is nothing, so that a tree costs what it holds.
"""

import numpy as np
from numba import njit


@njit(nogil=True, cache=True, error_model="numpy")
def grow_trees(start, column, length, roots, limit):
    """(tree [T + 1], node, before, metres): all nodes within limit [T] of each of the T roots, tree after tree."""
    n = start.size - 1
    best, slot = np.full(n, np.inf), np.full(n, -1, np.int64)  # slot: place in the heap
    came, place, heap = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64)
    tree = np.zeros(roots.size + 1, np.int64)
    room = n * min(roots.size, 8)
    node, before, metres = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room)
    found = 0
    for t in range(roots.size):
        if found + n > room:
            more = min(2 * room, found + n * (roots.size - t))
            node, before, metres = _longer(node, more), _longer(before, more), _longer(metres, more)
            room = more
        root, begin = roots[t], found
        best[root], heap[0], size = 0.0, root, 1
        slot[root] = 0
        while size > 0:
            u, away = heap[0], best[heap[0]]
            size -= 1
            if size > 0:
                _sink(heap, slot, best, heap[size], size)
            if u != root:
                node[found], metres[found] = u, away
                before[found] = place[came[u]] if came[u] != root else -1
                place[u] = found - begin
                found += 1
            for e in range(start[u], start[u + 1]):
                v, d = column[e], away + length[e]
                if d < best[v] and d <= limit[t]:
                    if best[v] == np.inf:
                        slot[v] = size
                        size += 1
                    best[v], came[v] = d, u
                    _rise(heap, slot, best, v)
        best[root] = np.inf
        for j in range(begin, found):
            best[node[j]] = np.inf
        tree[t + 1] = found
    return tree, node[:found].copy(), before[:found].copy(), metres[:found].copy()


@njit(nogil=True, cache=True, error_model="numpy")
def _longer(x, size):
    out = np.empty(size, x.dtype)
    out[: x.size] = x
    return out


@njit(nogil=True, cache=True, error_model="numpy")
def _sink(heap, slot, best, v, size):
    """Puts v at the top of a heap of `size` and lets it sink."""
    i, d = 0, best[v]
    while 2 * i + 1 < size:
        c = 2 * i + 1
        if c + 1 < size and best[heap[c + 1]] < best[heap[c]]:
            c += 1
        if best[heap[c]] >= d:
            break
        heap[i] = heap[c]
        slot[heap[i]] = i
        i = c
    heap[i] = v
    slot[v] = i


@njit(nogil=True, cache=True, error_model="numpy")
def _rise(heap, slot, best, v):
    """Lets v, which has come nearer, rise from its place."""
    i, d = slot[v], best[v]
    while i > 0:
        p = (i - 1) // 2
        if best[heap[p]] <= d:
            break
        heap[i] = heap[p]
        slot[heap[i]] = i
        i = p
    heap[i] = v
    slot[v] = i
