"""Every public thing says what it is, and every example in a docstring runs, by the real names of the modules."""

import ast
import doctest
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

import uncia.models
import uncia.reports
import uncia.survey

PACKAGES = [uncia.survey, uncia.models, uncia.reports]
NEEDS_BAYES = {"uncia.models.bayes", "uncia.models.nodes", "uncia.models.priors"}
MODULES = sorted(
    info.name
    for package in PACKAGES
    for info in pkgutil.walk_packages(package.__path__, package.__name__ + ".")
    if not info.name.endswith("__main__")
)
ROOT = Path(__file__).parent.parent
SOURCES = sorted(path for layer in ("survey", "models", "reports") for path in (ROOT / layer).rglob("*.py"))


def undocumented(source: str) -> Iterator[str]:
    """Public classes, functions and methods of a file without a docstring, and the file itself.

    Methods of three lines or fewer may speak for themselves. What begins with an underscore is private, and so is what
    lies in a function.
    """
    tree = ast.parse(source)
    if tree.body and not ast.get_docstring(tree):
        yield "the module"
    pending = [("", node) for node in tree.body]
    while pending:
        prefix, node = pending.pop(0)
        if not isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) or node.name.startswith("_"):
            continue
        speaks_for_itself = prefix and node.end_lineno - node.lineno <= 2  # a property that returns a field
        if not ast.get_docstring(node) and not speaks_for_itself:
            yield prefix + node.name
        if isinstance(node, ast.ClassDef):
            pending += [(f"{prefix}{node.name}.", child) for child in node.body]


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name):
    if name in NEEDS_BAYES and find_spec("pymc") is None:
        pytest.skip("pymc is not installed")
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_everything_public_has_a_docstring(path):
    missing = list(undocumented(path.read_text("utf-8")))
    if missing and module_of(path) in NEEDS_BAYES and find_spec("pymc") is None:
        pytest.skip("pymc is not installed")  # whose classes say what methods do
    assert [name for name in missing if not inherited(path, name)] == []


def inherited(path: Path, name: str) -> bool:
    """A method that does what the class above says takes its docstring from there."""
    owner, _, method = name.rpartition(".")
    if not owner:
        return False
    return inspect.getdoc(getattr(getattr(importlib.import_module(module_of(path)), owner), method)) is not None


def module_of(path: Path) -> str:
    """The name by which a file is imported."""
    return ".".join(("uncia", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")


def test_a_missing_docstring_is_noticed():
    source = "class A:\n    def b(self):\n        x = 1\n        y = 2\n        return x + y\n\n\ndef _c():\n    pass\n"
    assert list(undocumented(source)) == ["the module", "A", "A.b"]
    assert list(undocumented('"""A."""\n\n\ndef f():\n    """B."""\n\n    def inner():\n        pass\n')) == []


def test_all_modules_are_found():
    assert {"uncia.survey.crs", "uncia.survey.readers.secr_text", "uncia.models.fit"} <= set(MODULES)
