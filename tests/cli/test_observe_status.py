"""`robotrain status` and `logs`: what happened to a run, in one command."""

import dataclasses

import pytest
from robotrain.cli.next_commands import suggest_commands
from robotrain.model.progress import Progress
from robotrain.model.run import Status
from robotrain.store import records
from robotrain_runtime.contract.event import (
    Checkpoint,
    Delivered,
    Evaluated,
    Metrics,
    Note,
    Outcome,
    Published,
    Registered,
    StageEvent,
    Tracking,
)
from scripted_runs import record
from snapshots import check_snapshot

FAILED = {"state": "failed", "reason": "RuntimeError: out of paint", "exit_code": 1, "started": 1e9, "ended": 1e9 + 65}
TRACEBACK = """\
loading the brushes
Traceback (most recent call last):
  File "train.py", line 12, in <module>
    main()
  File "train.py", line 8, in main
    raise RuntimeError("out of paint")
RuntimeError: out of paint
tracking: the run was closed
tracking: goodbye""".splitlines()
LEFT = [
    StageEvent(name="work", state="started"),
    Metrics(step=400, total=2000, values={"train/loss": 0.25}),
    Checkpoint(step=400, path="/runs/x/checkpoints/000400"),
]


def list_cause(answer):
    """Return the lines of its log that a page shows."""
    return [line.strip(" |") for line in answer.stdout.splitlines() if line.strip().startswith("|")]


@pytest.mark.parametrize(
    ("log", "shown"),
    [
        ([*map(str, range(500)), *TRACEBACK], ["499", *TRACEBACK[:7]]),
        ([*map(str, range(20)), "Killed"], [*map(str, range(13, 20)), "Killed"]),
        ([Outcome(state="failed", exit_code=4, reason="out of paint"), "[scripted] uploading"], []),
        (["[scripted] full"], ["[scripted] full"]),
        ([*TRACEBACK[1:3], "Error: of two:", "\ta", "\tb", "bye"], [*TRACEBACK[1:3], "Error: of two:", "\ta", "\tb"]),
    ],
)
def test_lines_of_the_log_that_tell_why_a_run_failed_are_shown(scripted, robotrain, log, shown):
    scripted.run("train-1", *log, **FAILED)
    answer = robotrain("status")
    assert (answer.exit_code, list_cause(answer)) == (0, [line.strip(" ") for line in shown])


@pytest.mark.parametrize(
    ("state", "left", "type_next"),
    [
        ("pending", [], "robotrain watch train-1"),
        ("succeeded", LEFT, "robotrain outputs train-1"),
        ("failed", [], "robotrain logs --tail 40 train-1"),
        ("cancelled", LEFT, "robotrain resume train-1"),
        ("lost", [], "robotrain resubmit train-1"),
    ],
)
def test_next_command_depends_on_the_state(scripted, robotrain, state, left, type_next):
    scripted.run("train-1", *left, state=state)
    assert robotrain("status", "--json").json["next"][0] == type_next
    assert f"next        {type_next}" in robotrain("status").stdout


def test_a_name_is_a_word_of_a_next_command(scripted, robotrain):
    scripted.run("train-1", *LEFT, state="cancelled", called="x; touch pwn #")
    assert "next        robotrain resume 'x; touch pwn #' " in robotrain("status").stdout


@pytest.mark.parametrize(
    ("fault", "left", "others"),
    [
        ("configuration", [], ["robotrain resubmit train-1 --set KEY=VALUE"]),
        ("data", LEFT, ["robotrain resume train-1 --set KEY=VALUE"]),
        ("code", LEFT, []),
        ("", [], []),
        ("", LEFT, ["robotrain resume train-1"]),
        ("network", [], ["robotrain resubmit train-1"]),
    ],
)
def test_unchanged_job_that_would_fail_again_is_not_suggested(scripted, robotrain, fault, left, others):
    outcome = Outcome(state="failed", exit_code=4, reason="out of paint", fault=fault)
    scripted.run("train-1", *left, outcome, state="failed", reason="out of paint")
    assert sorted(robotrain("status", "--json").json["next"]) == ["robotrain logs --tail 40 train-1", *others]


@pytest.mark.parametrize(
    ("cause", "fault", "next_line"),
    [
        ("gpu-memory", "configuration", "robotrain resubmit train-1 --set KEY=VALUE"),
        ("access-denied", "access", "robotrain resubmit train-1"),
        ("module-missing", "code", "robotrain logs --tail 40 train-1"),
        ("gpu-missing", "machine", "robotrain resubmit train-1"),
        ("gpu-driver", "machine", "robotrain resubmit train-1"),
    ],
)
def test_what_helps_with_a_known_cause_is_told(scripted, robotrain, cause, fault, next_line):
    fields = {"fault": fault, "cause": cause, "subject": "o/n", "remedy": "ask for o/n"}
    outcome = Outcome(state="failed", exit_code=1, reason="it failed", **fields)
    scripted.run("train-1", outcome, state="failed", reason="it failed")
    status = robotrain("status", "--json").json
    assert {name: status[name] for name in fields} == fields
    assert status["next"][-1] == next_line
    shown = robotrain("status").stdout
    assert (f"{fault}: ask for o/n" in shown, next_line in shown) == (True, True)


def test_job_that_had_too_little_memory_is_not_said_to_be_without_fault(scripted, robotrain):
    outcome = Outcome(state="failed", exit_code=1, reason="MemoryError", fault="out_of_memory", cause="host-memory")
    scripted.run("train-1", outcome, state="failed", reason="MemoryError")
    shown = robotrain("status").stdout
    assert ("robotrain resubmit train-1" in shown, "may succeed" in shown) == (True, False)


def test_run_that_waits_for_its_next_start_has_no_time_left(scripted, robotrain):
    steps = [Metrics(step=step, total=100, values={}) for step in (10, 20)]
    waits = {"state": "pending", "reason": "it waits to start again", "started": 1e9}
    scripted.run("train-1", StageEvent(name="work", state="started"), *steps, **waits)
    shown = robotrain("status").stdout
    assert ("it waits to start again" in shown, "20/100" in shown, "left" in shown) == (True, True, False)


def test_run_that_starts_again_is_at_the_step_of_its_checkpoint(scripted, robotrain):
    again = StageEvent(name="work", state="started")
    scripted.run("train-1", *LEFT, again, state="running", started=1e9)
    assert "step 400/2000" in [line.strip() for line in robotrain("status").stdout.splitlines()]


def test_findings_of_preflight_stand_below_the_reason(scripted, robotrain):
    full = ("the Hub says 401. Instead: --token NAME", "no room is left. Give it more")
    notes = [Note(level="error", text=text) for text in full]
    outcome = Outcome(state="failed", exit_code=4, reason="the Hub says 401; no room is left")
    other = Note(level="warning", text="the paint is old")
    scripted.run("train-1", other, other, *notes, outcome, state="failed", reason=outcome.reason)
    result = [line.strip() for line in robotrain("status").stdout.splitlines()]
    assert result[1] == outcome.reason
    warnings = ["the paint is old", *full]
    assert [line for line in result if "warning" in line] == [f"warning: {text}" for text in warnings]


def test_address_is_printed_once_and_is_in_the_json(scripted, robotrain):
    page = "https://scripted/runs/1"
    tracked = Tracking(uri="https://scripted", experiment_id="0", run_id="1", ui=page)
    scripted.run("train-1", tracked).set_flag("page", page)
    assert robotrain("status").stdout.count(page) == 1
    assert robotrain("status", "--json").json["shown"] == {"page": page}


MODELS = [
    *LEFT,
    Published(step=200, to="models:/a/200"),
    Published(step=400, to="models:/a/400"),
    Registered(name="act-pusht", version="3", step=400, uri="models:/act-pusht/3"),
    Note(level="warning", text="train/loss is not finite at step 300"),
    Tracking(uri="sqlite:///x", experiment_id="1", run_id="r", ui="mlflow ui"),
]


@pytest.mark.parametrize(
    ("name", "log", "status", "seen"),
    [
        ("failed", [*LEFT, *TRACEBACK], FAILED, ["/runs/x/checkpoints/000400", "robotrain resume train-1"]),
        ("failed-early", TRACEBACK, FAILED, ["robotrain logs --tail 40 train-1"]),
        (
            "running",
            MODELS,
            {},
            ["models:/a/400", "models:/act-pusht/3", "train/loss is not finite at step 300", "robotrain ui train-1"],
        ),
    ],
)
def test_page_of_a_run_shows_what_it_left_and_what_to_type(scripted, robotrain, name, log, status, seen):
    scripted.run("train-1", *log, **status)
    page = robotrain("status").stdout
    assert [text for text in seen if text not in page] == []
    check_snapshot(f"cli/snapshots/status-{name}.txt", page)


SCORES = {"rollout/success_rate": 0.85, "rollout/success_rate_low": 0.64, "rollout/success_rate_high": 0.948}
FOUND = Evaluated(episodes=20, scores=SCORES, results="/work/eval_results", policy="/work/policy/000400", step=400)
EPISODES = [Metrics(step=20, total=20, unit="episode", values={"rollout_ep19_success": 1.0})]


def test_status_of_an_evaluation_shows_scores_results_and_next_commands(scripted, robotrain):
    scripted.run("eval-1", *EPISODES, FOUND, Delivered(to="runs:/r"), state="succeeded")
    for command in ("status", "wait"):
        page = robotrain(command).stdout
        seen = ("17 of 20", "85%", "64-95%", "/work/eval_results", "runs:/r")
        assert [text for text in seen if text not in page] == []
        check_snapshot(f"cli/snapshots/{command}-evaluation.txt", page)
    assert robotrain("status", "--json").json["next"] == [
        "robotrain report eval-1",
        "robotrain register eval-1 MODEL",
        "robotrain outputs --to FOLDER eval-1",
    ]
    assert "85%" in robotrain("runs").stdout
    assert "20/20 episodes" in robotrain("runs").stdout


@pytest.mark.parametrize(
    ("evaluation", "outcome", "type_next"),
    [
        (dataclasses.replace(FOUND, passed=False), "failed", ["report", "outputs"]),
        (FOUND, "failed", ["report", "logs", "outputs"]),
        (dataclasses.replace(FOUND, policy=""), "succeeded", ["report", "outputs"]),
    ],
)
def test_registration_is_not_suggested_for_a_bad_or_lost_policy(scripted, robotrain, evaluation, outcome, type_next):
    scripted.run("eval-1", *EPISODES, evaluation, state=outcome)
    assert [line.split()[1] for line in robotrain("status", "--json").json["next"]] == type_next


def test_a_pipeline_whose_policy_is_not_good_enough_is_not_continued_as_it_is(scripted, robotrain):
    scripted.run("eval-1", *EPISODES, dataclasses.replace(FOUND, passed=False), state="failed")
    progress = Progress(())
    progress.evaluated = dataclasses.replace(FOUND, passed=False)
    pipeline = dataclasses.replace(records.read_record("eval-1"), steps=("train", "evaluate"))
    lines = [line for line, _ in suggest_commands(pipeline, Status(state="failed"), progress)]
    assert lines == [
        "robotrain report eval-1",
        "robotrain pipeline submit PIPELINE.yaml --set STEP.KEY=VALUE",
    ]


def test_state_is_shown_though_the_log_cannot_be_read(scripted, robotrain):
    run = scripted.run("train-1", "a line", state="failed", reason="out of paint")
    run.set_flag("breaks", "0")
    answer = robotrain("status")
    assert answer.exit_code == 0
    assert "out of paint" in answer.stdout
    assert "the log of train-1 cannot be read: ConnectionError" in answer.stderr


def test_run_is_named_by_its_beginning_or_last_or_is_the_newest(scripted, robotrain):
    scripted.run("eval-1", age=20)
    scripted.run("train-1", age=10)
    named = [robotrain("status", *words, "--json").json["run"] for words in ((), ("last",), ("ev",), ("eval-1",))]
    assert named == ["train-1", "train-1", "eval-1", "eval-1"]


def test_interrupted_submit_without_a_plan_cannot_be_looked_up(scripted, robotrain, tmp_path):
    scripted.platform("scripted")
    record("train-1", "scripted", tmp_path, 1e9, phase="sending", reference={})
    for command in ("status", "logs", "wait", "cancel", "outputs", "watch"):
        robotrain(command, "train-1").check_problems(1, "submit-unsure")


def test_empty_log_is_explained_on_stderr(scripted, robotrain):
    scripted.run("train-1", state="pending", reason="no machine of that size is free")
    answer = robotrain("logs")
    assert (answer.exit_code, answer.stdout) == (0, "")
    assert "robotrain logs -f train-1" in answer.stderr
    assert "no machine of that size is free" in answer.stderr


def test_tail_counts_the_lines_that_are_shown(scripted, robotrain):
    silent = [Metrics(values={"system/memory_percent": 1.0})] * 30
    scripted.run("train-1", *[f"line {number}" for number in range(100)], *silent, LEFT[2])
    assert robotrain("logs", "--tail", "0").stdout == ""
    assert robotrain("logs", "--tail", "2").stdout.splitlines() == [
        "line 99",
        "[robotrain] checkpoint of step 400: /runs/x/checkpoints/000400",
    ]
    assert len(robotrain("logs").stdout.splitlines()) == 101
    raw = robotrain("logs", "--raw", "--tail", "2").stdout.splitlines()
    assert [line.startswith("::robotrain:: ") for line in raw] == [True, True]


def test_log_leaves_metrics_to_the_lines_that_the_program_prints(scripted, robotrain):
    scripted.run("train-1", "step 20 loss 0.196", Metrics(step=20, values={"train/loss": 0.19563}), LEFT[2])
    printed, checkpoint = robotrain("logs").stdout.splitlines()
    assert (printed, "checkpoint of step 400" in checkpoint) == ("step 20 loss 0.196", True)


@pytest.mark.parametrize("words", [(), ("--tail", "1")])
def test_log_of_a_run_that_was_killed_ends_with_the_reason(scripted, robotrain, words):
    scripted.run("train-1", "one", "two", state="failed", reason="killed by the kernel")
    answer = robotrain("logs", *words)
    assert answer.stdout.splitlines()[-1] == "two"
    assert "train-1 failed: killed by the kernel" in answer.stderr
    scripted.run("train-2", "one", Outcome(state="failed", exit_code=1, reason="no GPU"), state="failed")
    assert robotrain("logs", *words).stderr == "", "the log says it"


@pytest.mark.parametrize("trouble", ["denies", "gone"])
def test_a_log_is_printed_while_the_platform_does_not_tell_the_state(scripted, robotrain, trouble):
    scripted.run("train-1", "one line").set_flag(trouble, "Nobody is signed in.")
    answer = robotrain("logs")
    assert (answer.exit_code, answer.stdout, answer.stderr) == (0, "one line\n", "")


def test_log_is_followed_from_before_the_start_to_the_end(scripted, robotrain, run_later):
    run = scripted.run("train-1", state="pending")
    run_later(
        lambda: run.status(state="running"),
        lambda: run.log("first"),
        lambda: run.log("last", Outcome(state="succeeded", exit_code=0)),
        lambda: run.status(state="succeeded"),
    )
    answer = robotrain("logs", "-f")
    assert answer.exit_code == 0
    assert answer.stdout.splitlines() == ["first", "last", "[robotrain] succeeded, exit code 0"]


def test_followed_log_without_an_outcome_ends_with_the_state(scripted, robotrain):
    scripted.run("train-1", "one", "two", state="lost", reason="its machine is gone")
    answer = robotrain("logs", "-f", "--tail", "1")
    assert answer.stdout == "two\n"
    assert "train-1 lost: its machine is gone" in answer.stderr


def test_failed_run_that_left_only_files_saved_no_checkpoint(robotrain, scripted):
    run = scripted.run("train-1", state="failed", started=1.0, ended=2.0)
    run.add_output("log.txt", kind="file")
    assert "it saved no checkpoint" in robotrain("status", "train-1").stdout
