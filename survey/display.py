"""How objects show themselves in a notebook: a title and a small table of facts."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape


def facts_html(title: str, facts: Mapping[str, object]) -> str:
    """A table of two columns, safe for any text in it.

    >>> facts_html("Detectors", {"kind": "multi"})
    '<table><caption>Detectors</caption><tr><th>kind</th><td>multi</td></tr></table>'
    """
    rows = "".join(f"<tr><th>{escape(str(name))}</th><td>{escape(str(fact))}</td></tr>" for name, fact in facts.items())
    return f"<table><caption>{escape(title)}</caption>{rows}</table>"


def some(n: int, noun: str) -> str:
    """A number and its noun.

    >>> some(1, "animal"), some(2, "animal")
    ('1 animal', '2 animals')
    """
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
