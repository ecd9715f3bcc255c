"""Verify a survey before anything is fitted: a table of findings with what to do about each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import overload

import pandas as pd

from .captures import CaptureHistory
from .checks import OF_THE_DATA, OF_THE_MASK
from .checks.finding import SEVERITIES, Finding, Look, LookAtMask
from .frozen import settle
from .habitat import HabitatMask

MOST_ROWS = 12


def verify(
    captures: CaptureHistory | Mapping[str, CaptureHistory] | Sequence[CaptureHistory],
    mask: HabitatMask | Sequence[HabitatMask] | None = None,
) -> Findings:
    """Look for the faults that reviewers find, in the data and in the habitat mask.

    Parameters
    ----------
    captures : CaptureHistory, or those of several sessions, each of which is looked at
    mask : HabitatMask, or one per session; without it, only the data are looked at

    Returns
    -------
    Findings, errors first. Their ids are stable and described in `uncia.survey.checks.IDS`.

    Examples
    --------
    >>> import pandas as pd
    >>> from uncia import survey
    >>> cameras = survey.Detectors(["A", "B"], [0, 1500], [0, 0], [[1, 1], [1, 1]], crs="EPSG:32649")
    >>> seen = pd.DataFrame({"animal": ["leo", "leo"], "occasion": [1, 2], "detector": ["A", "A"]})
    >>> survey.verify(survey.CaptureHistory(seen, cameras))["no-spatial-recaptures"].what
    'No animal was detected at two detectors: sigma cannot be estimated'
    """
    if isinstance(captures, CaptureHistory):
        data = Look(captures)
        found = [finding for check in OF_THE_DATA for finding in check(data)]
        if isinstance(mask, HabitatMask):
            look = LookAtMask(captures, mask)
            found += [finding for check in OF_THE_MASK for finding in check(look)]
    else:
        sessions = list(captures.values() if isinstance(captures, Mapping) else captures)
        masks = mask if isinstance(mask, Sequence) else [mask] * len(sessions)
        found = [
            replace(finding, what=f"Session {one.session}: {finding.what}")
            for one, its_mask in zip(sessions, masks, strict=True)
            for finding in verify(one, its_mask)
        ]
    return Findings(tuple(found))


@dataclass(frozen=True)
class Findings(Sequence[Finding]):
    """What `verify` found, errors first; a sequence of Finding, and by id: `findings["few-animals"]`."""

    items: tuple[Finding, ...]

    def __post_init__(self):
        settle(self, items=tuple(sorted(self.items, key=lambda finding: SEVERITIES.index(finding.severity))))

    @classmethod
    def of_parts(cls, parts: Iterable[tuple[str, Findings]]) -> Findings:
        """The findings of several parts by name (years, parks, sites), each with the name of its part."""
        return cls(tuple(replace(f, rows=(name, *f.rows)) for name, findings in parts for f in findings))

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.items)

    @overload
    def __getitem__(self, key: int | str) -> Finding: ...

    @overload
    def __getitem__(self, key: slice) -> tuple[Finding, ...]: ...

    def __getitem__(self, key):
        if isinstance(key, str):
            found = [finding for finding in self.items if finding.id == key]
            if not found:
                raise KeyError(f"no finding {key!r} among {self.ids}")
            return found[0]
        return self.items[key]

    def __contains__(self, key) -> bool:
        return key in self.ids or key in self.items

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids, each once, in the order of the findings."""
        return tuple(dict.fromkeys(finding.id for finding in self.items))

    @property
    def errors(self) -> tuple[Finding, ...]:
        """Findings without whose cure no density can come out."""
        return self._of("error")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """Findings that make the density wrong or weak."""
        return self._of("warning")

    @property
    def notes(self) -> tuple[Finding, ...]:
        """Findings worth knowing."""
        return self._of("note")

    def _of(self, severity: str) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.items if finding.severity == severity)

    def table(self) -> pd.DataFrame:
        """One row per finding: `id`, `severity`, `what`, `rows` (a tuple of names), `fix`."""
        columns = ["id", "severity", "what", "rows", "fix"]
        return pd.DataFrame([[getattr(f, name) for name in columns] for f in self.items], columns=columns)

    def __str__(self) -> str:
        lines = [self._headline()]
        for finding in self.items:
            lines += [f"\n{finding.severity.upper()} {finding.id}", f"  {finding.what}."]
            lines += [f"  Where: {_few(finding.rows)}"] if finding.rows else []
            lines += [f"  To do: {finding.fix}."]
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{name}</th>" for name in ("", "what", "where", "to do"))
        rows = "".join(
            f'<tr class="{f.severity}" id="finding-{f.id}"><td>{f.severity}<br><code>{f.id}</code></td>'
            f"<td>{escape(f.what)}</td><td>{escape(_few(f.rows))}</td><td>{escape(f.fix)}</td></tr>"
            for f in self.items
        )
        return (
            f"<table><caption>{self._headline()}</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        )

    def _headline(self) -> str:
        if not self.items:
            return "No findings."
        counts = {severity: len(self._of(severity)) for severity in SEVERITIES}
        return ", ".join(f"{n} {severity}{'s' * (n > 1)}" for severity, n in counts.items() if n) + "."


def _few(rows: tuple[str, ...]) -> str:
    more = f" and {len(rows) - MOST_ROWS} more" if len(rows) > MOST_ROWS else ""
    return ", ".join(rows[:MOST_ROWS]) + more
