"""A registry of identities carried over the years: what each name in the records stands for, and why.

Names in records stay as the observers wrote them; what is known today is in the registry, one decision per row:

    animal    this name is one animal (with its sex, and what is to be known of it)
    alias     another spelling, or another team's name, of an animal
    merge     two animals turned out to be one
    split     some records of one name are of another animal: those within dates, at places, or named one by one
    exclude   records that must not count (cubs, unsure identifications), all of a name or some

Decisions follow each other: an alias of an animal that was later merged leads to the animal that it was merged into.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from .captures import CaptureHistory, natural_order
from .detectors import ONCE
from .errors import Problems, refuse
from .frozen import settle
from .ledger import Ledger
from .sheets import Sheet, read_sheet, sheet_from_records
from .tables import SurveyTables
from .together import Together, together

COLUMNS = {
    "kind": "animal, alias, merge, split or exclude",
    "name": "the name in the records",
    "becomes": "the animal that it is (alias, merge, split)",
    "from": "first local date of the records concerned (split, exclude), empty: from the beginning",
    "until": "last local date of them, empty: to the end",
    "place": "places of them, separated by |; empty: anywhere",
    "record": "names of the records concerned, separated by |; empty: all",
    "sex": "of an animal: female, male or empty",
    "reason": "why; needed for merge, split and exclude",
    "decided": "date of the decision",
    "by": "who decided",
}
KINDS = ("animal", "alias", "merge", "split", "exclude")
WHOLE = ("alias", "merge")  # decisions on all records of a name
AGAIN = "another name of an animal that was detected there on that occasion"
SELECTING = ("from", "until", "place", "record")


@dataclass(frozen=True, eq=False)
class IdentityRegistry:
    """Decisions on identities, in the order of their file.

    Parameters
    ----------
    decisions : DataFrame with the columns of `survey.identities.COLUMNS`, those that are missing being empty
    file : where they were read, for messages

    Raises
    ------
    SurveyError : decisions that contradict each other, lack a reason or lead in a circle; all at once
    """

    decisions: pd.DataFrame
    file: str = "registry"
    _row: np.ndarray = field(init=False, repr=False)

    def __post_init__(self):
        frame = self.decisions
        row = frame["row"].to_numpy(int) if "row" in frame else np.arange(len(frame)) + 2
        unknown = sorted(set(map(str, frame.columns)) - {*COLUMNS, "row"})
        if unknown:
            raise refuse("a registry has no such column", f"Its columns are {', '.join(COLUMNS)}", value=unknown[0])
        text = {name: frame[name] if name in frame else pd.Series("", index=frame.index) for name in COLUMNS}
        whole = pd.DataFrame(
            {name: v.astype(object).where(v.notna(), "").astype(str).str.strip() for name, v in text.items()}
        )
        settle(self, decisions=whole.reset_index(drop=True), _row=row)
        bad = Problems()
        self._check_rows(bad)
        bad.raise_any()
        self._check_ways(bad)
        bad.raise_any()

    # ---- files ----------------------------------------------------------------------------------------------------

    @classmethod
    def read(cls, path: str | Path) -> IdentityRegistry:
        """From a CSV or Excel file, or a TOML file with [[decisions]]."""
        path = Path(path)
        if path.suffix.lower() == ".toml":
            return cls._from_sheet(_toml(path))
        return cls._from_sheet(read_sheet(path))

    @classmethod
    def _from_sheet(cls, sheet: Sheet) -> IdentityRegistry:
        frame = pd.DataFrame({h.strip().lower(): list(v) for h, v in sheet.raw.items()}, dtype=object)
        lacking = [name for name in ("kind", "name") if name not in frame]
        if lacking:
            what, fix = f"there is no column {lacking[0]!r}", f"A registry has the columns {', '.join(COLUMNS)}"
            raise refuse(what, fix, file=sheet.name, row=1)
        return cls(frame.assign(row=sheet.row), sheet.name)

    def write(self, path: str | Path) -> Path:
        """To a CSV file, or to TOML by the ending of `path`; empty columns are left out."""
        path, used = Path(path), [c for c in COLUMNS if (self.decisions[c] != "").any() or c in ("kind", "name")]
        if path.suffix.lower() != ".toml":
            self.decisions[used].to_csv(path, index=False, encoding="utf-8", lineterminator="\n")
            return path
        entries = []
        for decision in self.decisions[used].to_dict("records"):
            lines = [f"{name} = {_quoted(value)}" for name, value in decision.items() if value]
            entries.append("\n".join(["[[decisions]]", *lines]) + "\n")
        path.write_text("\n".join(entries), encoding="utf-8")
        return path

    # ---- what is wrong ----------------------------------------------------------------------------------------------

    def _check_rows(self, bad: Problems) -> None:
        for i, d in enumerate(self.decisions.to_dict("records")):

            def fault(what: str, fix: str, value=None, i=i) -> None:
                bad.add(what, fix, file=self.file, row=int(self._row[i]), value=value)

            kind, selecting = d["kind"], [name for name in SELECTING if d[name]]
            if kind not in KINDS:
                fault("this kind of decision is not known", f"Use one of {', '.join(KINDS)}", kind)
                continue
            if not d["name"]:
                fault("a decision has no name", "Say which name it is about")
            if kind in ("alias", "merge", "split") and not d["becomes"]:
                fault(f"a decision {kind!r} does not say which animal it is", "Fill in 'becomes'", d["name"])
            if kind in ("animal", "exclude") and d["becomes"]:
                fault(f"a decision {kind!r} becomes nothing", "Empty 'becomes', or use alias or merge", d["becomes"])
            if kind in ("merge", "split", "exclude") and not d["reason"]:
                fault(f"a decision {kind!r} gives no reason", "Fill in 'reason'", d["name"])
            if kind == "split" and not selecting:
                fault("a split does not say which records", "Fill in from, until, place or record", d["name"])
            if kind in ("animal", "alias", "merge") and selecting:
                fault(f"a decision {kind!r} is about all records of a name", "Use split for some", selecting[0])
            if d["becomes"] and d["becomes"] == d["name"]:
                fault("a name becomes itself", "Delete the decision", d["name"])
            if d["sex"] not in ("", "female", "male"):
                fault("the sex is not known", "Use female, male or nothing", d["sex"])
            for name in ("from", "until", "decided"):
                if d[name] and not _is_date(d[name]):
                    fault(f"{name!r} is no date", "Write it as 2025-03-01", d[name])
            if _is_date(d["from"]) and _is_date(d["until"]) and d["from"][:10] > d["until"][:10]:
                fault("a decision ends before it begins", "Correct from or until", f"{d['from']} to {d['until']}")

    def _check_ways(self, bad: Problems) -> None:
        """A name leads to one animal, and not in a circle; animals that became others are not listed as animals."""
        frame, whole = self.decisions, self.decisions["kind"].isin(("alias", "merge"))
        for name, group in frame[whole].groupby("name", sort=False):
            if group["becomes"].nunique() > 1:
                both = " and ".join(map(repr, group["becomes"].unique()))
                row = int(self._row[group.index[-1]])
                bad.add(f"the name {name!r} becomes {both}", "Keep one decision", file=self.file, row=row)
        twice = frame[(frame["kind"] == "animal") & frame.duplicated(["kind", "name"])]
        for i in twice.index:
            row = int(self._row[i])
            bad.add("an animal is listed twice", "Keep one row", file=self.file, row=row, value=frame["name"][i])
        became = set(frame.loc[whole, "name"])
        for i in frame.index[(frame["kind"] == "animal") & frame["name"].isin(became)]:
            fix = "Delete the row of the animal, or the decision"
            what = "this animal is listed, and also became another"
            bad.add(what, fix, file=self.file, row=int(self._row[i]), value=frame["name"][i])
        self._check_left_out(bad)
        edges: dict[str, set[str]] = {}
        for name, to in frame.loc[frame["becomes"] != "", ["name", "becomes"]].to_numpy():
            edges.setdefault(name, set()).add(to)
        for name in edges:
            seen, ahead = set(), set(edges[name])
            while ahead:
                here = ahead.pop()
                seen.add(here)
                ahead |= edges.get(here, set()) - seen
            if name in seen:
                row = int(self._row[frame.index[frame["name"] == name][0]])
                bad.add("the decisions lead in a circle", "Delete one of them", file=self.file, row=row, value=name)

    def _check_left_out(self, bad: Problems) -> None:
        """No animal goes into one of which every record is left out, nor is a name both left out and something else."""
        frame = self.decisions
        everything = (frame["kind"] == "exclude") & (frame[list(SELECTING)] == "").all(axis=1)
        out = {frame["name"][i]: int(self._row[i]) for i in frame.index[everything]}
        fix = "Withdraw one of the two, or exclude only some records with from, until, place or record"
        for i in frame.index[frame["kind"].isin(("alias", "merge"))]:
            name, to, row = frame["name"][i], frame["becomes"][i], int(self._row[i])
            if name in out:
                what = f"this name becomes {to!r}, and row {out[name]} leaves out all its records"
                bad.add(what, fix, file=self.file, row=row, value=name)
            elif frame["kind"][i] == "merge" and to in out:
                what = f"an animal is merged into {to!r}, of which row {out[to]} leaves out all records"
                bad.add(what, fix, file=self.file, row=row, value=name)

    # ---- what follows -----------------------------------------------------------------------------------------------

    @property
    def animals(self) -> pd.DataFrame:
        """The animals listed, by name: sex, and the other names that lead to each."""
        listed = self.decisions[self.decisions["kind"] == "animal"].set_index("name")
        final = self.final_names()
        others = {
            a: sorted((n for n, to in final.items() if to == a and n != a), key=natural_order) for a in listed.index
        }
        told = pd.Series({a: " | ".join(names) for a, names in others.items()}, dtype=object)
        return pd.DataFrame({"sex": listed["sex"], "other names": told})

    def final_names(self) -> dict[str, str]:
        """Every name of the registry, but for splits, with the animal that it is."""
        one = self.decisions[self.decisions["kind"].isin(("alias", "merge"))]
        step = dict(zip(one["name"], one["becomes"], strict=True))
        names = [*self.decisions["name"], *(b for b in self.decisions["becomes"] if b)]
        found = {}
        for name in dict.fromkeys(names):
            here = name
            while here in step:
                here = step[here]
            found[name] = here
        return found

    def resolve(self, names: pd.Series, time=None, place=None, record=None) -> pd.DataFrame:
        """What each name is.

        Parameters
        ----------
        names : as the observers wrote them
        time, place, record : of each, where splits and exclusions need them

        Returns
        -------
        DataFrame with `animal` (empty: excluded), `why` (of an exclusion) and `decision` (positions of the decisions
        that played a part, as a tuple)

        Raises
        ------
        SurveyError : a decision needs what is not given, or two of them say different things of one record
        """
        current = names.astype(str).to_numpy(object).copy()
        n = len(current)
        date = None if time is None else pd.Series(time).dt.tz_localize(None).dt.normalize().reset_index(drop=True)
        given = {"from": date, "until": date, "place": place, "record": record}
        excluded, why = np.zeros(n, bool), np.full(n, "", object)
        part: list[tuple[int, ...]] = [()] * n
        for _ in range(len(self.decisions) + 1):
            moved, target = np.zeros(n, bool), current.copy()
            for at, d in enumerate(self.decisions.to_dict("records")):
                here = (current == d["name"]) & ~excluded
                if d["kind"] == "animal" or not here.any():
                    continue
                here &= self._selected(at, d, given, n)
                if d["kind"] == "exclude":
                    why[here] = f"left out by the identity registry: {d['reason']}"
                    excluded |= here
                else:
                    self._check_one(here & moved & (target != d["becomes"]), record, names)
                    target[here], moved[here] = d["becomes"], True
                for i in np.flatnonzero(here):
                    part[i] = (*part[i], at)
            moved &= ~excluded
            current = np.where(moved, target, current)
            if not moved.any():
                break
        current[excluded] = ""
        return pd.DataFrame({"animal": current, "why": why, "decision": part}, index=names.index)

    def _check_one(self, both: np.ndarray, record, names: pd.Series) -> None:
        if both.any():
            value = list(names if record is None else record)[int(np.flatnonzero(both)[0])]
            raise refuse("two decisions say different things of one record", "Correct one", file=self.file, value=value)

    def _selected(self, at: int, d: Mapping[str, str], given: Mapping, n: int) -> np.ndarray:
        """bool [n]: the records that the decision is about."""
        chosen = np.ones(n, bool)
        for name in SELECTING:
            if not d[name]:
                continue
            values = given[name]
            if values is None:
                what = f"a decision on {d['name']!r} is about some records, and their {name} is not known here"
                row = int(self._row[at])
                raise refuse(what, "Apply the registry to the tables of records", file=self.file, row=row)
            if name in ("from", "until"):
                limit = pd.Timestamp(d[name]).normalize()
                chosen &= (values >= limit if name == "from" else values <= limit).to_numpy(bool)
            else:
                wanted = {w.strip() for w in d[name].split("|")}
                chosen &= pd.Series(list(values)).astype(str).isin(wanted).to_numpy(bool)
        return chosen

    def apply(self, tables: SurveyTables) -> SurveyTables:
        """The tables with today's identities. Records left out end in the ledger with the reason of the registry.

        What was changed, and by which decision, is in `identity_changes` of the tables' provenance.
        """
        identities = tables.identities
        records = tables.records.set_index("record")
        at = records.index.get_indexer(pd.Index(identities["record"]))
        places = records["location"].to_numpy(object)
        place = pd.Series([places[i] if i >= 0 else "" for i in at], dtype=object)
        time = _local(records["time"].to_numpy(object), at)
        found = self.resolve(identities["individual"], time, place, identities["record"])
        kept = (found["animal"] != "").to_numpy()
        renamed = identities.assign(individual=found["animal"])[kept].drop_duplicates(["record", "individual"])
        sex = self.decisions[(self.decisions["kind"] == "animal") & (self.decisions["sex"] != "")]
        known_sex = renamed["individual"].map(dict(zip(sex["name"], sex["sex"], strict=True)))
        renamed = renamed.assign(sex=known_sex.where(known_sex.notna(), renamed["sex"]))
        lost = identities["record"][~kept & ~identities["record"].isin(renamed["record"]).to_numpy()]
        reasons = dict(zip(lost, found.loc[lost.index, "why"], strict=True))
        marked = tables.records.assign(left_out=[reasons.get(r, "") for r in tables.records["record"]])
        changes = self.changes(identities["individual"], found)
        provenance = tables.provenance | {"identity registry": self.file, "identity_changes": changes}
        return replace(tables, identities=renamed.reset_index(drop=True), records=marked, provenance=provenance)

    def apply_to(self, captures: CaptureHistory) -> CaptureHistory:
        """Capture histories with today's identities; decisions on dates use the start of the occasions.

        Two names of one animal at one detector on one occasion are one detection where a detector records an animal
        once; counts are summed.

        Raises
        ------
        SurveyError : as `resolve`; names of one animal with different covariates; collared animals with other names
        """
        concerned = set(self.decisions.loc[self.decisions["kind"] != "animal", "name"])
        collars = set() if captures.telemetry is None else set(captures.telemetry.names)
        if collared := sorted(concerned & collars, key=natural_order):
            fix = "Correct their names in the fixes and in the captures first"
            raise refuse("decisions are about collared animals", fix, file=self.file, value=", ".join(collared))
        if isinstance(captures, Together):
            methods = {name: self._renamed(one, f", {name}") for name, one in captures.methods.items()}
            whole = together(methods, captures.session, telemetry=captures.telemetry)
            return replace(whole, animals=self._covariates(captures.animals))
        return self._renamed(captures)

    def _renamed(self, captures: CaptureHistory, method: str = "") -> CaptureHistory:
        seen = captures.detections
        starts = captures.occasions["start"] if "start" in captures.occasions else None
        time = None if starts is None else starts.iloc[seen["occasion"] - 1].reset_index(drop=True)
        found = self.resolve(seen["animal"], time, seen["detector"])
        kept = (found["animal"] != "").to_numpy()
        renamed = seen.assign(animal=found["animal"])
        once = captures.detectors.kind in ("proximity", "capped", *ONCE) and not captures.detectors.located
        same = ["animal", "occasion", "detector"]
        again = kept & once & renamed.duplicated(same).to_numpy()
        if again.any() and "removed" in renamed:
            renamed["removed"] = renamed.groupby(same)["removed"].transform("any")
        ledger = Ledger(dict(captures.ledger.read), list(captures.ledger.entries))
        why = found["why"].mask(again, AGAIN)[~kept | again]
        if len(why):  # histories no longer know their rows in files: their own are counted
            stage = f"histories of session {captures.session}{method}, {self.file}"
            ledger.note_read(stage, len(found))
            ledger.put(stage, np.flatnonzero(kept & ~again) + 1, Ledger.USED)
            for reason, rows in why.groupby(why, sort=False):
                ledger.put(stage, rows.index.to_numpy() + 1, str(reason))
        return replace(
            captures,
            detections=renamed[kept & ~again].reset_index(drop=True),
            animals=self._covariates(captures.animals),
            ledger=ledger,
        )

    def _covariates(self, animals: pd.DataFrame) -> pd.DataFrame:
        """Covariates under today's names; the sex is that of the registry where it says one."""
        final = self.final_names()
        table = animals.set_axis([final.get(a, a) for a in animals.index], axis=0)
        listed = self.decisions[(self.decisions["kind"] == "animal") & (self.decisions["sex"] != "")]
        sex = {name: v for name, v in zip(listed["name"], listed["sex"], strict=True) if name in table.index}
        if sex:
            own = table["sex"].tolist() if "sex" in table else [None] * len(table)
            table = table.assign(sex=[sex.get(a, v) for a, v in zip(table.index, own, strict=True)])
        bad, groups = Problems(), table.groupby(level=0, sort=False)
        for column in table:
            values = groups[column].unique()
            for name, different in values[groups[column].nunique() > 1].items():
                said = " and ".join(str(v) for v in different if pd.notna(v))
                what = f"the names of one animal have different {column!r}"
                bad.add(what, "Correct it in the data, or withdraw the decision", file=self.file,
                        value=f"{name}: {said}")  # fmt: skip
        bad.raise_any()
        return groups.first()

    def changes(self, names: pd.Series, found: pd.DataFrame) -> pd.DataFrame:
        """One row per decision that changed something: kind, name, becomes, reason, decided, by, records."""
        count = pd.Series([at for part in found["decision"] for at in part], dtype=int).value_counts()
        columns = ["kind", "name", "becomes", "reason", "decided", "by"]
        table = self.decisions.loc[count.sort_index().index, columns]
        return table.assign(records=count.sort_index().to_numpy()).reset_index(drop=True)

    def unknown(self, names: Sequence[str]) -> list[str]:
        """Names that the registry does not know: new animals, or spellings that nobody has looked at."""
        known = {*self.decisions["name"], *self.decisions["becomes"]}
        return sorted(set(map(str, names)) - known - {""}, key=natural_order)

    def __repr__(self) -> str:
        counts = self.decisions["kind"].value_counts()
        words = ", ".join(f"{counts[kind]} {kind}" for kind in KINDS if kind in counts) or "no decisions"
        return f"IdentityRegistry {self.file}: {words}"


def _is_date(text: str) -> bool:
    """A whole date, also with the midnight that spreadsheets add: "2020" would be its first of January."""
    whole = re.fullmatch(r"\d{4}-\d\d-\d\d(?:[ T]00:00:00)?", text) is not None
    return whole and bool(pd.notna(pd.to_datetime(text[:10], format="%Y-%m-%d", errors="coerce")))


def _local(times: np.ndarray, at: np.ndarray) -> pd.Series:
    """Local times without their zone at some positions; NaT at -1."""
    found = [pd.NaT if i < 0 or pd.isna(times[i]) else pd.Timestamp(times[i]).tz_localize(None) for i in at]
    return pd.Series(pd.DatetimeIndex(found))


@dataclass(frozen=True, eq=False)
class RegistryChange:
    """What differs between two registries: `table` (what, kind, name, before, now, reason) and sentences."""

    table: pd.DataFrame

    def __str__(self) -> str:
        return "\n".join(self.sentences) or "The registries make the same animals of the same names."

    __repr__ = __str__

    @property
    def sentences(self) -> list[str]:
        """One sentence per row."""
        found = []
        for r in self.table.itertuples():
            why = f" ({r.reason})" if r.reason else ""
            now, before = r.now or "of unknown sex", r.before or "of unknown sex"
            said = {
                "new animal": f"{r.name} is a new animal{why}.",
                "animal gone": f"{r.name} is no longer an animal of the registry.",
                "new decision": f"New {r.kind}: {r.name}{f' is {r.now}' if r.now else ''}{why}.",
                "decision withdrawn": f"Withdrawn {r.kind}: {r.name}{f' is not {r.before}' if r.before else ''}{why}.",
                "another animal": f"{r.name} was {r.before} and is now {r.now}{why}.",
                "another sex": f"{r.name} was {before} and is now {now}.",
            }
            found.append(said[r.what])
        return found


def registry_changes(before: IdentityRegistry, now: IdentityRegistry) -> RegistryChange:
    """What differs between two years' registries, as a table and in words.

    Names that lead to another animal than before are told once, by the decision that changed it.
    """
    ways = now.decisions[now.decisions["kind"].isin(("animal", "alias", "merge"))]
    rows, reason = [], dict(zip(ways["name"], ways["reason"], strict=True))
    listed = [r.decisions[r.decisions["kind"] == "animal"].set_index("name")["sex"] for r in (before, now)]
    finals = before.final_names(), now.final_names()
    for name in listed[1].index.difference(listed[0].index, sort=False):
        rows.append(("new animal", "animal", name, "", name, reason.get(name, "")))
    for name in listed[0].index.difference(listed[1].index, sort=False):
        if finals[1].get(name, name) == name:
            rows.append(("animal gone", "animal", name, name, "", ""))
    for name in listed[0].index.intersection(listed[1].index, sort=False):
        if listed[0][name] != listed[1][name]:
            rows.append(("another sex", "animal", name, listed[0][name], listed[1][name], ""))
    told = set()
    for name in [n for n in finals[0] if n in finals[1] or n in set(listed[0].index)]:
        a, b = finals[0][name], finals[1].get(name, name)
        if a != b:
            rows.append(("another animal", "", name, a, b, reason.get(name, "")))
            told.add(name)
    keys = ["kind", "name", "becomes", *SELECTING]
    old, new = (
        {tuple(d[k] for k in keys): d for d in r.decisions.to_dict("records") if d["kind"] != "animal"}
        for r in (before, now)
    )
    for key, d in new.items():
        if key not in old and not (d["name"] in told and d["kind"] in WHOLE):
            rows.append(("new decision", d["kind"], d["name"], "", d["becomes"], d["reason"]))
    for key, d in old.items():
        if key not in new and not (d["name"] in told and d["kind"] in WHOLE):
            rows.append(("decision withdrawn", d["kind"], d["name"], d["becomes"], "", d["reason"]))
    return RegistryChange(pd.DataFrame(rows, columns=["what", "kind", "name", "before", "now", "reason"]))


def _toml(path: Path) -> Sheet:
    if not path.is_file():
        raise refuse("there is no such file", "Check the path and the spelling", file=path, value=str(path))
    try:
        content = tomllib.loads(path.read_text("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise refuse(f"this is not TOML: {error}", "Correct the file", file=path) from None
    entries = content.get("decisions")
    if set(content) - {"decisions"} or not isinstance(entries, list):
        raise refuse("a registry is a list of [[decisions]]", "Write [[decisions]] before each", file=path)
    joined = [{k: " | ".join(map(str, v)) if isinstance(v, list) else v for k, v in e.items()} for e in entries]
    return sheet_from_records(joined, path.name)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
