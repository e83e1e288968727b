"""`robotrain runs`: every run that was submitted from here, whatever became of it, its record or its platform."""

import os
import re
import subprocess
import time

import pytest
from robotrain.store import name_lock, records
from robotrain_runtime.contract import failure
from robotrain_runtime.contract.event import Metrics, Outcome
from scripted_runs import record

LOSSES = [Metrics(step=step, total=200, values={"train/loss": 1 / step}) for step in range(1, 60)]


def stdout_lines(answer):
    return answer.stdout.splitlines()


def test_row_shows_progress_times_and_reason(scripted, robotrain):
    scripted.run("train-1", *LOSSES, age=3 * 3600, started=time.time() - 125)
    scripted.run(
        "train-2", "oh", age=120, state="failed", reason="RuntimeError: out of paint", started=1e9, ended=1e9 + 65
    )
    titles, second, reason, first = stdout_lines(robotrain("runs"))
    assert titles.split() == ["RUN", "STATE", "PLATFORM", "STEP", "LOSS", "AGE", "TOOK"]
    assert first.split()[:5] == ["train-1", "running", "scripted", "59/200", "0.01695"]
    assert "3 h" in first
    assert re.search(r"2:(0[5-9]|[1-5]\d) min", first)
    assert " ".join(second.split()) == "train-2 failed scripted 2 min 1:05 min"
    assert reason == "  RuntimeError: out of paint"


@pytest.mark.parametrize(
    ("reason", "is_shown"),
    [
        (failure.STOPPED_REASON, False),
        (failure.STOPPED_EARLY_REASON, False),
        (f"{failure.STOPPED_REASON}: its machine was preempted", True),
    ],
)
def test_cancelled_run_has_a_reason_where_that_says_more(scripted, robotrain, reason, is_shown):
    scripted.run("train-1", state="cancelled", reason=reason)
    assert (reason in robotrain("runs").stdout) == is_shown


def test_without_a_terminal_long_reasons_are_cut_at_120_characters(scripted, robotrain):
    reason = "CUDA out of memory.\nTried to allocate 20.00 GiB. " * 10
    scripted.run("train-1", *LOSSES, state="failed", reason=reason, started=1e9, ended=1e9 + 65)
    _, row, shown = stdout_lines(robotrain("runs"))
    assert row.split()[:5] == ["train-1", "failed", "scripted", "59/200", "0.01695"]
    assert shown.startswith("  CUDA out of memory. Tried")
    assert (len(shown) <= 120, shown[-1]) == (True, "…")
    assert robotrain("runs", "--json").json["runs"][0]["reason"] == reason


@pytest.mark.parametrize("state", ["lost", "unknown"])
def test_without_a_terminal_the_command_at_the_end_of_a_reason_is_whole(scripted, robotrain, state):
    reason = "its driver was stopped, as by a restart of the machine; `robotrain pipeline resume train-1` goes on"
    if state == "lost":
        scripted.run("train-1", state="lost", reason=reason)
    else:
        scripted.run("train-1").set_flag("raises", reason)
    _, row, shown = stdout_lines(robotrain("runs"))
    assert row.split()[:2] == ["train-1", state]
    assert shown.endswith(reason)


def test_succeeded_run_has_done_all_its_steps(scripted, robotrain):
    scripted.run("train-1", *LOSSES, Outcome(state="succeeded", exit_code=0), state="succeeded")
    assert robotrain("runs", "--json").json["runs"][0]["step"] == 200


def test_newest_runs_are_listed_first_up_to_the_number(scripted, robotrain):
    for number in range(5):
        scripted.run(f"train-{number}", age=1000 - number)
    answer = robotrain("runs", "-n", "2")
    assert [line.split()[0] for line in stdout_lines(answer)[1:]] == ["train-4", "train-3"]
    assert "robotrain runs --all" in answer.stderr
    everything = robotrain("runs", "--all")
    assert len(stdout_lines(everything)) == 6
    assert everything.stderr == ""


def test_no_run_is_no_failure(robotrain):
    answer = robotrain("runs")
    assert (answer.exit_code, answer.stdout) == (0, "")
    assert "no run has been submitted from this machine" in answer.stderr
    assert robotrain("runs", "--json").json == {"runs": [], "more": False}
    robotrain("status").check_problems(2, "run-unknown")


def test_a_filter_that_fits_nothing_is_said(scripted, robotrain):
    for number in range(3):
        scripted.run(f"train-{number}")
    answer = robotrain("runs", "zz")
    assert (answer.exit_code, answer.stdout) == (0, "")
    assert "no run fits: zz" in answer.stderr


def test_runs_are_filtered_by_state_and_platform(scripted, robotrain):
    scripted.run("train-1", state="failed")
    scripted.run("train-2", state="running")
    scripted.run("train-3", state="failed", platform="other")
    assert [run["run"] for run in robotrain("runs", "--state", "failed", "--json").json["runs"]] == [
        "train-3",
        "train-1",
    ]
    assert [run["run"] for run in robotrain("runs", "--platform", "other", "--json").json["runs"]] == ["train-3"]


def test_newest_run_in_a_state_is_found_among_older_runs(scripted, robotrain):
    scripted.run("train-0", state="failed", age=1000)
    for number in range(1, 6):
        scripted.run(f"train-{number}", state="succeeded", age=1000 - number)
    answer = robotrain("runs", "-n", "1", "--state", "failed", "--json")
    assert [run["run"] for run in answer.json["runs"]] == ["train-0"]


@pytest.mark.slow
def test_hanging_platform_delays_only_its_own_runs(scripted, robotrain, monkeypatch):
    monkeypatch.setenv("ROBOTRAIN_NETWORK_SECONDS", "2")
    hanging = [scripted.run(f"stuck-{number}", platform="other") for number in range(12)]
    for run in hanging:
        run.set_flag("hangs")
    scripted.run("train-1", *LOSSES, state="running")
    runs_by_name = {row["run"]: row for row in robotrain("runs", "--json").json["runs"]}
    assert runs_by_name["train-1"]["state"] == "running"
    assert runs_by_name["train-1"]["step"] == 59
    assert {runs_by_name[run.name]["state"] for run in hanging} == {"unknown"}
    (reason,) = {runs_by_name[run.name]["reason"] for run in hanging}
    assert ("other" in reason, "2 s" in reason) == (True, True)
    for run in hanging:
        (run.folder / "hangs").unlink()


def test_runs_of_a_failing_or_removed_platform_are_listed_with_the_reason(scripted, robotrain, tmp_path):
    scripted.run("train-1").set_flag("raises", "no route to scripted, token=hunter2")
    scripted.run("train-2").set_flag("gone")
    record("train-3", "removed", tmp_path, time.time())
    runs_by_name = {run["run"]: run for run in robotrain("runs", "--json").json["runs"]}
    assert [runs_by_name[f"train-{number}"]["state"] for number in (1, 2, 3)] == ["unknown", "gone", "unknown"]
    answer = robotrain("runs")
    assert (answer.exit_code, "hunter2" in answer.stdout) == (0, False)
    for number, fact in ((1, "no route to scripted"), (2, "scripted"), (3, "'removed'")):
        assert fact in runs_by_name[f"train-{number}"]["reason"]
    for run in runs_by_name.values():
        assert run["reason"].split("\n")[0] in answer.stdout


def test_ended_runs_are_remembered_and_a_silent_platform_is_reported_once(scripted, robotrain):
    done = scripted.run("train-1", *LOSSES, state="failed", reason="out of paint", started=1e9, ended=1e9 + 65, age=30)
    others = [scripted.run(f"train-{number}", age=20) for number in (2, 3)]
    robotrain("runs")
    for run in (done, *others):
        run.set_flag("denies", "Nobody is signed in.")
    answer = robotrain("runs", "--json")
    states_by_run = {row["run"]: (row["state"], row["reason"]) for row in answer.json["runs"]}
    assert states_by_run["train-1"] == ("failed", "out of paint")
    assert {states_by_run["train-2"][0], states_by_run["train-3"][0]} == {"unknown"}
    assert answer.stderr.count("Nobody is signed in.") == answer.stderr.count("scripted login") == 1
    assert "3 runs" in answer.stderr
    assert "the state of 2 runs is not known" in robotrain("runs", "--state", "pending").stderr  # not that none is


@pytest.mark.parametrize("command", ["status", "wait", "cancel"])
def test_end_that_a_command_saw_is_remembered(scripted, robotrain, command):
    run = scripted.run("train-1", state="succeeded")
    robotrain(command)
    run.set_flag("denies", "Nobody is signed in.")
    assert robotrain("runs", "--json").json["runs"][0]["state"] == "succeeded"


@pytest.mark.parametrize(("at_it", "state"), [(False, "interrupted"), (True, "sending")])
def test_interrupted_submit_is_not_one_in_progress(scripted, robotrain, tmp_path, at_it, state):
    record("lerobot-train-0123456789ab-1", "scripted", tmp_path, time.time(), phase="sending", reference={})
    held = name_lock.acquire_name_lock(records.get_run_folder("lerobot-train-0123456789ab-1")) if at_it else None
    (run,) = robotrain("runs", "--json").json["runs"]
    assert run["state"] == state
    assert run["reason"] in robotrain("runs").stdout, "its command can be pasted"
    assert ("robotrain status lerobot-train-0123456789ab-1" in run["reason"]) is not at_it
    if held:
        held.release()


def test_text_that_a_platform_prints_is_not_in_the_json(scripted, robotrain, capfd):
    scripted.run("train-1").set_flag("talks")
    assert robotrain("runs", "--json").json["runs"][0]["state"] == "running"


def test_hanging_platform_does_not_delay_the_exit(scripted, command, tmp_path):
    scripted.run("train-1").set_flag("hangs")
    site = str(tmp_path / "site-robotrain-scripted")
    environ = os.environ | {"PYTHONPATH": site, "ROBOTRAIN_NETWORK_SECONDS": "0.3"}
    done = subprocess.run([*command, "runs"], env=environ, capture_output=True, text=True, timeout=30)
    assert (done.returncode, "unknown" in done.stdout) == (0, True)
    assert "scripted did not answer within 0.3 s" in done.stdout
