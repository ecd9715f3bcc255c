"""What happens on import: the root's folders refuse to be imported by their short names, and imports stay light."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HEAVY = {"arviz", "geopandas", "matplotlib", "pymc", "pytensor", "rasterio", "rioxarray", "openpyxl"}


def python(code: str) -> subprocess.CompletedProcess:
    """Run code in a fresh interpreter whose first import path is the repository root."""
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("package", ["survey", "models", "reports"])
def test_a_package_refuses_its_short_name(package):
    done = python(f"import {package}")
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(f"ImportError: this folder is the package uncia.{package}, not '{package}': ")
    assert "pip install -e ." in last


@pytest.mark.parametrize("package", ["survey", "models"])
def test_imports_stay_light(package):
    """Plotting, maps and Bayes are loaded when they are used: the import takes a second, also without a compiler."""
    done = python(f"import sys, json, uncia.{package}; print(json.dumps(sorted(sys.modules)))")
    assert done.returncode == 0, done.stderr
    assert {name.split(".")[0] for name in json.loads(done.stdout)} & HEAVY == set()
