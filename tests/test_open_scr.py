"""Open spatial capture-recapture against dense enumeration, its gradient, and what must not change it."""

import numpy as np
import oracle_open as slow
import pandas as pd
import pytest
import shapely

from uncia.models import SCR, AnnualEstimates, Movement, OpenSCR
from uncia.models.open_scr.goodness import expected_in, observed_in
from uncia.survey.captures import CaptureHistory
from uncia.survey.detectors import Detectors
from uncia.survey.errors import SurveyError
from uncia.survey.habitat import HabitatMask
from uncia.survey.together import together

LAMBDA0, SIGMA, PHI, F, D = 0.25, 900.0, 0.7, 0.4, 30.0
SPACING = 1000.0
OWN = SPACING / np.sqrt(2 * np.pi)


def area(full: bool = False) -> HabitatMask:
    habitat = np.ones((5, 6), bool)
    if not full:
        habitat[1, 2] = habitat[4, 0] = habitat[0, 5] = False
    return HabitatMask(0.0, 0.0, SPACING, habitat)


def session(year: int, records, kind: str = "proximity", removed: str = "", sex=None) -> CaptureHistory:
    """Four detectors, the last of which stands elsewhere in odd years, a gap in the effort; three occasions."""
    x = np.array([1200.0, 3100.0, 1500.0, 3900.0 if year % 2 else 4400.0])
    y = np.array([1000.0, 1300.0, 3200.0, 3000.0])
    effort = np.array([[1.0, 2.0, 1.0, 1.0], [1.0, 0.0, 1.5, 1.0], [0.0, 1.0, 1.0, np.nan]])
    detectors = Detectors(id=tuple("abcd"), x=x, y=y, effort=effort, kind=kind)
    frame = pd.DataFrame(records, columns=["animal", "occasion", "detector"])
    if kind == "count":
        frame = frame.assign(count=1 + frame["occasion"] % 2)
    frame = frame.assign(removed=(frame["animal"] == removed) & ~frame["animal"].duplicated(keep="last"))
    animals = pd.DataFrame() if sex is None else pd.DataFrame({"sex": pd.Series(sex)})
    return CaptureHistory(frame, detectors, animals=animals, session=str(year))


FIRST = [("P", 1, "a"), ("P", 3, "c"), ("Q", 1, "b"), ("R", 2, "d")]
SECOND = [("Q", 2, "d"), ("Q", 3, "b"), ("S", 1, "a")]
THIRD = [("P", 2, "d"), ("T", 1, "b"), ("S", 3, "c"), ("U", 1, "c")]
YEARS = [1.0, 2.0]


def data(kind: str = "proximity", removed: str = "", sex=None) -> list[CaptureHistory]:
    return [
        session(year, part, kind, removed if year == 2023 else "", sex)
        for year, part in ((2020, FIRST), (2021, SECOND), (2023, THIRD))
    ]


MOVES = {
    "none": (Movement(), {}, None),
    "independent": (Movement("independent"), {}, None),
    "normal": (Movement("normal", reach=3000), {"move_scale": 1300.0}, lambda d: np.exp(-(d**2) / 2 / 1300.0**2)),
    "exponential": (Movement("exponential", reach=2000), {"move_scale": 900.0}, lambda d: np.exp(-d / 900.0)),
    "t": (
        Movement("t", reach=4000),
        {"move_scale": 900.0, "move_shape": 1.7},
        lambda d: (1 + (d / 900.0) ** 2) ** -2.7,
    ),
    "uniform": (Movement("uniform", reach=2000), {}, lambda d: 1.0),
}


def dense(name: str, mask: HabitatMask) -> np.ndarray:
    move, _, weight = MOVES[name]
    if weight is None:
        return np.eye(mask.size) if name == "none" else np.full((mask.size, mask.size), 1.0 / mask.size)
    return slow.moves(mask, weight, round(move.reach / SPACING), OWN, move.edge == "wrap")


def hazard(distance):
    return LAMBDA0 * np.exp(-0.5 * (distance / SIGMA) ** 2)


def parts(captures, mask, K):
    survival, arrivals = slow.survivors(PHI, F, YEARS)
    start = np.full(mask.size, D / 100.0 * mask.cell_area)
    return slow.log_parts(captures, mask, start, survival, arrivals, K, [hazard] * 3)


def model(captures, mask, move="none", **how) -> OpenSCR:
    return OpenSCR(captures, mask, move=move, detection="hazard half-normal", **how)


def vector(m: OpenSCR, **more) -> np.ndarray:
    values = {"lambda0": LAMBDA0, "sigma": SIGMA, "phi": PHI, "f": F, "D": D} | more
    return m.parameters.vector_from({p.name: values[p.name] for p in m.parameters if p.design is not None})


def check_gradient(m: OpenSCR, at: np.ndarray, rtol: float = 2e-6) -> None:
    found, step = m.loglik_and_gradient(at)[1], 1e-5
    for j in range(len(at)):
        e = np.zeros(len(at))
        e[j] = step
        difference = (m.loglik(at + e) - m.loglik(at - e)) / (2 * step)
        assert found[j] == pytest.approx(difference, rel=rtol, abs=1e-6), m.parameters.labels[j]


# ---- the likelihood twice ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("move", MOVES)
def test_it_is_the_sum_over_arrivals_deaths_and_ways(move):
    captures, mask = data(), area()
    logs, detected = parts(captures, mask, dense(move, mask))
    m = model(captures, mask, MOVES[move][0])
    assert m.loglik(vector(m, **MOVES[move][1])) == pytest.approx(slow.full(logs, detected), abs=1e-9)
    c = model(captures, mask, MOVES[move][0], likelihood="conditional")
    assert c.loglik(vector(c, **MOVES[move][1])) == pytest.approx(slow.conditional(logs, detected), abs=1e-9)


@pytest.mark.parametrize("kind", ["count", "multi"])
def test_other_detectors_and_a_removal(kind):
    captures, mask = data(kind, removed="S"), area()
    logs, detected = parts(captures, mask, dense("normal", mask))
    m = model(captures, mask, MOVES["normal"][0])
    assert m.loglik(vector(m, **MOVES["normal"][1])) == pytest.approx(slow.full(logs, detected), abs=1e-9)


def test_a_torus():
    captures, mask = data(), area(full=True)
    move = Movement("normal", reach=2000, edge="wrap")
    K = slow.moves(mask, lambda d: np.exp(-(d**2) / 2 / 1300.0**2), 2, OWN, wrap=True)
    logs, detected = parts(captures, mask, K)
    m = model(captures, mask, move)
    assert m.loglik(vector(m, move_scale=1300.0)) == pytest.approx(slow.full(logs, detected), abs=1e-9)


def test_survival_alone_conditions_on_the_first_session():
    """The ratio of the two sums over ways: those of all sessions from the first on, and of the first alone."""
    captures, mask = data(), area()
    K, (survival, _) = dense("normal", mask), slow.survivors(PHI, F, YEARS)
    by_session = [slow.records(c, mask, hazard) for c in captures]
    m = model(captures, mask, MOVES["normal"][0], likelihood="survival")
    total, start = 0.0, np.full(mask.size, 1.0 / mask.size)
    for animal in m.records.names:
        seen = [t for t in range(3) if animal in by_session[t]]
        mine = [by_session[t].get(animal, by_session[t][""]) for t in range(3)]
        one = np.zeros(3)
        one[seen[0]] = 1.0  # it arrives when it is first detected
        weight = slow.history_weight(mine, None, seen[0], seen[-1], start, survival, one, K)
        total += np.log(weight / (start @ mine[seen[0]]))
    assert m.loglik(vector(m, move_scale=1300.0)) == pytest.approx(total, abs=1e-9)


# ---- gradients ---------------------------------------------------------------------------------------------------

SEX = {"P": "f", "Q": "m", "R": None, "S": "f", "T": "m", "U": None}


@pytest.mark.parametrize("likelihood", ["full", "conditional", "survival", "survival without place"])
@pytest.mark.parametrize("move", ["none", "independent", "t"])
def test_gradient(likelihood, move):
    m = model(data("count", removed="S"), area(), MOVES[move][0], likelihood=likelihood)
    check_gradient(m, vector(m, **MOVES[move][1]))


@pytest.mark.parametrize("recruitment", ["growth", "gamma", "b"])
def test_gradient_of_other_recruitment_with_classes_and_covariates(recruitment):
    m = model(
        data("multi", sex=SEX),
        area(),
        "normal",
        D="~ x",
        phi="~ sex + session",
        sigma="~ sex",
        lambda0="~ session",
        move_scale="~ years",
        classes="sex",
        **{recruitment: "~ session"},
    )
    at = m.start() + np.random.default_rng(1).normal(scale=0.1, size=m.parameters.size)
    check_gradient(m, at)


@pytest.mark.parametrize("detection", ["half-normal", "hazard hazard-rate", "annular normal"])
def test_gradient_of_other_detection_functions(detection):
    m = OpenSCR(data(), area(), detection=detection, likelihood="conditional")
    check_gradient(m, m.start())


def test_gradient_on_one_animal():
    captures = [session(2020, [("P", 1, "a")]), session(2021, [])]
    m = OpenSCR(captures, area(), g0=0.2, sigma=900.0, move="normal", move_scale=1000.0)
    check_gradient(m, m.start())


# ---- what must hold ------------------------------------------------------------------------------------------------


def test_animals_of_both_classes_add_up():
    """With the same parameters in both classes, classes only add the log of their proportions."""
    sex = {a: "fm"[j % 2] for j, a in enumerate("PQRSTU")}
    with_sex = model(data(sex=sex), area(), "normal", classes="sex")
    without = model(data(), area(), "normal")
    more = 3 * np.log(0.3) + 3 * np.log(0.7)
    a = with_sex.loglik(vector(with_sex, move_scale=1300.0, pmix=0.3))
    assert a == pytest.approx(without.loglik(vector(without, move_scale=1300.0)) + more, abs=1e-9)


def test_moves_of_no_length_are_fixed_centres():
    captures, mask = data(), area()
    still, moving = model(captures, mask), model(captures, mask, "normal")
    assert moving.loglik(vector(moving, move_scale=20.0)) == pytest.approx(still.loglik(vector(still)), abs=1e-9)


def test_far_moves_are_independent_centres():
    captures, mask = data(), area()
    anew, moving = model(captures, mask, "independent"), model(captures, mask, Movement("normal", reach=20000))
    assert moving.loglik(vector(moving, move_scale=1e7)) == pytest.approx(anew.loglik(vector(anew)), abs=1e-6)


def test_nobody_dies_and_nobody_comes_is_one_closed_session():
    """phi = 1, f = 0 and centres that stay: all occasions of all years are one closed survey."""
    captures, mask = data("count"), area()
    joined = together({c.session: c for c in captures}, session="all")
    closed = SCR(joined, mask, detection="hazard half-normal", likelihood="conditional")
    m = model(captures, mask, phi=1.0 - 1e-13, f=1e-13, likelihood="conditional")
    at = np.array([np.log(LAMBDA0), np.log(SIGMA)])
    difference = [m.loglik(at + move) - closed.loglik(at + move) for move in (0.0, 0.2, np.array([0.1, -0.3]))]
    assert np.ptp(difference) < 1e-8  # constants of the data differ


def test_a_second_session_without_effect_is_the_closed_model():
    """All die after the first session and detectors stand idle later."""
    captures, mask = data(), area()
    idle = [captures[0], session(2021, [])]
    closed = SCR(captures[0], mask, detection="hazard half-normal")
    m = model(idle, mask, phi=1e-12, b=1e-12)
    found = []
    for d in (0.0, 0.3):
        at = np.log([D, LAMBDA0, SIGMA]) + d
        found.append(m.loglik(at) - closed.loglik(at))
    assert found[0] == pytest.approx(found[1], abs=1e-8)


def test_order_and_names_of_animals_do_not_matter():
    captures, mask = data(), area()
    other = {"P": "z 10", "Q": "z 9", "R": "a", "S": "k", "T": "b", "U": "z 1"}
    renamed = [
        CaptureHistory(c.detections.assign(animal=c.detections["animal"].map(other)), c.detectors, session=c.session)
        for c in captures
    ]
    a, b = model(captures, mask, "normal"), model(renamed, mask, "normal")
    assert a.loglik(vector(a, move_scale=1000.0)) == pytest.approx(b.loglik(vector(b, move_scale=1000.0)), abs=1e-10)


def test_a_second_class_of_methods_is_the_same_detectors():
    """The detectors of a session cut into two methods."""
    captures, mask = data("count"), area()
    c = captures[0]
    left = np.array([True, True, False, False])
    both = {}
    for name, part in (("one", left), ("two", ~left)):
        d = c.detectors
        chosen = Detectors(
            tuple(np.asarray(d.id)[part]), d.x[part], d.y[part], d.effort[:, part], kind="count", effort_unit="days"
        )
        rows = c.detections[c.detections["detector"].isin(chosen.id)]
        both[name] = CaptureHistory(rows, chosen, session=c.session)
    a, b = model(captures, mask, "normal"), model([together(both), *captures[1:]], mask, "normal")
    assert a.loglik(vector(a, move_scale=1000.0)) == pytest.approx(b.loglik(vector(b, move_scale=1000.0)), abs=1e-10)


# ---- fits, numbers, simulation ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fitted():
    mask = area(full=True)
    m = model(data(sex=SEX), mask, "normal", move_scale=1200.0, classes="sex", phi=0.8)
    drawn = m.simulate({"D": 400.0, "f": 0.3, "lambda0": 0.4, "sigma": 900.0, "pmix": 0.4}, seed=3)
    again = m.on(drawn)
    return again.fit(), m


def test_a_fit_tells_numbers_by_year(fitted):
    fit, _ = fitted
    assert fit.verdict.good
    table = fit.abundance().set_index(["quantity", "scope"])["estimate"]
    N = [table["expected abundance", f"session {year}"] for year in (2020, 2021, 2023)]
    assert N[0] == pytest.approx(fit.values["D"][0] / 100.0 * fit.model.mask.area)
    assert N[2] / N[1] == pytest.approx(table["growth", "session 2021 to 2023"] ** 2)
    assert N[1] - 0.8 * N[0] == pytest.approx(table["arrivals", "session 2020 to 2021"])
    of_sex = [table["expected abundance", f"session 2021, sex {s}"] for s in "fm"]
    assert sum(of_sex) == pytest.approx(N[1])
    se = fit.abundance().set_index(["quantity", "scope"])["se"]
    covariance = fit.abundance_covariance()
    assert np.sqrt(covariance[1, 1]) == pytest.approx(se["expected abundance", "session 2021"], rel=1e-4)
    assert float(fit.expected_animals("2023").sum()) == pytest.approx(N[2])
    assert fit.predict("D")["estimate"].shape == fit.model.mask.habitat.shape
    assert fit.moved()["mean"].between(500, 3000).all()


def test_years_for_a_trend(fitted):
    """The series of years has the numbers and their covariance; of a region, those of its cells."""
    fit, _ = fitted
    table = fit.abundance().set_index(["quantity", "scope"])["estimate"]
    N = np.array([table["expected abundance", f"session {year}"] for year in (2020, 2021, 2023)])
    annual = AnnualEstimates.from_fit(fit, quantity="expected abundance")
    assert np.exp(annual.log_estimates) == pytest.approx(N)
    assert annual.covariance == pytest.approx(fit.abundance_covariance() / np.outer(N, N), rel=1e-4)
    assert list(annual.years) == [2020, 2021, 2023]
    west = shapely.box(-500.0, -500.0, 2500.0, 4500.0)  # half of the cells, all alike to the first session
    part = AnnualEstimates.from_fit(fit, quantity="expected abundance", region=west)
    assert np.exp(part.log_estimates[0]) == pytest.approx(N[0] / 2)
    assert np.exp(part.log_estimates[2]) == pytest.approx(float(fit.expected_animals("2023")[:, :3].sum()))
    density = AnnualEstimates.from_fit(fit)
    assert np.exp(density.log_estimates[0]) == pytest.approx(fit.values["D"][0])


def test_simulation_is_the_same_for_the_same_seed(fitted):
    fit, m = fitted
    a, b, c = (m.simulate(fit.vector, seed) for seed in (5, 5, 6))
    assert all(p.equals(q) for p, q in zip(a, b, strict=True))
    assert not all(p.equals(q) for p, q in zip(a, c, strict=True))
    assert {c.session for c in a} == {"2020", "2021", "2023"}


def test_conditional_numbers_are_those_of_the_full_likelihood():
    """With constant density the maxima agree, and so do the estimates."""
    fits = [model(data("count"), area(), lambda0=0.3, likelihood=how).fit() for how in ("full", "conditional")]
    a, b = (f.abundance()["estimate"].to_numpy() for f in fits)
    assert a == pytest.approx(b, rel=1e-5)
    se = [f.abundance().set_index("quantity")["se"]["expected abundance"].to_numpy() for f in fits]
    assert se[0] == pytest.approx(se[1], rel=1e-3)
    full = fits[1].as_full()
    assert full.values["D"][0] == pytest.approx(fits[0].values["D"][0], rel=1e-5)
    assert full.loglik == pytest.approx(fits[0].loglik, abs=1e-6)
    with pytest.raises(SurveyError, match="survival alone does not say how many animals there are"):
        model(data("count"), area(), likelihood="survival").at(phi=0.5, lambda0=0.3, sigma=900.0).as_full()


def test_animals_expected_in_sessions_are_those_of_simulations():
    """In each session and in each two, over 40 data sets; a model that is wrong shows it."""
    m = model(data(), area(), "normal", move_scale=1000.0)
    at = vector(m)
    expected = np.triu(expected_in(m, at))
    made = [m.on(m.simulate(at, seed)) for seed in range(40)]
    drawn = np.mean([np.triu(observed_in(again)) for again in made], axis=0)
    detected = m.chains(m.parameters.values(at))[2][0].detected
    assert np.mean([again.sample_size for again in made]) == pytest.approx(detected, abs=3.5 * np.sqrt(detected / 40))
    assert np.all(np.abs(drawn - expected) < 4 * np.sqrt(np.maximum(expected, 0.1) / 40))
    wrong = vector(m, phi=0.02)
    name = "animals of two sessions, Freeman-Tukey"
    assert m.discrepancies(wrong)[name] > 2 * m.discrepancies(at)[name]


# ---- words -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"f": "~ 1", "b": "~ 1"}, "recruitment is one parameter"),
        ({"move": "levy"}, "this kind of movement is not known"),
        ({"move": {"kernel": "normal", "radius": 3.0}}, "the movement has no such argument"),
        ({"move_scale": "~ 1"}, "the movement 'none' has no move_scale"),
        ({"phi": "~ rain"}, "the formula of phi uses a covariate that is not there"),
        ({"lambda0": "~ b"}, "learned responses are not part of open models"),
        ({"intervals": [1.0]}, "the intervals do not fit the sessions"),
        ({"likelihood": "survival", "f": "~ 1"}, "survival alone has no recruitment in it"),
        ({"classes": "h2"}, "open models know no latent classes"),
        ({"f": "~ sex", "classes": "sex"}, "f is of all animals"),
        ({"move": Movement("normal", edge="wrap")}, "only a mask that is a full rectangle can be wrapped"),
    ],
)
def test_what_it_refuses(how, words):
    with pytest.raises(SurveyError, match=words):
        model(data(sex=SEX), area(), **how)


def test_it_refuses_what_contradicts_itself():
    with pytest.raises(SurveyError, match="needs two primary sessions"):
        model(data()[:1], area())
    with pytest.raises(SurveyError, match="'Q' has another sex in session '2021'"):
        model([session(2020, FIRST, sex=SEX), session(2021, SECOND, sex=SEX | {"Q": "f"})], area(), classes="sex")
    with pytest.raises(SurveyError, match="after it was removed in session '2020'"):
        model([session(2020, FIRST, removed="Q"), session(2021, SECOND)], area())
    unnamed = [CaptureHistory(c.detections, c.detectors, session=n) for c, n in zip(data()[:2], "AB", strict=True)]
    with pytest.raises(SurveyError, match="the years between the sessions are not known"):
        model(unnamed, area())


def test_it_says_when_the_kernel_is_cut_short():
    m = model(data(), area(), Movement("normal", reach=1000), move_scale=1500.0)
    words = str(m.at(D=D, phi=PHI, f=F, lambda0=LAMBDA0, sigma=SIGMA).verdict)
    assert "of the movement kernel lies beyond its reach of 1,000 m" in words
    assert "The intervals between sessions differ" in words
    assert "Only 3 animals were detected in more than one session" in words


def test_it_says_when_the_mask_does_not_fit():
    coarse, small = HabitatMask.around(data()[0].detectors, 8000.0, 2000.0), area()
    small = HabitatMask(small.x0, small.y0, SPACING, small.habitat, buffer=900.0)
    values = {"lambda0": 0.3, "phi": 0.7, "f": 0.4}
    fits = [model(data("count"), mask, **values).fit() for mask in (coarse, small)]
    assert "its cells are 2,000 m wide" in str(fits[0].verdict)
    assert "too high; use a wider one" not in str(fits[0].verdict)
    assert "with its buffer of 900 m density comes out about" in str(fits[1].verdict)
