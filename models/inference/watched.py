"""Where a fit says how far it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ...survey.errors import refuse


@contextmanager
def watched(progress: bool | Callable[[int, float], None] | None) -> Iterator[Callable[[int, float], None] | None]:
    """What is called with (evaluations, log-likelihood): a line on the screen for True, nothing for False and None."""
    if progress is True:
        from rich.console import Console

        with Console(stderr=True).status("fitting") as line:
            yield lambda n, loglik: line.update(f"fitting: {n} evaluations, log-likelihood {loglik:,.3f}")
    elif progress is None or progress is False:
        yield None
    elif callable(progress):
        yield progress
    else:
        fix = "Give True for a line on the screen, or a function of the evaluations and the log-likelihood"
        raise refuse("progress is neither yes, no nor a function", fix, value=progress)
