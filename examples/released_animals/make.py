"""Make the released animals: `python examples/released_animals/make.py [folder]` writes the same bytes every time.

A rescue centre gives collars to the cats that it releases. They are released when they are ready, in any month of six
years; the first weeks are the hardest; some collars fail. All of it is simulated: truth.json has the true survival.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).parent
SEED = 20250618
# species, how many, and the chance to die in a week once an animal has settled
SPECIES = (("desert cat", 22, 0.0070), ("lynx", 14, 0.0035), ("Pallas's cat", 16, 0.0085))
HAND_REARED, RATIO = 0.40, 1.8  # share of hand-reared animals, and how many times their hazard is that of others
FIRST, HARD = 8, 4.0  # in the first eight weeks the hazard is four times the later one
COLLAR = 0.006  # chance that a collar fails in a week
LONGEST, END = 104, pd.Timestamp("2025-06-01")  # weeks that a battery lasts; the day on which the table was made


def main(folder: Path = HERE) -> None:
    """Write the whole example into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(SEED)
    rows = []
    for species, n, hazard in SPECIES:
        for _ in range(n):
            hand = rng.random() < HAND_REARED
            release = pd.Timestamp("2019-05-01") + pd.Timedelta(days=int(rng.integers(0, 2100)))
            rows.append((species, "hand-reared" if hand else "wild-caught", release, *life(hazard, hand, release, rng)))
    columns = ["species", "origin", "released", "last_day", "died"]
    table = pd.DataFrame(rows, columns=columns).sort_values(["released", "species"], ignore_index=True)
    table.insert(0, "animal", [f"R{i + 1:02d}" for i in range(len(table))])
    table = table.rename(columns={"released": "entry", "last_day": "exit"})
    table = table.assign(entry=table["entry"].dt.strftime("%Y-%m-%d"), exit=table["exit"].dt.strftime("%Y-%m-%d"))
    table.to_csv(folder / "fates.csv", index=False, lineterminator="\n")
    about = {"about": "simulated by examples/released_animals/make.py; no animal was released"}
    text = json.dumps(about | truth(), indent=1, ensure_ascii=False)
    (folder / "truth.json").write_text(text + "\n", encoding="utf-8", newline="\n")
    print(f"{folder}: {len(table)} animals, {int((table['died'] == 'yes').sum())} deaths")


def life(hazard: float, hand: bool, release: pd.Timestamp, rng: np.random.Generator) -> tuple[pd.Timestamp, str]:
    """The last day on which an animal was followed, and whether it died on it."""
    for week in range(LONGEST):
        day = release + pd.Timedelta(days=7 * week + int(rng.integers(1, 7)))
        if day > END:
            return END, "no"
        if rng.random() < weekly(hazard, hand, week):
            return day, "yes"
        if rng.random() < COLLAR:
            return release + pd.Timedelta(days=7 * (week + 1)), "no"
    return release + pd.Timedelta(days=7 * LONGEST), "no"


def weekly(hazard: float, hand: bool, week: int) -> float:
    """Probability to die in a week after release; ratios are ratios of hazards."""
    ratio = (RATIO if hand else 1.0) * (HARD if week < FIRST else 1.0)
    return -np.expm1(ratio * np.log1p(-hazard))


def truth() -> dict:
    """Survival of 52 weeks for each kind of animal, and of all as they were released on average."""
    year = lambda h, hand: float(np.prod([1.0 - weekly(h, hand, w) for w in range(52)]))  # noqa: E731
    kinds = {f"{s}, {o}": year(h, o == "hand-reared") for s, _, h in SPECIES for o in ("hand-reared", "wild-caught")}
    share = {"hand-reared": HAND_REARED, "wild-caught": 1 - HAND_REARED}
    whole = sum(n * share[o] * kinds[f"{s}, {o}"] for s, n, _ in SPECIES for o in share) / sum(n for _, n, _ in SPECIES)
    rounded = {kind: round(value, 3) for kind, value in kinds.items()}
    return {
        "survival of 52 weeks": {**rounded, "all": round(whole, 3)},
        "hazard of hand-reared animals, times that of others": RATIO,
        "hazard of the first 8 weeks, times that of later ones": HARD,
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
