"""Records, identities and choices that contradict each other."""

from __future__ import annotations

import re

from .case import Case, deployment, dp, observation, record, tables, wi
from .good import (
    DEPLOYMENTS,
    FAILURES,
    IDENTITIES,
    OBSERVATIONS,
    RECORDS,
    WI_DEPLOYMENTS,
    WI_IMAGES,
    cell,
    change,
    descriptor,
    write,
)

NO_INDIVIDUALS = descriptor(project={"title": "Test", "individualAnimals": False})
TRACKS = cell(cell(OBSERVATIONS, "o2", individualID="L3"), "o4", individualID="L4")
NO_ENDS = re.sub(r"2024-04-20T\d\d:00:00\+08:00", "", DEPLOYMENTS)
NAMED, FAILURE, FIELD = {"identities": "identities.csv"}, {"failures": "failures.csv"}, {"reader": "field_tables"}
WILD = {"reader": "wildlife_insights"}

RECORDS_CASES = [
    Case(
        "deployment twice",
        deployment("d2", deploymentID="d1"),
        ("deployments.csv, row 3: deploymentID is the same as in row 2 (found 'd1')",),
    ),
    Case(
        "record twice",
        observation("o2", observationID="o1"),
        ("observations.csv, row 3: observationID is the same as in row 2",),
    ),
    Case(
        "unknown deployment",
        observation("o2", deploymentID="d22"),
        ("observations.csv, row 3: there is no deployment of this name (found 'd22'). Did you mean 'd2'?",),
    ),
    Case(
        "unknown station",
        record("r2", station="b"),
        ("records.csv, row 3: there is no station of this name (found 'b'). Did you mean 'B'?",),
        **FIELD,
    ),
    Case(
        "outside its deployment",
        observation("o2", eventStart="2024-05-04T03:00:00+08:00"),
        (
            "observations.csv, row 3",
            "outside its deployment 'd2' (2024-04-01 11:00 to 2024-04-20 11:00)",
            "outside='drop'",
        ),
    ),
    Case(
        "before any camera was set",
        record("r2", time="2020-01-01 00:00"),
        ("records.csv, row 3: no deployment stood at 'B' at the time of the record (found '2020-01-01 00:00:00')",),
        **FIELD,
    ),
    Case(
        "during a failure",
        dp(failures__csv=cell(FAILURES, "d1", start="2024-04-08")),
        ("observations.csv, row 5: the record was taken during a failure of deployment 'd1'", "'2024-04-09 05:00:00'"),
        options=FAILURE,
    ),
    Case(
        "detector that never worked",
        dp(failures__csv="deploymentID,start,end\nd3,2024-04-01,2024-04-20\n"),
        ("observations.csv, row 4: the record was taken during a failure of deployment 'd3'",),
        options=FAILURE,
    ),
    Case(
        "effort not known",
        dp(deployments=NO_ENDS, observations=OBSERVATIONS.split("o4")[0]),
        ("no record is left", "the effort is not known"),
    ),
    Case(
        "level mistyped",
        observation("o2", observationLevel="evnt"),
        ("row 3: observationLevel must be one of media, event (found 'evnt')",),
    ),
    Case(
        "type mistyped",
        observation("o2", observationType="cat"),
        ("row 3: observationType must be one of animal, human",),
    ),
    Case("level missing", observation("o2", observationLevel=""), ("row 3: observationLevel is missing",)),
    Case("count of zero", observation("o3", count="0"), ("row 4: count must be 1 or more (found 0)",)),
    Case("count a word", observation("o3", count="two"), ("row 4: count must be a number (found 'two')",)),
    Case("half an animal", observation("o3", count="1.5"), ("row 4: count must be a whole number (found 1.5)",)),
    Case(
        "flag a word",
        deployment("d2", timestampIssues="perhaps"),
        ("row 3: timestampIssues must be true or false (found 'perhaps')",),
    ),
    Case(
        "misspelt species",
        dp(),
        ("no record is of this species", "Did you mean 'Panthera pardus'?"),
        options={"species": "Panthera pardis"},
    ),
    Case("which species", dp(), ("the records hold several species", "Capreolus pygargus"), options={"species": None}),
    Case(
        "all clocks wrong",
        dp(deployments=change(DEPLOYMENTS, "false", "true")),
        ("no record is left", "4  timestamp issues of its deployment"),
    ),
]

ANIMALS = [
    Case(
        "empty identities",
        dp(identities__csv="observationID,individual\n"),
        ("the animals have no identities: identities.csv names no individual",),
        options=NAMED,
    ),
    Case(
        "not individuals",
        dp(package=NO_INDIVIDUALS),
        ("no identities", "project.individualAnimals = false", "identities="),
    ),
    Case("tracks as identities", dp(observations=TRACKS), ("no identities", "no individualID occurs in two events")),
    Case(
        "identity of no record",
        dp(identities__csv=cell(IDENTITIES, "o3", observationID="o33")),
        ("identities.csv, row 4: there is no record of this name (found 'o33'). Did you mean 'o3'?",),
        options=NAMED,
    ),
    Case(
        "no column of names",
        dp(identities__csv=change(IDENTITIES, "individual", "animal")),
        ("identities.csv, row 1: there is no column 'individual'",),
        options=NAMED,
    ),
    Case(
        "two sexes",
        dp(identities__csv=cell(IDENTITIES, "o2", sex="male")),
        ("identities.csv, row 3: animal 'L1' is female in row 2 of identities.csv and male here",),
        options=NAMED,
    ),
    Case(
        "sex a word",
        dp(identities__csv=cell(IDENTITIES, "o2", sex="tom")),
        ("row 3: sex must be one of female, male (found 'tom')",),
        options=NAMED,
    ),
    Case(
        "observers disagree",
        dp(identities__csv=IDENTITIES + "o4,L1,\n"),
        ("identities.csv, row 6: 'e4' shows 1 animal and is given 2 identities: 'L2' in row 5; 'L1' in row 6",),
        options=NAMED,
    ),
    Case(
        "nobody named",
        dp(identities__csv="observationID,individual\no1,\n"),
        ("no identities: identities.csv names no individual",),
        options=NAMED,
    ),
    Case(
        "no column of individuals",
        tables(records=change(RECORDS, ",individual", ",who")),
        ("no identities", "no column of individuals"),
        **FIELD,
    ),
]

CHOICES = [
    Case(
        "unknown session",
        dp(),
        ("the deployments have the sessions spring", "autumn"),
        options={"session_from": "season", "session": "autumn"},
    ),
    Case(
        "no session key", dp(), ("no deployment has this key in its groups", "'year'"), options={"session_from": "year"}
    ),
    Case(
        "occasion of a fortnight",
        dp(),
        ("the length of an occasion is not understood", "'fortnight'"),
        options={"occasion": "fortnight"},
    ),
    Case(
        "day boundary at dusk", dp(), ("the day boundary is not understood", "'dusk'"), options={"day_boundary": "dusk"}
    ),
    Case(
        "independence sometimes",
        dp(),
        ("the rule of independence is not understood", "'sometimes'"),
        options={"independence": "sometimes"},
    ),
    Case(
        "independence of a moon",
        dp(),
        ("the interval of independence", "'1 moon'"),
        options={"independence": ("last record", "1 moon")},
    ),
    Case("kind of a camera", dp(), ("this kind of detector is not known", "'camera'"), options={"kind": "camera"}),
    Case("start not a date", dp(), ("the start of the survey is not a date", "'spring'"), options={"start": "spring"}),
    Case(
        "ends before it begins",
        dp(),
        ("the survey ends before it starts",),
        options={"start": "2024-04-10", "end": "2024-04-05"},
    ),
    Case("what to do outside", dp(), ("contradictory records is not known", "'ignore'"), options={"outside": "ignore"}),
    Case(
        "mapping misspelt",
        tables(),
        ("no such mapping file", "'camtrapR'"),
        options={"mapping": "camtrap.toml"},
        **FIELD,
    ),
    Case(
        "mapping of no column",
        tables(mapping__toml='[deployments]\nstaton = "Station"\n'),
        ("mapping.toml", "name that is not known (found 'deployments.staton'). Did you mean 'deployments.station'?"),
        options={"mapping": "mapping.toml"},
        **FIELD,
    ),
    Case(
        "mapping not TOML",
        tables(mapping__toml="[deployments\n"),
        ("mapping.toml", "not TOML"),
        options={"mapping": "mapping.toml"},
        **FIELD,
    ),
]

WILDLIFE_INSIGHTS = [
    Case(
        "no images",
        lambda folder: write(folder, deployments__csv=WI_DEPLOYMENTS),
        ("there is no images.csv or sequences.csv here",),
        **WILD,
    ),
    Case(
        "images of another project",
        wi(images=change(WI_IMAGES, "1,d2,", "1,d9,")),
        ("images.csv, row 4: there is no deployment of this name (found 'd9')",),
        **WILD,
    ),
    Case(
        "no end column",
        wi(deployments=change(WI_DEPLOYMENTS, "end_date", "finish")),
        ("deployments.csv, row 1: there is no column 'end_date'",),
        **WILD,
    ),
    Case(
        "nobody recurs",
        wi(images=change(WI_IMAGES, ",L1\n1,d3", ",L3\n1,d3").replace("05:00:00,1,L2", "05:00:00,1,L4")),
        ("no individual_id occurs in two events",),
        **WILD,
    ),
]
