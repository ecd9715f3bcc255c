"""Data never change after birth: how a frozen dataclass settles its fields, and its arrays with them."""

from __future__ import annotations

import numpy as np


def settle(instance, **fields) -> None:
    """Give a frozen dataclass its final fields, in `__post_init__` only."""
    for name, value in fields.items():
        object.__setattr__(instance, name, value)


def fixed(values, dtype) -> np.ndarray:
    """A contiguous copy that refuses to be written to."""
    array = np.array(values, dtype, order="C")
    array.flags.writeable = False
    return array


def same(a: np.ndarray, b: np.ndarray) -> bool:
    """Equal shape and values, unknown where unknown."""
    return a.shape == b.shape and bool(np.array_equal(a, b, equal_nan=a.dtype.kind == "f"))
