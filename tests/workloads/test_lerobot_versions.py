"""A new version of LeRobot is a folder of data: with one more folder, and no other change, jobs run with it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from job_documents import check_findings, folders, format_finding
from robotrain_runtime.contract import document
from robotrain_runtime.contract.document import JobDocument
from robotrain_workloads.lerobot import versions
from robotrain_workloads.lerobot_train import container

WORKSPACE = ("--subscription-id", "sub-1", "--resource-group", "rg-1", "--workspace-name", "ws-1")
PLATFORMS = {
    "local": (),
    "osmo": ("--pool", "gpu-pool", "--storage-account", "account1", *WORKSPACE),
    "azureml": ("--compute", "k8s-a", *WORKSPACE),
}
DATASET = ("-d", "lerobot/pusht")

VERSION, FOLDER = "9.9.9", "v9_9_9"
NEW_TYPE = "act_next"
PROGRAM = """
import importlib, io, json, sys, zipfile
from robotrain.cli.app import app
from robotrain.submission.packing import pack_modules
from robotrain_runtime.contract import document
from typer.testing import CliRunner

given = json.load(sys.stdin)
answers = [CliRunner().invoke(app, words) for words in given.get("lines", ())]
found = {"answers": [[one.exit_code, one.stdout, one.stderr] for one in answers]}
if text := given.get("document"):
    made = document.parse_document(text)
    plugin = importlib.import_module(made.container_plugins[f"workload.{made.workload}"])
    found["lock"] = str(plugin.environment(made).lock)
    found["payload"] = zipfile.ZipFile(io.BytesIO(pack_modules(made.container_plugins.values()).archive)).namelist()
json.dump(found, sys.stdout)
"""
"""Runs command lines, and what a container would ask of a document, in a Python that finds the copied package."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to import the package of workloads from, with one more version: a copy of the newest, and one type more.

    Everything else in it is a link to the package of this repository.
    """
    folder = tmp_path_factory.mktemp("site")
    package = folder / versions.FOLDER.parent.name
    package.mkdir()
    for path in versions.FOLDER.parent.iterdir():
        if path != versions.FOLDER:
            (package / path.name).symlink_to(path)
    shutil.copytree(versions.FOLDER, package / versions.FOLDER.name, ignore=shutil.ignore_patterns("__pycache__"))
    added = package / versions.FOLDER.name / FOLDER
    shutil.copytree(versions.get_version().folder, added)
    for name in ("index.json", "options.json"):
        content = json.loads((added / name).read_text())
        content["lerobot"] = VERSION
        if name == "index.json":
            content["policies"][NEW_TYPE] = content["policies"]["act"]
        else:
            policies = content["choices"]["policy"]
            policies[NEW_TYPE] = policies["act"]
        (added / name).write_text(json.dumps(content))
    return folder


def read_document(shown: str) -> JobDocument:
    """The document of a job that `render --json` shows."""
    (text,) = (str(file["text"]) for path, file in json.loads(shown)["files"].items() if Path(path).name == "job.json")
    return document.parse_document(text)


@pytest.fixture(scope="module")
def ask(site: Path) -> Any:
    def run(**request: Any) -> dict[str, Any]:
        environ = {**os.environ, "PYTHONPATH": str(site)}
        command = [sys.executable, "-c", PROGRAM]
        done = subprocess.run(command, input=json.dumps(request), env=environ, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    return run


@pytest.mark.slow
@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_version_that_is_one_more_folder_runs_on_every_platform(ask: Any, site: Path, platform: str) -> None:
    place = ["--platform", platform, *PLATFORMS[platform]]
    words, new = [*place, "--json", *DATASET], ["--policy-type", NEW_TYPE]
    lines = [
        ["render", *words, "--lerobot-version", VERSION, *new, "--", "--policy.chunk_size=150"],
        ["explain", *words],
        ["explain", *words, "--lerobot-version", versions.get_version().name, *new],
        ["submit", *place, "--help-all"],
        ["policies"],
    ]
    rendered, explained, refused, helped, listed = ask(lines=lines)["answers"]
    assert rendered[0] == 0, rendered[2]
    made = read_document(rendered[1])
    assert (made.parameters["lerobot_version"], made.parameters["policy_type"]) == (VERSION, NEW_TYPE)
    assert made.container_plugins["data.lerobot"].partition(":")[0].rpartition(".")[2] == FOLDER
    (row,) = [row for row in json.loads(explained[1])["values"] if row["name"] == "lerobot_version"]
    assert (row["value"], row["origin"]) == (VERSION, "default")
    ways = {
        problem["code"]: [way["text"] for way in problem["instead"]] for problem in json.loads(refused[1])["problems"]
    }
    assert f"--lerobot-version {VERSION}" in ways["type-not-trainable"]
    assert VERSION in helped[1]
    assert f"\n{NEW_TYPE} " in listed[1]


def test_a_job_carries_and_builds_its_own_version_alone(ask: Any, site: Path) -> None:
    words = ["--platform", "local", "--json", *DATASET, "--policy-repo-id", "lerobot/act_pusht"]
    ((code, shown, error),) = ask(lines=[["render", "lerobot-eval", *words]])["answers"]
    assert code == 0, error
    answer = ask(document=document.format_document(read_document(shown)))
    assert answer["lock"] == str(site / versions.FOLDER.relative_to(versions.FOLDER.parents[1]) / FOLDER / "eval.txt")
    carried = {Path(name).parent.name for name in answer["payload"] if f"/{versions.FOLDER.name}/v" in name}
    assert carried == {FOLDER}


def test_a_policy_that_another_version_saved_names_the_one_that_reads_it(
    training: Any, dataset: Any, policy: Any, older_lerobot: str
) -> None:
    data = dataset()
    saved = policy("saved", type="diffusion", gradient_checkpointing=False)

    def compare(folder: Path, version: str) -> list[str]:
        document = training(data, starts={"policy": folder}, lerobot_version=version)
        findings = map(format_finding, container.compare(document, folders(document)))
        return [finding for finding in findings if "another LeRobot" in finding]

    check_findings(compare(saved, older_lerobot), fact="--lerobot-version 0.6.1")
    assert compare(saved, "0.6.1") == []
    assert compare(policy("older", type="diffusion"), older_lerobot) == []
    check_findings(
        compare(policy("unknown", type="diffusion", strange=1, odd=2), "0.6.1"), fact="does not know its odd, strange"
    )
