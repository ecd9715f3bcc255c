"""The catalogue of a report's texts, one file per language.

A sentence that the reports write themselves has a name, the same in every file. A text that is made in English
elsewhere (a finding, a verdict, the heading of a column, the label of an axis) is its own name: `[terms]` of a language
says what stands for it, with numbers and names in braces. Another language is one more file in `templates/`.
"""

from __future__ import annotations

import re
import string
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

import pandas as pd

ENGLISH = "en"
FILE = re.compile(r"([a-z]{2,3})\.toml")
NUMBER = r"[-−+±]?[\d.,∞–]+(?:e[-+]?\d+)?(?: ?%)?"
WORDS = re.compile(r"[A-Za-z]{2}")
TOLD = frozenset(
    {"", "what", "fix", "quantity", "unit", "verdict", "reason", "category", "definition", "kind", "severity"}
)
FROM_DATA = {"T3": frozenset({"reason"})}  # columns of these names that hold words of the survey team in some tables
SEVERAL = 4  # words of a phrase that is more than a name
SENTENCES = re.compile(r"(?<=\.) (?=\S)")


@dataclass(frozen=True)
class Texts:
    """Sentences and headings of one language, filled with what is to be told.

    `missing` gathers English texts that were met and have no translation: they are told in English.
    """

    catalogue: dict[str, dict[str, str]]
    language: str = ENGLISH
    missing: set[str] = field(default_factory=set, compare=False)

    @property
    def fonts(self) -> tuple[str, ...]:
        """Fonts with the letters of this language, the best first; none where every machine has them."""
        return tuple(self.catalogue["fonts"]["names"].split(", ")) if "fonts" in self.catalogue else ()

    # ---- what has a name ------------------------------------------------------------------------------------------

    def section(self, name: str) -> str:
        return self.catalogue["sections"][name]

    def heading(self, name: str) -> str:
        """The title of a table or figure by its id."""
        return self.catalogue["headings"][name]

    def note(self, name: str, **values) -> str:
        """The explanation below a table or figure; empty where there is none."""
        return filled(self.catalogue["notes"].get(name, ""), **values)

    def of_model(self, name: str) -> str:
        """What a model says of the world, in a sentence; empty for a model that nobody has described."""
        return self.catalogue["models"].get(name, "")

    def of_quantity(self, quantity: str, **values) -> str:
        """The sentence that tells an estimate of this quantity; a plain one where there is none of its own."""
        said = self.catalogue["quantities"]
        if quantity in said:
            return filled(said[quantity], **values)
        return filled(said["other"], quantity=self.term(quantity), **values)

    def say(self, name: str, **values) -> str:
        """One sentence."""
        return filled(self.catalogue["words"][name], **values)

    def some(self, name: str, n: int) -> str:
        """So many of something: `name`_0, `name`_1 or `name`_n of the words."""
        return self.say(f"{name}_{n if n < 2 else 'n'}", n=f"{n:,}")

    def day(self, moment: pd.Timestamp) -> str:
        """A local date as people write it, without depending on the machine's language.

        >>> texts("en").day(pd.Timestamp("2025-03-01 12:00"))
        '1 March 2025'
        """
        dates = self.catalogue["dates"]
        month = dates["months"].split()[moment.month - 1]
        return dates["day"].format(day=moment.day, month=month, year=moment.year)

    def tidy(self, text: str) -> str:
        """A paragraph as it is set: numbers stay with their units; no blanks after Chinese punctuation."""
        text = re.sub(r"(?<=[。；，：、）]) ", "", text)
        return re.sub(r"(?<=\d) (?=%|km|m\b)", "\N{NO-BREAK SPACE}", text)

    # ---- what was made in English elsewhere -----------------------------------------------------------------------

    def term(self, text: str) -> str:
        """A text that was made in English, in this language; itself, and noted as missing, where there is none."""
        found = self._found(text)
        if found is None:
            self.missing.add(text)
        return text if found is None else found

    def cell(self, text: str) -> str:
        """As `term`, for what may also be a name from the data, which stays as it is."""
        found = self._found(text)
        return text if found is None else found

    def formulas(self, text: str) -> str:
        """The formulas of a model as they are, and in this language what it says of them behind the semicolon.

        >>> texts("zh").formulas("D ~ 1, sigma ~ 1; half-normal, full likelihood")
        'D ~ 1, sigma ~ 1; 半正态、完全似然'
        """
        formulas, semicolon, settings = text.partition("; ")
        if self.language == ENGLISH or not semicolon:
            return self.cell(text)
        end = ")" if "(" in formulas and settings.count(")") > settings.count("(") else ""  # named by its class
        settings = settings.removesuffix(end)
        known = self._found(settings)
        told = known or self.say("and").join(self.cell(part) for part in settings.split(", "))
        return f"{formulas}{semicolon}{told}{end}"

    def frame(self, table: pd.DataFrame, id: str = "") -> pd.DataFrame:
        """A table of text in this language: its headings, columns of texts (TOLD), and other cells if they have one.

        A heading that means something else in the table `id` has a term of its own, "T4: visits".
        """
        if self.language == ENGLISH:
            return table
        told = table.copy()
        for at, name in enumerate(table.columns):
            known = name in TOLD - FROM_DATA.get(id, frozenset())
            say: Callable[[str], str] = self.term if known else self.formulas if name == "formulas" else self.cell
            told.isetitem(at, [say(str(v)) for v in table.iloc[:, at]])
        own = {name: self.catalogue["terms"].get(f"{id}: {name}") for name in map(str, table.columns)}
        told.columns = [own[str(name)] or self.term(str(name)) for name in table.columns]
        return told

    def figure(self, drawing) -> None:
        """Put every text of a matplotlib Figure into this language."""
        from matplotlib.text import Text
        from matplotlib.ticker import FixedLocator

        if self.language == ENGLISH:
            return
        named = set()  # such as sites: names from the data, which stay as they are
        for ax in drawing.axes:
            for axis in (ax.xaxis, ax.yaxis):
                if isinstance(axis.get_major_locator(), FixedLocator):
                    labels = [self.cell(label.get_text()) for label in axis.get_ticklabels()]
                    axis.set_ticks(axis.get_ticklocs(), labels)
                    named |= set(labels)
            for label in ax.get_legend().get_texts() if ax.get_legend() else ():  # kinds of animals, or what a line is
                label.set_text(self.cell(label.get_text()))
                named.add(label.get_text())
        for text in drawing.findobj(Text):
            if text.get_text() not in named:
                text.set_text(self.term(text.get_text()))

    def _found(self, text: str) -> str | None:
        if self.language == ENGLISH or not WORDS.search(text):
            return text
        exact, patterns = _phrases(self.language)
        plain = " ".join(text.split())
        if plain in exact:
            return exact[plain]
        for pattern, told in patterns:
            match = pattern.fullmatch(plain)
            held = {} if match is None else match.groupdict()
            inner = {name: v if name == "names" else self._inside(v) for name, v in held.items()}
            if match is not None and None not in inner.values():
                return told.format(**inner)
        return self._by_sentences(SENTENCES.split(plain))

    def _inside(self, text: str) -> str | None:
        """What a term says of a name or a short phrase; None of several words without a translation."""
        found = self._found(text)
        return text if found is None and len(text.split()) < SEVERAL else found

    def _by_sentences(self, parts: list[str]) -> str | None:
        """Several sentences, each in this language, or nothing: a paragraph is not told half in another language."""
        for n in range(len(parts) - 1, 0, -1):  # the longest beginning that is a text of its own
            first = self._found(" ".join(parts[:n]))
            rest = None if first is None else self._found(" ".join(parts[n:]))
            if first is not None and rest is not None:
                return f"{first} {rest}"
        return None


class _Filling(string.Formatter):
    def format_field(self, value, format_spec):
        one, bar, several = format_spec.partition("|")
        return (one if str(value) == "1" else several) if bar else super().format_field(value, format_spec)


def filled(text: str, **values) -> str:
    """A sentence with its gaps filled; {n:one|several} is the word that goes with the number n.

    >>> filled("{n} {n:animal was|animals were} met", n="1"), filled("{n} {n:animal was|animals were} met", n="2")
    ('1 animal was met', '2 animals were met')
    """
    return _Filling().format(text, **values)


def texts(language: str = ENGLISH) -> Texts:
    """The catalogue of a language, with nothing missing as yet."""
    return Texts(catalogue(language), language)


@cache
def catalogue(language: str) -> dict[str, dict[str, str]]:
    """The file of a language."""
    return tomllib.loads(files(f"{__package__}.templates").joinpath(f"{language}.toml").read_text("utf-8"))


@cache
def languages() -> tuple[str, ...]:
    """The languages that there are, English first."""
    found = [FILE.fullmatch(entry.name) for entry in files(f"{__package__}.templates").iterdir()]
    return (ENGLISH, *sorted(match[1] for match in found if match and match[1] != ENGLISH))


@cache
def _phrases(language: str) -> tuple[dict[str, str], tuple[tuple[re.Pattern[str], str], ...]]:
    """The terms of a language: those without braces, and those with them as patterns, the most particular first."""
    terms = catalogue(language).get("terms", {})
    exact = {name: told for name, told in terms.items() if "{" not in name and "(s)" not in name}
    others = sorted((name for name in terms if name not in exact), key=lambda name: (-_letters(name), name))
    return exact, tuple((pattern_of(name), terms[name]) for name in others)


def _letters(name: str) -> int:
    return len(re.sub(r"{\w+}", "", name))


def pattern_of(name: str) -> re.Pattern[str]:
    """What a term with braces matches: {n}, {n1}, … a number, {w}, {w1}, … one word, any other name anything.

    What {names} matches stays as it is; every other match is told in the language itself.

    (s) is an s or nothing.

    >>> bool(pattern_of("{n} animal(s) of {kind}").fullmatch("1 animal of sex 'f'"))
    True
    """
    told = re.escape(name).replace(r"\(s\)", "s?")
    return re.compile(re.sub(r"\\{(\w+)\\}", lambda m: f"(?P<{m[1]}>{_value(m[1])})", told))


def _value(field_name: str) -> str:
    return {"n": NUMBER, "w": r"\S+"}.get(field_name.rstrip("0123456789"), ".+?")
