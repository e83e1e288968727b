"""docs/osmo.md: its commands work, and it lists every setting and problem."""

import re
import shutil
from pathlib import Path

import pytest
import robotrain_osmo
from observed import EVENTS, sealed
from robotrain.store import records
from robotrain_osmo.settings import OsmoSettings
from robotrain_runtime.contract import checkpoint, event
from robotrain_runtime.contract.parameter import get_parameters

DOCUMENT = (Path(__file__).parents[2] / "docs/osmo.md").read_text()
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", DOCUMENT, re.DOTALL) for line in block.splitlines()]
SUBMITS = [line for line in COMMANDS if line.startswith("robotrain submit")]
OSMO = ("--platform", "osmo", "--pool", "default")
OTHERS = [line for line in COMMANDS if line not in SUBMITS]
PLACES = {"POOL": "default", "ACCOUNT": "robots", "OWNER/PRIVATE": "me/private", "MLFLOW-HOST": "mlflow.example.com"}
FOLDERS = {"upload-changed", "upload-empty", "upload-links", "upload-mixed", "upload-secret", "upload-unreadable"}
"""Told of a folder on any platform that speaks to Azure."""


def part(title: str) -> str:
    """The document's text below a title."""
    return DOCUMENT.partition(title)[2].partition("\n## ")[0]


def typed(line: str) -> list[str]:
    """The arguments of a command line with values for its placeholders, without `robotrain`."""
    for name, value in PLACES.items():
        line = line.replace(name, value)
    return line.split()[1:]


def test_every_line_is_a_command_of_robotrain():
    assert COMMANDS
    assert [line for line in COMMANDS if not line.startswith("robotrain ")] == []


@pytest.mark.parametrize("line", SUBMITS)
def test_a_submit_of_the_document_renders(line, osmo, robotrain, pusht, monkeypatch):
    shutil.copytree(pusht / "meta", "dataset/meta")
    words = ["render" if word == "submit" else word for word in typed(line)]
    answer = robotrain(*words, "--json")
    assert answer.exit_code == 0, answer.stderr


def test_neither_the_first_command_nor_a_run_of_the_first_settings_loses_its_checkpoints(robotrain):
    assert "--publish-url" in SUBMITS[0]
    (settings,) = re.findall(r"```toml\n(.*?)```", part("## First run"), re.DOTALL)
    Path("robotrain.toml").write_text(settings.replace("ACCOUNT", "robots"))
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
    words = ["render" if word == "submit" else word for word in typed(line)]
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
    words = [ended if word == "RUN" else word for word in typed(line)]
    if words[0] == "resume":
        words.append("--dry-run")
    answer = robotrain(*words)
    assert answer.exit_code == 0, answer.stdout + answer.stderr


def test_every_setting_is_in_the_document_with_its_default():
    rows = [row.split("|") for row in part("## Arguments").splitlines() if row.startswith("| `--")]
    told = {flag: row[2] for row in rows for flag in re.findall(r"`(--[a-z-]+)`", row[1])}
    defaults = {parameter.flag: parameter.default for parameter in get_parameters(OsmoSettings)}
    assert told.keys() == defaults.keys()
    del defaults["--image"]  # told in words
    assert [flag for flag, value in defaults.items() if value is not None and f"`{value}`" not in told[flag]] == []


def test_every_problem_of_osmo_is_in_the_document_and_no_other():
    told = set(re.findall(r"`((?:osmo|upload)-[a-z-]+)`", part("## Troubleshooting")))
    package = [
        path for path in Path(robotrain_osmo.__path__[0]).rglob("*.*") if path.name.endswith((".py", "failures.toml"))
    ]
    known = {code for file in package for code in re.findall(r'"((?:osmo|upload)(?:-[a-z]+)+)"', file.read_text())}
    assert told - FOLDERS == known - FOLDERS - {"osmo-ctrl"}


@pytest.mark.parametrize("given", re.findall(r"^\| `(\S+)` \|", part("### Valid blob URLs"), re.MULTILINE))
def test_what_the_document_says_is_no_blob_url_is_refused(given, robotrain):
    answer = robotrain("render", *OSMO, "--blob-url", given)
    assert answer.exit_code in (2, 3), answer.stdout
    assert "sig=x" not in answer.stdout + answer.stderr
