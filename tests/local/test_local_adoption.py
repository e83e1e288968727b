"""A run folder that somebody else wrote becomes a run of this machine: once, however it is named; or says why not."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from local_runs import wait_for
from robotrain.model.reference import ADOPTED_KEY
from robotrain.store import records
from robotrain_local import process, process_list
from robotrain_local.platform import LOCAL
from robotrain_local.process import Process

GCS = "https://storage.googleapis.com/b/c?X-Goog-Date=20260101&X-Goog-Signature=hush-hush"


@pytest.fixture
def folder(robotrain, tmp_path) -> Path:
    """The folder of a colleague's run, as far as `adopt` reads it."""
    runs, plan = tmp_path / "shared/runs", tmp_path / "plan"
    options = ("--platform", "local", "--runs-dir", runs, "--to", plan)
    answer = robotrain("render", "command", *options, "--", "python3", "/opt/train.py")
    assert answer.exit_code == 0, answer.stderr
    folder = runs / json.loads((plan / "job.json").read_text())["run"]
    folder.mkdir(parents=True)
    for name in ("job.json", "process.json"):
        shutil.copy(plan / name, folder)
    return folder


def adopt(robotrain, text: object) -> tuple[str, bool]:
    answer = robotrain("adopt", "--platform", "local", text, "--json")
    assert answer.exit_code == 0, answer.stderr
    return answer.json["run"], answer.json["is_new"]


def test_a_run_is_adopted_once_however_its_folder_is_spelled(robotrain, folder, tmp_path, monkeypatch):
    (tmp_path / "link").symlink_to(tmp_path / "shared")
    monkeypatch.chdir(folder)
    assert adopt(robotrain, ".") == (folder.name, True)
    for text in ("./", f"../{folder.name}", folder, f"{folder}/", tmp_path / "link/runs" / folder.name):
        assert adopt(robotrain, text) == (folder.name, False)
    assert records.list_runs() == [folder.name]
    record = records.read_record(folder.name)
    records.write_record(replace(record, reference={"folder": str(tmp_path / "link/runs" / folder.name)}))
    assert adopt(robotrain, folder) == (folder.name, False)
    for runs in (tmp_path / "link/runs", folder.parent):
        monkeypatch.setenv("ROBOTRAIN_RUNS_DIR", str(runs))
        listed = robotrain("runs", "--everywhere", "--platform", "local", "--json").json["runs"]
        assert [(run["run"], run["recorded"]) for run in listed] == [(folder.name, True)]


def test_the_shell_of_a_run_in_a_folder_that_others_can_write_to_takes_nothing_from_it(folder, monkeypatch):
    process = json.loads((folder / "process.json").read_text())
    process["environment"] = {"LD_PRELOAD": "/tmp/hers.so"}
    (folder / "process.json").write_text(json.dumps(process))
    arguments = {"folder": str(folder)}, ["env"], False
    assert LOCAL.engine.make_shell(*arguments).environ["LD_PRELOAD"] == "/tmp/hers.so"
    adopted = LOCAL.engine.make_shell({"folder": str(folder), ADOPTED_KEY: folder.name}, ["env"], False)
    assert (adopted.environ, adopted.folder) == (None, str(folder))
    folder.chmod(0o777)
    command = LOCAL.engine.make_shell(*arguments)
    assert (command.environ, command.folder) == (None, str(folder))
    assert command.note.endswith("can be written by every user: this shell has your own variables and Python")


@pytest.fixture
def bystander() -> Iterator[Process]:
    """A process of this user that belongs to no run."""
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as child:
        yield process_list.identify_process(child.pid)
        child.kill()


@pytest.mark.parametrize(
    ("mode", "code"), [(0o777, "run-of-others"), (0o700, "process-not-of-run")], ids=["open", "own"]
)
def test_a_process_that_only_a_folder_names_is_not_stopped(robotrain, folder, bystander, mode, code):
    (folder / "supervisor.json").write_text(json.dumps(asdict(bystander)))
    folder.chmod(mode)
    run, _ = adopt(robotrain, folder)
    robotrain("cancel", run).check_problems(1, code)
    assert process_list.is_alive(bystander)
    assert not (folder / "cancelled").exists()


def test_processes_of_another_run_do_not_belong_to_a_folder_that_names_its_supervisor(folder, bystander):
    environ = {process.MARK_VARIABLE: bystander.make_mark(folder)}
    with subprocess.Popen(["sleep", "60"], start_new_session=True, env=environ) as child:
        wait_for(lambda: process_list.list_run_processes(bystander, folder) == [child.pid])
        assert process_list.list_run_processes(bystander, folder.parent) == []
        child.kill()


@pytest.mark.parametrize(
    "values", [{"num_gpus": ["0"]}, {"num_gpus": 5}, 5, {"num_gpus": ["0", {}]}, {"num_gpus": ["0", "1", "2"]}]
)
def test_values_that_somebody_edited_are_refused(robotrain, folder, values):
    document = json.loads((folder / "job.json").read_text())
    document["record"]["values"] = values
    (folder / "job.json").write_text(json.dumps(document))
    robotrain("adopt", "--platform", "local", folder).check(
        1, f"the job document of {folder} is not the one that robotrain wrote"
    )


def test_a_document_that_is_nested_too_deeply_is_none(robotrain, folder):
    (folder / "job.json").write_text("[" * 100_000)
    robotrain("adopt", "--platform", "local", folder).check(1, "has no job document, or not yet")


def test_a_home_folder_that_nobody_has_is_a_sentence(robotrain):
    robotrain("adopt", "--platform", "local", "~nosuchuser/x").check(2, "~nosuchuser/x names no run")


@pytest.mark.parametrize("address", [GCS, "https://x.lab/a?auth=hush-hush", "https://[x.lab/a?auth=hush-hush"])
@pytest.mark.parametrize("command", [("adopt", "--platform", "local"), ("resubmit",)])
def test_the_signature_of_an_address_is_not_repeated(robotrain, command, address):
    for words in ((), ("--json",)):
        refused = robotrain(*command, address, *words)
        assert refused.exit_code in (1, 2)
        assert "hush-hush" not in refused.stdout + refused.stderr
