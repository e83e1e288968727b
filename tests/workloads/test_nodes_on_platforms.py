"""The same job file has two nodes on each platform that starts the job on every node: OSMO and Azure ML."""

from pathlib import Path

import pytest
import yaml
from osmo_stand_in.fixtures import osmo
from robotrain_azureml.spec import submission_spec
from robotrain_runtime.contract.document import parse_document

__all__ = ["osmo"]

EXAMPLES = Path(__file__).parents[2] / "examples"
SETTINGS = {
    "osmo": ("--pool", "default", "--gpu-platform", "gpu_platform", "--storage-account", "acct"),
    "azureml": ("--workspace-name", "aml", "--compute", "gpu", "--subscription-id", "s", "--resource-group", "g"),
}


@pytest.fixture
def render(robotrain, tmp_path):
    """`render("osmo", words…)`: the files of the plan."""

    def render(platform: str, *words: object):
        folder = tmp_path / platform
        place = ("--platform", platform, *SETTINGS[platform])
        answer = robotrain("render", *words, *place, "--tracking-uri", "none", "--num-nodes", "2", "--to", folder)
        assert answer.exit_code == 0, answer.stderr
        return folder

    return render


def test_same_job_has_two_nodes_on_osmo_and_azure_ml(render, osmo):
    folders = {platform: render(platform, EXAMPLES / "two-nodes/job.yaml") for platform in SETTINGS}
    workflow = (folders["osmo"] / "workflow.yaml").read_text()
    (group,) = yaml.safe_load(workflow)["workflow"]["groups"]
    assert [task["environment"]["ROBOTRAIN_NODE_RANK"] for task in group["tasks"]] == ["0", "1"]
    assert osmo.submit(workflow)
    spec = yaml.safe_load((folders["azureml"] / "job.yaml").read_text())
    assert spec["resources"]["instance_count"] == 2
    assert spec["distribution"] == {"type": "pytorch", "process_count_per_instance": 1}
    paths = (folders["osmo"] / "job.json", folders["azureml"] / submission_spec.DOCUMENT_FILE)
    first, second = documents = [parse_document(path.read_text()) for path in paths]
    assert (first.job, first.parameters["num_nodes"], first.trainer_args) == (second.job, 2, second.trainer_args)
    assert [document.placement.node_rank for document in documents] == ["ROBOTRAIN_NODE_RANK", "NODE_RANK"]
    assert [document.placement.node_address[:2] for document in documents] == ["${", "${"]
