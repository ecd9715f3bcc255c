"""The ledger: every record that was read ends in "used" or in a counted reason."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from .display import some

MANY = 10  # files, above which those of one kind are told together in print
FEW = 3  # files of one kind that each are told all the same


@dataclass
class Ledger:
    """Where each record went. Records are named by file and row, so that totals always add up."""

    read: dict[str, int] = field(default_factory=dict)
    entries: list[tuple[str, np.ndarray, str]] = field(default_factory=list)  # file, rows, reason

    USED = "used"

    def note_read(self, file: str, n: int) -> None:
        """n records were read from `file`."""
        self.read[file] = self.read.get(file, 0) + int(n)

    def put(self, file: str, rows, reason: str) -> None:
        """The records in `rows` of `file` end here, for `reason` ("used" or why they were dropped)."""
        self.entries.append((file, np.asarray(rows, int), reason))

    @classmethod
    def of(cls, file, row, fate) -> Ledger:
        """The ledger of records that came from `file`, `row` and ended as `fate` (three columns of equal length)."""
        frame = pd.DataFrame({"file": np.asarray(file), "row": np.asarray(row, int), "fate": np.asarray(fate)})
        ledger = cls()
        for name, n in frame["file"].value_counts(sort=False).items():
            ledger.note_read(str(name), n)
        for (name, reason), rows in frame.groupby(["file", "fate"], sort=False)["row"]:
            ledger.put(str(name), rows.to_numpy(), str(reason))
        return ledger

    def ends(self) -> pd.DataFrame:
        """One line per record: `file`, `row`, `reason`."""
        sizes = [len(rows) for _, rows, _ in self.entries]
        return pd.DataFrame(
            {
                "file": np.repeat(np.array([file for file, _, _ in self.entries], object), sizes),
                "row": np.concatenate([rows for _, rows, _ in self.entries] or [np.zeros(0, int)]),
                "reason": np.repeat(np.array([reason for _, _, reason in self.entries], object), sizes),
            }
        )

    def table(self) -> pd.DataFrame:
        """One line per file and reason with its count `records`; "used" first, then the most frequent."""
        counts = self.ends().groupby(["file", "reason"], sort=True).size().rename("records").reset_index()
        counts["order"] = counts["reason"] != self.USED
        counts = counts.sort_values(["file", "order", "records"], ascending=[True, True, False], kind="stable")
        return counts.drop(columns="order").reset_index(drop=True)

    def count(self, reason: str = USED) -> int:
        """How many records ended for `reason`."""
        return sum(len(rows) for _, rows, why in self.entries if why == reason)

    def check(self) -> None:
        """Every record that was read has exactly one end.

        Raises
        ------
        AssertionError : a record ends twice, or nowhere: a fault of the reader and not of the data
        """
        ends = self.ends()
        twice = ends.duplicated(["file", "row"])
        if twice.any():
            raise AssertionError(f"a record ends twice in the ledger: {ends[twice].iloc[0].to_dict()}")
        ended = ends.groupby("file").size().to_dict()
        if ended != {file: n for file, n in self.read.items() if n}:
            raise AssertionError(f"the ledger does not add up: read {self.read}, ended {ended}")

    def _repr_html_(self) -> str:
        return self.table().to_html(index=False, border=0)

    def __str__(self) -> str:
        lines = []
        name = self.told_as()
        table = self.table()
        table = table.groupby([table["file"].map(name), "reason"], sort=False)["records"].sum().reset_index()
        for shown, total in pd.Series(self.read).groupby(pd.Series(name), sort=False).sum().items():
            lines.append(f"{shown}: {some(total, 'record')} read")
            here = table[table["file"] == shown].sort_values("records", ascending=False, kind="stable")
            here = here.sort_values("reason", key=lambda reason: reason != self.USED, kind="stable")
            lines += [f"  {n:>8,}  {why}" for why, n in here[["reason", "records"]].to_numpy()]
        return "\n".join(lines)

    def told_as(self) -> dict[str, str]:
        """What each file is called in print: many files of one kind are told together."""
        kinds = {file: Path(file).suffix for file in self.read}
        of_kind = Counter(kinds.values())
        many = {kind for kind, n in of_kind.items() if kind and n > FEW and len(kinds) > MANY}
        return {file: f"{of_kind[k]} files {k}" if k in many else file for file, k in kinds.items()}

    __repr__ = __str__
