"""A pipeline that two machines drive in one folder for runs: the second one is refused."""

import json
import time

import pytest
from problem_assertions import check_problems
from robotrain.store import records


@pytest.mark.slow
def test_pipeline_that_another_machine_drives_is_refused_unless_both_are_wanted(robotrain, tmp_path, monkeypatch):
    file, runs_dir = tmp_path / "pipeline.yaml", tmp_path / "runs"
    step = {"workload": "command", "run": ["sleep", "90"], "platforms": {"local": {"runs_dir": str(runs_dir)}}}
    file.write_text(json.dumps({"name": "nap", "steps": {"sleep": step}}))
    words = ("pipeline", "submit", file, "--platform", "local")
    monkeypatch.setenv("ROBOTRAIN_STATE", str(tmp_path / "first"))
    assert robotrain(*words).exit_code == 0
    until = time.monotonic() + 60
    while (sleep := robotrain("status", "--json").json["steps"][0])["state"] != "running":
        assert time.monotonic() < until, sleep
        time.sleep(0.1)
    monkeypatch.setenv("ROBOTRAIN_STATE", str(tmp_path / "second"))
    robotrain(*words).check_problems(4, "run-folder-taken")
    assert records.list_runs() == []
    answer = robotrain(*words, "--dry-run", "--new")
    assert answer.exit_code == 0, answer.stderr
    check_problems(answer.stderr)
    monkeypatch.setenv("ROBOTRAIN_STATE", str(tmp_path / "first"))
    robotrain("cancel", sleep["run"])
    assert len([*runs_dir.iterdir()]) == 1
