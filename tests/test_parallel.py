"""Many tasks over executors: order, resumption, a dying worker, a local Dask cluster."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from worker_tasks import always_dies, square, square_unless_killed

from uncia.models.inference.parallel import run_tasks
from uncia.survey.errors import SurveyError


def test_order_is_that_of_the_tasks():
    with ThreadPoolExecutor(4) as pool:
        assert run_tasks(square, range(20), executor=pool) == [i**2 for i in range(20)]
    assert run_tasks(square, range(5), workers=1) == [0, 1, 4, 9, 16]


def test_a_store_is_resumed(tmp_path):
    done = []

    def first_half(task):
        if task == 4:
            raise KeyboardInterrupt
        done.append(task)
        return task**2

    with pytest.raises(KeyboardInterrupt):
        run_tasks(first_half, range(8), workers=1, store=tmp_path)
    assert done == [0, 1, 2, 3]
    seen = []
    assert run_tasks(square, range(8), workers=1, store=tmp_path, progress=lambda d, n: seen.append((d, n))) == [
        i**2 for i in range(8)
    ]
    assert seen[0] == (4, 8)
    assert seen[-1] == (8, 8)
    with pytest.raises(SurveyError, match="the store belongs to other work"):
        run_tasks(square, range(1, 9), workers=1, store=tmp_path)


def test_a_dying_process_loses_nothing(tmp_path):
    tasks = [(i, str(tmp_path / "flag")) for i in range(8)]
    assert run_tasks(square_unless_killed, tasks, workers=2) == [i**2 for i in range(8)]
    with pytest.raises(SurveyError, match="a worker process died 3 times"):
        run_tasks(always_dies, [1, 2], workers=2)


SCRIPT = """
import sys
sys.path.insert(0, {folder!r})
print("once")
from worker_tasks import square
from uncia.models.inference.parallel import run_tasks
print(run_tasks(square, range(4), workers=2))
"""


def test_a_plain_script_needs_no_main(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT.format(folder=str(Path(__file__).parent)))
    done = subprocess.run([sys.executable, tmp_path / "script.py"], capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines() == ["once", "[0, 1, 4, 9]"], done.stderr


def test_dask_cluster_with_a_worker_killed_half_way():
    pytest.importorskip("distributed")
    scenario = Path(__file__).with_name("dask_scenario.py")
    done = subprocess.run([sys.executable, scenario], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {"killed": 1, "found": [i**2 for i in range(40)]}


def test_bootstrap_is_the_same_on_any_executor():
    from test_scr import MODELS

    fit = MODELS["count"].fit()
    alone = fit.bootstrap(4, seed=3, workers=1)
    with ThreadPoolExecutor(2) as pool:
        together = fit.bootstrap(4, seed=3, executor=pool)
    np.testing.assert_array_equal(alone.vectors, together.vectors)
    table = alone.intervals().set_index("quantity")
    assert table.loc["density", "lower"] <= table.loc["density", "mean"] <= table.loc["density", "upper"]


def test_bootstrap_of_a_conditional_fit_has_its_density():
    from test_scr import MODELS, again

    model = MODELS["count"]
    fit = again(model, likelihood="conditional").fit()
    density = fit.bootstrap(5, seed=3, workers=1).intervals().set_index("quantity").loc["density"]
    assert density["mean"] == pytest.approx(fit.derive().iloc[0]["estimate"], rel=0.3)
    with pytest.raises(SurveyError, match=r"no density to simulate from\. Simulate from fit\.as_full"):
        fit.model.simulate({"lambda0": 0.4, "sigma": 1500.0}, 1)
