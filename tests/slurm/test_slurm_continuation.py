"""What continues a run whose attempt has ended, and that a job which is sent again is sent once."""

import dataclasses
import json
import os

import pytest
from local_server import serve_webhook
from robotrain_runtime.contract import claim, document
from robotrain_runtime.contract.failure import EXIT_RETRY
from robotrain_slurm.node import attempts, batch, commands, continuation
from robotrain_slurm.node.attempts import Attempt, AttemptEnd
from robotrain_slurm.node.commands import CommandRefused, ControllerAway
from robotrain_slurm.node.continuation import NodeJob

STOPPED = AttemptEnd("cancelled", 143, step=30, checkpoint=30)
KILLED = AttemptEnd("killed", 137, step=30, checkpoint=20)
FAILED = AttemptEnd("failed", 1, step=30, checkpoint=30)
NETWORK = AttemptEnd("failed", EXIT_RETRY, step=30, checkpoint=30)
DONE = AttemptEnd("succeeded", 0, step=30, checkpoint=30)
IDLE = AttemptEnd("cancelled", 143, step=10, checkpoint=10)
RESTORED = AttemptEnd("cancelled", 143, step=0, checkpoint=40, restored=40)
FETCHED = AttemptEnd("cancelled", 143, step=41, checkpoint=41, restored=40)
SAVED = AttemptEnd("cancelled", 143, step=10, checkpoint=12)
REQUEUE, NODE, NEVER = (continuation.WAYS[way] for way in ("requeue", "node", "never"))
TABLE = [
    # how the attempt ended, what Slurm does with its job, the setting, who interfered: what continues the run
    (STOPPED, "running", REQUEUE, "", "requeue"),
    (STOPPED, "running", NODE, "", "node"),
    (STOPPED, "running", NEVER, "", ""),
    (STOPPED, "timeout", REQUEUE, "", "requeue"),
    (STOPPED, "preempted", REQUEUE, "", "requeue"),
    (STOPPED, "preempted", NODE, "", "node"),
    (STOPPED, "", REQUEUE, "", "requeue"),
    (STOPPED, "requeued", NODE, "", "slurm"),
    (STOPPED, "requeued", NEVER, "", "slurm"),
    (STOPPED, "cancelled", REQUEUE, "", ""),
    (STOPPED, "running", REQUEUE, "cancelled", ""),
    (STOPPED, "requeued", REQUEUE, "cancelled", ""),
    (STOPPED, "requeued", REQUEUE, "superseded", ""),
    (IDLE, "running", REQUEUE, "", ""),
    (IDLE, "requeued", REQUEUE, "", "slurm"),
    (SAVED, "running", REQUEUE, "", "requeue"),
    (RESTORED, "running", REQUEUE, "", ""),
    (FETCHED, "running", REQUEUE, "", "requeue"),
    (KILLED, "running", REQUEUE, "", "requeue"),
    (KILLED, "cancelled", REQUEUE, "", ""),
    (NETWORK, "running", NODE, "", "node"),
    (FAILED, "running", REQUEUE, "", ""),
    (FAILED, "timeout", REQUEUE, "", ""),
    (FAILED, "requeued", REQUEUE, "", "slurm"),
    (DONE, "running", REQUEUE, "", ""),
    (DONE, "", REQUEUE, "", ""),
]


@pytest.mark.parametrize(("end", "fate", "ways", "interference", "expected"), TABLE)
def test_what_continues_a_run(end, fate, ways, interference, expected):
    attempt = Attempt(job="7", restart=0, node="n1", began=0.0, step=10, checkpoint=10)
    cancelled, superseded = interference == "cancelled", interference == "superseded"
    way, reason = continuation.decide(attempt, end, fate, ways, cancelled=cancelled, superseded=superseded)
    assert way == expected
    assert reason


STATES = [  # as Slurm 22.05 printed them, from the batch job itself after SIGTERM
    ("JobState=RUNNING Reason=None Requeue=1 Restarts=0 EndTime=2026-11-24T03:38:46 PreemptTime=None", 0, "running"),
    (
        "JobState=COMPLETING Reason=None Requeue=1 Restarts=0 EndTime=2026-11-24T03:34:36 PreemptTime=None",
        0,
        "cancelled",
    ),
    ("JobState=COMPLETING Reason=None Requeue=1 Restarts=1 EndTime=Unknown PreemptTime=None", 0, "requeued"),
    ("JobState=RUNNING Reason=None Requeue=1 Restarts=1 EndTime=Unknown PreemptTime=None", 1, "running"),
    ("JobState=PENDING Reason=BeginTime Requeue=1 Restarts=1 EndTime=Unknown PreemptTime=None", 1, "requeued"),
    ("JobState=COMPLETING Reason=TimeLimit Requeue=1 Restarts=0 PreemptTime=None", 0, "timeout"),
    ("JobState=COMPLETING Reason=None Requeue=1 Restarts=0 PreemptTime=2026-11-24T03:35:59", 0, "preempted"),
]


@pytest.mark.parametrize(("answer", "restart", "fate"), STATES)
def test_fate_of_a_job_whose_processes_are_told_to_end(monkeypatch, answer, restart, fate):
    monkeypatch.setattr(commands, "run_command", lambda *words: f"JobId=7 JobName=run UserId=me(1) {answer} Power=\n")
    assert commands.find_fate("7", restart) == fate


@pytest.fixture
def job(tmp_path, slurm) -> NodeJob:
    """A job of one run, whose first start has ended."""
    (tmp_path / "job.sbatch").write_text(
        "#!/bin/bash\n#SBATCH --job-name=run-1\n#SBATCH --comment=robotrain:run-1:0123\n#SBATCH --time=0-00:10:00\n"
    )
    own = {"continuation": "requeue", "stop_seconds": 60, "container": {}}
    program = ["/bin/sh", str(tmp_path / "job.sbatch")]
    sent = {"name": "run-1", "token": "0123", "step": "", "trials": [], "program": program, "own": own}
    (tmp_path / "slurm.json").write_text(json.dumps({"jobs": [sent]}))
    first = commands.run_command("sbatch", "--parsable", str(tmp_path / "job.sbatch")).strip()
    slurm.set_state(first, "RUNNING")
    os.symlink(f"{first}:token:17", tmp_path / claim.CLAIM_LINK)
    return continuation.read_node_job(tmp_path / "slurm.json", "run-1")


def test_job_is_sent_again_once(job, tmp_path, slurm):
    assert [continuation.send_again(job, tmp_path, "1") for _ in range(3)] == ["2", "2", "2"]
    assert [queued_job["comment"] for queued_job in slurm.read_jobs()] == [
        "robotrain:run-1:0123",
        "robotrain:run-1:0123:1",
    ]
    assert slurm.read_job("2")["name"] == "run-1"
    assert claim.find_owner(tmp_path) is None, "the next job claims the run"
    assert continuation.read_continuation(tmp_path, "1") == "2"


@pytest.mark.parametrize("moment", ["before sbatch", "after sbatch"])
def test_job_is_sent_once_though_its_sender_was_killed(job, tmp_path, slurm, monkeypatch, moment):
    def be_killed(*words):
        if moment == "after sbatch":
            send(*words)
        raise KeyboardInterrupt

    send = commands.send_script
    with monkeypatch.context() as patched:
        patched.setattr(commands, "send_script", be_killed)
        with pytest.raises(KeyboardInterrupt):
            continuation.send_again(job, tmp_path, "1")
    assert continuation.read_continuation(tmp_path, "1") == ""
    assert continuation.send_again(job, tmp_path, "1") == "2"
    assert len(slurm.read_jobs()) == 2


def test_job_whose_answer_was_lost_is_found(job, tmp_path, slurm):
    slurm.set_mood("times out")
    with pytest.raises(ControllerAway):
        continuation.send_again(job, tmp_path, "1")
    assert continuation.send_again(job, tmp_path, "1") == "2"
    assert len(slurm.read_jobs()) == 2


def test_ways_are_tried_in_turn(job, tmp_path, slurm, monkeypatch):
    attempt = Attempt(job="1", restart=0, node="n1", began=0.0)
    refuse = CommandRefused("Requested operation is presently disabled for job 1")
    monkeypatch.setattr(commands, "requeue_job", raise_(refuse))
    assert continuation.continue_run(job, tmp_path, attempt) == ("node", str(refuse))
    assert continuation.read_continuation(tmp_path, "1") == "2"
    (tmp_path / "continued.1").unlink()
    monkeypatch.setattr(commands, "send_script", raise_(CommandRefused("Access denied")))
    assert continuation.continue_run(job, tmp_path, attempt) == ("", f"{refuse}; Access denied")
    assert not (tmp_path / "continued.1").exists(), "whoever sends it next begins anew"


def test_controller_that_comes_back_in_time_requeues_the_job(job, tmp_path, monkeypatch):
    tries = []

    def requeue(number):
        tries.append(number)
        if len(tries) < 3:
            raise ControllerAway("Unable to contact slurm controller")

    monkeypatch.setattr(commands, "requeue_job", requeue)
    monkeypatch.setattr(continuation, "RETRY_SECONDS", 0.0)
    attempt = Attempt(job="1", restart=0, node="n1", began=0.0)
    assert continuation.continue_run(job, tmp_path, attempt) == ("requeue", "")
    monkeypatch.setattr(continuation, "PATIENCE_SECONDS", 0.0)
    del tries[:]
    assert continuation.continue_run(job, tmp_path, attempt) == ("", "Unable to contact slurm controller")


def raise_(error):
    def fail(*arguments):
        raise error

    return fail


def test_failure_of_a_start_without_progress_keeps_its_reason(job, tmp_path, monkeypatch):
    monkeypatch.setattr(commands, "find_fate", lambda *facts: "running")
    attempt = attempts.begin_attempt(tmp_path, "1")
    outcome = '{"state": "failed", "exit_code": 75, "reason": "packages could not be fetched", "fault": "network"}'
    (tmp_path / "outcome.json").write_text(outcome)
    continuation.finish_attempt(job, tmp_path, attempt, EXIT_RETRY)
    assert (tmp_path / "outcome.json").read_text() == outcome
    end = attempts.read_attempts(tmp_path)[-1].end
    assert end.continued_by == ""
    assert "--time" not in end.why


@pytest.fixture
def webhook():
    with serve_webhook() as served:
        yield served


@pytest.fixture
def telling_job(job, tmp_path, webhook, make_plan) -> NodeJob:
    """The job of a run that tells a webhook."""
    (tmp_path / "team").write_text(webhook.address)
    plan = make_plan(secrets=json.dumps({"ROBOTRAIN_NOTIFY": str(tmp_path / "team")}))
    made = document.parse_document(plan.files["job.json"].decode())
    assert made.placement.tells_end
    placement = dataclasses.replace(made.placement, work=str(tmp_path))
    (tmp_path / "job.json").write_text(document.format_document(dataclasses.replace(made, placement=placement)))
    return job


ENDS = [
    # the outcome that the runtime left, its exit code, what Slurm does with the job: the beginning of the message
    ({"state": "succeeded"}, 0, "running", "a-1 succeeded"),
    ({"state": "failed", "reason": "ValueError: x"}, 1, "running", "a-1 failed\nValueError: x"),
    ({"state": "cancelled", "reason": "the run was stopped"}, 143, "cancelled", "a-1 cancelled\nthe run was stopped"),
    (
        {"state": "cancelled", "reason": "the run was stopped"},
        143,
        "running",
        "a-1 failed\nthe job ended without a new step",
    ),
    (None, 137, "cancelled", "a-1 failed\nthe job was cancelled in Slurm"),
    ({"state": "cancelled"}, 143, "requeued", ""),
    ({"state": "failed", "fault": "network"}, EXIT_RETRY, "requeued", ""),
]


@pytest.mark.parametrize(("left", "code", "fate", "message"), ENDS)
def test_end_is_told_once_nothing_continues_the_run(
    telling_job, tmp_path, webhook, monkeypatch, left, code, fate, message
):
    monkeypatch.setattr(commands, "find_fate", lambda *facts: fate)
    attempt = attempts.begin_attempt(tmp_path, "1")
    (tmp_path / "events.jsonl").touch()
    if left:
        (tmp_path / "outcome.json").write_text(json.dumps({"exit_code": code, **left}))
    continuation.finish_attempt(telling_job, tmp_path, attempt, code)
    assert [text[: len(message)] for text in webhook.texts] == [message] * bool(message)
    assert "T0SECRET" not in (tmp_path / "log.txt").read_text()


def test_run_that_failed_before_its_runtime_began_is_told(telling_job, tmp_path, webhook, monkeypatch):
    monkeypatch.setattr(commands, "find_fate", lambda *facts: "running")
    continuation.finish_attempt(telling_job, tmp_path, attempts.begin_attempt(tmp_path, "1"), 1)
    assert [text.splitlines()[0] for text in webhook.texts] == ["a-1 failed"]


def test_attempt_that_is_sent_again_tells_nobody(telling_job, tmp_path, webhook, monkeypatch):
    monkeypatch.setattr(commands, "find_fate", lambda *facts: "timeout")
    attempt = attempts.begin_attempt(tmp_path, "1")
    (tmp_path / "events.jsonl").write_text('{"event": "metrics", "values": {}, "step": 7}\n')
    (tmp_path / "outcome.json").write_text('{"state": "cancelled", "exit_code": 143}')
    continuation.finish_attempt(telling_job, tmp_path, attempt, 143)
    assert attempts.read_attempts(tmp_path)[-1].end.continued_by
    assert webhook.taken == []


def test_step_of_a_pipeline_is_only_requeued(job, tmp_path):
    values = json.loads((tmp_path / "slurm.json").read_text())
    values["jobs"][0]["step"] = "train"
    (tmp_path / "slurm.json").write_text(json.dumps(values))
    assert continuation.read_node_job(tmp_path / "slurm.json", "run-1").ways == ("requeue",)


def test_attempts_are_read_past_a_torn_line(tmp_path, monkeypatch):
    events = (
        '{"event": "metrics", "values": {"step": 90}, "step": 7}',
        '{"event": "checkpoint", "step": 5, "path": "5"}',
    )
    (tmp_path / "events.jsonl").write_text("\n".join(events))
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    first = attempts.begin_attempt(tmp_path, "12_3")
    assert (first.job, first.restart, first.step, first.checkpoint) == ("12_3", 1, 7, 5)
    attempts.end_attempt(tmp_path, first, STOPPED)
    with (tmp_path / attempts.ATTEMPTS_FILE).open("a") as file:
        file.write('{"event": "ended", "job": "12_3", "res')
    monkeypatch.setenv("SLURM_RESTART_COUNT", "2")
    second = attempts.begin_attempt(tmp_path, "12_3")
    listed = attempts.read_attempts(tmp_path)
    assert [attempt.restart for attempt in listed] == [1, 2]
    assert listed[0].end.state == "cancelled"
    assert listed[1].end is None
    assert attempts.has_later_start(tmp_path, first)
    assert not attempts.has_later_start(tmp_path, second)


def test_run_that_was_stopped_without_progress_has_failed(job, tmp_path, monkeypatch):
    monkeypatch.setattr(commands, "find_fate", lambda *facts: "running")
    attempt = attempts.begin_attempt(tmp_path, "1")
    (tmp_path / "outcome.json").write_text('{"state": "cancelled", "exit_code": 143}')
    continuation.finish_attempt(job, tmp_path, attempt, 143)
    outcome = json.loads((tmp_path / "outcome.json").read_text())
    assert (outcome["state"], outcome["exit_code"]) == ("failed", 143)
    assert "--time" in outcome["reason"]
    assert attempts.read_attempts(tmp_path)[-1].end.continued_by == ""


def test_start_that_has_nothing_to_do(job, tmp_path):
    """Slurm may start a job again that was done when its node was lost."""
    assert batch.find_idle_reason(tmp_path, "1") == ""
    assert "the job 1" in batch.find_idle_reason(tmp_path, "8")
    (tmp_path / "outcome.json").write_text('{"state": "cancelled"}')
    assert batch.find_idle_reason(tmp_path, "1") == ""
    (tmp_path / "outcome.json").write_text('{"state": "succeeded"}')
    assert batch.find_idle_reason(tmp_path, "1") == "the run is done"
    (tmp_path / "continued.1").write_text("2")
    assert "the job 2" in batch.find_idle_reason(tmp_path, "1")
