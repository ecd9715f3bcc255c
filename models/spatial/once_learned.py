"""Ways to be detected exactly once where animals learn: naive until the one detection, and wiser after it.

For every detector and occasion with effort a *pseudo-animal* that was detected there and then and never else is put
beside the animals of the data and arranged like them (`arrange`), so that its exposure is that of the naive rows up to
and with its detection, and of the learned rows after it. See `detected_twice` for what they are for. What detectors
have become by the detections of all animals (`k`, `K`) is not known where some animals are left out.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from ...survey.captures import CaptureHistory
from ...survey.errors import refuse
from ...survey.habitat import HabitatMask
from ...survey.together import Together, methods_of, together
from .arrange import Arranged, subset
from .engine.problem import OneDetection
from .methods import arrange_methods

FIRST = "\U0010ffff"  # of the names of pseudo-animals: they come last
ALONE = {"single": "multi", "capped": "proximity"}  # kinds that hold one animal, as the likelihood has them
MANY = 50_000  # pseudo-animals


def with_pseudo_animals(
    captures: CaptureHistory, mask: HabitatMask, detection: str, variables: set[str], counts: str
) -> tuple[Arranged, OneDetection]:
    """The arrays of the animals of the data, and the ways to be detected once; arguments as of `arrange_methods`.

    Raises
    ------
    SurveyError : learned responses of detectors (k, K), searches, very many detectors × occasions
    """
    _check(captures, variables)
    parts = list(methods_of(captures).values())
    found = {name: _extended(c, j) for j, (name, c) in enumerate(methods_of(captures).items())}
    whole = together(found, captures.session) if isinstance(captures, Together) else found[""]
    arranged, _ = arrange_methods(whole, mask, detection, variables, counts)
    n = captures.n_animals
    pseudo = subset(arranged.problem, np.arange(n, whole.n_animals))
    trials = counts == "binomial"  # any one of them may be the detection
    times = [_efforts(c) if trials and c.detectors.kind == "count" else 0.0 * _efforts(c) + 1.0 for c in parts]
    times = np.concatenate(times)
    once = OneDetection(
        passes=pseudo.event_pass,
        kind=pseudo.event_kind,
        exposure=pseudo.event_exposure,
        field=pseudo.event_field,
        times=times,
        weight=pseudo.weight,
        personal=pseudo.personal,
    )
    own = replace(arranged, problem=subset(arranged.problem, np.arange(n)))
    return replace(own, constant=arranged.constant - float(np.log(times).sum())), once


def _check(captures: CaptureHistory, variables: set[str]) -> None:
    fix = "Leave it out of the formulas, or use at_least=1"
    for name in sorted({"k", "K"} & variables):
        what = "what a detector has become by all animals' detections is not known where some of them are left out"
        raise refuse(what, fix, value=name)
    if any(c.detectors.located for c in methods_of(captures).values()):
        what = "a model given two detections has no learned responses where lines or areas were searched"
        raise refuse(what, "Leave them out of the formulas, or use at_least=1")
    ways = sum(int(np.count_nonzero(c.detectors.used)) for c in methods_of(captures).values())
    if ways > MANY:
        what = f"given two detections with learned responses every detector and occasion counts, and there are {ways:,}"
        raise refuse(what, "Use longer occasions, or leave the learned responses out", value=ways)


def _efforts(captures: CaptureHistory) -> np.ndarray:
    """Effort of every detector and occasion that was used, in the order of the pseudo-animals."""
    d = captures.detectors
    return np.where(d.used, d.effort, 0.0)[np.nonzero(d.used)]


def _extended(captures: CaptureHistory, method: int) -> CaptureHistory:
    """The captures with a pseudo-animal for every detector and occasion with effort."""
    d = captures.detectors
    s, k = np.nonzero(d.used)
    more = pd.DataFrame(
        {
            "animal": [f"{FIRST}{method}_{j}" for j in range(len(s))],
            "occasion": s + 1,
            "detector": np.asarray(d.id, object)[k],
            "count": 1,
            "removed": False,
        }
    )
    frame = pd.concat([captures.detections, more], ignore_index=True)
    detectors = replace(d, kind=ALONE.get(d.kind, d.kind))
    return replace(captures, detections=frame, detectors=detectors, telemetry=None)
