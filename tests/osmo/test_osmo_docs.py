"""docs/osmo.md: its commands work, and it lists every setting and problem."""

import re
import shutil
from pathlib import Path

import pytest
import robotrain_osmo
from observed import EVENTS, sealed
from platform_document import DocumentTests, PlatformDocument
from robotrain.store import records
from robotrain_osmo.settings import OsmoSettings
from robotrain_runtime.contract import checkpoint, event

DOCUMENT = PlatformDocument(
    "osmo", {"POOL": "default", "ACCOUNT": "robots", "OWNER/PRIVATE": "me/private", "MLFLOW-HOST": "mlflow.example.com"}
)
SUBMITS = [line for line in DOCUMENT.commands if line.startswith("robotrain submit")]
OSMO = ("--platform", "osmo", "--pool", "default")
OTHERS = [line for line in DOCUMENT.commands if line not in SUBMITS]
FOLDERS = {"upload-changed", "upload-empty", "upload-links", "upload-mixed", "upload-secret", "upload-unreadable"}
"""Told of a folder on any platform that speaks to Azure."""


class TestDocument(DocumentTests):
    document, settings = DOCUMENT, OsmoSettings


@pytest.mark.parametrize("line", SUBMITS)
def test_a_submit_of_the_document_renders(line, osmo, robotrain, pusht, monkeypatch):
    shutil.copytree(pusht / "meta", "dataset/meta")
    words = ["render" if word == "submit" else word for word in DOCUMENT.typed(line)]
    answer = robotrain(*words, "--json")
    assert answer.exit_code == 0, answer.stderr


def test_neither_the_first_command_nor_a_run_of_the_first_settings_loses_its_checkpoints(robotrain):
    assert "--publish-url" in SUBMITS[0]
    Path("robotrain.toml").write_text(DOCUMENT.first_settings().replace("ACCOUNT", "robots"))
    answer = robotrain("render", "-d", "lerobot/pusht")
    assert answer.exit_code == 0, answer.stderr
    assert "url: azure://robots/checkpoints/PROJECT/" in answer.stdout
    assert "osmo-nothing-kept" not in answer.stderr


@pytest.mark.slow
@pytest.mark.parametrize("line", SUBMITS)
def test_osmo_takes_what_a_submit_of_the_document_would_send(line, osmo, robotrain, pusht, tmp_path):
    import yaml

    shutil.copytree(pusht / "meta", "dataset/meta")
    for name, key in (("hf_token", "hf_token"), ("wandb_api_key", "wandb_api_key"), ("storage_key", "access_key")):
        osmo.credentials[name] = {key: "secret"}
    words = ["render" if word == "submit" else word for word in DOCUMENT.typed(line)]
    assert robotrain(*words, "--to", tmp_path / "plan").exit_code == 0
    file = (tmp_path / "plan/workflow.yaml").read_text()
    answer = osmo.ask("POST", "api/pool/default/workflow", {}, {"file": file})
    assert answer.status == 200, answer.body
    assert yaml.safe_load(file)["workflow"]["tasks"]


@pytest.fixture
def ended(osmo, robotrain, pusht) -> str:
    """The name of a run that succeeded and has a checkpoint in OSMO's storage."""
    to = ("--publish-url", "azure://robots/checkpoints/pusht", "--storage-account", "robots")
    sent = robotrain("submit", *OSMO, "--dataset-path", pusht, "--tracking-uri", "none", *to, "--json")
    assert sent.exit_code == 0, sent.stderr
    reference = records.read_record(sent.json["run"]).reference
    files = {"pretrained_model/config.json": b"{}"}
    osmo.put(f"{reference['publishes']}/000400", files | {checkpoint.MANIFEST: sealed(files, run=sent.json["run"])})
    osmo.set_state(reference["workflow"], task_status="RUNNING")
    osmo.say(reference["workflow"], *map(event.format_event, EVENTS))
    osmo.set_state(reference["workflow"], task_status="COMPLETED", exit_code=0)
    return sent.json["run"]


@pytest.mark.slow
@pytest.mark.parametrize("line", OTHERS)
def test_a_command_of_the_document_does_what_it_says(line, ended, robotrain, monkeypatch):
    monkeypatch.setenv("OSMO_POOL", "default")  # as robotrain.toml says it there
    words = [ended if word == "RUN" else word for word in DOCUMENT.typed(line)]
    if words[0] == "resume":
        words.append("--dry-run")
    answer = robotrain(*words)
    assert answer.exit_code == 0, answer.stdout + answer.stderr


def test_every_problem_of_osmo_is_in_the_document_and_no_other():
    told = set(re.findall(r"`((?:osmo|upload)-[a-z-]+)`", DOCUMENT.part("## Troubleshooting")))
    package = [
        path for path in Path(robotrain_osmo.__path__[0]).rglob("*.*") if path.name.endswith((".py", "failures.toml"))
    ]
    known = {code for file in package for code in re.findall(r'"((?:osmo|upload)(?:-[a-z]+)+)"', file.read_text())}
    assert told - FOLDERS == known - FOLDERS - {"osmo-ctrl"}


@pytest.mark.parametrize("given", re.findall(r"^\| `(\S+)` \|", DOCUMENT.part("### Valid blob URLs"), re.MULTILINE))
def test_what_the_document_says_is_no_blob_url_is_refused(given, robotrain):
    answer = robotrain("render", *OSMO, "--blob-url", given)
    assert answer.exit_code in (2, 3), answer.stdout
    assert "sig=x" not in answer.stdout + answer.stderr
