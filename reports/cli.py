"""The command line: `uncia init | check | effort | fit | report | reproduce | compare | freeze | simulate`.

Exit codes: 0 fine, 1 the data have errors (or numbers did not come out the same), 2 the command was misused.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

# Everything that reads, fits or draws is imported by the command that needs it, so that help comes at once.

app = typer.Typer(
    name="uncia",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
out, err = Console(highlight=False, soft_wrap=True), Console(stderr=True, highlight=False, soft_wrap=True)


class Kind(Enum):
    """Kinds of survey that `init` has a form for."""

    captures = "captures"
    sites = "sites"
    patrols = "patrols"
    animals = "animals"
    released = "released"
    years = "years"
    parks = "parks"
    region = "region"


Form = Annotated[Path, typer.Argument(metavar="survey.toml", help="the form of the survey, or the folder it lies in")]


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=lambda wanted: _version() if wanted else None)
    ] = False,
) -> None:
    """From a survey's tables to a defended number: how many animals there are, and how sure that is."""


def _version() -> None:
    from .provenance import uncia_version

    out.print(f"uncia {uncia_version()}")
    raise typer.Exit()


def example(text: str) -> str:
    """The example at the end of a command's help."""
    return f"[bold]Example:[/bold]  {text}"


@contextmanager
def plain_words(kept: str) -> Iterator[None]:
    """Errors in the data as one message and exit code 1; Ctrl-C with what is kept."""
    from ..survey.errors import SurveyError

    try:
        yield
    except SurveyError as error:
        err.print(f"[bold red]Error.[/bold red] {escape(str(error))}")
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        err.print(f"\nStopped. {kept}")
        raise typer.Exit(130) from None


@app.command(epilog=example("uncia init my-survey"))
def init(
    folder: Annotated[Path, typer.Argument(help="where the form goes; made when it is not there")] = Path("."),
    kind: Annotated[
        Kind,
        typer.Option(
            help="captures: animals told apart at places; sites; patrols; animals without places; released; several "
            "years; parks of one population, as at a border; a region of several sites"
        ),
    ] = Kind.captures,
) -> None:
    """Start a survey: write a survey.toml to fill in."""
    from importlib.resources import files

    from ..survey.errors import refuse

    with plain_words("Nothing was written."):
        path = folder / "survey.toml"
        if path.exists():
            raise refuse("there is a survey.toml already", "Edit it, or give another folder", value=str(path))
        folder.mkdir(parents=True, exist_ok=True)
        name = "survey.toml" if kind is Kind.captures else f"survey-{kind.value}.toml"
        text = files(f"{__package__}.templates").joinpath(name).read_text("utf-8")
        path.write_text(text, encoding="utf-8", newline="\n")
        out.print(f"Fill in {escape(str(path))}, then run: uncia check {escape(str(path))}")


@app.command(epilog=example("uncia check examples/heshun/survey.toml"))
def check(form: Form) -> None:
    """Read the data, say what was understood and what should be mended, and where every record went."""
    with plain_words("Nothing was written."):
        study = _read(form)
        found = study.findings
        for part in study.data:
            out.print(repr(part), markup=False)
        for note in study.notes:
            out.print(f"Note: {note}", markup=False)
        if study.ledger.read:
            out.print("\nWhere the records went", style="bold")
            out.print(str(study.ledger), markup=False)
        out.print("\nFindings", style="bold")
        out.print(str(found), markup=False)
        if found.errors:
            raise typer.Exit(1)
        with err.status("preparing the models"):
            study.prepare()


@app.command(epilog=example("uncia effort survey.toml --out effort.csv"))
def effort(
    form: Form,
    csv: Annotated[Path | None, typer.Option("--out", help="write one row per deployment to this CSV file")] = None,
) -> None:
    """Camera days set, lost and worked, and why they were lost."""
    from ..survey.errors import refuse

    with plain_words("Nothing was written."):
        _check_place(csv)
        tables = _read(form).tables
        if tables is None:
            raise refuse("these data have no deployments of cameras", "`uncia check` tells what there is")
        by_deployment, lost = tables.effort(), tables.lost()
        total = by_deployment[["set", "lost", "worked"]].sum()
        out.print(f"{total['set']:,.1f} camera days set, {total['lost']:,.1f} lost, {total['worked']:,.1f} worked")
        for row in lost.itertuples():
            failures = f"{row.failures} failure{'s' * (row.failures != 1)} of {row.deployments} deployments"
            out.print(f"  {row.camera_days:>10,.1f}  {row.reason} ({failures})", markup=False)
        if csv is not None:
            by_deployment.to_csv(csv, index=False, lineterminator="\n")
            out.print(f"By deployment: {csv}", markup=False)


@app.command(epilog=example("uncia fit survey.toml --out results.json"))
def fit(
    form: Form,
    results: Annotated[Path | None, typer.Option("--out", help="write the numbers to this JSON file")] = None,
) -> None:
    """Fit the models of the form and show them, the best last."""
    with plain_words("Nothing was written."):
        from .results import results_of, to_json

        _check_place(results)
        analysis = _analyse(form)
        last = [name for name in analysis.fits if name == analysis.reported]
        for name in [name for name in analysis.fits if name not in last] + last:
            out.print(f"\n{name}", style="bold", markup=False)
            out.print(str(analysis.study.told(analysis.fits[name])), markup=False)
        out.print()
        if isinstance(analysis.comparison, str):
            out.print(analysis.comparison, markup=False)
        else:
            by = "qaicc" if "qaicc" in analysis.comparison else "aicc"
            columns = ["model", "n_parameters", "loglik", by, "delta", "weight"]
            out.print(analysis.comparison[columns].round(3).to_string(index=False), markup=False)
        _headline(analysis)
        if results is not None:
            results.write_text(to_json(results_of(analysis)), encoding="utf-8", newline="\n")
            out.print(f"Numbers: {results}", markup=False)
        _exit_by(analysis)


@app.command(epilog=example("uncia report examples/heshun/survey.toml --out report"))
def report(
    form: Form,
    folder: Annotated[
        Path | None, typer.Option("--out", help="folder of the report; `report` beside the form by default")
    ] = None,
    public: Annotated[bool, typer.Option("--public", help="leave out what would lead somebody to the animals")] = False,
) -> None:
    """Fit the models and write the report: report.html, results.json, estimates.csv, maps and figures."""
    place = folder or (form if form.is_dir() else form.parent) / "report"
    before = f"; what was in {place} before is still there" if place.exists() else ""
    with plain_words(f"Nothing was written{before}."):
        from ..survey.errors import refuse
        from . import report as reports

        if place.exists() and not place.is_dir():  # said before the long work
            raise refuse("the folder of the report is a file", "Give another folder as --out", value=str(place))
        analysis = _analyse(form)
        analysis = reports.public(analysis) if public else analysis
        with err.status("writing the report"):
            path = reports.write_report(analysis, place)
        _headline(analysis)
        out.print(f"Report: {path}", markup=False)
        _exit_by(analysis)


@app.command(epilog=example("uncia reproduce examples/heshun/report/results.json"))
def reproduce(
    results: Annotated[Path, typer.Argument(metavar="results.json", help="of a report, or its folder")],
    data: Annotated[
        Path | None, typer.Option(help="folder in which survey.toml lay; found by itself above the results")
    ] = None,
) -> None:
    """Read the same inputs again, fit again, and say number by number whether they come out the same."""
    with plain_words("Nothing was written."):
        from ..models.summary import number
        from . import reproduce as again

        with _fitting() as progress:
            found = again.reproduce(results, data, progress)
        for sentence in (*found.inputs, *found.versions):
            out.print(f"Changed: {sentence}", markup=False)
        for n in found.numbers:
            then, now = (number(float("nan") if v is None else v, 6) for v in (n.then, n.now))
            mark = "same     " if n.same else "DIFFERENT"
            out.print(f"{mark}  {n.what}: {then}" + ("" if n.same else f", now {now}"), markup=False)
        same = len(found.numbers) - len(found.different)
        if found.same:
            out.print(f"All {same} numbers come out the same (to {again.TOLERANCE:g}).")
        else:
            out.print(f"{len(found.different)} of {len(found.numbers)} numbers do not come out the same.")
            if not found.inputs and not found.versions:
                out.print("Inputs and versions are the same: please tell us, this should not be.")
            raise typer.Exit(1)


@app.command(epilog=example("uncia compare 2024/report 2025/report"))
def compare(
    before: Annotated[Path, typer.Argument(metavar="a/results.json", help="of a report, or its folder")],
    after: Annotated[Path, typer.Argument(metavar="b/results.json", help="of another")],
) -> None:
    """Say which numbers moved between two results, by how many standard errors, and what had changed."""
    with plain_words("Nothing was written."):
        from ..models.summary import number
        from .compare import compare as compared

        found = compared(before, after)
        for kind, what in found.changes:
            out.print(f"Changed ({kind}): {what}", markup=False)
        for m in found.moved:
            then, now = (number(float("nan") if v is None else v, 6) for v in (m.then, m.now))
            by = f", {number(m.errors, 2)} standard errors" if m.se > 0 else ""
            out.print(f"{m.what}: {then} -> {now}{by} ({found.why})", markup=False)
        out.print(f"{len(found.moved)} numbers moved, {found.unmoved} did not.")


@app.command(epilog=example("uncia freeze report/results.json"))
def freeze(
    results: Annotated[Path, typer.Argument(metavar="results.json", help="of a report, its folder, or a lock")],
    check: Annotated[bool, typer.Option("--check", help="compare with the lock there instead of writing it")] = False,
) -> None:
    """Write environment.lock beside the results: every package with its version and a hash of its files."""
    with plain_words("Nothing was written."):
        from . import freeze as lock

        if not check:
            out.print(f"Environment: {lock.freeze(results)}", markup=False)
            return
        place = results.parent if results.name == "results.json" else results
        different = lock.differences(place)
        for sentence in different:
            out.print(f"Changed: {sentence}", markup=False)
        if different:
            raise typer.Exit(1)
        out.print("The environment is the same.")


@app.command(epilog=example("uncia simulate survey.toml --seed 7 --out simulated --set D=2.5"))
def simulate(
    form: Form,
    folder: Annotated[Path, typer.Option("--out", help="a new folder for the simulated survey")],
    seed: Annotated[int, typer.Option(help="the same seed gives the same survey")] = 1,
    values: Annotated[
        list[str] | None, typer.Option("--set", help="true value of a parameter, e.g. D=2.5 (animals per 100 km²)")
    ] = None,
) -> None:
    """Write a simulated survey of the same design, to see what such a survey could find.

    True values come from --set, from [simulate] in the form, or else from a fit of the reported model.
    """
    with plain_words("Nothing was written."):
        from .simulate import parse_values, write_simulated

        study = _read(form)
        given = dict(getattr(study.config, "simulate", {})) | parse_values(values or [])
        with _fitting() as progress:
            made = write_simulated(study, folder, seed, given, progress)
        out.print(f"{made.captures!r}", markup=False)
        out.print(f"Simulated survey: {folder}", markup=False)


# ---- what the commands share --------------------------------------------------------------------------------------


def _check_place(file: Path | None) -> None:
    """That a file can be written where it is asked for, before the long work."""
    from ..survey.errors import refuse

    if file is not None and (file.is_dir() or not file.absolute().parent.is_dir()):
        what = "this is a folder" if file.is_dir() else "there is no folder of the file that is to be written"
        raise refuse(what, "Give the name of a file in a folder that is there as --out", value=str(file))


def _read(form: Path):
    from .study import read_study

    with err.status("reading the survey"):
        return read_study(form)


def _analyse(form: Path):
    """Read, show errors among the findings, fit with progress."""
    from .analysis import analyse

    study = _read(form)
    for note in study.notes:
        err.print(f"Note: {note}", markup=False)
    for finding in study.findings.errors:
        err.print(f"[bold red]{finding.id}[/bold red] {escape(finding.what)}. {escape(finding.fix)}.")
    with _fitting() as progress:
        return analyse(study, progress)


@contextmanager
def _fitting():
    """A function that shows how far each fit is; silent where nobody looks on."""
    if not err.is_terminal:
        yield None
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as shown:
        task = shown.add_task("preparing the models", total=None)

        def progress(name: str, evaluations: int, loglik: float) -> None:
            text = f"fitting {escape(name)}: {evaluations} evaluations, log-likelihood {loglik:.3f}"
            shown.update(task, description=text)

        yield progress


def _headline(analysis) -> None:
    from . import words
    from .texts import texts

    out.print()
    out.print(words.headline(analysis, texts(analysis.study.config.report.language)), style="bold", markup=False)


def _exit_by(analysis) -> None:
    """Say what is serious about the reported fit; such numbers are an error of the data."""
    if not analysis.fit.verdict.good:
        err.print(f"[bold red]Do not use these numbers as they are.[/bold red] {escape(str(analysis.fit.verdict))}")
        raise typer.Exit(1)


if __name__ == "__main__":
    sys.exit(app())
