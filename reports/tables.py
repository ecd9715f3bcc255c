"""The tables that every report has, each a function from the analysis to text in cells; ids never change."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from ..models.summary import coefficient_table, estimate_table, number, variation_table
from . import posterior
from .analysis import Analysis
from .texts import Texts

FEW = 12  # rows that a table of findings names
KINDS = {"sd": "standard deviation", "correlation": "correlation", "length": "length of a smooth"}
FOLDED = frozenset({"T10", "T11"})


@dataclass(frozen=True)
class Table:
    """Cells of text under a stable id; a folded table opens when it is asked for."""

    id: str
    title: str
    frame: pd.DataFrame
    note: str = ""
    folded: bool = False
    marks: tuple[str, ...] = ()  # of the rows: "error", "warning" or nothing


def tables_of(analysis: Analysis, texts: Texts) -> dict[str, Table]:
    """All tables that this survey has data for, by id."""
    story = analysis.story
    makers = {
        "T8": lambda: models(analysis),
        "T9": lambda: estimates(analysis),
        "T10": lambda: other_estimates(analysis),
        "T11": lambda: coefficients(analysis),
        "T12": lambda: goodness(analysis),
        "T13": lambda: variation(analysis),
        "T15": lambda: findings(analysis),
        "T60": lambda: posterior.checks(analysis),
        "T61": lambda: posterior.priors(analysis),
        "T62": lambda: posterior.predicted(analysis),
        "T16": lambda: ledger(analysis),
    }
    made = {}
    for name, make in (makers | dict(story.tables())).items():
        frame = make()
        if frame is not None and len(frame):
            folded = name in story.folded | FOLDED or (name == "T15" and len(frame) > 8)
            made[name] = table(name, story.heading(name, texts), frame, texts, _note(name, analysis, texts), folded)
    return made


def table(id: str, title: str, frame: pd.DataFrame, texts: Texts, note: str = "", folded: bool = False) -> Table:
    """A table in the language of the report."""
    first = frame.iloc[:, 0].astype(str)
    marks = tuple(first.where(first.isin(("error", "warning")), ""))
    return Table(id, title, texts.frame(frame.astype(str), id), note, folded, marks)


def _note(name: str, analysis: Analysis, texts: Texts) -> str:
    if name in ("T13", "T60", "T61", "T62"):
        return texts.note(name)
    if name == "T8" and analysis.reported in analysis.fits:
        refused = analysis.comparison if isinstance(analysis.comparison, str) else ""
        said = (
            texts.note("T8_not_compared", why=texts.term(refused))
            if refused
            else texts.note("T8", by=analysis.criterion)
        )
        return " ".join(filter(None, (said, analysis.story.models_note(texts))))
    if name == "T8":
        return texts.note("T8", by=analysis.criterion)
    return analysis.story.note(name, texts)


# ---- what was estimated -------------------------------------------------------------------------------------------


def models(analysis: Analysis) -> pd.DataFrame:
    """T8: the models by AICc, what each estimates, and what its fit says about itself."""
    comparison = None if isinstance(analysis.comparison, str) else analysis.comparison
    names = list(analysis.fits) if comparison is None else list(comparison["model"])
    rows = []
    for name in names:
        fit = analysis.fits[name]
        row = {"model": name, "formulas": _formulas(analysis, fit), "K": fit.n_parameters}
        row |= {"log-likelihood": f"{fit.loglik:.2f}"}
        if comparison is None:
            row |= {"AICc": f"{fit.aicc:.2f}"}
        else:
            at, by = comparison.set_index("model").loc[name], analysis.criterion
            row |= {by: f"{at[by.lower()]:.2f}", f"Δ{by}": f"{at['delta']:.2f}", "weight": f"{at['weight']:.2f}"}
        rows.append(row | analysis.story.model_columns(name) | {"verdict": analysis.study.worded(str(fit.verdict))})
    return pd.DataFrame(rows)


def _formulas(analysis: Analysis, fit) -> str:
    """The model's formulas; with the name of its class where classes differ."""
    classes = {type(f.model).__name__ for f in analysis.fits.values()}
    return repr(fit.model) if len(classes) > 1 else repr(fit.model).removeprefix(f"{classes.pop()}(").removesuffix(")")


def estimates(analysis: Analysis) -> pd.DataFrame:
    """T9: every estimate of the reported model."""
    return _estimates(analysis.estimates[analysis.estimates["model"] == analysis.reported])


def other_estimates(analysis: Analysis) -> pd.DataFrame:
    """T10: those of the other models."""
    rows = analysis.estimates[analysis.estimates["model"] != analysis.reported]
    return _estimates(rows).assign(model=rows["model"].to_numpy())


def _estimates(rows: pd.DataFrame) -> pd.DataFrame:
    told = estimate_table(rows.reset_index(drop=True))
    first = ["quantity", "scope"]
    return told[[*first, *told.columns.drop(first)]]


def coefficients(analysis: Analysis) -> pd.DataFrame:
    """T11: the coefficients of the reported model on the link scale."""
    return coefficient_table(analysis.fit)


def variation(analysis: Analysis) -> pd.DataFrame | None:
    """T13: how much groups differ, and lengths of smooths; None of a model without random effects."""
    if getattr(analysis.fit, "random", None) is None:
        return None
    told = variation_table(analysis.fit)
    interval = ["–" if a == "–" else f"{a} – {b}" for a, b in told[["lower", "upper"]].to_numpy()]
    told = told.drop(columns=["lower", "upper"]).assign(kind=told["kind"].map(KINDS))
    return told.assign(**{"95 % interval": interval})


def goodness(analysis: Analysis) -> pd.DataFrame:
    """T12: tests of the reported fit."""
    told = analysis.goodness.copy()
    for name in ("statistic", "df", "p", "c_hat"):
        told[name] = [number(v, 3) for v in told[name]]
    told = told.drop(columns=[name for name in ("df", "c_hat") if (told[name] == "–").all()])
    return told.rename(columns={"c_hat": "ĉ"})


# ---- what to know -------------------------------------------------------------------------------------------------


def findings(analysis: Analysis) -> pd.DataFrame:
    """T15: what the checks found; without the names of places in a public report."""
    found = analysis.study.findings.table()
    if analysis.study.config.report.public:
        return found[["severity", "id", "what", "fix"]]
    few = [
        ", ".join(rows[:FEW]) + (f" and {len(rows) - FEW} more" if len(rows) > FEW else "") for rows in found["rows"]
    ]
    return found.assign(where=few)[["severity", "id", "what", "where", "fix"]]


def ledger(analysis: Analysis) -> pd.DataFrame | None:
    """T16: the counted end of every record."""
    book = analysis.study.ledger
    if not book.read:
        return None
    total = pd.DataFrame({"file": list(book.read), "reason": "read", "records": list(book.read.values())})
    frame = pd.concat([total, book.table()], ignore_index=True)
    frame["file"] = frame["file"].map(book.told_as())  # many files of one kind together
    frame = frame.groupby(["file", "reason"], sort=False)["records"].sum().reset_index()
    frame = frame.sort_values("file", kind="stable")
    return frame.assign(records=[f"{n:,}" for n in frame["records"]])


def provenance(results: dict) -> pd.DataFrame:
    """T14: the inputs with their sha256, the versions, the seed."""
    rows = [("uncia", results["uncia"]), *results["environment"].items(), ("seed", results["seed"])]
    rows += [(entry["path"], f"sha256 {entry['sha256']}") for entry in results["inputs"]]
    return pd.DataFrame(rows, columns=["software or file", "version or content"])


def facts(lines: dict[str, str]) -> pd.DataFrame:
    """A table of one line per fact, without headings."""
    return pd.DataFrame({"": list(lines), " ": list(lines.values())})
