"""Wildlife Insights exports."""

import zipfile

import pytest
from bad_inputs import good
from bad_inputs.good import SITE, WI_DEPLOYMENTS, WI_IMAGES, change

from uncia import survey

HISTORY = [["L1", 3, "A"], ["L1", 4, "B"], ["L2", 8, "C"], ["L2", 9, "A"]]


def read(path, **how):
    return survey.read_wildlife_insights(path, **(SITE | how))


def animals_at(captures):
    return captures.detections[["animal", "occasion", "detector"]].to_numpy(object).tolist()


def test_a_folder(tmp_path):
    good.wildlife(tmp_path)
    captures = read(tmp_path, kind="count")
    assert animals_at(captures) == HISTORY
    assert captures.ledger.count("within 30 minutes of the last independent record") == 1
    assert captures.ledger.count("blank") == 1


def test_many_image_files_in_a_zip(tmp_path):
    header, *rows = WI_IMAGES.splitlines()
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as file:
        file.writestr("projects.csv", "project_id\n1\n")
        file.writestr("deployments.csv", WI_DEPLOYMENTS)
        for n, part in enumerate([rows[:3], rows[3:]]):
            file.writestr(f"images_200{n}.csv", "\n".join([header, *part]))
    captures = read(tmp_path / "export.zip")
    assert animals_at(captures) == HISTORY
    assert list(captures.ledger.read) == ["images_2000.csv", "images_2001.csv"]


def test_sequences(tmp_path):
    header = (
        "project_id,deployment_id,sequence_id,is_blank,genus,species,start_time,end_time,group_size,individual_id\n"
    )
    rows = [
        f"1,{d},s{i},0,Panthera,pardus,2024-04-0{day} 02:00:00,2024-04-0{day} 02:00:30,1,{who}\n"
        for i, (d, day, who) in enumerate([("d1", 3, "L1"), ("d2", 4, "L1"), ("d3", 8, "L2"), ("d1", 9, "L2")])
    ]
    good.write(tmp_path, deployments__csv=WI_DEPLOYMENTS, sequences__csv=header + "".join(rows))
    assert animals_at(read(tmp_path)) == HISTORY


@pytest.mark.parametrize("by", ["image_id", "filename"])
def test_identities_of_images(tmp_path, by):
    name = (lambda i: f"i{i}") if by == "image_id" else (lambda i: f"{i}.jpg")
    rows = [f"{name(i)},{who}" for i, who in [(1, "L1"), (3, "L1"), (4, "L2"), (5, "L2")]]
    good.wildlife(tmp_path, identities__csv="\n".join([f"{by},individual", *rows]))
    captures = read(tmp_path, identities=tmp_path / "identities.csv")
    assert animals_at(captures) == HISTORY
    assert captures.ledger.count("no identity") == 1


def test_two_animals_in_one_image(tmp_path):
    second = WI_IMAGES + "1,d1,i1,1.jpg,0,Panthera,pardus,Leopard,2024-04-03 02:00:00,1,L9\n"
    good.wildlife(tmp_path, images=second)
    captures = read(tmp_path)
    assert captures.n_detections == 5
    assert captures.tables.records["record"].tolist()[-1] == "i1#2"


def test_failure_without_dates_is_told(tmp_path):
    good.wildlife(tmp_path, deployments=change(WI_DEPLOYMENTS, "c2,Camera Functioning", "c2,Vandalism/Theft"))
    with pytest.warns(survey.SurveyWarning, match=r"1 deployments are said to have failed, but not when \('d2'\)"):
        captures = read(tmp_path)
    assert captures.tables.notes[0].endswith("Give the dates as failures=")
    good.write(tmp_path, failures__csv="deployment,start,end,reason\nd2,2024-04-10,2024-04-20,theft\n")
    assert read(tmp_path, failures=tmp_path / "failures.csv").tables.lost()["reason"].tolist() == ["theft"]


def test_unknown_end(tmp_path):
    good.wildlife(tmp_path, deployments=change(WI_DEPLOYMENTS, "2024-04-20 11:00:00", "NA"))
    captures = read(tmp_path, outside="drop")
    assert captures.ledger.count("the effort is not known") == 1
    assert captures.n_detections == 3


def test_people_are_no_animals(tmp_path):
    person = "1,d1,i9,9.jpg,0,Homo,sapiens,Human,2024-04-11 12:00:00,1,\n"
    good.wildlife(tmp_path, images=WI_IMAGES + person)
    assert read(tmp_path).ledger.count("human") == 1
