"""How a kind of survey is told: its sentences, tables, figures and files, by ids that never change."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pandas as pd

if TYPE_CHECKING:
    from .analysis import Analysis
    from .texts import Texts

# A section: its name in the texts, its paragraphs, and what stands in it: tables by id, and rows of figures, whose ids
# have a blank between them.
Outline = list[tuple[str, list[str], tuple[str, ...]]]


class Story(ABC):
    """The report of one analysis. A kind of survey is a subclass; what it has no data for is left out of the report."""

    folded: ClassVar[frozenset[str]] = frozenset()  # long tables, which open when they are asked for
    on_maps: ClassVar[frozenset[str]] = frozenset()  # figures that show places: not for the public

    def __init__(self, analysis: Analysis):
        self.analysis = analysis
        self.study: Any = analysis.study

    @abstractmethod
    def headline(self, texts: Texts) -> str:
        """What was found, in one or two sentences."""

    @abstractmethod
    def in_short(self, texts: Texts) -> list[str]:
        """What was done and how sure the numbers are, in paragraphs."""

    @abstractmethod
    def outline(self, texts: Texts) -> Outline:
        """The sections between "in short" and the lists, in reading order."""

    @abstractmethod
    def tables(self) -> Mapping[str, Callable[[], pd.DataFrame | None]]:
        """Tables of this kind of survey, by id."""

    @abstractmethod
    def figures(self) -> Mapping[str, Callable]:
        """What can be drawn, by id: functions that give back an Axes, or a tuple of them."""

    def heading(self, name: str, texts: Texts) -> str:
        """The title of a table or figure."""
        return texts.heading(name)

    def note(self, name: str, texts: Texts) -> str:
        """The explanation below a table or figure."""
        return texts.note(name)

    def models_note(self, texts: Texts) -> str:
        """What is said below the table of models of the columns of `model_columns`."""
        return ""

    def model_columns(self, name: str) -> dict[str, str]:
        """What the table of models says of each beside its AICc."""
        return {}

    def write_files(self, folder: Path) -> None:  # noqa: B027  (not every kind has any)
        """Maps and the like beside the page, by names in `Study.leaves`."""
