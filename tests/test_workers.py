"""Threads that share pieces of work: all pieces are done, once, in order, whoever does them and whatever fails."""

import threading
import time

import numpy as np
import pytest

from uncia.models.spatial.engine import workers as engine_workers
from uncia.models.spatial.engine.workers import LOOKS, Workers


@pytest.mark.parametrize("threads", [1, 2, 3, 5])
def test_results_come_in_the_order_of_the_pieces(threads):
    workers, rng = Workers(threads), np.random.default_rng(1)
    for n in rng.integers(0, 12, 400).tolist():
        assert workers.map(lambda k: k * k, range(n)) == [k * k for k in range(n)]


def test_helpers_take_part_and_wake_up_again_after_a_rest():
    workers, who = Workers(2), set()

    def work(_):
        who.add(threading.get_ident())
        time.sleep(0.002)

    for rest in (0.0, 1e-6 * LOOKS):
        who.clear()
        time.sleep(rest)
        workers.map(work, range(20))
        assert len(who) == 2


def test_waits_for_a_helper_that_takes_long():
    workers, done = Workers(2), []

    def work(k):
        time.sleep(0.03 if threading.current_thread() is not threading.main_thread() else 0.001)
        done.append(k)

    workers.map(work, range(4))
    assert sorted(done) == [0, 1, 2, 3]


@pytest.mark.parametrize("where", ["first", "last", "helper"])
def test_what_fails_in_a_piece_is_raised_and_the_next_call_works(where):
    workers = Workers(2)

    def work(k):
        time.sleep(0.001)
        helper = threading.current_thread() is not threading.main_thread()
        if helper if where == "helper" else k == {"first": 0, "last": 7}[where]:
            raise ValueError(f"piece {k}")
        return k

    with pytest.raises(ValueError, match="piece"):
        workers.map(work, range(8))
    assert workers.map(abs, range(8)) == list(range(8))


def test_an_interrupt_is_told_when_no_helper_works_any_more(monkeypatch):
    workers, begun, done, interrupts = Workers(2), threading.Event(), [], [KeyboardInterrupt()]
    await_number = engine_workers.await_number

    def interrupted(*arguments):
        if threading.current_thread() is threading.main_thread() and interrupts:
            raise interrupts.pop()
        return await_number(*arguments)

    def work(k):
        if threading.current_thread() is threading.main_thread():
            begun.wait()
        else:
            begun.set()
            time.sleep(0.03)
        done.append(k)

    monkeypatch.setattr(engine_workers, "await_number", interrupted)
    with pytest.raises(KeyboardInterrupt):
        workers.map(work, range(2))
    assert sorted(done) == [0, 1]
    assert workers.map(abs, range(8)) == list(range(8))


def test_helpers_take_part_again_after_a_call_that_was_interrupted_anywhere(monkeypatch):
    workers, who = Workers(2), set()

    def work(_):
        who.add(threading.get_ident())
        time.sleep(0.002)

    def interrupted(team, work, pieces):
        team._turn.acquire()
        raise KeyboardInterrupt

    workers.map(work, range(20))
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(engine_workers.Team, "map", interrupted)
        workers.map(work, range(20))
    who.clear()
    workers.map(work, range(20))
    assert len(who) == 2


def test_the_caller_does_all_where_no_thread_is_to_be_had(monkeypatch):
    def submit(*_):
        raise RuntimeError("cannot schedule new futures after interpreter shutdown")

    workers = Workers(2)
    monkeypatch.setattr(engine_workers.ThreadPoolExecutor, "submit", submit)
    for _ in range(2):
        assert workers.map(abs, range(8)) == list(range(8))


def test_work_may_itself_be_shared_and_several_threads_may_call():
    workers, found = Workers(2), {}

    def call(name):
        found[name] = [workers.map(lambda k: workers.map(lambda j: 10 * k + j, range(3)), range(4)) for _ in range(50)]

    callers = [threading.Thread(target=call, args=(name,)) for name in "abc"]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    expected = [[10 * k + j for j in range(3)] for k in range(4)]
    assert all(one == expected for name in "abc" for one in found[name])


def test_arrays_of_a_call_are_not_kept():
    workers, size = Workers(2), 10
    kept = np.ones(size)
    alive = []

    class Holder:
        def __init__(self, array):
            self.array = array

        def __del__(self):
            alive.append("gone")

    holder = Holder(kept)
    workers.map(lambda k, holder=holder: float(holder.array[k]), range(size))
    del holder
    time.sleep(1e-6 * LOOKS)  # helpers that still look for news let go of what they did, too
    assert alive == ["gone"]
