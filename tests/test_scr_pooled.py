"""Sites that are alike but not the same: random effects of sessions and smooth density in SCR."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from numpy.polynomial.hermite_e import hermegauss
from scipy.special import logsumexp
from scr_problems import detectors, small

from uncia import models, survey

HAZARD = {"detection": "hazard half-normal", "threads": 1}


def sites(n: int = 4, empty: bool = False):
    """Sites whose densities differ by a factor of about two; the last without captures if `empty`."""
    captures, mask = small("count")
    model = models.SCR(captures, mask, **HAZARD)
    found = []
    for j in range(n):
        c = model.simulate({"D": (300.0, 600.0, 1100.0, 2000.0)[j % 4], "lambda0": 0.3, "sigma": 250.0}, 20 + j)
        if empty and j == n - 1:
            c = replace(c, detections=c.detections.iloc[:0], animals=c.animals.iloc[:0])
        found.append(replace(c, session=f"s{j}"))
    return found, [mask] * n


def marginal(captures, masks, vector: np.ndarray, sd: float, name: str) -> float:
    """The log-likelihood with a normal effect of sessions on one parameter integrated out: slow and obvious."""
    node, weight = hermegauss(60)
    shared, total = models.SCR(captures, masks, **HAZARD), 0.0
    where = shared.parameters.slice_of(name).start
    for c, mask in zip(captures, masks, strict=True):
        terms = []
        for u in sd * node:
            moved = vector.copy()
            moved[where] += u
            values = shared.parameters.values(moved)
            session = shared.session(c.session)
            terms.append(session.evaluate(shared.values_of(values, session), False)[0])
        total += logsumexp(terms, b=weight / weight.sum())
        assert mask is masks[0]
    return float(total)


@pytest.mark.parametrize("name", ["D", "lambda0"])
def test_marginal_likelihood_against_quadrature(name):
    captures, masks = sites(empty=name == "D")
    model = models.SCR(captures, masks, **{name: "~ (1 | session)"}, **HAZARD)
    at = {"D": 900.0, "lambda0": 0.3, "sigma": 250.0}
    vector = np.log(list(at.values()))
    given = at | {name: {"Intercept": np.log(at[name])}}
    there = marginal(captures, masks, vector, 0.6, name)
    mine = model.at(**given, variation={f"{name}: 1 | session": 0.6})  # by quadrature
    assert mine.loglik == pytest.approx(there, abs=5e-3)
    assert abs(mine.random.laplace_error) < 0.05


def test_pooled_sites_lie_between_separate_ones_and_one_for_all():
    captures, masks = sites(empty=True)
    one, pooled, apart = (
        models.SCR(captures[:n], masks[:n], D=D, lambda0=0.3, sigma=250.0, **HAZARD).fit(integration="laplace")
        for D, n in (("~ 1", 4), ("~ (1 | session)", 4), ("~ session", 3))
    )
    density = [f.derive().query("quantity == 'density'")["estimate"].to_numpy() for f in (one, pooled, apart)]
    assert density[0].std() == pytest.approx(0.0, abs=1e-9)
    within = (density[1][:3] - density[2]) / (density[0][0] - density[2])
    assert ((within > 0.0) & (within < 1.0)).all()
    empty = pooled.derive().query("quantity == 'density' and scope == 'session s3'").iloc[0]
    assert 0.0 < empty["estimate"] < density[1][:3].min()
    assert pooled.loglik > one.loglik
    names = pooled.random_effects()
    assert len(names) == 4


def test_a_smooth_of_density():
    d = detectors("count", occasions=6, side=5, gaps=False)
    mask = survey.HabitatMask.around(d, 450.0, 150.0)
    x, _ = mask.centres()
    high = (x - x.mean()) / 1000.0
    layer = np.zeros(mask.habitat.shape)
    layer[mask.habitat] = high
    mask = mask.with_covariate("elevation", layer)
    nothing = survey.CaptureHistory(pd.DataFrame({"animal": ["x"], "occasion": [1], "detector": ["C02"]}), d)
    truth = 5000.0 * np.exp(-3.0 * high**2)
    centres = models.simulate_population(mask, truth, 5)
    captures = models.SCR(nothing, mask, **HAZARD).simulate({"D": 1.0, "lambda0": 0.3, "sigma": 150.0}, 6, centres)
    fixed = {"lambda0": 0.3, "sigma": 150.0}
    smooth, flat = (models.SCR(captures, mask, D=D, **fixed, **HAZARD).fit() for D in ("~ s(elevation, k=3)", "~ 1"))
    assert smooth.loglik > flat.loglik + 2.0
    surface = smooth.predict("D")["estimate"].to_numpy()[mask.habitat]
    middle = surface[np.abs(high) < 0.15].mean()
    assert middle > 1.8 * surface[np.abs(high) > 0.9].mean()
    total = smooth.abundance().set_index("quantity").loc["expected abundance"]
    assert total["lower"] < len(centres) < total["upper"]


@pytest.mark.parametrize("D", ["~ poly(x, 2)", "~ bs(x, df=4)"])
def test_polynomials_and_splines_mean_the_same_on_other_masks(D):
    captures, mask = small("count")
    fit = models.SCR(captures, mask, D=D, lambda0=0.3, sigma=250.0, **HAZARD).fit()
    number = fit.abundance().set_index("quantity").loc["expected abundance", "estimate"]
    halves = [replace(mask, habitat=mask.habitat & (np.indices(mask.habitat.shape)[1] % 2 == k)) for k in (0, 1)]
    parts = [fit.abundance(half).set_index("quantity").loc["expected abundance", "estimate"] for half in halves]
    assert sum(parts) == pytest.approx(number, rel=1e-9)
    surface = fit.predict("D")["estimate"].to_numpy()[mask.habitat]
    assert surface.sum() * mask.cell_area / 100.0 == pytest.approx(number, rel=1e-9)
