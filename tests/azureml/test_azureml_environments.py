"""Environments that robotrain does not make, and what it has no option for: an answer by name."""

import pytest
from azure_stand_in.ml.azureml import AzureML
from azureml_workspace_plans import COMPUTE, add_dataset, prepare_workspace

REGISTRY = "azureml://registries/robots/environments/trainer/versions/7"
BUILD = {"build": {"contextUri": "https://x.blob.core.windows.net/box/d/", "dockerfilePath": "Dockerfile"}}
CONDA = {"condaFile": "dependencies: [python=3.12]"}
SUBMIT = ("submit", "lerobot-train", "--platform", "azureml", "--dataset-asset", "azureml:episodes:3", "--json")
NAMED = ("--environment-name", "trainer", "--environment-version", "7")


@pytest.fixture
def workspace(azureml, name_workspace) -> AzureML:
    prepare_workspace(azureml)
    azureml.data("episodes", 3, add_dataset(azureml, "episodes/3"))
    name_workspace(azureml, COMPUTE)
    return azureml


def list_codes(answer, severity: str) -> set[str]:
    return {problem["code"] for problem in answer.json["problems"] if problem["severity"] == severity}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "image", "made", "options", "reference"),
    [
        ("trainer", "", BUILD, NAMED, "/environments/trainer/versions/7"),
        ("trainer", "mcr.microsoft.com/azureml/base:1", CONDA, NAMED, "/environments/trainer/versions/7"),
        (
            "AzureML-acpt-pytorch",
            "mcr.microsoft.com/azureml/curated/acpt:1",
            {"environmentType": "Curated"},
            ("--environment-name", "AzureML-acpt-pytorch", "--environment-version", "7"),
            "azureml:AzureML-acpt-pytorch:7",
        ),
        ("", "", {}, ("--environment-name", REGISTRY), REGISTRY),
    ],
)
def test_an_environment_that_azure_builds_or_has_is_taken_with_a_warning(
    robotrain, workspace, name, image, made, options, reference
):
    if name:
        workspace.environment(name, "7", image, **made)
    workspace.calls.clear()
    answer = robotrain(*SUBMIT, *options)
    assert answer.exit_code == 0, answer.stderr
    assert "[azureml-environment-unseen]" in answer.stderr
    [job] = workspace.jobs.values()
    assert job.body["environmentId"].endswith(reference)
    assert not [call for call in workspace.calls if call.startswith("PUT") and "/environments/" in call]


@pytest.mark.parametrize(
    ("image", "made", "options", "code"),
    [
        ("", BUILD, (*NAMED, "--image", "pytorch/pytorch:2.11.0"), "azureml-environment-differs"),
        ("other/image:1", {}, NAMED, "azureml-environment-differs"),
        (
            "",
            BUILD,
            ("--environment-name", "AzureML-acpt", "--environment-version", "9"),
            "resource-unknown",
        ),
    ],
    ids=["built instead of the image", "another image", "Azure's own, which nobody can register"],
)
def test_environment_that_is_not_the_jobs_stops_the_submit(robotrain, workspace, image, made, options, code):
    workspace.environment("trainer", "7", image, **made)
    answer = robotrain(*SUBMIT, *options)
    assert (answer.exit_code, workspace.jobs) == (4, {})
    assert code in list_codes(answer, "error")


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("--environment-name", REGISTRY.replace("versions/7", "labels/latest")), "value-invalid"),
        (("--environment-name", REGISTRY, "--image", "a/b:1"), "options-conflict"),
        (("--environment-name", "AzureML-acpt-pytorch"), "resource-unknown"),
        (("--compute", "serverless"), "azureml-compute-serverless"),
    ],
)
def test_what_azure_ml_has_and_robotrain_does_not_is_refused_with_the_reason(robotrain, workspace, options, code):
    answer = robotrain(*SUBMIT, *options)
    assert workspace.jobs == {}
    assert code in list_codes(answer, "error"), answer.stderr
