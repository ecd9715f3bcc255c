"""Open N-mixture: slow twin by plain matrices, gradients, gaps, the reference suite, limits that matter in words."""

import math

import numpy as np
import oracle_occupancy as oracle
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from occupancy_problems import check_gradient, ragged, reordered, some_vector, with_missing_site, with_missing_visit
from reference import expected, reference
from reference_occupancy import agrees, history, vector_of

from uncia.models.counts.n_mixture import NMixture
from uncia.models.counts.open_n_mixture import OpenNMixture
from uncia.models.verdict import Outcome
from uncia.survey.detections import DetectionHistory
from uncia.survey.errors import SurveyError

BUILD = {
    "constant": {"gamma": "~ w", "omega": "~ x"},
    "autoregressive": {"gamma": "~ w", "omega": "~ x"},
    "no trend": {"omega": "~ w"},
    "trend": {"gamma": "~ w", "immigration": "~ x", "mixture": "negative binomial"},
    "ricker": {"gamma": "~ w", "capacity": "~ x"},
    "gompertz": {"gamma": "~ x", "capacity": "~ w", "immigration": "~ 1"},
}


def build(name: str, h: DetectionHistory) -> OpenNMixture:
    return OpenNMixture(h, "~ x", p="~ v", dynamics=name, most=12, **BUILD[name])


def counts(seed=3) -> DetectionHistory:
    return ragged(n=6, t=4, j=2, most=4, seed=seed)


def binomial(n: int, k: int, p: float) -> float:
    return math.comb(n, k) * p**k * (1 - p) ** (n - k)


def left(name: str, gamma: float, omega: float, most: int, capacity: float = 1.0):
    """Distribution of what n animals leave, over 0 … most."""
    crowding = {"ricker": lambda n: n / capacity, "gompertz": lambda n: math.log(n + 1) / math.log(capacity + 1)}

    def each(n):
        if name in crowding:
            mean = n * math.exp(gamma * (1 - crowding[name](n)))
            return [oracle.poisson(k, mean) if mean > 0 else float(k == 0) for k in range(most + 1)]
        stay = [binomial(n, k, omega) if k <= n else 0.0 for k in range(most + 1)]
        young = [oracle.poisson(k, n * gamma) if n * gamma > 0 else float(k == 0) for k in range(most + 1)]
        if name == "trend":
            return young
        if name != "autoregressive":
            return stay
        return [sum(stay[k] * young[m - k] for k in range(m + 1)) for m in range(most + 1)]

    return each


@pytest.mark.parametrize("name", BUILD)
def test_it_equals_its_slow_twin(name):
    h, most = counts(), 12
    model = OpenNMixture(h, "~ x", p="~ v", dynamics=name, most=most)
    at = some_vector(model, 2)
    v = model.parameters.values(at)
    matrices = []
    for i in range(h.n_sites):
        omega = v["omega"][0] if "omega" in v else 0.0
        gamma = (1 - omega) * v["lambda"][i] if name == "no trend" else v["gamma"][0]
        newcomers = gamma if name in ("constant", "no trend") else 0.0
        capacity = v["capacity"][0] if "capacity" in v else 1.0
        matrices.append([oracle.branching(most, newcomers, left(name, gamma, omega, most, capacity))] * 3)
    slow = oracle.open_n_mixture(h, v["lambda"], v["p"], matrices, most)
    assert model.loglik(at) == pytest.approx(slow, abs=1e-9)


@pytest.mark.parametrize("name", BUILD)
def test_gradients(name):
    check_gradient(build(name, counts()))


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 1000), st.sampled_from(sorted(BUILD)))
def test_order_of_sites_and_what_was_not_done_change_nothing(seed, name):
    h = counts(seed)
    model = build(name, h)
    at = some_vector(model, seed % 7)
    for other in (reordered(h, seed), with_missing_visit(h)):
        assert build(name, other).loglik(at) == pytest.approx(model.loglik(at), abs=1e-9)


def test_a_site_never_visited_changes_nothing():
    """But for the animals above the limit, which a site without counts loses."""
    h = counts()
    make = lambda data: OpenNMixture(data, "~ x", most=60)  # noqa: E731
    at = make(h).start()
    assert make(with_missing_site(h)).loglik(at) == pytest.approx(make(h).loglik(at), abs=1e-9)


def test_numbers_that_never_change_are_one_closed_season():
    h = counts()
    v = h.visits
    pooled = DetectionHistory(v.assign(visit=v["season"] * 100 + v["visit"], season=1), h.sites)
    still = OpenNMixture(h, gamma=0.0, omega=1.0, most=80).at(**{"lambda": 3.0, "p": 0.4})
    assert still.loglik == pytest.approx(NMixture(pooled).at(**{"lambda": 3.0, "p": 0.4}).loglik, abs=1e-10)


@pytest.mark.parametrize(
    ("which", "options"),
    [
        (0, {}),
        (1, {"dynamics": "autoregressive"}),
        (2, {"dynamics": "no trend"}),
        (3, {"dynamics": "trend"}),
        (4, {"omega": 1.0, "most": 30}),
        (5, {"mixture": "negative binomial"}),
        (6, {"lambda_": "~ x"}),
    ],
)
def test_small_reference(which, options):
    """Five sites: most estimates are at a boundary, where unmarked stops short of the optimum."""
    model = OpenNMixture(history("open_counts_small", value="count"), **({"most": 20} | options))
    e = expected("open_counts_small")[which]
    for point in e["fixed_parameter_loglik"]:
        assert abs(model.loglik(vector_of(point["values"])) - point["loglik"]) < 1e-9
    fit = model.fit()
    assert fit.loglik > e["loglik"] - 1e-9
    if which in (0, 1, 2, 6):
        assert Outcome.BOUNDARY in fit.verdict


def forty() -> DetectionHistory:
    """40 sites, 5 seasons, 2 visits; the folder's tables of covariates belong to its other data set."""
    table = pd.read_csv(reference("open_counts_small") / "counts_40_sites.csv")
    return DetectionHistory.from_long(table, {"count": "value"})


@pytest.mark.parametrize(("which", "dynamics"), [(7, "constant"), (8, "trend")])
def test_forty_sites_reference(which, dynamics):
    agrees(OpenNMixture(forty(), dynamics=dynamics, most=30), "open_counts_small", which)


def test_the_largest_number_grows_until_it_cannot_matter():
    h = forty()
    short = OpenNMixture(h, most=int(h.value[h.done].max()) + 1)
    at = short.at(**{"lambda": 4.0, "gamma": 1.5, "omega": 0.5, "p": 0.3})
    assert "abundance depends on that limit" in str(at.verdict)
    fit = OpenNMixture(h, dynamics="trend").fit()
    assert fit.model.missing(fit.vector) < 1e-6
    assert fit.posterior()["abundance"].notna().all()
    assert fit.derive().set_index("quantity").loc["growth of abundance", "estimate"] == pytest.approx(
        np.exp(fit.vector[1])
    )


@pytest.mark.parametrize("name", BUILD)
def test_what_larger_numbers_add_is_bounded(name):
    """Never less than what they do add, and not absurdly more where it matters little."""
    h = counts(5)
    long = OpenNMixture(h, "~ x", p="~ v", dynamics=name, most=120, **BUILD[name])
    at = some_vector(long, 2, 0.2)
    for most in (8, 14, 22):
        short = OpenNMixture(h, "~ x", p="~ v", dynamics=name, most=most, **BUILD[name])
        added = long.loglik(at) - short.loglik(at)
        assert added <= short.missing(at) + 1e-11
    assert long.missing(at) < 1e-9


def test_sites_in_blocks_are_the_same_sites(monkeypatch):
    h = counts()
    whole = build("trend", h)
    monkeypatch.setattr("uncia.models.counts.open_n_mixture.BUDGET", 500)
    parts = build("trend", h)
    assert len(whole.blocks) == 1
    assert len(parts.blocks) > 2
    at = some_vector(whole)
    assert parts.loglik(at) == pytest.approx(whole.loglik(at), abs=1e-12)
    np.testing.assert_allclose(parts.loglik_and_gradient(at)[1], whole.loglik_and_gradient(at)[1], atol=1e-10)


def test_numbers_far_out_of_the_way_cost_and_change_nothing():
    """Rows are kept only where they matter."""
    h = forty()
    at = {"lambda": 4.0, "gamma": 1.5, "omega": 0.5, "p": 0.3}
    small, large = (OpenNMixture(h, most=most).at(**at) for most in (60, 400))
    assert large.loglik == pytest.approx(small.loglik, abs=1e-10)
    changes = {"gamma": np.array([1.5]), "omega": np.array([0.5])}
    made = large.model.kind.transitions(changes, 400)
    assert (made.high - made.low).max() < 300
    assert made.matrix[0, 400, made.low[0, 400] :].sum() + made.lost[0, 400] == pytest.approx(1.0, abs=1e-9)


def test_density_brings_numbers_back_to_the_capacity():
    h = DetectionHistory.from_wide(np.ones((300, 12, 1)))
    for dynamics in ("ricker", "gompertz"):
        template = OpenNMixture(h, dynamics=dynamics, most=60)
        truth = {"lambda": 25.0, "gamma": 0.6, "capacity": 12.0, "p": 0.5}
        fit = template.at(**truth)
        numbers = fit.model.expected(fit.vector)[0]
        assert numbers[0] == pytest.approx(25.0)
        assert 10.0 < numbers[-1] < 13.0
        drawn = template.simulate(truth, seed=1)
        means = [drawn.value[drawn.season_of == t].mean() / 0.5 for t in range(12)]
        np.testing.assert_allclose(means, numbers, atol=1.2)


@pytest.mark.parametrize("dynamics", ["ricker", "gompertz"])
def test_density_dependence_comes_back(dynamics):
    h = DetectionHistory.from_wide(np.ones((100, 8, 2)))
    truth = {"lambda": 2.0, "gamma": 0.8, "capacity": 8.0, "p": 0.6}
    template = OpenNMixture(h, dynamics=dynamics, most=40)
    fit = OpenNMixture(template.simulate(truth, seed=3), dynamics=dynamics, most=40).fit()
    assert fit.verdict.good
    np.testing.assert_array_less(np.abs(fit.vector - template.parameters.vector_from(truth)), 3.3 * fit.se)


def test_simulations_have_the_right_moments():
    h = DetectionHistory.from_wide(np.ones((4000, 3, 1)))
    truth = {"lambda": 4.0, "gamma": 1.0, "omega": 0.5, "p": 0.5}
    again = OpenNMixture(h).simulate(truth, seed=6)
    by_season = [again.value[again.season_of == t].mean() for t in range(3)]
    np.testing.assert_allclose(by_season, [2.0, 1.5, 1.25], atol=0.1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: OpenNMixture(counts(), dynamics="chaos"), "dynamics are not known"),
        (lambda: OpenNMixture(counts(), omega="~ x", dynamics="ricker"), "'ricker' dynamics have no omega"),
        (lambda: OpenNMixture(counts(), capacity="~ x"), "'constant' dynamics have no capacity"),
        (lambda: OpenNMixture(counts(), gamma="~ x", dynamics="no trend"), "have no gamma"),
        (lambda: OpenNMixture(counts(), immigration="~ 1"), "newcomers already"),
        (lambda: OpenNMixture(counts(), most=2), "above `most`"),
        (lambda: OpenNMixture(ragged(most=3)), "one season"),
    ],
)
def test_refusals(make, message):
    with pytest.raises(SurveyError, match=message):
        make()
