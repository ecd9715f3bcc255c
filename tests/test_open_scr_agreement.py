"""Open spatial capture-recapture against the program openCR: fixed parameters, derived numbers, a fit.

openCR's places of detection are cells' centres and its kernels are relative weights there, within a disc of cells;
since version 2.2 a kernel's own cell counts at the root-mean-square distance of a disc of its area.
"""

from functools import cache

import numpy as np
import pytest
import reference
from reference import entry

from uncia.models import Movement, OpenSCR
from uncia.survey.captures import CaptureHistory
from uncia.survey.detectors import Detectors
from uncia.survey.habitat import HabitatMask

LENGTHS = (9, 10, 10)  # occasions of the three years that the suite's data are joined from
PER_HA = 1e4  # animals per hectare in animals per 100 km²
AT = {"lambda0": 0.037, "sigma": 65.3, "phi": 0.497, "f": 0.560}


@cache
def years() -> tuple[CaptureHistory, ...]:
    joined = reference.scr_data("ovenbird_open")[0]
    found, begin, d = [], 0, joined.detectors
    for year, length in enumerate(LENGTHS):
        effort = d.effort[begin : begin + length]
        detectors = Detectors(id=d.id, x=d.x, y=d.y, effort=effort, kind="proximity", effort_unit=d.effort_unit)
        frame = joined.detections
        frame = frame[frame["occasion"].between(begin + 1, begin + length)]
        frame = frame.assign(occasion=frame["occasion"] - begin)
        found.append(CaptureHistory(frame, detectors, animals=joined.animals, session=str(2005 + year)))
        begin += length
    return tuple(found)


def model(likelihood: str = "conditional", move: Movement | str = "none", mask: str = "mask") -> OpenSCR:
    area = reference.mask("ovenbird_open", mask)
    return OpenSCR(years(), area, move=move, likelihood=likelihood, detection="hazard half-normal")


def loglik(m: OpenSCR, **more) -> float:
    values = AT | more
    return m.loglik(m.parameters.vector_from({p.name: values[p.name] for p in m.parameters if p.design is not None}))


def theirs(words: str) -> float:
    return entry("ovenbird_open", words)["fixed_parameter_loglik"][0]["loglik"]


def normal(edge: str) -> Movement:
    return Movement("normal", reach=200.0, edge=edge)


@pytest.mark.parametrize(
    ("words", "how", "more"),
    [
        ("spatial PLB, static centres, hazard halfnormal", {}, {}),
        ("spatial CJS, static", {"likelihood": "survival without place"}, {}),
        (
            "spatial PLB, movement BVN kernel radius 10 cells, truncated at mask edge",
            {"move": normal("renormalise")},
            {"move_scale": 100.0},
        ),
        (
            "spatial PLB, movement BVN, wrapped, rectangular mask",
            {"move": normal("wrap"), "mask": "mask_rectangle"},
            {"move_scale": 100.0},
        ),
        ("spatial PLB, independent centres", {"move": "independent"}, {}),
    ],
)
def test_at_fixed_parameters(words, how, more):
    assert loglik(model(**how), **more) == pytest.approx(theirs(words), abs=1e-8)


@pytest.mark.parametrize(
    ("kernel", "more", "value"),
    [("exponential", {}, -358.28315775), ("t", {"move_shape": 5.0}, -357.34627618)],
)
def test_other_kernels(kernel, more, value):
    """The values of openCR's own tests (test-spatial.R), at a distance of 0 in the own cell."""
    move = Movement(kernel, reach=200.0, edge="wrap", own_cell=0.0)
    assert loglik(model(move=move, mask="mask_rectangle"), move_scale=100.0, **more) == pytest.approx(value, abs=1e-8)


def superpopulation() -> np.ndarray:
    """Shares of the superpopulation that arrive in each year."""
    growth = AT["phi"] + AT["f"]
    new = np.array([1.0, AT["f"], growth * AT["f"]])
    return new / new.sum()


def test_with_the_number_of_animals():
    """openCR's superD is the density of all animals that live in some year: 2 per hectare."""
    m = model("full")
    D = 2.0 * PER_HA * superpopulation()[0]
    assert loglik(m, D=D) == pytest.approx(theirs("spatial JSSA, static"), abs=1e-8)


def test_growth_of_derived_densities():
    """Densities in proportion; their level is that of n / a., openCR's sampling area being 0.3 % smaller."""
    derived = entry("ovenbird_open", "spatial PLB at the fixed values")["derived"]
    table = model().at(**AT).abundance().set_index("quantity")["estimate"]
    ours = table["density"].to_numpy() / PER_HA
    assert ours / ours[0] == pytest.approx(np.array(derived["D"]) / derived["D"][0], rel=1e-9)
    assert ours == pytest.approx(np.array(derived["D"]), rel=4e-3)


def test_a_fit():
    found, fit = entry("ovenbird_open", "spatial PLBf fit, static"), model().fit()
    assert fit.loglik == pytest.approx(found["loglik"], abs=1e-7)
    table = fit.coefficients.set_index("parameter")
    for name, (beta, se) in found["coefficients"].items():
        assert table.loc[name, "estimate"] == pytest.approx(beta, abs=5e-5)
        assert table.loc[name, "se"] == pytest.approx(se, rel=1e-3)


# ---- without space: one cell and one detector in it, a detection anywhere being one there -------------------------


@cache
def without_space() -> tuple[CaptureHistory, ...]:
    found = []
    for c in years():
        one = Detectors(id=("k",), x=[0.0], y=[0.0], effort=np.ones((c.n_occasions, 1)), kind="proximity")
        frame = c.detections[["animal", "occasion"]].drop_duplicates().assign(detector="k")
        found.append(CaptureHistory(frame, one, session=c.session))
    return tuple(found)


def alone(likelihood: str = "conditional", **how) -> OpenSCR:
    cell = HabitatMask(0.0, 0.0, 100.0, np.ones((1, 1), bool))
    return OpenSCR(without_space(), cell, likelihood=likelihood, sigma=1.0, **how)


@pytest.mark.parametrize(
    ("words", "how", "values"),
    [
        ("non-spatial Pradel-Link-Barker, phi and f", {}, {"f": 0.560}),
        ("non-spatial PLB, phi and lambda", {"growth": "~ 1"}, {"growth": 1.057}),
        ("non-spatial CJS", {"likelihood": "survival"}, {}),
        ("non-spatial JSSA, phi and f, superN", {"likelihood": "full"}, {"f": 0.560, "D": 50 * 1e4}),
    ],
)
def test_without_space_at_fixed_parameters(words, how, values):
    values = {"g0": 0.4, "phi": 0.497} | values
    if "D" in values:
        values["D"] *= superpopulation()[0]
    assert alone(**how).at(**values).loglik == pytest.approx(theirs(words), abs=1e-8)


@pytest.mark.parametrize(
    ("words", "how"),
    [("non-spatial PLBf fit", {}), ("non-spatial CJS fit", {"likelihood": "survival"})],
)
def test_fits_without_space(words, how):
    found, fit = entry("ovenbird_open", words), alone(**how).fit()
    assert fit.loglik == pytest.approx(found["loglik"], abs=1e-7)
    table = fit.coefficients.set_index("parameter")
    for name, (beta, se) in found["coefficients"].items():
        own = "g0" if name == "p" else name
        assert table.loc[own, "estimate"] == pytest.approx(beta, abs=5e-4)
        assert table.loc[own, "se"] == pytest.approx(se, rel=1e-2)
