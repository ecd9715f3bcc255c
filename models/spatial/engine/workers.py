"""Sharing work among threads without changing a digit of the answer."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

# numba's np.dot calls SciPy's BLAS: load it before the controller looks for libraries
import scipy.linalg.cython_blas  # noqa: F401
from threadpoolctl import ThreadpoolController


class Workers:
    """Runs pieces of work that do not touch each other, in a pool of threads kept from call to call.

    Kernels release the interpreter lock. BLAS gets one thread per call: the pieces are the parallelism, and a product
    that BLAS itself splits would depend on the number of threads in its last digits.
    """

    def __init__(self, threads: int | None):
        self.threads = threads or os.cpu_count() or 1
        self._blas = ThreadpoolController()
        self._pool: ThreadPoolExecutor | None = None
        self._process = 0  # a pool does not survive a fork

    def one_blas_thread(self):
        """A context in which BLAS uses one thread per call."""
        return self._blas.limit(limits=1, user_api="blas")

    def map(self, work: Callable, pieces) -> list:
        """[work(piece) for piece in pieces], in this order; the calling thread takes its share of them."""
        if self.threads == 1 or len(pieces) < 2:
            return [work(piece) for piece in pieces]
        if self._pool is None or self._process != os.getpid():
            self._pool, self._process = ThreadPoolExecutor(self.threads - 1), os.getpid()
        results: list = [None] * len(pieces)
        left = iter(range(len(pieces)))  # advancing it is one step of the interpreter, which no other thread divides

        def drain() -> None:
            for k in left:
                results[k] = work(pieces[k])

        helpers = [self._pool.submit(drain) for _ in range(min(self.threads, len(pieces)) - 1)]
        try:
            drain()
        finally:
            for helper in helpers:
                if not helper.cancel():
                    helper.result()
        return results
