"""Sharing work among threads without changing a digit of the answer."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any

import numpy as np

# numba's np.dot calls SciPy's BLAS: load it before the controller looks for libraries
import scipy.linalg.cython_blas  # noqa: F401
from threadpoolctl import ThreadpoolController

from ...kernels.waiting import await_number

LINE = 8  # int64s in a cache line: threads that write into one line wait for each other
# How often a thread looks for news before it goes to sleep, 20 to 50 ns each: longer than from stage to stage of an
# evaluation. Looks by which a helper begins later than it could, so as to find the interpreter's lock free.
LOOKS, GRACE = 20_000, 500
# Looks of the caller for what a helper does last; seconds of sleep between later looks; for so many calls after one in
# which the caller slept, helpers go to sleep at once: another program wants the core, or the pieces are long anyway.
SOON, NAP, REST = 5_000, 5e-5, 20


class Workers:
    """Runs pieces of work that do not touch each other, in threads kept from call to call.

    Kernels release the interpreter lock. BLAS gets one thread per call: the pieces are the parallelism, and a product
    that BLAS itself splits would depend on the number of threads in its last digits.
    """

    def __init__(self, threads: int | None):
        self.threads = threads or os.cpu_count() or 1
        self._blas = ThreadpoolController()
        self._team: Team | None = None
        self._process = 0  # threads do not survive a fork

    def one_blas_thread(self):
        """A context in which BLAS uses one thread per call."""
        return self._blas.limit(limits=1, user_api="blas")

    def map(self, work: Callable, pieces) -> list:
        """[work(piece) for piece in pieces], in this order; the calling thread takes its share of them."""
        if self.threads == 1 or len(pieces) < 2:
            return [work(piece) for piece in pieces]
        team = self._team
        if team is None or self._process != os.getpid():
            team = self._team = Team(self.threads - 1)
            self._process = os.getpid()
        try:
            return team.map(work, pieces)
        except BaseException:  # what an interrupt leaves half done: the next call has a team that begins
            self._team = None
            raise


class Call:
    """One call of `map`: its pieces and what came of them."""

    def __init__(self, number: int, work: Callable, pieces, helpers: int):
        self.number, self.work, self.pieces, self.helpers = number, work, pieces, helpers
        self.left = iter(range(len(pieces)))  # advancing it is one step of the interpreter, which no thread divides
        self.results: list[Any] = [None] * len(pieces)
        self.failures: list[BaseException] = []

    def drain(self) -> None:
        """Works until no piece is left."""
        for k in self.left:
            self.results[k] = self.work(self.pieces[k])


class Team:
    """Helpers of one thread. After a call they stay awake for a moment, because the next one is near (LOOKS)."""

    def __init__(self, size: int):
        self._pool, self._size = ThreadPoolExecutor(size), size
        # the number of the latest call; then, for each helper, of the latest that it has done with
        self._numbers = np.zeros((1 + size) * LINE + LINE, np.int64)
        self._call = Call(0, print, (), 0)
        self._joined = [0] * size  # the latest call that each helper has taken part in
        self._awake = [False] * size
        self._rest_until = 0  # the call until which helpers do not stay awake
        self._turn, self._change = Lock(), Lock()

    def map(self, work: Callable, pieces) -> list:
        """As `Workers.map`."""
        if not self._turn.acquire(blocking=False):  # another thread's, or work that itself calls map
            return [work(piece) for piece in pieces]
        try:
            call = Call(self._call.number + 1, work, pieces, min(self._size, len(pieces) - 1))
            with self._change:
                self._call = call
                self._numbers[0] = call.number
                asleep = [k for k in range(call.helpers) if not self._awake[k]]
                for k in asleep:
                    self._awake[k] = True
            try:
                for k in asleep:
                    self._pool.submit(self._help, k)
            except RuntimeError:  # no thread is to be had, as when the interpreter ends: the caller does all
                pass
            try:
                call.drain()
            finally:
                self._wait(call)
                self._call = Call(call.number, print, (), 0)  # what it worked on is not kept
        finally:
            self._turn.release()
        if call.failures:
            raise call.failures[0]
        return call.results

    def _wait(self, call: Call) -> None:
        """Until every helper that has joined the call is done; those that come later find no piece left."""
        try:
            self._until_done(call)
        except KeyboardInterrupt:  # told when nobody writes any more into what others will use next
            self._until_done(call)
            raise

    def _until_done(self, call: Call) -> None:
        for _ in call.left:  # none, but after a failure
            pass
        for k in range(call.helpers):
            looks = SOON
            while self._joined[k] == call.number:
                here = (1 + k) * LINE
                if await_number(self._numbers, self._numbers.size - 1, 0, here, call.number, looks, 0):
                    break
                looks, self._rest_until = 1, call.number + REST
                time.sleep(NAP)

    def _help(self, k: int) -> None:
        """What helper k does until nothing has been asked of it for a moment."""
        done = 0
        while True:
            call = self._call
            if call.number > done and k < call.helpers:
                self._joined[k] = call.number
                try:
                    call.drain()
                except BaseException as failure:  # the caller's, who waits
                    call.failures.append(failure)
            done = call.number
            del call
            looks = LOOKS if done > self._rest_until else 1
            if not await_number(self._numbers, (1 + k) * LINE, done, 0, done + 1, looks, GRACE):
                with self._change:
                    if self._call.number == done:
                        self._awake[k] = False
                        return
