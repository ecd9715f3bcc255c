"""What worker processes are given to do: a module of its own, so that they can import it."""

from __future__ import annotations

import os
from pathlib import Path


def square(task):
    return task**2


def square_unless_killed(task):
    """Dies once, on the task that finds its flag not yet set."""
    number, flag = task
    if number == 3 and not Path(flag).exists():
        Path(flag).touch()
        os._exit(1)
    return number**2


def always_dies(task):
    os._exit(1)
