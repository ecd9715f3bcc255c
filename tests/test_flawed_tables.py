"""Readers of tables and text files on files with many slips: all are told at once, and what is right is read."""

import pytest

from uncia import survey
from uncia.survey.errors import SurveyError


@pytest.mark.parametrize(
    "words, kept", [("hembra macho ?", True), ("雌性 雄性 不详", True), ("m w x", False), ("naine koiras naine", True)]
)
def test_words_for_the_sexes_in_other_languages_are_read(tmp_path, words, kept):
    """A column of sexes of which no word is known is in another language; one slip beside known words is a slip."""
    rows = "".join(f"{i},1,{word}\n" for i, word in enumerate(words.split()))
    (tmp_path / "h.csv").write_text(f"animal,2021,sex\n{rows}", encoding="utf-8")
    lines = "".join(f"1 {i} 1 1 {word}\n" for i, word in enumerate(words.split()))
    (tmp_path / "captures.txt").write_text(f"# Session ID Occasion Detector sex\n{lines}", encoding="utf-8")
    (tmp_path / "traps.txt").write_text("1 0 0\n2 100 0\n")
    secr = {"captures": tmp_path / "captures.txt", "traps": tmp_path / "traps.txt", "detector": "proximity"}
    if kept:
        assert survey.read_histories(tmp_path / "h.csv").animals["sex"].tolist() == words.split()
        assert survey.read_secr(**secr).animals["sex"].dropna().tolist() == words.split()
        return
    for read in (lambda: survey.read_histories(tmp_path / "h.csv"), lambda: survey.read_secr(**secr)):
        with pytest.raises(
            SurveyError, match=r"row 4: sex must be .* 'x'.*or leave it empty where the sex is not known"
        ):
            read()
