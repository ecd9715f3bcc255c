"""The rules of the house, read from the source: who may import whom, and what goes into the wheel.

Each rule is also shown to fail on a planted fault.
"""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = ["survey", "models", "reports"]  # each may import itself and those before it
ABOVE = ["examples", "tests", "benchmarks"]  # these may import all three, nobody imports them
SOURCES = sorted(path for layer in LAYERS for path in (ROOT / layer).rglob("*.py"))
# collections: named tuples; pathlib: the stamp of the cache; llvmlite: what numba is made of, for vectors
KERNEL_MAY_IMPORT = {"__future__", "collections", "llvmlite", "math", "numba", "numpy", "pathlib", "re"}
BAYES = {"arviz", "pymc", "pytensor"}
MAY_IMPORT_BAYES = {"models/bayes.py", "models/nodes.py"}


def imported(source: str, folder: tuple[str, ...]) -> Iterator[str]:
    """Full names of what a file in `uncia/<folder>` imports, at any depth of the code."""
    package = ("uncia", *folder)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = [*base, *([node.module] if node.module else [])]
            yield from (".".join([*module, alias.name]) for alias in node.names)


def imports_of(path: Path) -> set[str]:
    """What a file of the repository imports."""
    return set(imported(path.read_text("utf-8"), path.relative_to(ROOT).parent.parts))


def against_the_layers(names: set[str], layer: str) -> set[str]:
    """Imports of a higher layer, of what is above all, or by a name that only works at the root."""
    allowed = {f"uncia.{below}" for below in LAYERS[: LAYERS.index(layer) + 1]}
    higher = {name for name in names if name.split(".")[0] == "uncia" and ".".join(name.split(".")[:2]) not in allowed}
    return higher | {name for name in names if name.split(".")[0] in (*LAYERS, *ABOVE)}


def folders_with_code(root: Path) -> set[str]:
    """Import names of the package folders."""
    files = [path for layer in LAYERS for path in (root / layer).rglob("__init__.py")]
    return {".".join(("uncia", *path.parent.relative_to(root).parts)) for path in files}


def listed_packages() -> set[str]:
    """The packages that the wheel will hold."""
    return set(tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["packages"])


def left_behind(root: Path, patterns: list[str]) -> set[str]:
    """Files beside the code that the wheel would not hold."""
    files = [path for layer in LAYERS for path in (root / layer).rglob("*") if path.is_file()]
    files = [path for path in files if path.suffix not in (".py", ".pyc", ".nbi", ".nbc")]
    return {path.relative_to(root).as_posix() for path in files if not any(path.match(p) for p in patterns)}


def data_patterns() -> list[str]:
    """Patterns of the files beside the code that go into the wheel."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["package-data"]["*"]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


# ---- the rules ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_layers_import_downwards_only(path):
    assert not against_the_layers(imports_of(path), path.relative_to(ROOT).parts[0])


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_only_the_bayesian_files_import_pymc(path):
    if name_of(path) not in MAY_IMPORT_BAYES:
        assert not {name.split(".")[0] for name in imports_of(path)} & BAYES


@pytest.mark.parametrize("path", sorted((ROOT / "models" / "kernels").glob("*.py")), ids=name_of)
def test_kernels_import_only_numba_and_each_other(path):
    """What a kernel file imports from another, `stage` of compiled.py makes the cache notice."""
    others = {name for name in imports_of(path) if not name.startswith("uncia.models.kernels")}
    assert {name.split(".")[0] for name in others} <= KERNEL_MAY_IMPORT


def test_every_package_folder_is_in_the_wheel():
    assert listed_packages() == folders_with_code(ROOT)


def test_every_file_beside_the_code_is_in_the_wheel():
    assert left_behind(ROOT, data_patterns()) == set()


def test_every_folder_with_code_is_a_package():
    with_code = {path.parent for path in SOURCES}
    assert {folder for folder in with_code if not (folder / "__init__.py").exists()} == set()


def test_the_repository_root_is_no_package():
    assert not (ROOT / "__init__.py").exists()
    assert not (ROOT / "uncia").exists()


# ---- each rule fails on a planted fault --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "line"),
    [
        ("survey", "from ..models import SCR"),
        ("survey", "def later():\n    from uncia.reports import cli"),
        ("survey", "import uncia.models.fit"),
        ("survey", "from uncia import models"),
        ("models", "from .. import reports"),
        ("models", "import survey"),
        ("reports", "from tests.oracle import slow"),
    ],
)
def test_an_import_upwards_is_noticed(layer, line):
    assert against_the_layers(set(imported(line, (layer,))), layer)


@pytest.mark.parametrize(
    ("layer", "line"),
    [
        ("survey", "from .errors import refuse"),
        ("models", "from ..survey.detectors import Detectors"),
        ("models", "from uncia import survey"),
        ("reports", "from .. import models\nimport numpy as np"),
    ],
)
def test_an_import_downwards_is_fine(layer, line):
    assert not against_the_layers(set(imported(line, (layer,))), layer)


def test_relative_imports_are_spelled_out():
    names = set(
        imported("from ..links import log\nfrom . import area\nfrom ...survey import units", ("models", "kernels"))
    )
    assert names == {"uncia.models.links.log", "uncia.models.kernels.area", "uncia.survey.units"}


def test_project_code_in_a_kernel_is_noticed():
    names = {name.split(".")[0] for name in imported("from ..links import log", ("models", "kernels"))}
    assert not names <= KERNEL_MAY_IMPORT


def test_pymc_anywhere_is_noticed():
    assert {name.split(".")[0] for name in imported("def sample():\n    import pymc as pm", ("models",))} & BAYES


def test_a_forgotten_package_folder_is_noticed(tmp_path):
    for folder in ("survey", "models/new"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "__init__.py").touch()
    assert folders_with_code(tmp_path) == {"uncia.survey", "uncia.models.new"}
    assert not folders_with_code(tmp_path) <= listed_packages()


def test_a_forgotten_data_file_is_noticed(tmp_path):
    (tmp_path / "reports" / "templates").mkdir(parents=True)
    for name in ("page.html", "page.py", "picture.svg"):
        (tmp_path / "reports" / "templates" / name).touch()
    assert left_behind(tmp_path, ["*.html"]) == {"reports/templates/picture.svg"}
