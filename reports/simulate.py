"""A simulated survey of the same design: animals that never lived, photographed by cameras that did stand there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .. import survey
from ..models import SCR, LeastCost, simulate_population
from ..survey.captures import CaptureHistory
from ..survey.errors import SurveyError, refuse
from ..survey.habitat import HabitatMask
from ..survey.tables import SurveyTables
from .analysis import analyse
from .captures.form import CaptureForm
from .captures.study import CaptureStudy
from .files import whole_folder
from .study import Study, files_at


@dataclass(frozen=True)
class SimulatedSurvey:
    """What was simulated: the histories, the tables that the field would have written, and the truth."""

    captures: CaptureHistory
    tables: SurveyTables
    truth: dict


def simulate_survey(
    captures: CaptureHistory,
    mask: HabitatMask,
    model: Mapping[str, object],
    values: Mapping[str, object],
    seed: int,
    *,
    species: str,
    regions: Mapping[str, HabitatMask] | None = None,
    distribution: str = "poisson",
    others: Mapping[str, float] | None = None,
) -> SimulatedSurvey:
    """Simulate animals and their detections with the detectors, effort and mask of a survey.

    Parameters
    ----------
    captures : the survey; its animals are ignored, its deployments and failures are kept
    model : the arguments of models.SCR (formulas, detection)
    values : true values by parameter, as for `Model.at`
    seed : of everything random
    species : what the records call the animals
    regions : areas in which the truth counts them
    distribution : "poisson" number of animals, or "binomial": exactly the expected number, rounded
    others : events per 100 camera days of other species, blanks and people, as for `survey.fieldwork`
    """
    built = SCR(captures, mask, **model)
    D = built.parameters.values(built.parameters.vector_from(values))["D"]
    population, detections, fieldwork = (int(s) for s in np.random.SeedSequence(seed).generate_state(3))
    centres = simulate_population(mask, D, population, distribution=distribution)
    simulated = built.simulate(values, detections, centres)
    assert not isinstance(simulated, list)  # one session
    sexes = np.random.default_rng(fieldwork).choice(["female", "male"], simulated.n_animals)
    animals = pd.DataFrame({"sex": sexes}, index=simulated.animals.index)
    simulated = replace(simulated, occasions=captures.occasions, animals=animals)
    tables = survey.fieldwork(simulated, species=species, seed=fieldwork, tables=captures.tables, others=others)
    words = {name: repr(v) if isinstance(v, LeastCost) else v for name, v in model.items()}
    settings = {"seed": seed, "model": words, "values": dict(values), "animals detected": simulated.n_animals}
    return SimulatedSurvey(simulated, tables, settings | _truth(centres, mask, D, regions or {}))


def _truth(centres: pd.DataFrame, mask: HabitatMask, D: np.ndarray, regions: Mapping[str, HabitatMask]) -> dict:
    """Expected and realised numbers in the mask and in each region, and where every animal lives."""
    x, y = centres["x"].to_numpy(), centres["y"].to_numpy()
    per_cell = np.broadcast_to(D, (mask.size,)) * mask.cell_area / 100.0
    cells = mask.centres()

    def counted(area: HabitatMask) -> dict:
        expected = float(per_cell[area.cell_of(*cells) >= 0].sum())
        return {
            "area (km²)": area.area,
            "density (animals per 100 km²)": 100.0 * expected / area.area,
            "expected abundance": expected,
            "realised abundance": int(np.sum(area.cell_of(x, y) >= 0)),
        }

    return {
        "scopes": {name: counted(area) for name, area in {"habitat mask": mask, **regions}.items()},
        "activity centres (x, y in m)": np.column_stack([x, y]).round().astype(int).tolist(),
    }


# ---- from a form to a folder --------------------------------------------------------------------------------------


def parse_values(given: list[str]) -> dict[str, float | dict[str, float]]:
    """True values from texts such as "D=2.5", or "D.ruggedness=1.0" for a coefficient on the link scale.

    >>> parse_values(["sigma=3000", "D.Intercept=0.2", "D.ruggedness=1"])
    {'sigma': 3000.0, 'D': {'Intercept': 0.2, 'ruggedness': 1.0}}
    """
    values: dict = {}
    for text in given:
        name, _, value = text.partition("=")
        parameter, _, term = name.strip().partition(".")
        try:
            number = float(value)
        except ValueError:
            raise refuse("this is not a value for a parameter", "Write it as D=2.5", value=text) from None
        if term:
            terms = values.setdefault(parameter, {})
            values[parameter] = (terms if isinstance(terms, dict) else {}) | {term: number}
        else:
            values[parameter] = number
    return values


def write_simulated(
    study: Study, folder: Path, seed: int, values: Mapping[str, object], progress: Callable | None = None
) -> SimulatedSurvey:
    """A simulated survey of the design of `study` in a folder of its own, with a form that reads it.

    Parameters
    ----------
    values : true values; those of a fit of the reported model when there are none
    progress : of that fit, as for `analyse`

    Raises
    ------
    SurveyError : the folder holds something, no model of the form takes these values
    """
    if not isinstance(study, CaptureStudy):
        raise refuse(
            "only surveys of spatial capture-recapture are simulated from a form",
            "Use the model's simulate() in Python",
        )
    if study.resight is not None:
        what = "surveys of marking and sighting are not simulated from a form"
        raise refuse(what, "Use MarkResight's simulate() in Python")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise refuse("the folder is not empty", "Give a new folder", value=str(folder))
    model, values = _model_for(study, values, progress)
    config = study.config
    regions = {name: study.mask.clip(file) for name, file in study.regions.items()}
    made = simulate_survey(study.captures, study.mask, model, values, seed, species=study.species, regions=regions)
    with whole_folder(folder, ()) as place:
        survey.write_camtrap_dp(place / "camtrap-dp", made.tables, title=f"{config.survey.name} (simulated)")
        copied = _copy_maps(study, place)
        form = _form(config, copied, values, seed)
        collars = made.captures.telemetry
        if collars is not None:
            collars.fixes[["animal", "x", "y"]].round(1).to_csv(place / "collars.csv", index=False)
            form["telemetry"] = {"files": ["collars.csv"]}
        (place / "survey.toml").write_text(to_toml(form), encoding="utf-8", newline="\n")
        truth = json.dumps(made.truth, indent=1, ensure_ascii=False)
        (place / "truth.json").write_text(truth + "\n", encoding="utf-8", newline="\n")
    return made


def _model_for(study: CaptureStudy, values: Mapping[str, object], progress) -> tuple[dict, dict]:
    """The model to simulate from, as arguments of SCR, and its true values."""
    if not values:
        fitted = analyse(study, progress)
        frame = fitted.fit.as_full().coefficients
        values = {
            str(name): dict(zip(rows["term"], rows["estimate"], strict=True))
            for name, rows in frame.groupby("parameter")
        }
        candidates = [model for model in study.config.models if model.name == fitted.reported]
    else:
        candidates = study.config.models
    refusals = []
    for candidate in candidates:
        said = candidate.options(study.barriers)
        model = {name: v for name, v in said.items() if name not in ("likelihood", "distribution", "links")}
        try:
            SCR(study.captures, study.mask, **model).parameters.vector_from(values)
        except SurveyError as error:
            refusals.append(f"{candidate.name}: {error}")
        else:
            return model, dict(values)
    raise refuse("no model of the form takes these values", "\n".join(refusals), value=dict(values))


def _copy_maps(study: CaptureStudy, folder: Path) -> dict[str, str]:
    """Copy the rasters and polygons of the form beside the simulated survey; path in the form -> name of the copy."""
    mask = study.config.mask
    named = [mask.table, mask.polygon, mask.barriers, *mask.holes, *mask.covariates.values()]
    named += [region.file for region in study.config.regions]
    copied = {}
    for name in dict.fromkeys(filter(None, named)):
        for part in files_at(study.folder / name):
            shutil.copyfile(part, folder / part.name)
        copied[name] = Path(name).name
    return copied


def _form(config: CaptureForm, copied: Mapping[str, str], values: Mapping[str, object], seed: int) -> dict:
    """The form of the simulated survey: the same questions to other data."""
    form = config.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    form["survey"]["name"] += f" (simulated, seed {seed})"
    form["data"] = {"format": "camtrap-dp", "path": "camtrap-dp"}  # its animals are known by both flanks
    form["simulate"] = dict(values)
    mask = form.get("mask", {})
    mask |= {name: copied[mask[name]] for name in ("table", "polygon", "barriers") if mask.get(name)}
    mask["holes"] = [copied[hole] for hole in mask.get("holes", [])]
    mask["covariates"] = {name: copied[raster] for name, raster in mask.get("covariates", {}).items()}
    for region in form.get("regions", []):
        region["file"] = copied[region["file"]]
    return form | {"mask": mask}


def to_toml(form: Mapping[str, Any]) -> str:
    """A form as TOML: plain values first, then a section for each part.

    >>> print(to_toml({"seed": 1, "models": [{"name": "a"}]}))
    seed = 1
    <BLANKLINE>
    [[models]]
    name = "a"
    <BLANKLINE>
    """
    lines = [f"{name} = {_value(v)}" for name, v in form.items() if not _is_section(v)]
    for name, part in form.items():
        if _is_section(part):
            heading = f"[[{name}]]" if isinstance(part, list) else f"[{name}]"
            for entry in part if isinstance(part, list) else [part]:
                lines += ["", heading, *(f"{key} = {_value(value)}" for key, value in entry.items())]
    return "\n".join(lines) + "\n"


def _is_section(value: object) -> bool:
    return isinstance(value, Mapping) or (isinstance(value, list) and bool(value) and isinstance(value[0], Mapping))


def _value(value: object) -> str:
    """A value as TOML; strings, numbers and truth values are written as in JSON."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{json.dumps(k)} = {_value(v)}" for k, v in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
