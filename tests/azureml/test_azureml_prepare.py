"""What `submit --assets-only` brings to a workspace: a line for each thing, and no job."""

import pytest
from azureml_workspace_plans import ENVIRONMENT, IMAGE, VERSION, list_requests, make_submittable_plan
from robotrain.errors import Rejected
from robotrain_azureml.platform import AZUREML
from robotrain_runtime.contract.document import JobSource
from robotrain_sources.local_path import pin


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "recorded").mkdir()
    (tmp_path / "recorded/a").write_bytes(b"a")
    return tmp_path / "recorded"


def make_upload_plan(azureml, folder, pinned=True):
    digest = pin.compute_folder_digest(folder).pin if pinned else ""
    return make_submittable_plan(azureml, JobSource(role="dataset", kind="local_path", uri=str(folder), pin=digest))


@pytest.mark.slow
def test_the_environment_comes_first_then_folders_and_no_job(azureml, folder):
    wanted = make_upload_plan(azureml, folder)
    lines = AZUREML.engine.prepare(wanted)
    assert next(lines) == f"environment {ENVIRONMENT}:{VERSION} was registered with {IMAGE}"
    assert list_requests(azureml, "blob.core") == []
    [line] = lines
    assert line.startswith(f"{folder} was uploaded: azureml://datastores/workspaceblobstore/paths/robotrain/data/")
    assert azureml.jobs == {}
    assert [line.partition(": ")[0].split()[-1] for line in AZUREML.engine.prepare(wanted)] == ["exists", "already"]


def test_a_folder_without_a_digest_is_left_to_the_submit(azureml, folder):
    assert len(list(AZUREML.engine.prepare(make_upload_plan(azureml, folder, pinned=False)))) == 1
    assert list_requests(azureml, "blob.core") == []


def test_a_folder_with_a_link_is_reported_before_anything_is_brought(azureml, folder):
    wanted = make_upload_plan(azureml, folder)
    (folder / "link").symlink_to("a")
    with pytest.raises(Rejected):
        list(AZUREML.engine.prepare(wanted))
    assert {call.partition(" ")[0] for call in azureml.calls} == {"GET"}


def test_the_environment_alone_needs_neither_data_nor_a_compute(azureml, robotrain):
    words = ("submit", "--platform", "azureml", *azureml.options)
    answer = robotrain(*words, "--assets-only")
    assert answer.exit_code == 0, answer.stderr
    assert answer.stdout.startswith("environment lerobot-training-env:")
    assert azureml.jobs == {}
    refused = robotrain(*words, "--dry-run")
    assert "needs a dataset" in refused.stderr
    assert "no compute is set" in refused.stderr


@pytest.mark.parametrize("options", [(), ("--env", "pusht")])
def test_the_environment_of_an_evaluation_needs_no_policy(azureml, robotrain, options):
    words = ("submit", "lerobot-eval", "--platform", "azureml", *azureml.options, *options)
    answer = robotrain(*words, "--assets-only")
    assert answer.exit_code == 0, answer.stderr
    assert answer.stdout.startswith("environment lerobot-inference-env:")
    assert azureml.jobs == {}
    assert "[source-missing]" in robotrain(*words, "--env", "pusht", "--dry-run").stderr
