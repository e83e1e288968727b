"""Whatever lies where a record should: it is one line, hides no other run, and no command waits for it."""

import json
import os
from pathlib import Path

import pytest
from robotrain.store import files, records

DAMAGES = {
    "empty": b"",
    "cut": b'{"schema": 1, "run": "tr',
    "text": b"hello",
    "binary": bytes(range(256)),
    "not UTF-8": b'{"schema": 1, "run": "\xff"}',
    "null": b"null",
    "number": b"7",
    "list": b"[]",
    "string": b'"x"',
    "empty object": b"{}",
    "no schema": b'{"run": "train-2"}',
    "another schema": b'{"schema": 99}',
    "deep nesting": b"[" * 200_000,
    "deep objects": b'{"schema": 1, "run": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}",
    "a huge number": b'{"schema": 1, "submitted": ' + b"9" * 5000 + b"}",
    "wrong types": b'{"schema": 1, "run": 7, "platform": [], "workload": {}, "state": null}',
    "NaN": b'{"schema": 1, "run": NaN}',
    "another run": "renamed",
    "a folder": "folder",
    "a pipe": "pipe",
    "a link to nowhere": "link",
    "a link to itself": "loop",
}
PUSHT = Path(__file__).parents[2] / "examples/pusht-mini/dataset"
ODD_FIELDS = {
    "metrics": [[{"name": 5}], [{"name": "a", "better": 7}], 7, {"a": 1}, [None]],
    "outputs": [{"noun": 5}, [], "x", {"folder": {}}],
    "reference": [{"folder": 7}, {"folder": None}, {"": {}}],
    "settings": [{"a": [1]}, {"runs_dir": 5}],
    "values": [{"seed": [1, 2]}, {"seed": "ab"}, {"seed": ["1", "2", "3"]}, []],
    "created": [float("inf"), float("nan"), -1e300, 10**400, "x", True],
    "name": ["a\x1b[31mb", "x" * 100_000, 5, "\ud800"],
    "note": ["a\x1b]0;b\x07", ["a"]],
    "steps": [["a", 5], "ab", {"a": 1}],
    "step": ["../../x", 5],
    "pipeline": ["../x", "train-2", 5],
    "platform": ["../x", "", "a\x1b[31mb"],
    "workload": ["", "\x1b"],
    "phase": ["gone", 5],
    "makes": ["bread", 5],
}
COMMANDS = (
    ("runs",),
    ("runs", "--json"),
    ("status",),
    ("status", "train-1"),
    ("status", "train-2"),
    ("logs", "train-2"),
    ("outputs", "train-2"),
    ("cancel", "train-2"),
    ("watch", "train-2"),
    ("resume", "train-2"),
    ("register", "train-2", "model"),
    ("submit", "lerobot-train", "--dataset-path", str(PUSHT), "--platform", "local", "--dry-run"),
    ("wait", "train-2"),
    ("report", "--to", "page.html"),
    ("resubmit", "train-2"),
    ("prune", "--keep", "5"),
    ("doctor",),
)


def damage(path: Path, kind: object) -> None:
    data = json.loads(path.read_text())
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "link":
        path.symlink_to("nowhere")
    elif kind == "loop":
        path.symlink_to(path.name)
    elif kind == "renamed":
        path.write_text(json.dumps(data | {"run": "train-9"}))
    else:
        path.write_bytes(kind)


@pytest.fixture
def runs(scripted):
    for name in ("train-1", "train-2", "train-3"):
        scripted.run(name, "a line", state="succeeded", started=1e9, ended=1e9 + 60)


@pytest.mark.parametrize(
    "name", ["cut", "not UTF-8", "list", "deep nesting", "another schema", "a pipe", "a link to itself"]
)
def test_damaged_record_hides_no_other_run(robotrain, runs, name):
    damage(records.get_run_folder("train-2") / records.RECORD_FILE, DAMAGES[name])
    answer = robotrain("runs")
    lines = (answer.stdout + answer.stderr).splitlines()
    assert [sum(run in line for line in lines) > 0 for run in ("train-1", "train-2", "train-3")] == [True] * 3
    assert sum(line.startswith("train-2") for line in answer.stdout.splitlines()) <= 1
    assert "rm -r" in answer.stdout
    robotrain("status", "train-2").check_problems(1, "record-broken")


@pytest.mark.slow
@pytest.mark.parametrize("field", ODD_FIELDS)
def test_malformed_field_hides_no_other_run_and_is_printed_escaped(robotrain, runs, field):
    path = records.get_run_folder("train-2") / records.RECORD_FILE
    whole = json.loads(path.read_text())
    for value in ODD_FIELDS[field]:
        path.write_text(json.dumps(whole | {field: value}))
        for command in (("runs",), ("runs", "--json"), ("status", "train-2"), ("status", "train-3")):
            answer = robotrain(*command)  # an exception would fail the test
            assert not {"\x1b", "\x07"} & {*answer.stdout, *answer.stderr}, value
            if command[0] == "runs":
                assert "train-1" in answer.stdout
                assert "train-3" in answer.stdout


@pytest.mark.slow
@pytest.mark.parametrize("field", ["started", "ended", "reason", "exit_code", "state"])
def test_malformed_field_of_a_final_status_hides_no_run(robotrain, runs, field):
    path = records.get_run_folder("train-2") / records.FINAL_STATUS_FILE
    whole = {"state": "failed", "reason": "a", "exit_code": 1, "started": 1e9, "ended": 1e9 + 1}
    for value in (10**400, float("inf"), float("nan"), -1e300, "x", ["a"], {}, True):
        path.write_text(json.dumps(whole | {field: value}))
        for command in (("runs",), ("runs", "--json"), ("status", "train-2"), ("report", "train-2", "--to", "pages")):
            answer = robotrain(*command)  # an exception would fail the test
            assert "Traceback" not in answer.stderr


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("file", [records.RECORD_FILE, "plan/robotrain-plan.json", records.FINAL_STATUS_FILE])
def test_no_command_fails_for_a_damaged_file(robotrain, runs, file, command):
    step = 2 if file == records.RECORD_FILE else 6  # every damage is met by several commands
    for name, kind in list(DAMAGES.items())[COMMANDS.index(command) % step :: step]:
        path = records.get_run_folder("train-2") / file
        whole = path.read_bytes() if path.exists() else b'{"run": "train-2"}'
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(whole)
        damage(path, kind)
        answer = robotrain(*command)  # an exception or a wait would fail the test
        assert answer.exit_code in range(6), name
        assert "Traceback" not in answer.stderr
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
        path.write_bytes(whole)


@pytest.mark.slow
def test_files_of_state_are_readable_by_their_owner_only(robotrain, runs):
    job = ("lerobot-train", "--dataset-path", str(PUSHT), "--platform", "local")
    answer = robotrain("submit", *job)
    assert answer.exit_code == 0, answer.stderr
    run = answer.stdout.strip()
    robotrain("cancel", run)
    assert robotrain("wait", run).exit_code in (0, 5)
    state = files.get_state_folder()
    for folder in (state / "runs", state / "runs" / run, state / "local" / run, state / "payloads"):
        assert folder.stat().st_mode & 0o077 == 0, folder
    for folder in (state / "runs" / run, state / "local" / run):
        for path in folder.rglob("*"):
            assert path.stat().st_mode & 0o077 == 0, path
