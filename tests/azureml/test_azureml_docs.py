"""docs/azureml.md: what it says can be typed, and nothing is missing in it."""

import re
import shutil
from pathlib import Path

import pytest
from azureml_looked import dataset
from azureml_observed import EVENTS
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


@pytest.fixture
def there(azureml, nobody):
    """The workspace with everything that the document names."""
    azureml.kubernetes("k8s-robot")
    for name, version in set(re.findall(r"--dataset-asset azureml:([\w-]+):(\d+)", DOCUMENT.text)):
        azureml.data(name, version, dataset(azureml, f"data/{name}"))
    for name, version in set(re.findall(r"--init-from-policy-model azureml:([\w-]+):(\d+)", DOCUMENT.text)):
        azureml.model(name, version, f"models/{name}")
    return azureml


@pytest.mark.slow
def test_the_workspace_takes_what_each_submit_of_the_document_sends(there, robotrain, pusht):
    shutil.copytree(pusht / "meta", "dataset/meta")
    places = dict(zip(WORKSPACE[:6:2], there.names, strict=True)) | {"--compute": "k8s-robot"}
    for line in SUBMITS:
        kept = DOCUMENT.typed(line)
        if "--plan" in kept or kept[0] == "render" or "--stream" in kept:
            continue
        said = [word for word in kept if word not in {"SUBSCRIPTION", "GROUP", "WORKSPACE", "COMPUTE", *places}]
        before = len(there.jobs)
        answer = robotrain(*said, *(word for pair in places.items() for word in pair), "--no-pin")
        assert answer.exit_code == 0, (line, answer.stderr)
        assert len(there.jobs) == before + ("--assets-only" not in line), line
    assert Path("made.yaml").read_text().startswith("$schema:")


SENT = ("robotrain doctor", "robotrain submit", "robotrain resume", "robotrain resubmit")
"""Of a run that was really sent: those are in test_azureml_submit.py and test_azureml_trains.py."""
OTHERS = [line for line in DOCUMENT.commands if line not in SUBMITS and not line.startswith(SENT)]


@pytest.mark.slow
@pytest.mark.parametrize("line", OTHERS)
def test_a_command_of_the_document_does_what_it_says(line, run, robotrain):
    run.set_native_state("Running").tell(*EVENTS).left()
    name = run.set_native_state("Completed").record()
    answer = robotrain(*[name if word == "RUN" else word for word in DOCUMENT.typed(line)])
    assert answer.exit_code == 0, answer.stdout + answer.stderr
