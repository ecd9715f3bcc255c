"""The ledger: every record that was read ends in "used" or in a counted reason."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd


@dataclass
class Ledger:
    """Counts where each record went. Records are named by (file, row), so that totals always add up."""

    read: dict[str, int] = field(default_factory=dict)
    entries: list[tuple[str, int, str]] = field(default_factory=list)  # (file, row, reason)

    USED = "used"

    def note_read(self, file: str, n: int) -> None:
        """n records were read from `file`."""
        self.read[file] = self.read.get(file, 0) + int(n)

    def put(self, file: str, rows, reason: str) -> None:
        """The records in `rows` of `file` end here, for `reason` ("used" or why they were dropped)."""
        self.entries += [(file, int(row), reason) for row in rows]

    def table(self) -> pd.DataFrame:
        """One line per file and reason with its count; "used" first."""
        frame = pd.DataFrame(self.entries, columns=["file", "row", "reason"])
        counts = frame.groupby(["file", "reason"], sort=True).size().rename("records").reset_index()
        counts["order"] = counts["reason"] != self.USED
        return counts.sort_values(["file", "order", "records"], ascending=[True, True, False]).drop(
            columns="order"
        ).reset_index(drop=True)

    def check(self) -> None:
        """Every record that was read has exactly one end."""
        seen = pd.DataFrame(self.entries, columns=["file", "row", "reason"])
        twice = seen.duplicated(["file", "row"])
        if twice.any():
            raise AssertionError(f"a record ends twice in the ledger: {seen[twice].iloc[0].to_dict()}")
        ends = seen.groupby("file").size().to_dict()
        if ends != {file: n for file, n in self.read.items() if n}:
            raise AssertionError(f"the ledger does not add up: read {self.read}, ended {ends}")

    def __str__(self) -> str:
        lines = []
        table = self.table()
        for file, total in self.read.items():
            lines.append(f"{file}: {total:,} records read")
            for _, row in table[table["file"] == file].iterrows():
                lines.append(f"  {row['records']:>8,}  {row['reason']}")
        return "\n".join(lines)
