"""A pipeline that a driver runs, as one run: its state, log, steps and outputs."""

import json
import threading
import time

import pytest
from driven_pipelines import PUSHT, STEPS, get_step_run, stop_driver, wait_for
from fake_engine import set_run_state
from problem_assertions import check_rejected
from robotrain.cli.app import app
from robotrain.cli.watch import follower
from robotrain.cli.watch.dashboard import draw_frame
from robotrain.cli.watch.printer import Printer
from robotrain.model.run import Status, StepStatus
from robotrain.pipelines import driven_engine, driver, progress
from robotrain.plugins import manager
from robotrain.store import records
from robotrain.submission import interrupted_submit, publishing
from robotrain_runtime.contract import event


@pytest.fixture
def ended_pipeline(robotrain, engine, submit_pipeline, monkeypatch):
    """A pipeline that has ended: its training succeeded, its evaluation did not."""
    training = robotrain("submit", PUSHT / "job.yaml", "--platform", "fake").stdout.split()[0]
    sent = [
        event.StageEvent(name="work", state="started"),
        event.Metrics(values={"train/loss": 0.5}, step=1, total=2),
        event.Outcome(state="succeeded", exit_code=0),
    ]
    set_run_state(engine, training, log=["loading", *(event.format_event(run_event) for run_event in sent)])

    def end(run: str, plugins: object) -> None:
        train = progress.StepState(state="succeeded", run=training, started=1.0, ended=2.0)
        evaluate = progress.StepState(state="failed", reason="it was not submitted", ended=3.0)
        steps = {"train": train, "evaluate": evaluate, "again": progress.StepState(state="skipped")}
        progress.write_progress(run, progress.PipelineProgress(steps=steps))

    monkeypatch.setattr(driven_engine, "start_driver", end)
    return submit_pipeline()


def test_events_of_a_step_are_not_those_of_the_pipeline(ended_pipeline, robotrain):
    logged = ["[train] loading", "[train] [robotrain] work: started", "[train] [robotrain] succeeded, exit code 0"]
    assert set(robotrain("logs", ended_pipeline).stdout.splitlines()) >= set(logged)
    followed = robotrain("logs", "-f", ended_pipeline)
    assert set(followed.stdout.splitlines()) >= set(logged)
    assert f"{ended_pipeline} failed: step evaluate failed: it was not submitted" in followed.stderr
    changes = robotrain("watch", ended_pipeline).stdout.splitlines()
    assert f"{ended_pipeline}  [train] succeeded, exit code 0" in changes
    assert any(line.startswith(f"{ended_pipeline}  [train] step 1/2") for line in changes)
    assert [line for line in changes if line.startswith(f"{ended_pipeline}  succeeded")] == []
    changes = [json.loads(line) for line in robotrain("watch", "--json", ended_pipeline).stdout.splitlines()]
    assert {change["change"]: change.get("pipeline_step") for change in changes} == {
        "stage": "train",
        "metrics": "train",
        "outcome": "train",
        "state": None,
    }


def test_a_run_of_two_attempts_is_removed_with_the_last_of_them(ended_pipeline, robotrain):
    plugins = manager.get_plugins()
    training, again = get_step_run(ended_pipeline, "train"), robotrain("resubmit", ended_pipeline).stdout.split()[0]
    first, second = records.read_record(ended_pipeline), records.read_record(again)
    assert get_step_run(again, "train") == training
    interrupted_submit.remove_run(first, plugins.platform_of(first))
    assert not records.has_record(ended_pipeline)
    assert records.has_record(training)
    interrupted_submit.remove_run(second, plugins.platform_of(second))
    assert not records.has_record(training)


def test_logs_wait_for_a_step_that_has_not_begun(ended_pipeline, robotrain, monkeypatch):
    current = progress.read_progress(ended_pipeline)
    current.steps["evaluate"] = progress.StepState()
    progress.write_progress(ended_pipeline, current)
    robotrain("logs", ended_pipeline, "--step", "evaluate").check_problems(2, "step-without-run --step")

    def begin(seconds: float) -> None:
        current.steps["evaluate"] = progress.StepState(state="succeeded", run=current.steps["train"].run)
        progress.write_progress(ended_pipeline, current)

    with monkeypatch.context() as patches:
        patches.setattr(progress, "is_driven", lambda run: True)
        patches.setattr("robotrain.cli.arguments.time.sleep", begin)
        answer = robotrain("logs", "-f", ended_pipeline, "--step", "evaluate")
    assert (answer.exit_code, "loading" in answer.stdout) == (0, True)


def test_a_pipeline_that_ends_during_the_query_is_not_lost(ended_pipeline, robotrain, monkeypatch):
    last, current = progress.read_progress(ended_pipeline), progress.read_progress(ended_pipeline)
    current.steps["evaluate"] = progress.StepState(state="running", run=current.steps["train"].run)
    progress.write_progress(ended_pipeline, current)

    def end(run: str) -> bool:  # its driver writes the last state and exits
        progress.write_progress(run, last)
        return False

    monkeypatch.setattr(progress, "is_driven", end)
    assert robotrain("status", ended_pipeline, "--json").json["state"] == "failed"


def test_a_pipeline_whose_driver_is_about_to_exit_has_ended(ended_pipeline, robotrain):
    current = progress.read_progress(ended_pipeline)
    current.steps = {name: progress.StepState(state="succeeded") for name in current.steps}
    progress.write_progress(ended_pipeline, current)
    with driver.lock_pipeline(ended_pipeline):
        answer = robotrain("pipeline", "resume", ended_pipeline)
    answer.check_problems(2, "pipeline-complete")


def test_the_names_of_steps_are_completed(ended_pipeline, monkeypatch, capsys):
    def complete(words: str) -> str:
        monkeypatch.setenv("_ROBOTRAIN_COMPLETE", "complete_zsh")
        monkeypatch.setenv("_TYPER_COMPLETE_ARGS", words)
        with pytest.raises(SystemExit):
            app(prog_name="robotrain")
        return capsys.readouterr().out

    assert '"train"' in complete(f"robotrain logs {ended_pipeline} --step tr")
    assert '"evaluate"' in complete("robotrain outputs --step ")
    assert "train" not in complete("robotrain logs other --step ")


def test_the_steps_of_a_pipeline_are_drawn_with_the_progress_of_those_that_run(ended_pipeline):
    record = records.read_record(ended_pipeline)
    run = follower.FollowedRun(record, None, Printer(print), threading.Event(), None, 1.0)
    run.status, run.has_status = Status(state="running"), True
    run.steps = [StepStatus(name="train", state="running", run="train-1"), StepStatus(name="evaluate", state="waiting")]
    run.get_step_progress("train").add_event(
        event.make_record(event.Metrics(values={"train/loss": 0.5}, step=1, total=2))
    )
    frame = draw_frame([run], 100, 30)
    header, *lines = ["".join(part if isinstance(part, str) else part[0] for part in line) for line in frame]
    assert header.split()[:3] == ["shift", ended_pipeline, "running"]
    drawn = ["train", "1/2 (50%)", "evaluate  waiting"]
    assert all(text in line for text, line in zip(drawn, lines, strict=True))


def test_a_pipeline_is_one_row_of_runs(engine, submit_pipeline, robotrain):
    run = submit_pipeline()
    wait_for(run, "train", "running")
    (row,) = robotrain("runs", "--json").json["runs"]
    assert row["run"] == run
    assert [step["name"] for step in row["steps"]] == ["train", "evaluate", "again"]
    rows = robotrain("runs", "--steps", "--json").json["runs"]
    assert {row["run"]: row["pipeline"] for row in rows} == {run: "", get_step_run(run, "train"): run}


@pytest.mark.slow
def test_log_outputs_and_registration_of_a_step_by_its_name(engine, submit_pipeline, robotrain):
    run = submit_pipeline()
    wait_for(run, "train", "running")
    set_run_state(engine, get_step_run(run, "train"), checkpoints=[3], log=["loading"])
    wait_for(run, "evaluate", "running")
    assert "[train] loading" in robotrain("logs", run).stdout
    assert robotrain("logs", run, "--step", "train").stdout == "loading\n"
    assert [output["name"] for output in robotrain("outputs", run, "--json").json["outputs"]] == [
        "train/checkpoints/000003"
    ]
    (own,) = robotrain("outputs", run, "--step", "train", "--json").json["outputs"]
    assert own["name"] == "checkpoints/000003"
    assert robotrain("register", run, "early", "--step", "train").exit_code == 0
    robotrain("logs", run, "--step", "trian").check_problems(2, "step-unknown")
    robotrain("logs", run, "--step", "again").check_problems(2, "step-without-run --step")


@pytest.mark.slow
def test_from_python_a_pipeline_is_a_run_with_steps(engine, submit_pipeline, tmp_path):
    import robotrain
    from robotrain import PipelineRun, RunFailed

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
    assert list(run.steps()) == ["train", "evaluate", "again"]
    with check_rejected("step-without-run"):
        run.step("evaluate")
    with check_rejected("run-goes-on"):
        run.resume()
    set_run_state(engine, run.step("train").name, "failed")
    with pytest.raises(RunFailed, match="step train failed"):
        run.wait()
    again = run.resume()
    assert again != run
    wait_for(again.name, "train", "running")
    stop_driver(again.name)
    assert again.status().state == "lost"
    again.cancel()
    assert again.status().state == "cancelled"


@pytest.mark.slow
def test_a_step_that_its_platform_has_not_started_is_pending(engine, submit_pipeline, robotrain):
    run = submit_pipeline()
    wait_for(run, "train", "running")
    set_run_state(engine, get_step_run(run, "train"), "pending")
    until = time.monotonic() + 60
    while (status := robotrain("status", run, "--json").json)["state"] != "pending":
        assert time.monotonic() < until, status
        time.sleep(0.05)
    assert [step["state"] for step in status["steps"]] == ["pending", "waiting", "waiting"]
    assert status["started"] is None
    set_run_state(engine, get_step_run(run, "train"), "running")
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


@pytest.mark.parametrize(("queued", "state"), [(False, "running"), (True, "pending")])
def test_a_pipeline_runs_if_a_step_does_of_which_the_engine_says_no_time(queued, state):
    steps = {"train": progress.StepState(state="running", queued=queued), "evaluate": progress.StepState()}
    assert progress.PipelineProgress(steps=steps).compute_status("shift-1", has_driver=True).state == state


def test_the_checkpoints_of_a_pipeline_are_published_as_those_of_its_training(
    ended_pipeline, robotrain, engine, monkeypatch
):
    training = get_step_run(ended_pipeline, "train")
    set_run_state(engine, training, checkpoints=[3])
    calls = []
    monkeypatch.setattr(publishing, "publish_outputs", lambda *words: calls.append(words) or ())
    robotrain("publish", ended_pipeline, "hf://me/act").check(0)
    ((record, job, _, outputs, *_),) = calls
    assert (record.run, job.workload, [output.name for output in outputs]) == (
        training,
        "lerobot-train",
        ["checkpoints/000003"],
    )
