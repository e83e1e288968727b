"""`wait`, `watch`, `--stream`: runs followed to their end, through logs that break off and platforms that stumble."""

import csv
import json
import re
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from robotrain.cli.command_factory import PLUGINS_KEY
from robotrain.cli.commands import sending
from robotrain.cli.watch import follower
from robotrain.plugins.manager import Plugins
from robotrain.submission.run_sender import Submission
from robotrain_runtime.contract.event import Checkpoint, Evaluated, Metrics, Outcome, Registered, StageEvent
from snapshots import check_snapshot
from typer import Exit

GUIDE = (Path(__file__).parents[2] / "docs/plugins.md").read_text()
DONE = Outcome(state="succeeded", exit_code=0)
BROKE = {"state": "failed", "reason": "out of paint", "exit_code": 1, "started": 1e9, "ended": 1e9 + 5}


def step(number, total=3):
    return Metrics(step=number, total=total, values={"train/loss": 1 / number})


@pytest.fixture(autouse=True)
def fast_polling(monkeypatch):
    for name in ("POLL_SECONDS", "LOG_RETRY_SECONDS", "LAST_LINES_SECONDS"):
        monkeypatch.setattr(follower, name, 0.1)


@pytest.fixture
def run_once_followed(monkeypatch, run_later):
    """Do things one after the other once a command follows a run: `run_once_followed(lambda: run.log("a line"), …)`."""
    began = threading.Event()
    enter = follower.RunFollower.__enter__

    def note_and_enter(followed):
        began.set()
        return enter(followed)

    monkeypatch.setattr(follower.RunFollower, "__enter__", note_and_enter)
    return lambda *deeds: run_later(lambda: began.wait(60), *deeds)


def list_warnings(answer):
    """Return what a command warns of while it follows a log."""
    return "\n".join(line for line in answer.stderr.splitlines() if line.startswith(("warning", "  use")))


def test_wait_for_several_runs_exits_with_5_if_one_failed(scripted, robotrain, run_once_followed):
    first = scripted.run("train-1", step(1), age=20)
    scripted.run("train-2", step(2), **BROKE, age=10)
    run_once_followed(lambda: first.log(step(3), DONE), lambda: first.status(state="succeeded"))
    answer = robotrain("wait", "train-1", "train-2")
    seen = ("train-1  succeeded", "train-2  failed", "step 3/3 (100%)", "out of paint", "logs --tail 40 train-2")
    assert (answer.exit_code, [text for text in seen if text not in answer.stdout]) == (5, [])
    check_snapshot("cli/snapshots/wait-several-runs.txt", answer.stdout)
    result = answer.stderr.splitlines()
    assert {line.split("  ")[0] for line in result} == {"train-1", "train-2"}
    assert any("step 3/3 (100%)" in line for line in result)


def test_wait_for_several_runs_that_succeeded_exits_with_0(scripted, robotrain):
    for name in ("train-1", "train-2"):
        scripted.run(name, step(3), DONE, state="succeeded")
    answer = robotrain("wait", "train-2", "train-1", "train-2", "--json")
    assert answer.exit_code == 0
    assert [run["run"] for run in answer.json] == ["train-2", "train-1"]
    assert robotrain("wait", "train-1", "--json").json["state"] == "succeeded"


@pytest.mark.parametrize("runs", [("eval-1",), ("eval-1", "eval-2")])
def test_progress_is_printed_once_until_it_changes(scripted, robotrain, run_once_followed, runs):
    result = [
        Metrics(step=2, total=2, unit="episode", values=values) for values in ({"ep1_success": 1.0}, {"rest": 1.0})
    ]
    log = (result[0], StageEvent(name="work", state="done"), result[1], DONE)
    followed = [scripted.run(name, *log) for name in ("eval-1", "eval-2")]
    run_once_followed(lambda: [run.status(state="succeeded") for run in followed])
    lines = [line for line in robotrain("wait", *runs).stderr.splitlines() if "episode 2/2 (100%)  success 1/1" in line]
    assert len(lines) == len(runs)


@pytest.mark.parametrize("runs", [("train-1",), ("train-1", "train-2")])
def test_wait_prints_only_the_outcome_of_ended_runs(scripted, robotrain, runs):
    for name in ("train-1", "train-2"):
        scripted.run(name, step(1), step(2), "Traceback (most recent call last):", step(3), **BROKE)
    answer = robotrain("wait", *runs)
    assert (answer.exit_code, answer.stderr) == (5, "")
    assert answer.stdout.count("out of paint") == len(runs)
    assert [run for run in runs if f"robotrain logs --tail 40 {run}" not in answer.stdout] == []


def test_failure_during_a_wait_is_printed_once_with_the_end_of_the_log(scripted, robotrain, run_once_followed):
    reason = "RuntimeError: out of paint"
    run = scripted.run("train-1", step(1), step(2), "Traceback (most recent call last):", "  paint()", reason)
    end = Outcome(state="failed", exit_code=1, reason=reason)
    run_once_followed(lambda: run.log(end), lambda: run.status(**{**BROKE, "reason": reason}))
    answer = robotrain("wait", "train-1")
    assert (answer.stdout + answer.stderr).count(reason) == 1
    assert "  |   paint()\n" in answer.stdout
    assert answer.stderr.count("step 2/3") == 1


def test_outcome_is_printed_once(scripted, robotrain):
    reason = "RuntimeError: out of paint"
    log = [step(1), step(2), "Traceback (most recent call last):", "  paint()", reason]
    end = Outcome(state="failed", exit_code=1, reason=reason)
    for name in ("train-1", "train-2"):
        scripted.run(name, *log, end, **{**BROKE, "reason": reason})
    shown = []
    for words in (("wait", "train-1"), ("wait", "train-1", "train-2"), ("watch",)):
        answer = robotrain(*words)
        shown.append(answer.stdout + answer.stderr)
    assert [text.count(reason) for text in shown] == [1, 2, 1]  # once a run


def test_last_step_is_printed_with_its_validation_loss(scripted, robotrain, run_once_followed):
    last = Metrics(step=3, total=3, values={"val/loss": 0.5})
    run = scripted.run("train-1", step(1), StageEvent(name="publish", state="started"), last, DONE)
    run_once_followed(lambda: run.status(state="succeeded"))
    assert "step 3/3 (100%)  loss 1  val 0.5 at 3" in robotrain("wait").stderr


@pytest.mark.parametrize("words", [("train-1",), ("train-1", "train-2")])
def test_timeout_ends_the_wait_and_not_the_run(scripted, robotrain, words):
    scripted.run("train-1", step(1))
    scripted.run("train-2", state="succeeded")
    answer = robotrain("wait", *words, "--timeout", "0.3s", "--json")
    answer.check_problems(1, "wait-timeout")
    result = answer.json if isinstance(answer.json, list) else [answer.json]
    assert result[0]["state"] == "running"


@pytest.mark.parametrize("text", ["soon", "nan"])
def test_invalid_timeout_is_refused(scripted, robotrain, text):
    scripted.run("train-1")
    robotrain("wait", f"--timeout={text}").check_problems(2, "value-invalid")


def test_broken_log_is_a_warning_and_each_line_is_printed_once(scripted, robotrain, run_later):
    run = scripted.run("train-1", "one", "two", "three")
    run.set_flag("breaks", "2")
    run_later(
        lambda: run.wait_until("read", 5),  # two before it broke, three after
        lambda: run.log("four", DONE),
        lambda: run.status(state="succeeded"),
    )
    answer = robotrain("logs", "-f")
    assert answer.exit_code == 0
    assert answer.stdout.splitlines() == ["one", "two", "three", "four", "[robotrain] succeeded, exit code 0"]
    assert "the log of train-1 broke off: ConnectionError: the line to scripted broke" in list_warnings(answer)


def test_failing_status_is_a_warning(scripted, robotrain, run_later):
    run = scripted.run("train-1")
    run.set_flag("raises", "bad gateway")
    run_later(
        run.wait_until_raised,
        (run.folder / "raises").unlink,
        lambda: run.log(step(3), DONE),
        lambda: run.status(state="succeeded"),
    )
    answer = robotrain("wait")
    answer.check(0)
    (warning,) = [line for line in answer.stderr.splitlines() if line.startswith("warning: scripted")]
    assert ("train-1" in warning, "bad gateway" in warning) == (True, True)


def test_silent_platform_is_given_up(scripted, robotrain, monkeypatch):
    monkeypatch.setattr(follower, "PATIENCE_SECONDS", 0.2)
    run = scripted.run("train-1")
    run.set_flag("raises", "bad gateway")
    robotrain("wait").check_problems(1, "platform-away")


def test_missed_threshold_is_printed_once_with_the_conditions(scripted, robotrain, run_once_followed):
    rate = {"rollout/success_rate": 0.25, "rollout/episodes": 4.0}
    evaluation = Evaluated(episodes=4, scores=rate, results="/x/results", passed=False, conditions="pusht, easy starts")
    work = [StageEvent(name="work", state="started"), "loading LeRobot", "hello", Metrics(step=0, total=4, values={})]
    failed = [
        StageEvent(name="work", state="failed"),
        Outcome(state="failed", exit_code=1, reason="1 of 4 is too little"),
    ]
    run = scripted.run("eval-1", *work, evaluation, "1 of 4 is too little", *failed)
    run_once_followed(lambda: run.status(state="failed", reason="1 of 4 is too little"))
    answer = robotrain("wait")
    assert answer.exit_code == 5
    assert [(answer.stdout + answer.stderr).count(text) for text in ("is too little", "pusht, easy starts")] == [1, 1]
    assert "4 episodes evaluated; below the required score" in answer.stderr
    check_snapshot("cli/snapshots/wait-missed-threshold.txt", answer.stdout)


@pytest.mark.parametrize(("rate", "warns"), [(0.0, True), (0.25, False)])
def test_registered_policy_without_a_success_is_a_warning(scripted, robotrain, rate, warns):
    scores = {"rollout/success_rate": rate, "rollout/episodes": 4.0}
    evaluation = Evaluated(episodes=4, scores=scores, results="/x/results", conditions="pusht")
    model = Registered(name="pusher", version="3", step=8, uri="models:/pusher/3")
    scripted.run("eval-1", evaluation, model, DONE, state="succeeded")
    warnings = robotrain("status", "--json").json["warnings"]
    assert len(warnings) == warns
    for command in ("wait", "status"):
        answer = robotrain(command)
        assert (answer.exit_code, "warning" in answer.stdout) == (0, warns)
        assert [warning for warning in warnings if warning not in answer.stdout] == []
    if warns:
        assert ("pusher version 3" in warnings[0], "0 of 4 episodes" in warnings[0]) == (True, True)


def test_missing_sign_in_ends_the_wait_at_once(scripted, robotrain):
    scripted.run("train-1", step(1)).set_flag("denies", "Nobody is signed in.")
    for command in (("wait",), ("logs", "-f"), ("watch",)):
        answer = robotrain(*command)
        answer.check_problems(1, "signed-out")
    assert "train-1  unknown: not told" in answer.stdout.splitlines()
    last = json.loads(robotrain("watch", "--json").stdout.splitlines()[-1])
    assert (last["state"], last["reason"], last["over"]) == ("unknown", "not told", True)


def test_run_that_its_platform_forgets_during_a_wait_is_unknown(scripted, robotrain, run_later):
    run = scripted.run("train-1")
    scripted.run("train-2", state="succeeded")
    run_later(lambda: run.wait_until("asked", 1), lambda: run.set_flag("gone"))
    answer = robotrain("wait", "train-1", "train-2", "--json")
    assert answer.exit_code == 1
    assert [row["state"] for row in answer.json] == ["unknown", "succeeded"]
    assert answer.stderr.splitlines()[-1].endswith("[run-gone]")


def stream(run, as_json=False):
    from robotrain.store import records

    top = SimpleNamespace(meta={PLUGINS_KEY: Plugins()})
    submission = Submission(records.read_record(run))
    context = SimpleNamespace(find_root=lambda: top)
    sending.finish_submission(context, submission, sending.Sending(stream=True, json=as_json))


def test_broken_stream_is_a_warning(scripted, capsys, run_later):
    run = scripted.run("train-1", "hello", "again")
    run.set_flag("breaks", "1")
    run_later(lambda: run.wait_until("read", 3), lambda: run.status(state="succeeded"))
    stream("train-1", as_json=True)
    result = capsys.readouterr()
    assert json.loads(result.out)["state"] == "succeeded"
    assert "warning: the log of train-1 broke off: ConnectionError" in result.err
    assert result.err.splitlines().count("hello") == 1
    assert "again" in result.err.splitlines()


def test_stream_of_a_failed_run_exits_with_5(scripted, capsys):
    scripted.run("train-1", "hello", **BROKE)
    with pytest.raises(Exit) as ended:
        stream("train-1")
    assert ended.value.exit_code == 5
    shown = capsys.readouterr().out
    assert ("out of paint" in shown, "robotrain logs --tail 40 train-1" in shown) == (True, True)


def test_watch_follows_all_unfinished_runs_and_prints_a_line_for_each_change(scripted, robotrain, run_later):
    scripted.run("train-1", state="succeeded", age=30)
    second = scripted.run("train-2", step(1), age=20)
    third = scripted.run("train-3", state="pending", reason="no machine is free", age=10)
    run_later(
        lambda: second.wait_until("read", 1),
        lambda: third.wait_until("asked", 2),  # and the first answer was shown
        lambda: third.status(**BROKE),
        lambda: second.log(Checkpoint(step=3, path="/x/3"), DONE),
        lambda: second.status(state="succeeded"),
    )
    answer = robotrain("watch")
    assert (answer.exit_code, "train-1" in answer.stdout) == (5, False)
    result = answer.stdout.splitlines()
    assert result[-1] == "train-2  succeeded"
    seen = ("train-2  step 1/3 (33%)", "train-2  checkpoint of step 3: /x/3", "train-3  pending: no machine is free")
    for start in (*seen, "train-3  failed, exit code 1: out of paint"):
        assert any(line.startswith(start) for line in result), start


def test_watch_shows_the_newest_run_if_all_have_ended(scripted, robotrain):
    scripted.run("train-1", state="succeeded", age=30)
    scripted.run("train-2", state="succeeded", age=20)
    answer = robotrain("watch")
    assert answer.exit_code == 0
    assert answer.stdout == "train-2  succeeded\n"


def test_long_log_is_summarized_in_a_few_lines(scripted, robotrain, monkeypatch):
    monkeypatch.setattr(follower, "LAST_LINES_SECONDS", 30.0)  # a busy machine may pause longer than 0.1 s
    lines = [*(step(number, 100_000) for number in range(1, 4_001)), DONE]
    scripted.run("train-1", *lines, state="succeeded")
    result = robotrain("watch").stdout.splitlines()
    assert len(result) < 50
    assert any(line.startswith("train-1  step 100000/100000 (100%)") for line in result), result


def test_site_plugins_are_notified_once_of_the_end_of_a_run(scripted, robotrain, install, tmp_path, run_later):
    words = tmp_path / "words"
    rule = f"""
from robotrain.plugin import hook
@hook
def robotrain_run_changed(run, change, status):
    with open({str(words)!r}, "a") as file:
        print(run.run, change, status and status.state, file=file)
"""
    install("acme", {"acme": "acme_words"}, acme_words=rule)
    run = scripted.run("train-1")
    scripted.run("train-2", state="succeeded")
    run_later(lambda: run.wait_until("asked", 1), lambda: run.status(**BROKE))
    assert robotrain("wait", "train-1", "train-2").exit_code == 5
    assert words.read_text() == "train-1 ended failed\n"
    scripted.run("train-3")
    robotrain("cancel", "train-3", "train-2")
    assert words.read_text().splitlines()[1:] == ["train-3 cancelled cancelled"]


def test_hanging_log_does_not_delay_the_end(scripted, robotrain, monkeypatch):
    from robotrain_runtime.contract import event

    scripted.run("train-1", step(1), state="succeeded")
    Plugins().platform("scripted")

    def logs(self, reference, follow, tail=None):
        yield event.format_event(step(1))
        time.sleep(2)

    monkeypatch.setattr(sys.modules["scripted_plugin"].ScriptedEngine, "logs", logs)
    answer = robotrain("wait")
    answer.check(0)
    assert "the log of train-1 did not end" in list_warnings(answer)


@pytest.mark.slow
def test_notification_of_the_plugin_guide_writes_its_table(robotrain, install, scripted, run_later, tmp_path):
    (source,) = re.findall(r"table of ended runs:\n\n```python\n(.*?)```", GUIDE, re.DOTALL)
    table = tmp_path / "runs.csv"
    install("acme", {"acme": "acme_table"}, acme_table=source.replace("/srv/lab/runs.csv", str(table)))
    run = scripted.run("train-1")
    run_later(*[lambda: None] * 20, lambda: run.status(state="failed", reason="no disk left"))
    assert robotrain("wait", "train-1").exit_code == 5
    with table.open(newline="") as file:
        assert list(csv.reader(file)) == [["train-1", "scripted", "lerobot-train", "failed", "no disk left"]]
