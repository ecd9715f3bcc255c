"""Many independent pieces of work over any executor, with nothing lost when one breaks.

Tasks are plain values and a function that anyone can import; each carries its own seed, so the answer does not depend
on who did what when. Results are stored one by one if a folder is given, and a second run does only what is missing.
"""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager, nullcontext
from multiprocessing import get_context
from pathlib import Path

from ...survey.errors import refuse

PATIENCE = 3  # times that a pool may break before it is given up
MISSING = object()


def run_tasks(
    function: Callable,
    tasks: Iterable,
    *,
    executor: Executor | None = None,
    workers: int | None = None,
    store: str | Path | None = None,
    progress: bool | Callable[[int, int], None] | None = None,
) -> list:
    """[function(task) for task in tasks], in order, over an executor.

    Parameters
    ----------
    function : importable by name (not a lambda)
    tasks : picklable values; a task with randomness carries its seed
    executor : any `concurrent.futures.Executor`, e.g. `dask.distributed.Client(...).get_executor()`; by default
        processes of this machine, as many as `workers` (by default its cores). `workers=1` works in this process.
    store : folder that keeps each result as soon as it is there; what it already holds is not done again. It must
        belong to this list of tasks.
    progress : True for a progress bar, or called with (done, total)

    Raises
    ------
    SurveyError : the pool broke again and again (usually: not enough memory); what was stored is kept
    """
    tasks = list(tasks)
    results = _stored(store, tasks)
    todo = [i for i, result in enumerate(results) if result is MISSING]
    with _reporting(progress, len(tasks)) as report:
        report(len(tasks) - len(todo), len(tasks))
        for i, result in _work(function, tasks, todo, executor, workers):
            results[i] = result
            _keep(store, i, tasks[i], result)
            report(sum(r is not MISSING for r in results), len(tasks))
    return results


def _work(function, tasks, todo: Sequence[int], executor, workers):
    """(position, result) as they come."""
    if not todo:
        return
    workers = workers or os.cpu_count() or 1
    if executor is not None:
        yield from _over(executor, function, tasks, todo)
    elif workers == 1:
        yield from ((i, function(tasks[i])) for i in todo)
    else:
        yield from _over_processes(function, tasks, list(todo), min(workers, len(todo)))


def _over(executor: Executor, function, tasks, todo, starting: AbstractContextManager | None = None):
    with starting or nullcontext():
        waiting: dict[Future, int] = {executor.submit(function, tasks[i]): i for i in todo}
    try:
        while waiting:
            done, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                yield waiting.pop(future), future.result()
    finally:
        for future in waiting:
            future.cancel()


@contextmanager
def _script_unread(function, task):
    """Processes that start meanwhile do not run the caller's script again, as they would to find what it defines.

    So a script needs no `if __name__ == "__main__":` unless the work is a function or class of its own.
    """
    main = sys.modules["__main__"]
    known = {name: vars(main)[name] for name in ("__file__", "__spec__") if name in vars(main)}
    if b"__main__" in pickle.dumps((function, task)):
        known = {}
    for name in known:
        setattr(main, name, None)
    try:
        yield
    finally:
        vars(main).update(known)


def _over_processes(function, tasks, todo: list[int], workers: int):
    """A pool of processes; if one of them dies, a new pool does what was left."""
    for _ in range(PATIENCE):
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            try:
                for i, result in _over(pool, function, tasks, tuple(todo), _script_unread(function, tasks[todo[0]])):
                    todo.remove(i)
                    yield i, result
                return
            except BrokenProcessPool:
                continue
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    raise refuse(
        f"a worker process died {PATIENCE} times; {len(todo)} of {len(tasks)} tasks are not done",
        "This is usually a lack of memory: use fewer workers. A script that gives functions of its own does so under "
        "`if __name__ == '__main__':`. Results in the store are kept",
    )


# ---- the store -----------------------------------------------------------------------------------------------------


def _path(store, i: int) -> Path:
    return Path(store) / f"{i:06d}.pickle"


def _keep(store, i: int, task, result) -> None:
    if store is None:
        return
    path = _path(store, i)
    half = path.with_suffix(".part")
    half.write_bytes(pickle.dumps((task, result)))
    half.replace(path)  # an interrupt leaves no half result behind


def _stored(store, tasks: list) -> list:
    results = [MISSING] * len(tasks)
    if store is None:
        return results
    Path(store).mkdir(parents=True, exist_ok=True)
    for i, task in enumerate(tasks):
        path = _path(store, i)
        if path.exists():
            theirs, result = pickle.loads(path.read_bytes())
            if pickle.dumps(theirs) != pickle.dumps(pickle.loads(pickle.dumps(task))):  # both have been read once
                raise refuse("the store belongs to other work", "Give an empty folder", file=path)
            results[i] = result
    return results


@contextmanager
def _reporting(progress, total: int):
    if progress is True:
        from rich.progress import Progress

        with Progress() as bar:
            line = bar.add_task("working", total=total)
            yield lambda done, _: bar.update(line, completed=done)
    else:
        yield progress or (lambda done, total: None)
