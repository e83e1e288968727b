"""What a job reads, as the workspace is told of it: folders of datastores, of this machine, and assets from afar."""

import pytest
from azureml_plans import blobs, job, read_placement, read_spec, render_plan, source
from azureml_workspace_plans import make_submittable_plan, submit_rejected
from robotrain.model.source import SourceError
from robotrain_azure.workspace import Workspace
from robotrain_azureml import datastore_path
from robotrain_azureml.platform import AZUREML

FOLDER = "datastores/workspaceblobstore/paths/azureml/job-1/checkpoints/000400"
OWN = "azureml://subscriptions/SUB-AZ/resourcegroups/{}/workspaces/ws-tf/" + FOLDER
OTHER = "azureml://subscriptions/S/resourcegroups/g/workspaces/w/" + FOLDER


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        (f"azureml://{FOLDER}", f"azureml://{FOLDER}/"),
        (OWN.format("rg-tf"), f"azureml://{FOLDER}/"),
        (OWN.format("RG-TF"), f"azureml://{FOLDER}/"),
        (OTHER, f"{OTHER}/"),
    ],
)
@pytest.mark.parametrize("role", ["resume", "policy"])
def test_a_folder_of_a_datastore_is_mounted_by_the_workspace_and_nothing_is_fetched(role, uri, path):
    made = render_plan(job(*blobs(), source("datastore_path", uri, role)))
    [(name, entry)] = read_spec(made)["inputs"].items()
    assert entry == {"type": "uri_folder", "mode": "ro_mount", "path": path}
    [mount] = read_placement(made).mounts
    assert (mount.role, mount.uri, mount.folder) == (role, uri, f"${{AZURE_ML_INPUT_{name}}}")


@pytest.mark.parametrize("text", [f"azureml://{FOLDER}", OTHER])
def test_a_path_in_a_datastore_reads_back_as_it_was_printed(text):
    assert (
        str(datastore_path.parse_datastore_path(text)) == str(datastore_path.parse_datastore_path(f"{text}/")) == text
    )


@pytest.mark.parametrize(
    "text",
    [
        "azureml://datastores/d/paths/",
        "azureml://datastores/d/paths//a",
        "azureml://datastores/d/paths/a/../b",
        "azureml://datastores/d/paths/a b",
        "azureml://datastores/d/paths/${{name}}",
        "azureml://datastores/d/paths/a?sig=s",
        "azureml://datastores/d-e/paths/a",
        "azureml://jobs/datastores/d/paths/a",
        "https://acc.blob.core.windows.net/box/p",
    ],
)
def test_what_is_no_such_path_is_refused(text):
    with pytest.raises(SourceError):
        datastore_path.parse_datastore_path(text)


def test_the_workspace_of_a_job_is_the_same_in_whatever_case():
    far = datastore_path.parse_datastore_path(OTHER)
    assert far.relative_to(Workspace("s", "G", "W")) == datastore_path.parse_datastore_path(f"azureml://{FOLDER}")
    assert far.relative_to(Workspace("s", "G", "W2")) == far


@pytest.mark.parametrize("flag", ["--resume-from", "--policy-url"])
def test_other_platforms_say_how_to_bring_it(robotrain, flag):
    data = ("--blob-url", "https://account1.blob.core.windows.net/train/set1")
    answer = robotrain("explain", "--platform", "local", *data, flag, f"azureml://{FOLDER}")
    assert answer.exit_code == 3
    assert "local does not accept paths in a datastore of Azure ML" in answer.stderr
    assert "robotrain outputs RUN --checkpoint last --to FOLDER" in answer.stderr
    assert "--platform azureml" in answer.stderr


@pytest.mark.slow
def test_folders_that_are_not_pinned_are_never_written_over_by_an_equal_job(azureml, tmp_path, monkeypatch):
    folder, seen = tmp_path / "recorded", {}
    folder.mkdir()
    wanted = make_submittable_plan(azureml, source("local_path", str(folder)))
    for number in ("1", "2"):
        monkeypatch.setenv("ROBOTRAIN_STATE", str(tmp_path / "state" / number))
        (folder / "a").write_text(number)
        name = AZUREML.engine.submit(wanted)["job"]
        seen[azureml.jobs[name].inputs["dataset_path_0"].prefix] = number
    assert len(seen) == 2
    assert {at: azureml.store.get(azureml.container, f"{at.strip('/')}/a").decode() for at in seen} == seen


@pytest.mark.slow
def test_data_of_a_registry_and_of_a_workspace_named_by_its_place_reaches_the_job(azureml):
    azureml.data("shared", 3, "shared/3", registry="robots")
    azureml.data("own", 1, "own/1")
    located = f"azureml://locations/westeurope/workspaces/{azureml.ml.identifier}/data/own/versions/1"
    uris = ("azureml://registries/robots/data/shared/versions/3", located)
    name = AZUREML.engine.submit(make_submittable_plan(azureml, *(source("data_asset", uri) for uri in uris)))["job"]
    assert [bound.prefix for bound in azureml.jobs[name].inputs.values()] == ["shared/3", "own/1"]


@pytest.mark.slow
def test_an_input_that_is_not_taken_is_reported_in_azures_words(azureml):
    problem = submit_rejected(
        make_submittable_plan(azureml, source("data_asset", "azureml://locations/mars/workspaces/w/data/a/versions/1"))
    )
    assert (problem.code, "mars" in problem.why) == ("platform-refused", True)
