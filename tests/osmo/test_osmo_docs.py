"""docs/osmo.md: its commands render, and it lists every setting and problem."""

import re
from pathlib import Path

import pytest
import robotrain_osmo
from platform_document import DocumentTests, PlatformDocument

DOCUMENT = PlatformDocument(
    "osmo", {"POOL": "default", "ACCOUNT": "robots", "OWNER/PRIVATE": "me/private", "MLFLOW-HOST": "mlflow.example.com"}
)
SUBMITS = [line for line in DOCUMENT.commands if line.startswith("robotrain submit")]
OSMO = ("--platform", "osmo", "--pool", "default")


class TestDocument(DocumentTests):
    document = DOCUMENT


def test_neither_the_first_command_nor_a_run_of_the_first_settings_loses_its_checkpoints(robotrain):
    assert "--publish-url" in SUBMITS[0]
    Path("robotrain.toml").write_text(DOCUMENT.first_settings().replace("ACCOUNT", "robots"))
    answer = robotrain("render", "-d", "lerobot/pusht")
    assert answer.exit_code == 0, answer.stderr
    assert "url: azure://robots/checkpoints/PROJECT/" in answer.stdout
    assert "nothing-kept" not in answer.stderr


def test_problems_of_osmo_in_the_document_exist():
    result = set(re.findall(r"`((?:osmo|upload)-[a-z-]+)`", DOCUMENT.part("## Troubleshooting")))
    package = [
        path for path in Path(robotrain_osmo.__path__[0]).rglob("*.*") if path.name.endswith((".py", "refusals.toml"))
    ]
    codes = {code for file in package for code in re.findall(r'"(osmo(?:-[a-z]+)+)"', file.read_text())}
    assert result - codes == set()
    assert result


@pytest.mark.parametrize("url", re.findall(r"^\| `(\S+)` \|", DOCUMENT.part("### Valid blob URLs"), re.MULTILINE))
def test_what_the_document_says_is_no_blob_url_is_refused(url, robotrain):
    answer = robotrain("render", *OSMO, "--blob-url", url)
    assert answer.exit_code in (2, 3), answer.stdout
    assert "sig=x" not in answer.stdout + answer.stderr
