"""The driver of a pipeline: each step once, in its order, through failures, kills and cancellation."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from fake_engine import answer_submits, count_submissions, set_run_state
from robotrain.cli.app import app
from robotrain.cli.watch import follower, renderer
from robotrain.cli.watch.dashboard import draw_frame
from robotrain.errors import Rejected
from robotrain.model.run import Status, StepStatus
from robotrain.pipelines import driven_platform, driver, progress
from robotrain.plugins import manager
from robotrain.store import records
from robotrain.submission import interrupted_submit
from robotrain_runtime.contract import event, files
from test_crashes import AUDIT

PUSHT = Path(__file__).parents[2] / "examples/pusht-mini"
STEPS = """
name: shift
steps:
  train: {job: EXAMPLE/job.yaml, parameters: {training_steps: 3}}
  evaluate: {job: EXAMPLE/evaluate.yaml, sources: {policy: {from: train}}}
  register: {register: pusht-act, from: evaluate}
"""


class Engine:
    """The engine of fake: what it was sent, and how it answers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def submitted(self) -> dict[str, int]:
        """How often each run was sent."""
        return count_submissions(self.folder)

    def end(self, run: str, state: str = "succeeded", **more: object) -> None:
        set_run_state(self.folder, run, state, **more)


@pytest.fixture
def engine(fake_platform, monkeypatch):
    """The fake platform, which the driver's own process finds too, and whose runs it asks for without a pause."""
    monkeypatch.setenv("PYTHONPATH", os.environ["FAKE_SITE"])
    yield Engine(fake_platform)
    for name in records.list_runs():
        stop_driver(name)


@pytest.fixture
def submit(robotrain, tmp_path):
    """Submit a pipeline to fake: its run."""

    def submit(text: str = STEPS, *options: object) -> str:
        file = tmp_path / "here/pipeline.yaml"
        file.write_text(text.replace("EXAMPLE", str(PUSHT)))
        answer = robotrain("pipeline", "submit", file, "--platform", "fake", *options)
        assert answer.exit_code == 0, answer.stderr
        return answer.stdout.split()[0]

    return submit


def find_drivers(run: str) -> list[int]:
    """The drivers of a run of this test: another one beside it may have a run of the same name."""
    found, state = [], os.environ["ROBOTRAIN_STATE"].encode()
    for place in Path("/proc").iterdir():
        if place.name.isdecimal():
            try:
                words = (place / "cmdline").read_bytes().split(b"\0")
                is_driver = b"robotrain.pipelines.driver" in words and run.encode() in words
                is_own = is_driver and state in (place / "environ").read_bytes()
            except OSError:
                continue
            if is_own:
                found.append(int(place.name))
    return found


def stop_driver(run: str) -> None:
    for pid in find_drivers(run):
        os.kill(pid, signal.SIGKILL)
    until = time.monotonic() + 20
    while progress.is_driven(run) and time.monotonic() < until:
        time.sleep(0.02)


def states(run: str) -> dict[str, str]:
    found = progress.read_progress(run)
    return {name: step.state for name, step in found.steps.items()} if found else {}


def step_run(run: str, step: str) -> str:
    found = progress.read_progress(run)
    assert found is not None
    return found.steps[step].run


def wait_for(run: str, step: str, *wanted: str) -> None:
    until = time.monotonic() + 60
    while states(run).get(step) not in wanted:
        assert time.monotonic() < until, (states(run), (records.get_run_folder(run) / "driver.log").read_text())
        time.sleep(0.05)


def finish_training(engine: Engine, run: str) -> None:
    wait_for(run, "train", "running")
    engine.end(step_run(run, "train"), checkpoints=[3])


@pytest.fixture
def ended(robotrain, engine, submit, monkeypatch):
    """A pipeline that has ended: its training succeeded, its evaluation did not."""
    training = robotrain("submit", PUSHT / "job.yaml", "--platform", "fake").stdout.split()[0]
    sent = [
        event.StageEvent(name="work", state="started"),
        event.Metrics(values={"train/loss": 0.5}, step=1, total=2),
        event.Outcome(state="succeeded", exit_code=0),
    ]
    engine.end(training, log=["loading", *(event.format_event(one) for one in sent)])

    def end(run: str, plugins: object) -> None:
        train = progress.StepState(state="succeeded", run=training, started=1.0, ended=2.0)
        evaluate = progress.StepState(state="failed", reason="it was not submitted", ended=3.0)
        steps = {"train": train, "evaluate": evaluate, "register": progress.StepState(state="skipped")}
        progress.write_progress(run, progress.PipelineProgress(steps=steps))

    monkeypatch.setattr(driven_platform, "start_driver", end)
    return submit()


def test_a_pipeline_without_a_driver_is_not_started_again(submit, robotrain, engine, tmp_path):
    """Its steps may still run: the same command says how it goes on."""
    run = submit()
    assert submit() == run, "while the driver works, it is the same run"
    stop_driver(run)
    answer = robotrain("pipeline", "submit", tmp_path / "here/pipeline.yaml", "--platform", "fake", "--json")
    (problem,) = answer.json["problems"]
    assert (answer.exit_code, problem["code"]) == (1, "run-unfinished-unsure")
    assert problem["instead"][0]["text"] == f"robotrain pipeline resume {run}"
    assert records.list_runs(), "nothing was removed"
    assert robotrain("pipeline", "resume", run).exit_code == 0
    assert submit() == run


def test_what_a_step_reports_is_not_taken_for_a_report_of_the_pipeline(ended, robotrain):
    logged = ["[train] loading", "[train] [robotrain] work: started", "[train] [robotrain] succeeded, exit code 0"]
    assert set(robotrain("logs", ended).stdout.splitlines()) >= set(logged)
    followed = robotrain("logs", "-f", ended)
    assert set(followed.stdout.splitlines()) >= set(logged)
    assert f"{ended} failed: step evaluate failed: it was not submitted" in followed.stderr
    changes = robotrain("watch", ended).stdout.splitlines()
    assert f"{ended}  [train] succeeded, exit code 0" in changes
    assert any(line.startswith(f"{ended}  [train] step 1/2") for line in changes)
    assert [line for line in changes if line.startswith(f"{ended}  succeeded")] == []
    told = [json.loads(line) for line in robotrain("watch", "--json", ended).stdout.splitlines()]
    assert {one["change"]: one.get("pipeline_step") for one in told} == {
        "stage": "train",
        "metrics": "train",
        "outcome": "train",
        "state": None,
    }


def test_a_run_that_two_attempts_have_as_a_step_goes_with_the_last_of_them(ended, robotrain):
    plugins = manager.get_plugins()
    training, again = step_run(ended, "train"), robotrain("resubmit", ended).stdout.split()[0]
    first, second = records.read_record(ended), records.read_record(again)
    assert step_run(again, "train") == training
    interrupted_submit.remove_run(first, plugins.platform_of(first))
    assert not records.has_record(ended)
    assert records.has_record(training)
    interrupted_submit.remove_run(second, plugins.platform_of(second))
    assert not records.has_record(training)


def test_the_log_of_a_step_that_has_not_begun_is_waited_for(ended, robotrain, monkeypatch):
    known = progress.read_progress(ended)
    known.steps["evaluate"] = progress.StepState()
    progress.write_progress(ended, known)
    answer = robotrain("logs", ended, "--step", "evaluate")
    assert "It begins when the steps that it needs have succeeded." in answer.stderr

    def begin(seconds: float) -> None:
        known.steps["evaluate"] = progress.StepState(state="succeeded", run=known.steps["train"].run)
        progress.write_progress(ended, known)

    with monkeypatch.context() as patches:
        patches.setattr(progress, "is_driven", lambda run: True)
        patches.setattr("robotrain.cli.arguments.time.sleep", begin)
        answer = robotrain("logs", "-f", ended, "--step", "evaluate")
    assert (answer.exit_code, "loading" in answer.stdout) == (0, True)


def test_a_pipeline_that_ends_while_it_is_asked_is_not_lost(ended, robotrain, monkeypatch):
    last, known = progress.read_progress(ended), progress.read_progress(ended)
    known.steps["evaluate"] = progress.StepState(state="running", run=known.steps["train"].run)
    progress.write_progress(ended, known)

    def end(run: str) -> bool:  # its driver writes the last state and exits
        progress.write_progress(run, last)
        return False

    monkeypatch.setattr(progress, "is_driven", end)
    assert robotrain("status", ended, "--json").json["state"] == "failed"


def test_a_pipeline_whose_driver_is_about_to_exit_has_ended(ended, robotrain):
    known = progress.read_progress(ended)
    known.steps = {name: progress.StepState(state="succeeded") for name in known.steps}
    progress.write_progress(ended, known)
    with driver.lock_pipeline(ended):
        answer = robotrain("pipeline", "resume", ended, "--json")
    assert [one["code"] for one in answer.json["problems"]] == ["pipeline-complete"]


def test_the_names_of_steps_are_completed(ended, monkeypatch, capsys):
    def complete(words: str) -> str:
        monkeypatch.setenv("_ROBOTRAIN_COMPLETE", "complete_zsh")
        monkeypatch.setenv("_TYPER_COMPLETE_ARGS", words)
        with pytest.raises(SystemExit):
            app(prog_name="robotrain")
        return capsys.readouterr().out

    assert '"train"' in complete(f"robotrain logs {ended} --step tr")
    assert '"evaluate"' in complete("robotrain outputs --step ")
    assert "train" not in complete("robotrain logs other --step ")


def test_the_steps_of_a_pipeline_are_drawn_with_the_progress_of_those_that_run(ended):
    record = records.read_record(ended)
    run = follower.FollowedRun(record, None, renderer.SilentRenderer(print), threading.Event(), None, 1.0)
    run.status, run.has_status = Status(state="running"), True
    run.steps = [StepStatus(name="train", state="running", run="train-1"), StepStatus(name="evaluate", state="waiting")]
    run.get_step_progress("train").add_event(
        event.make_record(event.Metrics(values={"train/loss": 0.5}, step=1, total=2))
    )
    for rows, drawn in ((30, ["train", "1/2 (50%)", "evaluate  waiting"]), (3, ["train", "1/2 (50%)"])):
        lines = [
            "".join(part if isinstance(part, str) else part[0] for part in line)
            for line in draw_frame([run], 100, rows, ascii_only=False)
        ]
        assert lines[0].split()[:2] == [ended, "running"]
        assert len(lines) == 1 + len(drawn)
        assert all(one in line for one, line in zip(drawn, lines[1:], strict=True))


@pytest.mark.slow
def test_each_step_begins_when_those_that_it_needs_have_succeeded(engine, submit, robotrain):
    run = submit()
    wait_for(run, "train", "running")
    assert states(run) == {"train": "running", "evaluate": "waiting", "register": "waiting"}
    assert robotrain("status", "--json").json["state"] == "running"
    finish_training(engine, run)
    wait_for(run, "evaluate", "running")
    evaluation = step_run(run, "evaluate")
    plan = json.loads((records.get_run_folder(evaluation) / "plan/job.json").read_text())
    (policy,) = [source for source in plan["sources"] if source["role"] == "policy"]
    assert (policy["kind"], step_run(run, "train") in policy["uri"]) == ("local_path", True)
    engine.end(evaluation)
    wait_for(run, "register", "succeeded")
    status = robotrain("status", "--json").json
    assert (status["run"], status["state"]) == (run, "succeeded")
    assert [step["name"] for step in status["steps"]] == ["train", "evaluate", "register"]
    assert status["steps"][2]["registered"] == "pusht-act version 1"
    assert set(engine.submitted.values()) == {1}
    assert robotrain("wait", run).exit_code == 0
    page = robotrain("report", run, "--to", "-").stdout
    assert "pusht-act version 1" in page
    assert str(PUSHT / "dataset") in page


@pytest.mark.slow
def test_a_failure_skips_what_needs_it_and_is_the_reason(engine, submit, robotrain):
    run = submit()
    finish_training(engine, run)
    wait_for(run, "evaluate", "running")
    engine.end(step_run(run, "evaluate"), "failed")
    wait_for(run, "register", "skipped")
    status = robotrain("status", run, "--json").json
    assert (status["state"], status["reason"]) == ("failed", "step evaluate failed")
    assert robotrain("wait", run).exit_code == 5
    assert not any(step["registered"] for step in status["steps"])


@pytest.mark.slow
def test_resume_sends_only_what_is_not_done(engine, submit, robotrain):
    first = submit()
    finish_training(engine, first)
    wait_for(first, "evaluate", "running")
    engine.end(step_run(first, "evaluate"), "failed")
    wait_for(first, "register", "skipped")
    before = set(engine.submitted)
    answer = robotrain("pipeline", "resume", first)
    assert answer.exit_code == 0, answer.stderr
    second = answer.stdout.split()[0]
    assert second != first
    wait_for(second, "evaluate", "running")
    assert states(second)["train"] == "succeeded"
    status = robotrain("status", second, "--json").json
    assert status["started"] == status["steps"][1]["started"] > status["steps"][0]["started"]
    (sent,) = set(engine.submitted) - before
    assert step_run(second, "evaluate") == sent
    engine.end(sent, "failed")
    wait_for(second, "register", "skipped")
    third = robotrain("resume", second).stdout.split()[0]  # of a resumed one, by the command for runs
    wait_for(third, "evaluate", "running")
    engine.end(step_run(third, "evaluate"))
    wait_for(third, "register", "succeeded")
    assert set(engine.submitted.values()) == {1}
    assert len(engine.submitted) == 4
    answer = robotrain("pipeline", "resume", third, "--json")
    assert [one["code"] for one in answer.json["problems"]] == ["pipeline-complete"]


def test_the_first_steps_are_looked_at_under_the_names_that_they_will_have(robotrain, pusht, tmp_path):
    file = tmp_path / "here/pipeline.yaml"
    file.write_text(f"steps: {{train: {{job: {PUSHT}/job.yaml}}}}")
    submit = ("pipeline", "submit", file, "--platform", "local", "--dry-run")
    assert robotrain(*submit).exit_code == 0
    run = robotrain("render", PUSHT / "job.yaml", "--platform", "local", "--json").json["run"]
    (tmp_path / "state/local" / run).mkdir(parents=True)  # of an earlier run of the same job
    (tmp_path / "state/runs" / run).mkdir()
    (tmp_path / "state/runs" / run / records.RECORD_FILE).touch()
    answer = robotrain(*submit)
    assert answer.exit_code == 0, answer.stderr


@pytest.mark.slow
def test_a_killed_driver_is_lost_and_resume_goes_on_with_the_same_runs(engine, submit, robotrain):
    run = submit()
    wait_for(run, "train", "running")
    answer = robotrain("pipeline", "resume", run, "--json")
    assert [one["code"] for one in answer.json["problems"]] == ["run-goes-on"]
    stop_driver(run)
    status = robotrain("status", run, "--json").json
    assert status["state"] == "lost"
    assert "robotrain pipeline resume" in status["reason"]
    finish_training(engine, run)
    assert robotrain("pipeline", "resume", run, "--dry-run").exit_code == 0
    assert not progress.is_driven(run)
    assert robotrain("pipeline", "resume", run).exit_code == 0
    wait_for(run, "evaluate", "running")
    assert robotrain("status", run, "--json").json["state"] == "running"
    engine.end(step_run(run, "evaluate"))
    wait_for(run, "register", "succeeded")
    assert set(engine.submitted.values()) == {1}
    assert len(engine.submitted) == 2


@pytest.mark.slow
@pytest.mark.parametrize("with_driver", [True, False])
def test_cancel_stops_the_running_steps_and_starts_no_more(engine, submit, robotrain, with_driver):
    run = submit()
    wait_for(run, "train", "running")
    if not with_driver:
        stop_driver(run)
    answer = robotrain("cancel", run, "--json")
    assert (answer.exit_code, answer.json["state"]) == (0, "cancelled")
    assert states(run) == {"train": "cancelled", "evaluate": "skipped", "register": "skipped"}
    assert len(engine.submitted) == 1


@pytest.mark.slow
def test_independent_steps_go_on_and_no_more_run_than_at_most(engine, submit):
    text = (
        "name: three\nat_most: 2\nsteps:\n"
        + "".join(f"  s{at}: {{job: EXAMPLE/job.yaml, parameters: {{seed: {at}}}}}\n" for at in range(3))
        + "  last: {job: EXAMPLE/job.yaml, after: [s0, s2]}\n"
    )
    run = submit(text)
    wait_for(run, "s1", "running")
    time.sleep(1)
    assert states(run) == {"s0": "running", "s1": "running", "s2": "waiting", "last": "waiting"}
    engine.end(step_run(run, "s0"), "failed")
    wait_for(run, "s2", "running")
    wait_for(run, "last", "skipped")
    engine.end(step_run(run, "s1"))
    engine.end(step_run(run, "s2"))
    wait_for(run, "s2", "succeeded")


def test_a_pipeline_is_one_row_of_runs(engine, submit, robotrain):
    run = submit()
    wait_for(run, "train", "running")
    (row,) = robotrain("runs", "--json").json["runs"]
    assert row["run"] == run
    assert [step["name"] for step in row["steps"]] == ["train", "evaluate", "register"]
    rows = robotrain("runs", "--steps", "--json").json["runs"]
    assert {one["run"]: one["pipeline"] for one in rows} == {run: "", step_run(run, "train"): run}


@pytest.mark.slow
def test_what_a_step_left_is_reached_by_its_name(engine, submit, robotrain):
    run = submit()
    wait_for(run, "train", "running")
    engine.end(step_run(run, "train"), checkpoints=[3], log=["loading"])
    wait_for(run, "evaluate", "running")
    assert "[train] loading" in robotrain("logs", run).stdout
    assert robotrain("logs", run, "--step", "train").stdout == "loading\n"
    assert [one["name"] for one in robotrain("outputs", run, "--json").json["outputs"]] == ["train/checkpoints/000003"]
    (own,) = robotrain("outputs", run, "--step", "train", "--json").json["outputs"]
    assert own["name"] == "checkpoints/000003"
    assert robotrain("register", run, "early", "--step", "train").exit_code == 0
    assert "[step-unknown]" in robotrain("logs", run, "--step", "trian").stderr
    assert "[step-without-run]" in robotrain("logs", run, "--step", "register").stderr


def test_a_refused_step_fails_with_the_reason_of_the_refusal(engine, submit, robotrain):
    (engine.folder / "mood").write_text("refuses")
    run = submit()
    wait_for(run, "register", "skipped")
    assert "fake is not at home" in robotrain("status", run, "--json").json["reason"]
    assert engine.submitted == {}


def test_an_uncertain_submit_is_looked_up_and_not_repeated(engine, submit, monkeypatch):
    monkeypatch.setattr(driver, "RETRY_SECONDS", 0.1)
    monkeypatch.setattr(driven_platform, "start_driver", lambda run, plugins: None)
    with answer_submits(engine.folder, "takes it and hangs up"):
        run = submit()
        drive = driver.PipelineDriver(run, manager.get_plugins())
        monkeypatch.setattr(drive, "_sleep", lambda seconds: _stop(drive))
        with pytest.raises(StopDriving):
            drive.drive()
        assert states(run)["train"] == "pending"
    monkeypatch.setattr(drive, "_sleep", lambda seconds: _stop(drive) if states(run)["train"] == "running" else None)
    with pytest.raises(StopDriving):
        drive.drive()
    assert engine.submitted == {step_run(run, "train"): 1}


class StopDriving(Exception):
    """Ends a driver in this process."""


def _stop(drive: driver.PipelineDriver) -> None:
    raise StopDriving


KILLED = (
    AUDIT
    + """
from robotrain.pipelines import driver
from robotrain.plugins import manager
drive = driver.PipelineDriver(sys.argv[1], manager.get_plugins())
drive._sleep = lambda seconds: sys.exit(3)
drive.drive()
"""
)


@pytest.mark.slow
def test_a_driver_killed_before_any_effect_loses_and_doubles_no_step(engine, submit, monkeypatch, tmp_path):
    monkeypatch.setattr(driven_platform, "start_driver", lambda run, plugins: None)
    run = submit("name: kills\nsteps:\n  train: {job: EXAMPLE/job.yaml, parameters: {training_steps: 3}}\n")
    folder = records.get_run_folder(run)
    for at in range(1, 200, 5):
        environ = {**os.environ, "KILL_AT": str(at), "KILL_BELOW": str(tmp_path), "KILL_TOLD": os.devnull}
        killed = subprocess.run([sys.executable, "-c", KILLED, run], env=environ, capture_output=True, text=True)
        if killed.returncode == 3:
            break
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        environ["KILL_AT"] = "0"
        again = subprocess.run([sys.executable, "-c", KILLED, run], env=environ, capture_output=True, text=True)
        assert again.returncode == 3, again.stderr
        assert engine.submitted == {step_run(run, "train"): 1}, at
        for other in records.list_runs():
            if other != run:
                assert records.read_record(other).phase == "sent"
        forget(engine, folder)
    assert at > 10


def forget(engine: Engine, folder: Path) -> None:
    import shutil

    (folder / progress.PROGRESS_FILE).unlink()
    shutil.rmtree(engine.folder / "jobs")
    for name in records.list_runs():
        if name != folder.name:
            shutil.rmtree(records.get_run_folder(name))


@pytest.mark.slow
def test_from_python_a_pipeline_is_a_run_with_steps(engine, submit, tmp_path):
    import robotrain
    from robotrain import PipelineRun, Rejected, RunFailed

    file = tmp_path / "here/pipeline.yaml"
    file.write_text(STEPS.replace("EXAMPLE", str(PUSHT)))
    run = robotrain.pipeline(file, platform="fake", values={"train": {"batch_size": 8}})
    assert isinstance(run, PipelineRun)
    wait_for(run.name, "train", "running")
    assert (
        json.loads((records.get_run_folder(run.name) / "plan/pipeline.json").read_text())["steps"][0]["parameters"][
            "batch_size"
        ]
        == 8
    )
    assert list(run.steps()) == ["train", "evaluate", "register"]
    with pytest.raises(Rejected):
        run.step("evaluate")
    with pytest.raises(Rejected):
        run.resume()
    engine.end(run.step("train").name, "failed")
    with pytest.raises(RunFailed, match="step train failed"):
        run.wait()
    again = run.resume()
    assert again != run
    wait_for(again.name, "train", "running")
    stop_driver(again.name)
    assert again.status().state == "lost"
    again.cancel()
    assert again.status().state == "cancelled"


def test_a_driver_starts_although_its_lock_is_looked_at_meanwhile(engine):
    records.get_run_folder("shift-1").mkdir(parents=True)
    path = records.get_run_folder("shift-1") / progress.DRIVER_FILE
    path.touch()
    with path.open("rb") as looking:
        assert files.lock_file(looking.fileno(), fcntl.LOCK_SH)
        threading.Timer(0.2, lambda: fcntl.flock(looking, fcntl.LOCK_UN)).start()
        with driver.lock_pipeline("shift-1") as is_mine:
            assert is_mine
            with driver.lock_pipeline("shift-1") as is_mine_too:
                assert not is_mine_too


def test_a_driver_that_ends_since_another_one_has_the_lock_is_no_failure(engine, monkeypatch):
    """The other one was started by an interrupted submit, and has not begun yet."""
    records.get_run_folder("shift-1").mkdir(parents=True)
    begun = progress.PipelineProgress(steps={"train": progress.StepState()})
    background, ended = driven_platform.background, list[int]()
    has_exited = background.has_exited

    def begin_after_the_end(pid: int) -> bool:
        is_over = has_exited(pid)
        if is_over:
            ended.append(pid)
            if len(ended) == 5:
                progress.write_progress("shift-1", begun)
        return is_over

    monkeypatch.setattr(background, "has_exited", begin_after_the_end)
    with driver.lock_pipeline("shift-1") as is_mine:
        assert is_mine
        driven_platform.start_driver("shift-1", manager.get_plugins())
    assert len(ended) == 5


def test_a_driver_that_does_not_begin_in_time_is_ended(engine, monkeypatch):
    records.get_run_folder("shift-1").mkdir(parents=True)
    monkeypatch.setattr(driven_platform, "START_SECONDS", 0.0)
    with pytest.raises(Rejected) as refused:
        driven_platform.start_driver("shift-1", manager.get_plugins())
    assert [problem.code for problem in refused.value.problems] == ["driver-not-started"]
    assert find_drivers("shift-1") == []


def test_a_step_that_its_platform_has_not_started_is_pending(engine, submit, robotrain):
    run = submit()
    wait_for(run, "train", "running")
    engine.end(step_run(run, "train"), "pending")
    until = time.monotonic() + 60
    while (status := robotrain("status", run, "--json").json)["state"] != "pending":
        assert time.monotonic() < until, status
        time.sleep(0.05)
    assert [one["state"] for one in status["steps"]] == ["pending", "waiting", "waiting"]
    assert status["started"] is None
    engine.end(step_run(run, "train"), "running")
    while (status := robotrain("status", run, "--json").json)["state"] != "running":
        assert time.monotonic() < until, status
        time.sleep(0.05)
    assert status["steps"][0]["state"] == "running"


@pytest.mark.parametrize(
    ("ends", "state", "reason"),
    [
        (["succeeded", "succeeded"], "succeeded", ""),
        (["succeeded", "skipped"], "cancelled", "step evaluate skipped"),
        (["cancelled", "skipped"], "cancelled", "step train cancelled"),
        (["failed", "skipped"], "failed", "step train failed"),
        (["cancelled", "lost"], "failed", "step evaluate lost"),
    ],
)
def test_a_pipeline_has_succeeded_only_if_every_step_has(ends, state, reason):
    steps = {name: progress.StepState(state=end) for name, end in zip(("train", "evaluate"), ends, strict=True)}
    status = progress.PipelineProgress(steps=steps).compute_status("shift-1", has_driver=False)
    assert (status.state, status.reason) == (state, reason)
