"""Animals known by one flank: the choice, what became of every record, two sessions with shared parameters."""

from __future__ import annotations

import pandas as pd
import pytest
from scr_problems import small

from uncia import models, survey
from uncia.survey.ledger import Ledger


def sides():
    """Captures by left and by right flanks; two animals are known by both."""
    captures, mask = small("proximity")
    left = captures.detections[captures.detections["animal"] != "A001"]
    right = captures.detections.iloc[::4]
    renamed = right["animal"].where(right["animal"].isin(["A001", "A002", "A003"]), "R " + right["animal"])
    d = captures.detectors
    return survey.CaptureHistory(left, d), survey.CaptureHistory(right.assign(animal=renamed), d), mask


def test_one_flank_is_taken_as_it_is_and_the_other_is_in_the_ledger():
    left, right, _ = sides()
    chosen = survey.flanks(left, right, choose="left")
    assert chosen.equals(left)
    chosen.ledger.check()
    assert chosen.ledger.count("used") == len(left.detections)
    assert chosen.ledger.count("a right flank: the left flanks were chosen") == len(right.detections)


def test_the_flank_of_more_animals_is_a_rule_and_is_told():
    left, right, _ = sides()
    assert left.n_animals > right.n_animals
    chosen = survey.flanks(right, left, choose="more animals")  # the sides exchanged
    assert chosen.equals(left)
    words = f"by which more animals are known ({right.n_animals} by the left, {left.n_animals} by the right)"
    assert words in str(chosen.ledger)
    assert survey.flanks(left, left, choose="more animals").ledger.count("used") == len(left.detections)


def test_records_of_one_file_end_once():
    left, right, _ = sides()
    # photographs 1..3: both flanks, left only, right only; 4 shows nobody
    of_left = Ledger.of(["photos.csv"] * 4, [1, 2, 3, 4], ["used", "used", "no identity", "no identity"])
    of_right = Ledger.of(["photos.csv"] * 4, [1, 2, 3, 4], ["used", "no identity", "used", "no identity"])
    left = survey.CaptureHistory(left.detections, left.detectors, ledger=of_left)
    right = survey.CaptureHistory(right.detections, right.detectors, ledger=of_right)
    ends = survey.flanks(left, right, choose="right").ledger
    ends.check()
    assert ends.ends().set_index("row")["reason"].to_dict() == {
        1: "used",
        2: "a left flank: the right flanks were chosen",
        3: "used",
        4: "no identity",
    }


def test_both_flanks_are_two_sessions_with_shared_parameters():
    left, right, mask = sides()
    both = survey.flanks(left, right, choose="both")
    assert [c.session for c in both] == ["1, left flank", "1, right flank"]
    assert all("a session of its own" in str(c.ledger) for c in both)
    fit = models.SCR(both, mask, lambda0="~ session", detection="hazard half-normal").fit()
    alone = models.SCR(left, mask, detection="hazard half-normal").fit()
    wide = fit.inflated(2.0)
    assert fit.se[0] < wide.se[0] < 1.5 * alone.se[0]


def test_what_cannot_be_chosen_is_refused():
    left, right, _ = sides()
    with pytest.raises(survey.SurveyError, match="say what to do with two flanks"):
        survey.flanks(left, right, choose="best")
    other = survey.CaptureHistory(small("count")[0].detections, small("count")[0].detectors)
    with pytest.raises(survey.SurveyError, match="are from different detectors or efforts"):
        survey.flanks(left, other, choose="left")
    nobody = survey.CaptureHistory(pd.DataFrame({"animal": [], "occasion": [], "detector": []}), left.detectors)
    with pytest.raises(survey.SurveyError, match="no animal was identified by its right flank"):
        survey.flanks(left, nobody, choose="right")


def test_animals_known_before_and_not_detected_are_told_and_are_no_data():
    left, right, _ = sides()
    told = survey.seen_before(left, right)
    assert told["again"] == ["A002", "A003"]
    assert "A001" in told["not detected"] and not set(told["not detected"]) & set(left.animals.index)
    assert len(told["again"]) + len(told["new"]) == left.n_animals
    assert survey.seen_before(left, ["A002", "A002", "Z"])["not detected"] == ["Z"]
