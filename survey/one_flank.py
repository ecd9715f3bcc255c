"""Tables of a survey with the identities of one flank alone, or of each by itself; the ledger tells of the others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .assemble import assemble
from .captures import CaptureHistory
from .errors import refuse
from .flanks import LEFT, RIGHT, flanks
from .tables import SurveyTables

ONE_OF = (LEFT, RIGHT, "more animals")
BOTH = "both, each a session of one model"


def assemble_flank(tables: SurveyTables, choose: str, **how) -> CaptureHistory:
    """Capture histories by the photographs of one flank, from identities with a column `flank`.

    Parameters
    ----------
    tables : identities whose `flank` is "left", "right", "both" (seen in one record) or empty (not known)
    choose : "left" or "right"; or "more animals", the flank by which more animals of the survey are known (the left if
        equal), for teams that decide by a rule
    how : arguments of `assemble`

    Returns
    -------
    CaptureHistory. Its ledger says which records were left out for showing the other flank, or one that is not known;
    `tables.provenance["flank"]` has the choice in words.

    Raises
    ------
    SurveyError : another choice, no flank in the identities, no animal by the flank chosen, and what `assemble` refuses
    """
    if choose not in ONE_OF:
        fix = f"Use one of {', '.join(map(repr, ONE_OF))}; two sessions are made by survey.flanks(…, choose='both')"
        raise refuse("this choice of a flank is not known", fix, value=choose)
    _check_flanks(tables)
    if choose != "more animals":
        return assemble(_of_flank(tables, choose, choose), **how)
    shown = [side for side in (LEFT, RIGHT) if tables.identities["flank"].isin((side, "both")).any()]
    sides = {side: _of_flank(tables, side, side) for side in shown}
    known = {LEFT: 0, RIGHT: 0} | {side: assemble(t, **how).n_animals for side, t in sides.items()}
    side = LEFT if known[LEFT] >= known[RIGHT] else RIGHT
    why = f"by which more animals are known ({known[LEFT]} by the left, {known[RIGHT]} by the right)"
    return assemble(_of_flank(tables, side, f"{side}, {why}", f", {why}"), **how)


def assemble_flanks(tables: SurveyTables, **how) -> list[CaptureHistory]:
    """Capture histories by the photographs of left and of right flanks, two sessions for `models.SCR`.

    Parameters as of `assemble_flank`. They are of the same animals: see `survey.flanks` for what that means.

    Raises
    ------
    SurveyError : no flank in the identities, no animal by one of them, and what `assemble` refuses
    """
    _check_flanks(tables)
    left, right = (assemble(_of_flank(tables, side, BOTH), **how) for side in (LEFT, RIGHT))
    found = flanks(left, right, "both")
    assert isinstance(found, list)
    return found


def _check_flanks(tables: SurveyTables) -> None:
    if not (tables.identities["flank"] != "").any():
        fix = "Give identities a column 'flank' with left, right or both, or leave flank out"
        raise refuse("the identities do not say which flank a photograph shows", fix)


def _of_flank(tables: SurveyTables, side: str, choice: str, because: str = "") -> SurveyTables:
    """The tables with the identities that show a flank; records that show the other alone have a reason why not."""
    away, flank = RIGHT if side == LEFT else LEFT, tables.identities["flank"]
    kept = flank.isin((side, "both"))
    if not kept.any():
        raise refuse(f"no animal was identified by its {side} flank", "Choose the other flank", value=side)
    r = tables.records
    reason = r["left_out"].to_numpy(object).copy() if "left_out" in r else np.full(len(r), "", object)
    seen = set(tables.identities.loc[kept, "record"])
    for name, words in ((away, f"a {away} flank"), ("", "the flank is not known")):
        shows = r["record"].isin(set(tables.identities.loc[flank == name, "record"]) - seen).to_numpy()
        reason[shows & (reason == "")] = f"{words}: the {side} flanks were chosen{because}"
    return replace(
        tables,
        records=r.assign(left_out=reason),
        identities=tables.identities[kept].reset_index(drop=True),
        provenance=tables.provenance | {"flank": choice},
    )
