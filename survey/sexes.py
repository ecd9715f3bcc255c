"""The sex of animals: the words for it, and that all rows of an animal agree."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from .errors import Problems

SEX = {
    "female": "female",
    "f": "female",
    "male": "male",
    "m": "male",
    "♀": "female",
    "♂": "male",
    "雌": "female",
    "雄": "male",
}
SEX |= {"fem": "female", "母": "female", "雌性": "female", "公": "male", "雄性": "male"}
SEX |= dict.fromkeys(
    ("females", "w", "h", "hembra", "fêmea", "femea", "femelle", "weiblich", "самка", "betina"), "female"
)
SEX |= dict.fromkeys(("males", "macho", "mâle", "männlich", "самец", "jantan"), "male")
SEX |= dict.fromkeys(
    ("unknown", "u", "unk", "unk.", "undetermined", "undet", "undet.", "indet", "indet.", "unsexed"), ""
)
SEX |= dict.fromkeys(("not known", "n.a.", "?", "-", "–", "不明", "未知", "不详"), "")
NO_SEX = "Correct the value, or leave it empty where the sex is not known; other kinds need a column of another name"


def no_sexes(words: Iterable[str]) -> set[str]:
    """Words of a column of sexes that are none, beside words that are; none where no word is one (another language).

    >>> no_sexes(["F", "M", "femal"]), no_sexes(["naine", "koiras"])
    ({'femal'}, set())
    """
    meant = {word: SEX.get(word.casefold()) for word in words}
    return {word for word, sex in meant.items() if sex is None} if any(meant.values()) else set()


def is_sex(heading: object) -> bool:
    """Whether a column of covariates is one of sexes, whose words must be known.

    >>> is_sex("Sex"), is_sex("sex ratio")
    (True, False)
    """
    return str(heading).strip().casefold() == "sex"


def sexes_of(found: pd.DataFrame, *, of_files: bool = False) -> pd.DataFrame:
    """The column `sex` by animal from rows `animal`, `sex`, `file`, `row`; without any known sex, no column.

    of_files : whether the rows can be of several files, so that a contradiction says in which the first row is

    Raises
    ------
    SurveyError : an animal is of both sexes, all such rows at once
    """
    bad, known = Problems(), found[found["sex"] != ""]
    for animal, rows in known.groupby("animal"):
        first = rows.iloc[0]
        where = f"row {first['row']} of {first['file']}" if of_files else f"row {first['row']}"
        for other in rows[rows["sex"] != first["sex"]].drop_duplicates("sex").itertuples():
            bad.add(
                f"animal {animal!r} is {first['sex']} in {where} and {other.sex} here",
                "Correct the sex, or the identity",
                file=other.file,
                row=int(other.row),
            )
    bad.raise_any()
    return pd.DataFrame() if known.empty else known.drop_duplicates("animal").set_index("animal")[["sex"]]
