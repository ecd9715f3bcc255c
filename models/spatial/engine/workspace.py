"""Memory that is used again: fresh pages cost as much as the arithmetic of a small likelihood."""

from __future__ import annotations

import math
import weakref

import numpy as np

LINE = 8  # float64s in a cache line


def aligned(size: int) -> np.ndarray:
    """An uninitialised array that begins at a cache line: vectors that straddle two take twice as long to load."""
    room = np.empty(size + LINE)
    skip = -(room.ctypes.data // room.itemsize) % LINE
    return room[skip : skip + size]


class Workspace:
    """Named float arrays that grow as needed and keep their pages."""

    def __init__(self):
        self._arrays: dict[str, np.ndarray] = {}

    def array(self, name: str, *shape: int) -> np.ndarray:
        """An uninitialised array; the same memory each time for the same name."""
        size = math.prod(shape)
        held = self._arrays.get(name)
        if held is None or held.size < size:
            held = self._arrays[name] = aligned(size + size // 8)
        return held[:size].reshape(shape)


class WorkspacePool:
    """Workspaces that return here when what was computed in them is no longer referenced."""

    def __init__(self):
        self._free: list[Workspace] = []

    def take(self) -> Workspace:
        """One that is free, or a new one."""
        try:  # several threads may ask
            return self._free.pop()
        except IndexError:
            return Workspace()

    def give_back(self, workspace: Workspace) -> None:
        """`workspace` may be used again."""
        self._free.append(workspace)

    def give_back_with(self, owner, workspace: Workspace) -> None:
        """Keeps `workspace` from being used again for as long as `owner` lives."""
        weakref.finalize(owner, self._free.append, workspace)
