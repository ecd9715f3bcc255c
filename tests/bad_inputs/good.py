"""A small good survey in each format, as text. Bad inputs are made from it by changing one thing."""

from __future__ import annotations

import json
from pathlib import Path

DEPLOYMENTS = """\
deploymentID,locationID,latitude,longitude,deploymentStart,deploymentEnd,timestampIssues,deploymentGroups
d1,A,37.00,113.00,2024-04-01T10:00:00+08:00,2024-04-20T10:00:00+08:00,false,season:spring
d2,B,37.02,113.00,2024-04-01T11:00:00+08:00,2024-04-20T11:00:00+08:00,false,season:spring
d3,C,37.00,113.03,2024-04-02T10:00:00+08:00,2024-04-20T12:00:00+08:00,false,season:spring
"""
OBSERVATIONS = """\
observationID,deploymentID,mediaID,eventID,eventStart,eventEnd,observationLevel,observationType,scientificName,count,individualID
o1,d1,,e1,2024-04-03T02:00:00+08:00,2024-04-03T02:00:09+08:00,event,animal,Panthera pardus,1,L1
o2,d2,,e2,2024-04-04T03:00:00+08:00,2024-04-04T03:00:09+08:00,event,animal,Panthera pardus,1,L1
o3,d3,,e3,2024-04-08T04:00:00+08:00,2024-04-08T04:00:09+08:00,event,animal,Panthera pardus,1,L2
o4,d1,,e4,2024-04-09T05:00:00+08:00,2024-04-09T05:00:09+08:00,event,animal,Panthera pardus,1,L2
o5,d1,,e5,2024-04-10T12:00:00+08:00,2024-04-10T12:00:09+08:00,event,animal,Capreolus pygargus,2,
o6,d2,,e6,2024-04-11T12:00:00+08:00,2024-04-11T12:00:09+08:00,event,blank,,,
"""
FAILURES = """\
deploymentID,start,end,reason
d1,2024-04-12T00:00:00+08:00,2024-04-14T00:00:00+08:00,snow
"""
IDENTITIES = """\
observationID,individual,sex
o1,L1,female
o2,L1,female
o3,L2,male
o4,L2,male
"""
STATIONS = """\
station,longitude,latitude,start,end
A,113.00,37.00,2024-04-01 10:00,2024-04-20 10:00
B,113.00,37.02,2024-04-01 11:00,2024-04-20 11:00
C,113.03,37.00,2024-04-02 10:00,2024-04-20 12:00
"""
RECORDS = """\
record,station,time,species,individual
r1,A,2024-04-03 02:00,Panthera pardus,L1
r2,B,2024-04-04 03:00,Panthera pardus,L1
r3,C,2024-04-08 04:00,Panthera pardus,L2
r4,A,2024-04-09 05:00,Panthera pardus,L2
r5,A,2024-04-10 12:00,Capreolus pygargus,
"""
WI_DEPLOYMENTS = """\
project_id,deployment_id,placename,longitude,latitude,start_date,end_date,camera_id,camera_functioning
1,d1,A,113.00,37.00,2024-04-01 10:00:00,2024-04-20 10:00:00,c1,Camera Functioning
1,d2,B,113.00,37.02,2024-04-01 11:00:00,2024-04-20 11:00:00,c2,Camera Functioning
1,d3,C,113.03,37.00,2024-04-02 10:00:00,2024-04-20 12:00:00,c3,Camera Functioning
"""
WI_IMAGES = """\
project_id,deployment_id,image_id,filename,is_blank,genus,species,common_name,timestamp,number_of_objects,individual_id
1,d1,i1,1.jpg,0,Panthera,pardus,Leopard,2024-04-03 02:00:00,1,L1
1,d1,i2,2.jpg,0,Panthera,pardus,Leopard,2024-04-03 02:00:01,1,L1
1,d2,i3,3.jpg,0,Panthera,pardus,Leopard,2024-04-04 03:00:00,1,L1
1,d3,i4,4.jpg,0,Panthera,pardus,Leopard,2024-04-08 04:00:00,1,L2
1,d1,i5,5.jpg,0,Panthera,pardus,Leopard,2024-04-09 05:00:00,1,L2
1,d1,i6,6.jpg,1,,,Blank,2024-04-10 12:00:00,,
"""
SITE = {"timezone": "Asia/Shanghai", "crs": "EPSG:32649", "species": "Panthera pardus"}


def descriptor(**changes) -> dict:
    """A datapackage.json of the two tables, with changes at its top level."""
    root = "https://raw.githubusercontent.com/tdwg/camtrap-dp/1.0.2"
    resources = [{"name": name, "path": f"{name}.csv"} for name in ("deployments", "observations")]
    project = {"title": "Test", "individualAnimals": True, "samplingDesign": "systematicRandom"}
    return {"profile": f"{root}/camtrap-dp-profile.json", "resources": resources, "project": project} | changes


def write(folder: Path, **files: str | bytes) -> None:
    """Files of a folder by their names, with __ for the dot: deployments__csv="…"."""
    for name, content in files.items():
        data = content.encode() if isinstance(content, str) else content
        (folder / name.replace("__", ".")).write_bytes(data)


def package(
    folder: Path, *, deployments=DEPLOYMENTS, observations=OBSERVATIONS, package=None, **more: str | bytes
) -> None:
    """A Camtrap DP package."""
    text = json.dumps(package or descriptor(), indent=1) if not isinstance(package, (str, bytes)) else package
    write(folder, datapackage__json=text, deployments__csv=deployments, observations__csv=observations, **more)


def field(folder: Path, *, deployments=STATIONS, records=RECORDS, **more: str | bytes) -> None:
    """Field tables."""
    write(folder, deployments__csv=deployments, records__csv=records, **more)


def wildlife(folder: Path, *, deployments=WI_DEPLOYMENTS, images=WI_IMAGES, **more: str | bytes) -> None:
    """A Wildlife Insights export."""
    write(folder, deployments__csv=deployments, images__csv=images, **more)


def change(text: str, old: str, new: str) -> str:
    """The text with one thing changed, which must be there."""
    assert old in text, f"{old!r} is not in the text"
    return text.replace(old, new)


def cell(text: str, row: str, **values: str) -> str:
    """A CSV text with other values in the row that holds `row` in its first or second column."""
    header, *lines = text.splitlines()
    at = next(i for i, line in enumerate(lines) if row in line.split(",")[:2])
    cells = lines[at].split(",")
    for column, value in values.items():
        cells[header.split(",").index(column)] = value
    lines[at] = ",".join(cells)
    return "\n".join([header, *lines, ""])
