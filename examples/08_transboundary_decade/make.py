"""Make the example: `python examples/08_transboundary_decade/make.py [folder]` writes the same bytes every time.

Two parks on either side of a border, eleven winters of cameras, tigers and leopards that came back. Each park has its
own cameras, its own season and its own names for the animals; an animal that both teams photographed has two names
until the registry of the eastern park brings them together. Nobody took these photographs: the animals are simulated
in continuous space, without any code of the model, and truth.json says how many there were.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).parent
SEED = 20151241
YEARS = range(2015, 2026)
X0, Y0, WIDTH, HEIGHT = 520_000.0, 4_760_000.0, 96_000.0, 72_000.0  # m, EPSG:32652: the land where both species live
BORDER = X0 + WIDTH / 2.0
SPACING = 7_000.0  # m between cameras
PARKS = {"west": ("11-01", 61, 0.80), "east": ("01-05", 72, 1.0)}  # first day of the season, days, detection
DAYS = 12  # of an occasion


@dataclass(frozen=True)
class Species:
    """What is true of one species."""

    name: str
    letter: str
    animals: int  # in 2015
    growth: float  # ratio per year, expected
    survival: float
    sigma: float  # m
    lambda0: float  # detections per camera and day at the activity centre
    move: float  # m per axis and year


SPECIES = (
    Species("Panthera tigris", "T", 27, 1.10, 0.84, 5_000.0, 0.016, 4_000.0),
    Species("Panthera pardus", "L", 37, 1.08, 0.80, 3_800.0, 0.022, 3_000.0),
)


@dataclass
class Lives:
    """The animals of a species: sex, and the activity centre of each year in which they lived."""

    sex: list[str] = field(default_factory=list)
    at: list[dict[int, np.ndarray]] = field(default_factory=list)

    def living(self, year: int) -> list[int]:
        return [i for i, places in enumerate(self.at) if year in places]


def live(species: Species, rng: np.random.Generator) -> Lives:
    """Eleven years of a population that grows, and moves within its land."""
    lives, here = Lives(), []
    size = np.array([WIDTH, HEIGHT])
    for year in YEARS:
        if year == YEARS[0]:
            new = species.animals
        else:
            here = [i for i in here if rng.random() < species.survival]
            expected = species.animals * species.growth ** (year - YEARS[0])
            new = int(rng.poisson(max(expected - expected / species.growth * species.survival, 0.0)))
            for i in here:
                while True:
                    to = lives.at[i][year - 1] + rng.normal(scale=species.move, size=2)
                    if ((to > 0.0) & (to < size)).all():
                        break
                lives.at[i][year] = to
        for _ in range(new):
            here.append(len(lives.at))
            lives.sex.append("female" if rng.random() < 0.58 else "male")
            lives.at.append({year: rng.uniform([0.0, 0.0], size)})
    return lives


def cameras() -> pd.DataFrame:
    """Stations of both parks, 7 km apart, in the middle of the land; each side of the border has its own names."""
    column, row = np.meshgrid(np.arange(10), np.arange(7))
    x = X0 + (WIDTH - 9 * SPACING) / 2.0 + SPACING * column.ravel()
    y = Y0 + (HEIGHT - 6 * SPACING) / 2.0 + SPACING * row.ravel()
    park = np.where(x < BORDER, "west", "east")
    frame = pd.DataFrame({"park": park, "x": x.round().astype(int), "y": y.round().astype(int)})
    number = frame.groupby("park").cumcount() + 1
    return frame.assign(station=frame["park"].str[0].str.upper() + number.map("{:02d}".format))


def deploy(stations: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """One row per camera and winter; the parks grew slowly, and some cameras were late or stolen."""
    rows = []
    for year in YEARS:
        for r in stations.itertuples():
            first, days, _ = PARKS[str(r.park)]
            if rng.random() < max(0.0, 0.35 - 0.06 * (year - YEARS[0])) or rng.random() < 0.03:
                continue  # not set in this winter
            start = pd.Timestamp(f"{year + (r.park == 'east')}-{first} 12:00")
            worked = days if rng.random() > 0.12 else int(rng.integers(10, days))
            end = start + pd.Timedelta(days=worked)
            rows.append((r.park, r.station, f"{r.station}-{year}", r.x, r.y, start, end, f"year:{year}"))
    return pd.DataFrame(rows, columns=["park", "station", "deployment", "x", "y", "start", "end", "groups"])


def photograph(species: Species, lives: Lives, deployments: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Records: visits of animals to cameras, at random hours of the night."""
    rows = []
    for d in deployments.itertuples():
        year = int(str(d.groups).split(":")[1])
        days = (d.end - d.start).days
        rate = species.lambda0 * PARKS[str(d.park)][2]
        for i in lives.living(year):
            away = np.hypot(*(lives.at[i][year] + [X0, Y0] - [d.x, d.y]))
            visits = rng.poisson(rate * days * np.exp(-0.5 * (away / species.sigma) ** 2))
            for _ in range(visits):
                night = d.start + pd.Timedelta(days=int(rng.integers(days)), hours=float(rng.uniform(6.0, 18.0)))
                rows.append((d.park, d.deployment, night.floor("min"), species.name, i, lives.sex[i]))
    return pd.DataFrame(rows, columns=["park", "deployment", "time", "species", "animal", "sex"])


def named(records: pd.DataFrame, letter: str) -> pd.DataFrame:
    """Each team numbers the animals as it meets them."""
    records = records.sort_values(["time", "deployment"], kind="stable").reset_index(drop=True)
    names = np.empty(len(records), object)
    for park, rows in records.groupby("park"):
        order = {animal: k + 1 for k, animal in enumerate(dict.fromkeys(rows["animal"]))}
        names[rows.index] = [f"{str(park)[0].upper()}{letter}{order[a]:03d}" for a in rows["animal"]]
    return records.assign(individual=names)


def mistakes(records: pd.DataFrame, rng: np.random.Generator) -> tuple[pd.DataFrame, list[dict]]:
    """In the east one animal went by two names until both its flanks were photographed, and cubs were numbered too."""
    decisions = []
    east = records["park"] == "east"
    often = records.loc[east, "individual"].value_counts()
    name = str(often.index[0])
    second = records.index[east & (records["individual"] == name)][1::2]
    records.loc[second, "individual"] = f"{name}b"
    reason = "left flanks of one were the right flanks of the other"
    decisions.append(
        dict(kind="merge", name=f"{name}b", becomes=name, reason=reason, decided="2019-05-20", by="Orlova")
    )
    with_cub = records.index[east][rng.choice(int(east.sum()), 6, replace=False)]
    cubs = records.loc[np.sort(with_cub)].assign(individual="cub", animal=-1, sex="")
    records = pd.concat([records, cubs.assign(time=cubs["time"] + pd.Timedelta(minutes=1))], ignore_index=True)
    decisions.append(dict(kind="exclude", name="cub", reason="cubs are not counted", decided="2016-04-11", by="Orlova"))
    return records, decisions


def matched(records: pd.DataFrame) -> list[dict]:
    """The commission of both parks compared the photographs: eastern names of animals that the west knows."""
    known = (
        records[records["animal"] >= 0].drop_duplicates(["park", "animal"]).set_index(["park", "animal"])["individual"]
    )
    both = set(known["west"].index) & set(known["east"].index)
    rows = [(known["east"][a].removesuffix("b"), known["west"][a]) for a in both]
    return [dict(kind="alias", name=e, becomes=w, decided="2025-06-30", by="joint commission") for e, w in sorted(rows)]


def main(folder: Path = HERE) -> None:
    """Write the tables of both parks, the registry of the eastern one, and the truth."""
    rng = np.random.default_rng(SEED)
    stations = cameras()
    deployments = deploy(stations, rng)
    every, decisions, truth = [], [], {}
    for number, species in enumerate(SPECIES):
        lives = live(species, np.random.default_rng([SEED, number]))
        records = named(photograph(species, lives, deployments, rng), species.letter)
        records, found = mistakes(records, rng)
        decisions += found + matched(records)
        every.append(records)
        truth[species.name] = {
            "animals": {str(year): len(lives.living(year)) for year in YEARS},
            "survival per year": species.survival,
            "sigma, m": species.sigma,
            "scale of yearly moves, m per axis": species.move,
        }
    records = pd.concat(every, ignore_index=True).sort_values(["time", "deployment"], kind="stable")
    when = "%Y-%m-%d %H:%M"
    for park in PARKS:
        (folder / park).mkdir(parents=True, exist_ok=True)
        mine = deployments[deployments["park"] == park].drop(columns="park")
        mine.to_csv(folder / park / "deployments.csv", index=False, date_format=when, lineterminator="\n")
        seen = records[records["park"] == park][["deployment", "time", "species", "individual", "sex"]]
        seen.to_csv(folder / park / "records.csv", index=False, date_format=when, lineterminator="\n")
    frame = pd.DataFrame(decisions, columns=["kind", "name", "becomes", "reason", "decided", "by"]).fillna("")
    frame.drop_duplicates(["kind", "name"]).to_csv(folder / "east" / "registry.csv", index=False, lineterminator="\n")
    corners = [[X0, Y0], [X0 + WIDTH, Y0], [X0 + WIDTH, Y0 + HEIGHT], [X0, Y0 + HEIGHT], [X0, Y0]]
    shape = {"type": "Polygon", "coordinates": [corners]}
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32652"}}
    land = {
        "type": "FeatureCollection",
        "crs": crs,
        "features": [{"type": "Feature", "properties": {}, "geometry": shape}],
    }
    (folder / "land.geojson").write_text(json.dumps(land) + "\n", encoding="utf-8")
    about = "simulated by examples/08_transboundary_decade/make.py; nobody took these photographs"
    text = json.dumps({"about": about, "km²": WIDTH * HEIGHT / 1e6, **truth}, indent=1, ensure_ascii=False)
    (folder / "truth.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
