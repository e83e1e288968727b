"""Sources that the platform brings to the machine before the runtime starts."""

import dataclasses
import json
from pathlib import Path

import pytest
from problem_assertions import check_refusals
from robotrain_runtime.checkpoints import model_lineage
from robotrain_runtime.contract import document
from robotrain_runtime.contract.document import JobSource, Mount
from robotrain_runtime.preflight import run_preflight

NUMBERS = """
import os, pathlib
print([pathlib.Path(folder, "numbers.txt").read_text() for folder in os.environ["PRETEND_DATA"].split(":")])
"""


@pytest.fixture
def make_document(job, tmp_path):
    """Make a document: `make_document("azureml:a:1", folder="${IN}")`; the kind has no plugin of its own."""

    def make(*uris, folder=str(tmp_path / "in"), kind="asset", program=NUMBERS, pin="", join="", **job_words):
        made = job(program, publish={"join": join} if join else {}, **job_words)
        sources = tuple(JobSource(role="dataset", kind=kind, uri=uri, pin=pin) for uri in uris)
        mounts = tuple(
            Mount(
                role="dataset", uri=uri, folder=folder if len(uris) == 1 else f"{folder}/{number}", origin="the upload"
            )
            for number, uri in enumerate(uris)
        )
        placement = dataclasses.replace(made.placement, mounts=mounts)
        return dataclasses.replace(made, sources=(*sources, *made.sources), placement=placement)

    return make


@pytest.fixture
def lay_files(tmp_path):
    def lay(path: str, numbers: str = "seven"):
        folder = tmp_path / path
        folder.mkdir(parents=True)
        (folder / "numbers.txt").write_text(numbers)
        return folder

    return lay


@pytest.mark.parametrize(
    ("kind", "inside"),
    [
        ("asset", "in/pusht"),  # has no half of its own
        ("folder", "in"),
        pytest.param("words", "in/a/pusht", marks=pytest.mark.slow),  # which a carrier brings
    ],
)
def test_a_mounted_source_is_used_where_it_lies(run, make_document, lay_files, kind, inside):
    lay_files(inside)
    ran = run(make_document("nowhere", kind=kind, pin="x"))
    assert ran.exit_code == 0, ran.lines
    assert ran.ordinary == ["['seven']"]


@pytest.mark.parametrize("folder", ["${WHERE_IT_IS}", "${WHERE_IT_IS}/deep"])
def test_a_name_of_the_environment_says_where_it_lies(
    plugins_on_path, make_document, lay_files, tmp_path, monkeypatch, folder
):
    (lay_files("in/deep/pusht") / "numbers.txt").unlink()
    (tmp_path / "in/deep/pusht/letters.txt").touch()
    monkeypatch.setenv("WHERE_IT_IS", str(tmp_path / "in"))
    made = make_document("azureml:a:1", folder=folder)
    assert document.parse_document(document.format_document(made)) == made
    check_refusals(run_preflight(made), "data-unusable")


def test_the_data_begins_where_what_describes_it_lies(plugins_on_path, make_document, lay_files, tmp_path, monkeypatch):
    import pretend_work

    monkeypatch.setattr(pretend_work, "DESCRIBED", {"dataset": ("meta/numbers.txt",)})
    lay_files("in/pusht/meta")  # alone in its folder
    check_refusals(run_preflight(make_document("azureml:a:1")), "data-unusable")


@pytest.mark.parametrize("there", [None, "in", "in/pusht/.cache"])
def test_what_arrives_empty_is_a_failure_that_names_where_it_came_from(plugins_on_path, make_document, tmp_path, there):
    if there:
        (tmp_path / there).mkdir(parents=True)
    (finding,) = run_preflight(make_document("azureml:a:1"))
    check_refusals([finding], "mount-empty azureml:a:1")
    assert finding.fault == "data"


def test_a_folder_whose_name_is_not_set_is_told_before_the_work(run, make_document):
    ran = run(make_document("azureml:a:1", folder="${WHERE_IT_IS}", program="print('started')"))
    assert (ran.exit_code, ran.outcome["fault"], ran.ordinary) == (4, "configuration", [])
    assert ran.outcome["reason"] == "WHERE_IT_IS is not set: it should name the folder of the upload"


def test_mounted_sources_are_compared_with_those_that_are_fetched(plugins_on_path, make_document, lay_files):
    lay_files("in", "odd")
    check_refusals(run_preflight(make_document("azureml:a:1", carried=["even"])), "data-unusable")


def test_tags_of_a_mounted_model_are_recorded_in_place_of_earlier_ones(plugins_on_path, make_document, lay_files):
    folder = lay_files("in")
    for tags, recorded in ((("task=a=b",), {"task": "a=b"}), ((), {})):
        made = make_document("azureml:a:1")
        sources = tuple(dataclasses.replace(source, tags=tags) for source in made.sources)
        assert run_preflight(dataclasses.replace(made, sources=sources)) == []
        assert model_lineage.read_model_tags(Path(made.placement.cache), folder) == recorded


@pytest.mark.slow
def test_tags_of_a_fetched_model_are_recorded(run, job):
    made = job(NUMBERS, carried=["even"])
    sources = tuple(dataclasses.replace(source, tags=("task=a",)) for source in made.sources)
    assert run(dataclasses.replace(made, sources=sources)).exit_code == 0
    (record,) = Path(made.placement.cache, "sources/parentage").iterdir()
    assert json.loads(record.read_text()) == {"tags": {"task": "a"}}


@pytest.mark.slow
def test_mounted_data_goes_into_what_is_prepared_and_its_pin_into_the_name(
    plugins_on_path, run, make_document, lay_files, tmp_path
):
    from pretend_work import JOIN

    lay_files("in/0", "one")
    lay_files("in/1", "two")
    ran = run(make_document("azureml:a:1", "azureml:b:2", pin="v7", join=JOIN))
    assert ran.exit_code == 0, ran.lines
    assert ran.ordinary[-1] == "['one+two', 'one+two']"
    assert (tmp_path / "cache/prepared/pretend/v7.v7/files/numbers.txt").exists()
