"""Nodes of PyTensor graphs whose values Python computes, for PyMC's samplers and for nutpie; imported by `bayes` only.

What a model does between its kernels (formulas, links, classes, sessions, sparse animals) is Python, so compiled code
has to come back to Python for it. PyTensor's Python and C linkers call `perform`. Its numba linker, the usual one from
PyMC 6 and that of nutpie, would do so in object mode; here it calls a pointer to a function of C, which takes the
interpreter's lock by itself, so that nutpie's threads may call it.
"""

from __future__ import annotations

import ctypes
import logging
import math
import threading
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import pytensor.tensor as pt  # pyright: ignore[reportMissingImports]
from pytensor.gradient import DisconnectedType  # pyright: ignore[reportMissingImports]
from pytensor.graph.basic import Apply  # pyright: ignore[reportMissingImports]
from pytensor.graph.op import Op  # pyright: ignore[reportMissingImports]
from pytensor.link.numba.dispatch import numba_funcify  # pyright: ignore[reportMissingImports]
from pytensor.tensor.basic import get_underlying_scalar_constant_value  # pyright: ignore[reportMissingImports]
from pytensor.tensor.exceptions import NotScalarConstantError  # pyright: ignore[reportMissingImports]

from .pointwise import divided, weighted_gradient
from .posterior import Posterior

CALLED = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)  # inputs, outputs; not 0: it failed
KINDS = (pt.dscalar, pt.dvector, pt.dmatrix)  # by number of dimensions


class FromPython(Op):
    """A node of vectors in, arrays out.

    Attributes
    ----------
    takes : lengths of the inputs
    gives : shapes of the outputs
    """

    takes: tuple[int, ...]
    gives: tuple[tuple[int, ...], ...]

    def compute(self, *inputs: np.ndarray) -> tuple[Any, ...]:
        """The outputs."""
        raise NotImplementedError

    def make_node(self, *inputs):
        given = [pt.cast(pt.as_tensor_variable(i), "float64") for i in inputs]
        return Apply(self, given, [KINDS[len(shape)]() for shape in self.gives])

    def perform(self, node, inputs, outputs):
        for stored, value in zip(outputs, self.compute(*inputs), strict=True):
            stored[0] = np.asarray(value, float)


class LogPosterior(FromPython):
    """The log-posterior and its gradient; `target` is what it evaluates and may be exchanged."""

    def __init__(self, size: int, target: Callable[[np.ndarray], tuple[float, np.ndarray]] | None = None):
        self.takes, self.gives, self.target = (size,), ((), (size,)), target

    def compute(self, *inputs):
        assert self.target is not None
        return self.target(*inputs)

    def pullback(self, inputs, outputs, cotangents):
        return [cotangents[0] * outputs[1]]

    L_op = pullback  # its name before PyTensor 3


class Points(FromPython):
    """Terms of the points, number met, the rest, and the gradients of their sums, of one visit to the model.

    PyMC adds up log-likelihoods, so that the cotangent of the terms is a constant 1 and their gradient is there;
    other weights take an evaluation of their own.
    """

    def __init__(self, posterior: Posterior, points: int, met: int):
        p = posterior.size
        self.posterior, self.points = posterior, points
        self.takes, self.gives = (p,), ((points,), (met,), (), (p,), (met, p), (p,))

    def compute(self, *inputs):
        (x,), posterior = inputs, self.posterior
        found, of_terms, of_count, of_rest = divided(posterior.model, posterior.coefficients(x))
        met = found.count if found.mean is None else found.mean
        by_count = np.array([posterior.pull(x, one) for one in of_count]).reshape(-1, len(x))
        return found.loglik, met, found.rest, posterior.pull(x, of_terms), by_count, posterior.pull(x, of_rest)

    def pullback(self, inputs, outputs, cotangents):
        used = [None if isinstance(c.type, DisconnectedType) else c for c in cotangents[:3]]
        terms, met, rest = used
        total = pt.zeros_like(inputs[0])
        if terms is not None:
            total = total + self._of_terms(terms, outputs[3], inputs[0])
        if met is not None:
            total = total + pt.dot(met, outputs[4])
        return [total if rest is None else total + rest * outputs[5]]

    L_op = pullback  # its name before PyTensor 3

    def _of_terms(self, weight, whole, x):
        """The gradient where all points weigh the same, or by an evaluation of its own."""
        try:
            return float(get_underlying_scalar_constant_value(weight)) * whole
        except NotScalarConstantError:
            return Weighted(self.posterior, self.points)(x, weight)


class Weighted(FromPython):
    """The gradient of a weighted sum of the points' terms."""

    def __init__(self, posterior: Posterior, points: int):
        self.posterior, self.takes, self.gives = posterior, (posterior.size, points), ((posterior.size,),)

    def compute(self, *inputs):
        (x, weight), posterior = inputs, self.posterior
        return (posterior.pull(x, weighted_gradient(posterior.model, posterior.coefficients(x), weight)),)


# ---- compiled code that calls them -----------------------------------------------------------------------------------


def c_function(op: FromPython) -> Any:
    """`op.compute` as a function of C: pointers to all inputs and to all outputs, one after another.

    No exception can pass through compiled code: it is logged with its traceback, the outputs are NaN and the answer is
    not 0. One call at a time: what a model keeps is not made for several threads.
    """
    ends = np.cumsum(op.takes)
    room, alone = sum(math.prod(shape) for shape in op.gives), threading.Lock()

    def call(given: int, told: int) -> int:
        outputs = np.ctypeslib.as_array((ctypes.c_double * room).from_address(told))
        try:
            inputs = np.ctypeslib.as_array((ctypes.c_double * int(ends[-1])).from_address(given)).copy()
            with alone:
                found = op.compute(*np.split(inputs, ends[:-1]))
            outputs[:] = np.concatenate([np.ravel(value) for value in found])
        except BaseException:
            outputs[:] = np.nan
            logging.getLogger(__name__).exception("the model could not be evaluated")
            return 1
        return 0

    return CALLED(call)


@numba_funcify.register(FromPython)
def _without_object_mode(op: FromPython, **_):
    """The node as PyTensor's numba linker takes it; never stored on disk, since the pointer is of this process."""
    back, room = c_function(op), sum(math.prod(shape) for shape in op.gives)

    @numba.njit
    def filled(given):
        outputs = np.empty(room)
        if back(given.ctypes, outputs.ctypes) != 0:
            raise RuntimeError("the model could not be evaluated: what went wrong is in the log")
        return outputs

    if isinstance(op, LogPosterior):

        @numba.njit
        def log_posterior(z):
            outputs = filled(z.copy())
            return np.asarray(outputs[0]), outputs[1:]

        return log_posterior
    if isinstance(op, Weighted):

        @numba.njit
        def weighted(x, weight):
            return filled(np.concatenate((x, weight)))

        return weighted
    return _points(op, filled)


def _points(op: FromPython, filled):
    """As `_without_object_mode`, of six outputs."""
    a, b, c, d, e, _ = (int(end) for end in np.cumsum([math.prod(shape) for shape in op.gives]))
    met, p = op.gives[4]

    @numba.njit
    def points(x):
        outputs = filled(x.copy())
        by_count = outputs[d:e].copy().reshape((met, p))
        return outputs[:a], outputs[a:b], np.asarray(outputs[b]), outputs[c:d], by_count, outputs[e:]

    return points
