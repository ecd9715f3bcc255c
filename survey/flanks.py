"""Animals known by one flank only: left and right photographs, and the choice of what to do with both.

A coat pattern differs between the flanks. Where a camera shows one side of an animal, its left and its right are two
identities until one photograph, or a pair of cameras, has shown both. Adding up the identities of both flanks counts
such animals twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .captures import CaptureHistory
from .errors import refuse
from .ledger import Ledger

LEFT, RIGHT = "left", "right"
CHOICES = (LEFT, RIGHT, "more animals", "both")


def flanks(left: CaptureHistory, right: CaptureHistory, choose: str) -> CaptureHistory | list[CaptureHistory]:
    """The captures to analyse where animals were identified by their left and by their right flanks.

    Parameters
    ----------
    left, right : capture histories by photographs of left and of right flanks, at the same detectors and on the same
        occasions. An animal of which both flanks are known has one name in both.
    choose : "left" or "right", the photographs of one flank; "more animals", those of the flank by which more animals
        are known (the left if equal), for teams that decide by a rule; or "both", as two sessions for `models.SCR`
        with shared parameters, named "…, left flank" and "…, right flank"

    Returns
    -------
    CaptureHistory, or for "both" a list of two. The ledger says what was chosen and what became of every record.

    Notes
    -----
    One flank is the safe choice: every animal has one history. It must be chosen before results are looked at; "more
    animals" is such a rule. Both flanks as two sessions use all photographs, and their estimates have no bias, but
    the sessions are of the same animals, and a model takes them for independent: its standard errors are too small, by
    up to a factor of √2, which `fit.inflated(2.0)` makes good on the safe side, in `ghosts()` too. Without
    coordinates, `models.BilateralCapture` adds over all ways of matching left with right.

    Raises
    ------
    SurveyError : another choice, different detectors or occasions, no animal by the flank chosen
    """
    if choose not in CHOICES:
        raise refuse("say what to do with two flanks", f"Use one of {', '.join(map(repr, CHOICES))}", value=choose)
    if not left.detectors.equals(right.detectors):
        raise refuse(
            "photographs of left and right flanks are from different detectors or efforts",
            "Give both the same detectors; a camera that shows one side only has no effort for the other",
        )
    if choose == "both":
        return [_alone(c, side) for side, c in ((LEFT, left), (RIGHT, right))]
    rule = choose
    if choose == "more animals":
        choose = LEFT if left.n_animals >= right.n_animals else RIGHT
    chosen, other = (left, right) if choose == LEFT else (right, left)
    if not chosen.n_animals:
        raise refuse(f"no animal was identified by its {choose} flank", "Choose the other flank", value=rule)
    away = RIGHT if choose == LEFT else LEFT
    reason = f"a {away} flank: the {choose} flanks were chosen"
    if rule == "more animals":
        reason += f", by which more animals are known ({left.n_animals} by the left, {right.n_animals} by the right)"
    return replace(chosen, ledger=_joined(_with_records(chosen, choose), _with_records(other, away), reason))


def seen_before(captures: CaptureHistory, known: Sequence[str] | CaptureHistory) -> dict[str, list[str]]:
    """Animals known from earlier surveys, and what this survey says of them.

    Animals that were known before and not detected now are not data of this survey: capture-recapture counts them, as
    all others, among the animals that were not detected. This tells them apart, for a report and for the question
    where they are.

    Parameters
    ----------
    captures : this survey
    known : names of the animals known before, or the captures of an earlier survey

    Returns
    -------
    {"again": detected now and known before, "new": detected for the first time, "not detected": known before only}
    """
    names = known.animals.index if isinstance(known, CaptureHistory) else known
    before, now = dict.fromkeys(map(str, names)), list(captures.animals.index)
    return {
        "again": [a for a in now if a in before],
        "new": [a for a in now if a not in before],
        "not detected": [a for a in before if a not in set(now)],
    }


def _alone(captures: CaptureHistory, side: str) -> CaptureHistory:
    """One flank as a session of its own."""
    ledger, words = _with_records(captures, side), f"used: {side} flank, a session of its own"
    entries = [(file, rows, words if why == Ledger.USED else why) for file, rows, why in ledger.entries]
    return replace(captures, session=f"{captures.session}, {side} flank", ledger=Ledger(dict(ledger.read), entries))


def _with_records(captures: CaptureHistory, side: str) -> Ledger:
    """The ledger of captures; for captures that were not read from files, one with a record per detection."""
    if captures.ledger.read:
        return captures.ledger
    n = len(captures.detections)
    return Ledger.of([f"{side} flanks"] * n, np.arange(1, n + 1), [Ledger.USED] * n)


def _joined(chosen: Ledger, other: Ledger, reason: str) -> Ledger:
    """The records of both flanks. A record of a file that both were read from ends where the chosen flank ended it."""
    ended = {(f, int(r)): why for f, rows, why in chosen.entries for r in rows}
    left_out = {(f, int(r)): reason for f, rows, why in other.entries for r in rows if why == Ledger.USED}
    last = {(f, int(r)): why for f, rows, why in other.entries for r in rows}
    whole = last | ended
    for key in left_out:
        if whole[key] != Ledger.USED or key not in ended:
            whole[key] = reason
    if not whole:
        return chosen
    files, rows = zip(*whole, strict=True)
    return Ledger.of(files, rows, list(whole.values()))
