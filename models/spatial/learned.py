"""Learned responses: what an animal, or a detector, has become by earlier detections.

    b    the animal was detected before, anywhere           B    … on the occasion before
    bk   the animal was detected before at this detector    Bk   … on the occasion before
    k    any animal was detected before at this detector    K    … on the occasion before

Each is 0 or 1 and changes from one occasion to the next (definitions of the program secr, after Otis et al. 1978 and
Royle et al. 2011); every session begins with 0. An animal that is never detected stays naive; what detectors have
become (`k`, `K`) by the detections of all animals is the same for it, and is taken as given. A *state* is a set of them
as bits, in the order of the names in use.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ...survey.captures import CaptureHistory

LEARNED = ("b", "B", "bk", "Bk", "k", "K")


@dataclass(frozen=True, eq=False)
class Learned:
    """The states of one session's animals and detectors."""

    names: tuple[str, ...]  # those in use; bit j of a state is names[j]
    animal: np.ndarray  # int [n, S], bits of b and B
    detector: np.ndarray  # int [S, K], bits of k and K
    place: pd.DataFrame  # animal, occasion (from 0), detector, bits (of bk and Bk, never 0)

    @property
    def states(self) -> int:
        """W, the number of states that the names could make."""
        return 1 << len(self.names)

    @property
    def of_animals(self) -> bool:
        """Whether an animal's state differs between occasions everywhere at once."""
        return "b" in self.names or "B" in self.names

    @classmethod
    def of(cls, captures: CaptureHistory, variables: set[str], n: int, i: np.ndarray) -> Learned:
        """The states of those learned responses that are among `variables`.

        n : animals of the session
        i : int, whose of them each detection of `captures` is
        """
        names = tuple(name for name in LEARNED if name in variables)
        bit = {name: 1 << j for j, name in enumerate(names)}
        S, K, k = captures.n_occasions, len(captures.detectors), captures.detector_index
        s = captures.detections["occasion"].to_numpy() - 1
        animal = _along(i, s, n, S, bit.get("b", 0), bit.get("B", 0))
        detector = _along(k, s, K, S, bit.get("k", 0), bit.get("K", 0)).T
        return cls(names, animal, np.ascontiguousarray(detector), _places(i, s, k, S, bit))

    def frame(self, states: np.ndarray) -> pd.DataFrame:
        """The learned responses of some states as columns of 0 and 1."""
        return pd.DataFrame({name: (states >> j & 1).astype(float) for j, name in enumerate(self.names)})


def _along(who: np.ndarray, s: np.ndarray, n: int, S: int, ever: int, last: int) -> np.ndarray:
    """int [n, S]: bit `ever` after the first detection of each, bit `last` on the occasion after each."""
    seen = np.zeros((n, S), bool)
    seen[who, s] = True
    out = np.zeros((n, S), np.int64)
    out[:, 1:] = ever * np.logical_or.accumulate(seen, axis=1)[:, :-1] + last * seen[:, :-1]
    return out


def _places(i, s, k, S: int, bit: dict[str, int]) -> pd.DataFrame:
    """The occasions on which single animals have learned of single detectors."""
    seen, parts = pd.DataFrame({"animal": i, "occasion": s, "detector": k}), []
    if "bk" in bit:
        first = seen.groupby(["animal", "detector"], as_index=False)["occasion"].min()
        left = (S - 1 - first["occasion"]).to_numpy()
        later = first.loc[first.index.repeat(left)].reset_index(drop=True)
        later["occasion"] += 1 + np.arange(len(later)) - np.repeat(np.cumsum(left) - left, left)
        parts.append(later.assign(bits=bit["bk"]))
    if "Bk" in bit:
        parts.append(seen.query("occasion < @S - 1").assign(occasion=lambda f: f["occasion"] + 1, bits=bit["Bk"]))
    columns = ["animal", "occasion", "detector"]
    if not parts:
        return pd.DataFrame({name: np.empty(0, np.int64) for name in [*columns, "bits"]})
    return pd.concat(parts, ignore_index=True).groupby(columns, as_index=False)["bits"].sum()
