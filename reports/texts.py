"""The catalogue of a report's sentences, one file per language."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True)
class Texts:
    """Sentences and headings of one language, filled with what is to be told."""

    catalogue: dict[str, dict[str, str]]

    def section(self, name: str) -> str:
        return self.catalogue["sections"][name]

    def heading(self, name: str) -> str:
        """The title of a table or figure by its id."""
        return self.catalogue["headings"][name]

    def note(self, name: str, **values) -> str:
        """The explanation below a table or figure; empty where there is none."""
        return self.catalogue["notes"].get(name, "").format(**values)

    def of_model(self, name: str) -> str:
        """What a model says of the world, in a sentence; empty for a model that nobody has described."""
        return self.catalogue["models"].get(name, "")

    def of_quantity(self, quantity: str, **values) -> str:
        """The sentence that tells an estimate of this quantity; a plain one where there is none of its own."""
        said = self.catalogue["quantities"]
        return said.get(quantity, said["other"]).format(quantity=quantity, **values)

    def say(self, name: str, **values) -> str:
        """One sentence."""
        return self.catalogue["words"][name].format(**values)


@cache
def texts(language: str = "en") -> Texts:
    """The catalogue of a language."""
    return Texts(tomllib.loads(files(f"{__package__}.templates").joinpath(f"{language}.toml").read_text("utf-8")))
