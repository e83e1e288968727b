"""docs/azureml.md: what it says can be typed, and nothing is missing in it."""

import re
from pathlib import Path

from platform_document import DocumentTests, PlatformDocument

DOCUMENT = PlatformDocument("azureml", {"ACCOUNT": "robots", "OWNER/PRIVATE": "me/private", "VAULT": "robots-kv"})
WORKSPACE = ("--subscription-id", "s", "--resource-group", "g", "--workspace-name", "w-1", "--compute", "k8s-robot")
SWITCHES = {"--stream", "--assets-only", "--pin"}
FILES = {"--to"}


class TestDocument(DocumentTests):
    document = DOCUMENT


def test_a_run_with_required_settings_only_renders(robotrain):
    Path("robotrain.toml").write_text(DOCUMENT.first_settings())
    answer = robotrain("render", "-d", "lerobot/pusht")
    assert answer.exit_code == 0, answer.stderr
    assert "compute: azureml:COMPUTE" in answer.stdout


def test_problems_of_azure_ml_in_the_document_exist():
    files = Path(__file__).parents[2].glob("plugins/azureml/**/messages.toml")
    written = {code for file in files for code in re.findall(r"(?m)^\[(azureml-[a-z-]+)", file.read_text())}
    result = set(re.findall(r"`(azureml-[a-z-]+)`", DOCUMENT.part("## Troubleshooting")))
    assert result - written == set()
    assert result
