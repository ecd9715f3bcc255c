"""A survey read as its form says: the data, the files all of it came from, and the models that are asked for."""

from __future__ import annotations

import posixpath
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd

from ..models.model import Model
from ..survey.errors import SurveyError, SurveyWarning, refuse
from ..survey.ledger import Ledger
from ..survey.tables import SurveyTables
from ..survey.verify import Findings
from .files import digest
from .parts import Form

if TYPE_CHECKING:
    from .analysis import Analysis
    from .story import Story

TABLE_FILES = (".csv", ".geojson", ".gpkg", ".gpx", ".gz", ".json", ".parquet", ".txt", ".xlsx")
TABLE_FILES += (".shp", ".dbf", ".shx", ".prj", ".cpg")
TEST = ("test", "statistic", "df", "p", "c_hat")
SHAPEFILE = (".shp", ".dbf", ".shx", ".prj", ".cpg")


@dataclass(frozen=True, eq=False)
class Study(ABC):
    """What a form describes, read from its files. A kind of survey is a subclass, with the data that it is about.

    Parameters
    ----------
    config : the form
    folder : where its paths start
    inputs : path (relative to `folder`) and sha256 of every file that was read, the form first
    notes : what the readers warned about
    """

    form: ClassVar[type[Form]]  # how its survey.toml looks
    leaves: ClassVar[tuple[str, ...]] = ()  # files that its report may leave beside the page

    config: Any
    folder: Path
    inputs: tuple[tuple[str, str], ...] = field(default=(), kw_only=True)
    notes: tuple[str, ...] = field(default=(), kw_only=True)

    # ---- what a kind of survey must say -------------------------------------------------------------------------

    @classmethod
    @abstractmethod
    def read(cls, config: Any, folder: Path) -> Study:
        """The data that the form names, without `inputs` and `notes`."""

    @classmethod
    @abstractmethod
    def files_named(cls, config: Any) -> list[str | None]:
        """Paths of the files and folders in the form; None where there is none."""

    def named_files(self) -> list[str | None]:
        """Paths of all files that were read."""
        return self.files_named(self.config)

    @abstractmethod
    def build(self, part: Any) -> Model:
        """The model that one part of the form describes."""

    @abstractmethod
    def story(self, analysis: Analysis) -> Story:
        """How its report is told."""

    @property
    @abstractmethod
    def data(self) -> tuple:
        """The data, as `uncia check` shows them."""

    # ---- what it may say ----------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Build the models without fitting them: a wrong formula is an error before the long work."""
        from .analysis import build_all

        build_all(self)

    def analyse(self, progress: Callable[[str, int, float], None] | None = None) -> Analysis:
        """All models fitted."""
        from .analysis import Analysis, fit_all

        return Analysis(self, fit_all(self, progress))

    def check(self) -> None:  # noqa: B027  (not every kind has something)
        """That form and data go together; a SurveyError says what does not, before anything is fitted."""

    def check_model(self, model: Any) -> None:  # noqa: B027
        """That what the form asks of a model can be told; a SurveyError before it is fitted."""

    def told(self, fit: Any) -> Any:
        """A fit with the standard errors that people are told."""
        return fit

    def estimates(self, fit: Any) -> pd.DataFrame:
        """What people are told of a fit, see `models.derived.COLUMNS`."""
        return fit.derive()

    def worded(self, text: str) -> str:
        """What the models say, in the words of this survey."""
        return text

    def definitions(self, fit: Any) -> dict[str, str]:
        """What was done and how it is called, so that years with other words are not compared unnoticed."""
        return {}

    def goodness(self, fit: Any) -> pd.DataFrame:
        """Tests of the fit: test, statistic, df, p, c_hat; no rows where there is none."""
        return pd.DataFrame(columns=list(TEST))

    @cached_property
    def findings(self) -> Findings:
        """The checks of the data."""
        return Findings(())

    @property
    def ledger(self) -> Ledger:
        """Where every record went; empty where there are no records."""
        return Ledger()

    @property
    def tables(self) -> SurveyTables | None:
        """The tables of deployments and records that the data were made from, where they were."""
        return None

    @property
    def species(self) -> str:
        """What the records call the animals."""
        return self.config.survey.species or self.config.survey.common_name


def simulated_goodness(fit: Any, n: int, seed: int) -> pd.DataFrame:
    """Tests of a fit by `n` data sets simulated from it; no rows where n is 0 or this kind of fit has no test."""
    try:
        tests = fit.goodness(n, seed, workers=1).tests if n else None
    except SurveyError:  # such as sites known to be occupied: there is no test of such a fit
        tests = None
    if tests is None:
        return pd.DataFrame(columns=list(TEST))
    named = tests["statistic"] + f" ({n} simulated data sets)"
    return pd.DataFrame(
        {"test": named, "statistic": tests["observed"], "df": np.nan, "p": tests["p"], "c_hat": tests["c_hat"]}
    )


def plain_text(data: Any) -> None:
    """MARK's files have no encoding to choose."""
    if data.encoding is not None:
        raise refuse("an .inp file is plain text", "Leave encoding out", value=data.encoding)


def merge_alike(rows: pd.DataFrame) -> pd.DataFrame:
    """Estimates that are the same number for several settings of covariates as one row: "age = 0 to 7".

    A formula such as I(age < 8) has one value for many ages.
    """
    keys = [name for name in rows if name != "scope"]
    groups = rows.groupby(keys, sort=False, dropna=False)["scope"]
    merged = groups.agg(lambda scopes: together(list(scopes))).reset_index()
    return merged[list(rows.columns)]


def together(scopes: list[str]) -> str:
    """Settings of covariates in one line.

    >>> together(["sex = f, age = 0", "sex = f, age = 1", "sex = f, age = 2"]), together(["all"])
    ('sex = f, age = 0 to 2', 'all')
    """
    settings = [dict(part.split(" = ", 1) for part in scope.split(", ") if " = " in part) for scope in scopes]
    if len(scopes) == 1 or not all(settings) or len({tuple(s) for s in settings}) > 1:
        return scopes[0] if len(set(scopes)) == 1 else "; ".join(scopes)
    told = []
    for name in settings[0]:
        values = list(dict.fromkeys(s[name] for s in settings))
        numeric = pd.to_numeric(pd.Series(values), errors="coerce").notna().all() and len(values) > 1
        ends = [f"{v:g}" for v in sorted(map(float, values))] if numeric else values
        told.append(f"{name} = {f'{ends[0]} to {ends[-1]}' if numeric else ' or '.join(values)}")
    return ", ".join(told)


def read_study(path: str | Path, session: str | None = None) -> Study:
    """The study of a survey.toml (or of the folder that holds one); of one `session`, where it holds several."""
    from .config import read_config

    path = Path(path)
    config = read_config(path)
    form = path / "survey.toml" if path.is_dir() else path
    return study_of(config if session is None else of_session(config, session), form.parent, form.name)


def of_session(config: Any, session: str) -> Any:
    """The form with another session wanted.

    Raises
    ------
    SurveyError : this kind of form has no sessions
    """
    if "session" in type(config).model_fields:  # it hands the session on
        return config.model_copy(update={"session": session})
    if not hasattr(config, "occasions"):
        raise refuse("this kind of survey has no sessions", "Leave session out", value=session)
    return config.model_copy(update={"occasions": config.occasions.model_copy(update={"session": session})})


def study_of(config: Form, folder: Path, form: str = "") -> Study:
    """The study of a form whose paths start in `folder`; `form` is the name of its file there."""
    from .families import FAMILIES

    family = next(family for family in FAMILIES if type(config) is family.form)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", SurveyWarning)
        study = family.read(config, folder)
        study.check()
    notes = tuple(dict.fromkeys(str(w.message) for w in caught if issubclass(w.category, SurveyWarning)))
    for w in caught:
        if not issubclass(w.category, SurveyWarning):
            warnings.warn_explicit(w.message, w.category, w.filename, w.lineno)
    previous = getattr(config, "report").previous  # noqa: B009
    if previous is not None and not (folder / previous).is_file():
        raise refuse("report.previous is not there", "Give the results.json of the last report", value=previous)
    return with_files(study, [form, *study.named_files(), previous], notes)


def with_files(study: Study, named: list[str | None], notes: tuple[str, ...] = ()) -> Study:
    """The study with path and sha256 of every file that the form names; of a folder, the tables that lie in it."""
    files = [file for name in dict.fromkeys(filter(None, named)) for file in files_at(study.folder / name)]
    inputs = tuple((_relative(file, study.folder), digest(file)) for file in dict.fromkeys(files))
    return replace(study, inputs=inputs, notes=notes)


def files_of(parts: Iterable[tuple[str, Study]]) -> list[str]:
    """The files that the studies of other forms were read from; a part is the path of its form and its study."""
    return [
        posixpath.normpath(posixpath.join(posixpath.dirname(form), path))
        for form, study in parts
        for path, _ in study.inputs
    ]


def files_at(path: Path) -> list[Path]:
    """The path itself, the parts of a shapefile, or the tables in a folder."""
    if path.is_dir():
        return sorted(file for file in path.iterdir() if file.is_file() and file.suffix.lower() in TABLE_FILES)
    if path.name == "datapackage.json":
        return files_at(path.parent)
    if path.suffix.lower() == ".shp":
        return [part for suffix in SHAPEFILE if (part := path.with_suffix(suffix)).is_file()]
    return [path]


def _relative(file: Path, folder: Path) -> str:
    """The path as the form would write it."""
    try:
        return file.relative_to(folder).as_posix()
    except ValueError:
        return file.as_posix()
