"""The report: one page for people, and beside it the files for machines, maps and next year."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

import jinja2

from . import words
from .analysis import Analysis
from .changes import in_words, since_last, tables_of_changes
from .draw import Figure, figures_of
from .families import FAMILIES
from .files import whole_folder
from .results import results_of, to_json, write_estimates
from .tables import Table, provenance, table, tables_of
from .texts import Texts, texts

PAGE = ("report.html", "results.json", "estimates.csv", "figures")


@dataclass(frozen=True)
class Row:
    """Figures that stand side by side where there is room."""

    figures: tuple[Figure, ...]


@dataclass(frozen=True)
class Section:
    """A heading with its paragraphs, tables and rows of figures, in reading order."""

    name: str
    title: str
    paragraphs: tuple[str, ...]
    parts: tuple[Table | Row, ...]


def write_report(analysis: Analysis, folder: str | Path) -> Path:
    """Write the whole report into a folder, or nothing at all; returns the path of report.html."""
    results = results_of(analysis)
    left_before = {name for family in FAMILIES for name in family.leaves}  # of a report of another kind too
    with whole_folder(folder, (*PAGE, *sorted(left_before))) as made:
        told = texts(analysis.study.config.report.language)
        figures = figures_of(analysis, told)
        (made / "figures").mkdir()
        for figure in figures.values():
            for image in figure.images:
                (made / "figures" / f"{image.name}.svg").write_bytes(image.svg)
                (made / "figures" / f"{image.name}.png").write_bytes(image.png)
        (made / "report.html").write_text(page(analysis, results, figures, told), encoding="utf-8", newline="\n")
        (made / "results.json").write_text(to_json(results), encoding="utf-8", newline="\n")
        write_estimates(analysis.estimates, made / "estimates.csv")
        analysis.story.write_files(made)
    return Path(folder) / "report.html"


def page(analysis: Analysis, results: dict, figures: dict[str, Figure], told: Texts) -> str:
    """The text of report.html."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: files(f"{__package__}.templates").joinpath(name).read_text("utf-8")),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["data_uri"] = lambda svg: "data:image/svg+xml;base64," + base64.b64encode(svg).decode()
    environment.filters["numeric"] = _numeric
    environment.filters["unbroken"] = told.tidy
    return environment.get_template("report.html").render(
        language=told.language,
        say=told.say,
        title=analysis.study.config.survey.name,
        headline=words.headline(analysis, told),
        good=analysis.fit.verdict.good,
        sections=sections(analysis, told, results, figures),
        version=results["uncia"],
    )


def sections(analysis: Analysis, told: Texts, results: dict, figures: dict[str, Figure]) -> list[Section]:
    """The report in reading order; what the survey has no data for is left out."""
    tables = tables_of(analysis, told)
    changed = since_last(analysis, results)
    tables |= tables_of_changes(changed, told) if changed is not None else {}
    tables["T14"] = table("T14", told.heading("T14"), provenance(results), told, folded=True)
    outline = [("short", words.in_short(analysis, told), ()), *analysis.story.outline(told)]
    if "T13" in tables:
        beside = "T11" if any("T11" in ids for _, _, ids in outline) else "T12"
        outline = [(name, said, _with(ids, "T13", beside)) for name, said, ids in outline]
    if "T60" in tables:
        outline.insert(-1, ("posterior", [], ("T60", "F60", "T62", "T61")))
    if changed is not None:
        outline.insert(-1, ("changed", [in_words(changed, told)], ("T58", "T59")))
    english = [text for text in told.missing if " " in text]  # one word may be a name from the data
    if english:  # last, when everything has been told
        name, said, ids = outline[-1]
        outline[-1] = (name, [*said, told.say("untranslated", number=len(english))], ids)
    made = [
        Section(name, told.section(name), tuple(filter(None, said)), tuple(_parts(ids, tables, figures)))
        for name, said, ids in outline
    ]
    return [section for section in made if section.paragraphs or section.parts]


def _with(ids: tuple[str, ...], more: str, after: str) -> tuple[str, ...]:
    """The ids with one more behind another, where that is."""
    at = ids.index(after) + 1 if after in ids else None
    return ids if at is None else (*ids[:at], more, *ids[at:])


def _parts(ids: tuple[str, ...], tables: dict[str, Table], figures: dict[str, Figure]) -> Iterator[Table | Row]:
    """Tables, and rows of figures (ids with a blank between), as far as there are any."""
    for id in ids:
        row = tuple(figures[name] for name in id.split() if name in figures)
        if row:
            yield Row(row)
        elif id in tables:
            yield tables[id]


def _numeric(values) -> bool:
    """Whether a column of text holds numbers, which stand to the right."""
    given = [v for v in values if v not in ("", "–")]
    return bool(given) and all(v.replace(",", "").replace(".", "").lstrip("-−+∞").rstrip(" %").isdigit() for v in given)


def public(analysis: Analysis) -> Analysis:
    """The same analysis, told to the public."""
    report = analysis.study.config.report.model_copy(update={"public": True})
    config = analysis.study.config.model_copy(update={"report": report})
    return replace(analysis, study=replace(analysis.study, config=config))
