"""The languages of reports: every text of every template exists in all of them, with the same gaps to fill."""

import re

import pandas as pd
import pytest

from uncia.reports.texts import ENGLISH, catalogue, languages, pattern_of, texts

OTHERS = [language for language in languages() if language != ENGLISH]
PARTS = ("sections", "headings", "notes", "words", "models", "quantities", "dates")
GAP = re.compile(r"{(\w+)}")
MAY_VANISH = {"animals", "per", "unit", "number", "fix", "month"}  # what a language may have no place for


def test_there_is_chinese():
    assert "zh" in languages()


@pytest.mark.parametrize("language", OTHERS)
@pytest.mark.parametrize("part", PARTS)
def test_every_text_is_in_every_language(language, part):
    english, other = catalogue(ENGLISH)[part], catalogue(language)[part]
    assert sorted(set(english) - set(other)) == []
    assert sorted(set(other) - set(english)) == []


@pytest.mark.parametrize("language", OTHERS)
def test_texts_have_the_same_gaps(language):
    for part in PARTS:
        for name, said in catalogue(ENGLISH)[part].items():
            here, there = set(GAP.findall(said)), set(GAP.findall(catalogue(language)[part][name]))
            assert there - here <= {"animals"}, (part, name)
            assert here - there <= MAY_VANISH, (part, name)


@pytest.mark.parametrize("language", OTHERS)
def test_terms_fill_only_gaps_that_they_have(language):
    for name, told in catalogue(language)["terms"].items():
        gaps = GAP.findall(name)
        assert len(gaps) == len(set(gaps)), name
        assert set(GAP.findall(told)) <= set(gaps), name
        assert pattern_of(name).fullmatch(
            GAP.sub(lambda m: "7" if m[1].startswith("n") else "x", name.replace("(s)", "s"))
        )


@pytest.mark.parametrize("language", OTHERS)
def test_a_language_is_not_english_by_another_name(language):
    """No sentence was left in English: those with letters of its own script are told from those without."""
    for part in ("sections", "headings", "notes", "words", "models", "quantities"):
        for name, said in catalogue(language)[part].items():
            assert not said.isascii() or not re.search("[a-z]{3}", GAP.sub("", said)), (part, name)


def test_a_text_without_translation_is_whole_and_noted():
    told = texts("zh")
    assert told.term("A sentence that nobody has translated.") == "A sentence that nobody has translated."
    assert told.missing == {"A sentence that nobody has translated."}
    assert told.cell("Camera 7 north") == "Camera 7 north" and len(told.missing) == 1
    assert told.term("12.5 – 14.1") == "12.5 – 14.1" and len(told.missing) == 1


def test_a_paragraph_is_translated_whole_or_not_at_all():
    told = texts("zh")
    said = "The fit converged. Nobody has translated this."
    assert told.term(said) == said


def test_days_are_written_as_people_do():
    assert texts("en").day(pd.Timestamp("2025-03-01")) == "1 March 2025"
    assert texts("zh").day(pd.Timestamp("2025-03-01")) == "2025年3月1日"


def test_numbers_stay_with_their_units():
    assert (
        texts("zh").tidy("第一句。 第二句：12 % 与 5 km")
        == "第一句。第二句：12\N{NO-BREAK SPACE}% 与 5\N{NO-BREAK SPACE}km"
    )
