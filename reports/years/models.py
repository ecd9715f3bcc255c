"""[[models]] of several years: closed years side by side (SCR), or one open population through them (OpenSCR)."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Discriminator, Tag

from ...models import OpenSCR
from ..captures.form import Model
from ..model_parts import part_of


def _kind(entry: Any) -> str:
    """SCR, where the entry does not say."""
    found = entry.get("model") if isinstance(entry, dict) else getattr(entry, "model", None)
    return found or "SCR"


OpenModel = part_of(OpenSCR)
YearsModel = Annotated[Annotated[Model, Tag("SCR")] | Annotated[OpenModel, Tag("OpenSCR")], Discriminator(_kind)]
