"""What a registry of identities changed in the records."""

from __future__ import annotations

import pandas as pd

from ..analysis import Analysis

COLUMNS = ("kind", "name", "becomes", "records", "reason", "decided", "by")


def decisions(analysis: Analysis) -> pd.DataFrame:
    """T18: every decision that changed a record, with its reason; no rows where there is no registry."""
    parts = getattr(analysis.study, "parks", ()) or (("", analysis.study),)
    found = []
    for _, study in parts:
        tables = study.tables
        changes = None if tables is None else tables.provenance.get("identity_changes")
        if changes is not None:
            found.append(changes[list(COLUMNS)].astype(str))
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=list(COLUMNS))
