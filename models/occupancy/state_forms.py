"""Two ways to write the probabilities of three states: nested binomials, or odds against the lowest state.

States: 0 not occupied, 1 occupied, 2 occupied in the higher sense (breeding, say), which can be taken for 1 but not the
other way round. Both forms give prior[N, 3], prob[V, 3], the probability of what each visit found under each state, and
transition[R, 3, 3] between seasons, and pull derivatives back.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

Values = Mapping[str, np.ndarray]


class Nested:
    """psi: occupied; R: state 2 if occupied; p1, p2: detection in each state; delta: a detection in state 2 shows it;
    phi0, phi1, phi2: occupied in the next season from each state; R0, R1, R2: then in state 2.

    MacKenzie et al. 2009, Ecology 90:823; Nichols et al. 2007, Ecology 88:1395.
    """

    names = ("psi", "R", "p1", "p2", "delta")
    changes = ("phi0", "phi1", "phi2", "R0", "R1", "R2")

    def prior(self, v: Values) -> np.ndarray:
        """float [N, 3]"""
        return np.stack([1.0 - v["psi"], v["psi"] * (1.0 - v["R"]), v["psi"] * v["R"]], axis=1)

    def pull_prior(self, v: Values, by: np.ndarray) -> dict[str, np.ndarray]:
        """From derivatives [N, 3] with respect to the prior."""
        zero, one, two = by.T
        return {"psi": (1.0 - v["R"]) * one + v["R"] * two - zero, "R": v["psi"] * (two - one)}

    def prob(self, v: Values, y: np.ndarray) -> np.ndarray:
        """float [V, 3] for findings y [V]."""
        p1, p2, delta = v["p1"], v["p2"], v["delta"]
        zero = np.zeros_like(p1)
        return np.stack(
            [
                np.where(y == 0, 1.0, 0.0),
                np.choose(y, [1.0 - p1, p1, zero]),
                np.choose(y, [1.0 - p2, p2 * (1.0 - delta), p2 * delta]),
            ],
            axis=1,
        )

    def pull_prob(self, v: Values, y: np.ndarray, by: np.ndarray) -> dict[str, np.ndarray]:
        """From derivatives [V, 3] with respect to `prob`."""
        p2, delta = v["p2"], v["delta"]
        return {
            "p1": by[:, 1] * np.choose(y, [-1.0, 1.0, 0.0]),
            "p2": by[:, 2] * np.choose(y, [-np.ones_like(delta), 1.0 - delta, delta]),
            "delta": by[:, 2] * np.choose(y, [np.zeros_like(p2), -p2, p2]),
        }

    def transition(self, v: Values) -> np.ndarray:
        """float [R, 3, 3] from each state to each."""
        rows = []
        for m in range(3):
            stay, high = v[f"phi{m}"], v[f"R{m}"]
            rows.append(np.stack([1.0 - stay, stay * (1.0 - high), stay * high], axis=1))
        return np.stack(rows, axis=1)

    def pull_transition(self, v: Values, by: np.ndarray) -> dict[str, np.ndarray]:
        """From derivatives [R, 3, 3] with respect to the transitions."""
        found = {}
        for m in range(3):
            stay, high, (zero, one, two) = v[f"phi{m}"], v[f"R{m}"], by[:, m].T
            found[f"phi{m}"] = (1.0 - high) * one + high * two - zero
            found[f"R{m}"] = stay * (two - one)
        return found

    def start(self, seen: float, higher: float, p: float) -> dict[str, float]:
        """From the shares of sites where something, and where state 2, was found, and the detection probability."""
        change = {"phi0": 0.2, "phi1": 0.7, "phi2": 0.8, "R0": higher, "R1": higher, "R2": 0.5 + 0.5 * higher}
        return {"psi": seen, "R": higher, "p1": p, "p2": p, "delta": 0.5} | change


class Odds:
    """psi1, psi2: odds of states 1 and 2 against not occupied; p11: odds of finding state 1 in state 1; p12, p22: odds
    of finding state 1 and state 2 in state 2; each against finding nothing. phi01, phi02, phi10, phi12, phi20, phi21:
    odds of going from the first to the second state between seasons, against staying. Log link, so coefficients are
    multinomial logits.
    """

    names = ("psi1", "psi2", "p11", "p12", "p22")
    changes = ("phi01", "phi02", "phi10", "phi12", "phi20", "phi21")

    def prior(self, v: Values) -> np.ndarray:
        """float [N, 3]"""
        return _shares(v["psi1"], v["psi2"])

    def pull_prior(self, v: Values, by: np.ndarray) -> dict[str, np.ndarray]:
        """From derivatives [N, 3] with respect to the prior, of which Σ prior · by is 1."""
        whole = 1.0 + v["psi1"] + v["psi2"]
        return {"psi1": (by[:, 1] - 1.0) / whole, "psi2": (by[:, 2] - 1.0) / whole}

    def prob(self, v: Values, y: np.ndarray) -> np.ndarray:
        """float [V, 3] for findings y [V]."""
        rows = np.arange(len(y))
        one, two = _shares(v["p11"], np.zeros_like(v["p11"])), _shares(v["p12"], v["p22"])
        return np.stack([np.where(y == 0, 1.0, 0.0), one[rows, y], two[rows, y]], axis=1)

    def pull_prob(self, v: Values, y: np.ndarray, by: np.ndarray) -> dict[str, np.ndarray]:
        """From derivatives [V, 3] with respect to `prob`."""
        found = self.prob(v, y)
        one, two = 1.0 + v["p11"], 1.0 + v["p12"] + v["p22"]
        return {
            "p11": by[:, 1] * ((y == 1) - found[:, 1]) / one,
            "p12": by[:, 2] * ((y == 1) - found[:, 2]) / two,
            "p22": by[:, 2] * ((y == 2) - found[:, 2]) / two,
        }

    def transition(self, v: Values) -> np.ndarray:
        """float [R, 3, 3] from each state to each."""
        odds = np.ones((len(v["phi01"]), 3, 3))
        for name in self.changes:
            odds[:, int(name[3]), int(name[4])] = v[name]
        return odds / odds.sum(axis=2, keepdims=True)

    def pull_transition(self, v: Values, by: np.ndarray) -> dict[str, np.ndarray]:
        """From derivatives [R, 3, 3] with respect to the transitions."""
        share = self.transition(v)
        surprise = by - np.sum(share * by, axis=2, keepdims=True)
        stay = share[:, range(3), range(3)]  # 1 over the sum of the odds
        return {name: stay[:, int(name[3])] * surprise[:, int(name[3]), int(name[4])] for name in self.changes}

    def start(self, seen: float, higher: float, p: float) -> dict[str, float]:
        """See `Nested.start`."""
        free, miss = 1.0 - seen, 1.0 - p
        psi = {"psi1": seen * (1.0 - higher) / free, "psi2": seen * higher / free}
        change = dict.fromkeys(self.changes, 0.3)
        return psi | {"p11": p / miss, "p12": 0.5 * p / miss, "p22": 0.5 * p / miss} | change


def _shares(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """[rows, 3]: 1, one and two over their sum."""
    odds = np.stack([np.ones_like(one), one, two], axis=1)
    return odds / odds.sum(axis=1, keepdims=True)
