"""docs/azureml.md: what it says can be typed, and nothing is missing in it."""

import re
import shutil
from pathlib import Path

import pytest
from platform_document import DocumentTests, PlatformDocument
from robotrain_azureml.settings import AzureMLSettings

DOCUMENT = PlatformDocument("azureml", {"ACCOUNT": "robots", "OWNER/PRIVATE": "me/private", "VAULT": "robots-kv"})
SUBMITS = [line for line in DOCUMENT.commands if line.startswith(("robotrain submit --platform", "robotrain render"))]
WORKSPACE = ("--subscription-id", "s", "--resource-group", "g", "--workspace-name", "w", "--compute", "k8s-robot")
SWITCHES = {"--stream", "--assets-only", "--pin"}
FILES = {"--save-spec", "--to"}


def rendering(line: str) -> list[str]:
    """The same as a `render`, without what is only of a submit."""
    words = iter(["render", *DOCUMENT.typed(line)[1:]])
    kept = [word for word in words if word not in SWITCHES and not (word in FILES and next(words))]
    return [*kept, *(() if "--workspace-name" in kept else WORKSPACE)]


class TestDocument(DocumentTests):
    document, settings = DOCUMENT, AzureMLSettings


@pytest.mark.parametrize("line", SUBMITS)
def test_a_submit_of_the_document_renders(line, robotrain, pusht):
    shutil.copytree(pusht / "meta", "dataset/meta")
    answer = robotrain(*rendering(line), "--json")
    assert answer.exit_code == 0, answer.stderr
    assert answer.json["spec"] == "job.yaml"


def test_a_run_of_the_first_settings_renders_with_nothing_more_said(robotrain):
    Path("robotrain.toml").write_text(DOCUMENT.first_settings())
    answer = robotrain("render", "-d", "lerobot/pusht")
    assert answer.exit_code == 0, answer.stderr
    assert "compute: azureml:COMPUTE" in answer.stdout


def test_every_problem_of_azure_ml_is_in_the_document_and_no_other():
    told = set(re.findall(r"`(azureml-[a-z-]+)`", DOCUMENT.part("## Troubleshooting")))
    modules = (Path(__file__).parents[2] / "plugins/azureml").rglob("*.py")
    assert told == {code for path in modules for code in re.findall(r'"(azureml-[a-z-]+)"', path.read_text())}
