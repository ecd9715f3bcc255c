"""Products of a few sparse rows with a block of fields: work by the entry and not by the column.

A CSR matrix (start, column, entry) has one row per animal, whose columns are passes or captures; on a block its `rows`
are in use and `place` says where among the rows of the fields x each column is.
"""

from numba import njit


@njit(nogil=True, cache=True, error_model="numpy")
def add_product(factor, start, column, entry, rows, place, x, out):
    """out[a] += factor Σ_e entry_e x[place[column_e]] over the entries e of row rows[a]; x[K, B], out[A, B]."""
    for a in range(rows.size):
        for e in range(start[rows[a]], start[rows[a] + 1]):
            k, weight = place[column[e]], factor * entry[e]
            for m in range(x.shape[1]):
                out[a, m] += weight * x[k, m]


@njit(nogil=True, cache=True, error_model="numpy")
def add_transposed(factor, start, column, entry, rows, place, x, out):
    """out[place[column_e]] += factor entry_e x[a] over the same entries; x[A, B], out[K, B]."""
    for a in range(rows.size):
        for e in range(start[rows[a]], start[rows[a] + 1]):
            k, weight = place[column[e]], factor * entry[e]
            for m in range(x.shape[1]):
                out[k, m] += weight * x[a, m]
