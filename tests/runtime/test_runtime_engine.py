"""A run from beginning to end, as whoever started it sees it: lines, events, outcome, exit code."""

import dataclasses
import importlib
import json
import os
import signal
import time
from pathlib import Path

import pytest
from problem_assertions import check_refusals
from robotrain_runtime.__main__ import main
from robotrain_runtime.contract import event, plugin_loader
from robotrain_runtime.contract.event import Checkpoint, Metrics, Note, Outcome, StageEvent, Track
from robotrain_runtime.contract.failure import JobFailed
from robotrain_runtime.contract.files import hold_lock
from robotrain_runtime.environments import environment, run_environment, uv_program

PLUGIN_FOLDER = Path(__file__).parent / "container_plugins"
needs_uv = pytest.mark.skipif(uv_program.find_uv(Path("/nowhere")) is None, reason="no uv on this machine")

EMIT = """
from robotrain_runtime.contract.event import emit_event
from robotrain_runtime.contract.event import Checkpoint, Metrics
emit_event(Metrics(values={"train/loss": 0.5}, step=10, total=20))
emit_event(Checkpoint(step=20, path="/x/000020", model="pretrained_model"))
print("bye")
"""
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(60)
"""
TIDY = """
import signal, sys, time
def stop(number, frame):
    signal.signal(number, signal.SIG_IGN)  # sent to the whole group, it may come twice
    print("saved", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
print("ready", flush=True)
time.sleep(60)
"""


def test_an_environment_that_is_not_all_pinned_is_told_with_its_stage(run, job, tmp_path, monkeypatch):
    made = tmp_path / "environment"
    (made / "bin").mkdir(parents=True)
    (made / "bin/python").symlink_to(environment.get_python(Path(job("").placement.environment)))
    (made / environment.MARKER).write_text(json.dumps({"remark": "torch 2.10.0+cpu: not pinned by hash"}))
    document = job("print('hello')")
    document = dataclasses.replace(document, placement=dataclasses.replace(document.placement, environment=str(made)))
    stages = run(document).of_kind(StageEvent)
    assert [stage.detail for stage in stages if stage.detail] == ["torch 2.10.0+cpu: not pinned by hash"]


def test_a_run_tells_its_stages_in_order_and_ends_with_its_outcome(run, job, tmp_path):
    ran = run(job("print('hello')"))
    assert ran.exit_code == 0
    assert ran.ordinary == ["hello"]
    done = [stage.name for stage in ran.of_kind(StageEvent) if stage.state == "done"]
    assert done == ["preflight", "environment", "data", "work"]
    assert ran.last == Outcome(state="succeeded", exit_code=0)
    assert {name: value for name, value in ran.outcome.items() if value} == {"state": "succeeded"}


def test_the_work_knows_its_data_and_its_folder_and_nothing_of_the_environment_around_it(run, job, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "numbers.txt").touch()
    program = "import os; print(*(os.environ.get(n) for n in ('PRETEND_DATA', 'PRETEND_WORK', 'VIRTUAL_ENV')))"
    ran = run(job(program, sources=[tmp_path / "data"]), VIRTUAL_ENV="/elsewhere")
    assert ran.ordinary == [f"{tmp_path / 'data'} {tmp_path / 'work'} None"]


def test_a_traceback_becomes_the_reason(run, job):
    ran = run(job("def f():\n    raise ValueError('the loss went\\nthrough the roof')\nf()"))
    assert ran.exit_code == 1
    assert ran.outcome["state"] == "failed"
    assert (ran.outcome["reason"], ran.outcome["fault"]) == ("ValueError: the loss went", "code")
    assert not ran.last.worth_a_retry
    assert "Traceback (most recent call last):" in ran.ordinary


def test_the_exit_code_of_the_work_is_that_of_the_run(run, job):
    ran = run(job("import sys; print('error: no such policy'); print('see above'); sys.exit(3)"))
    assert (ran.exit_code, ran.outcome["exit_code"]) == (3, 3)
    assert ran.outcome["reason"] == "no such policy"


def test_work_that_a_signal_ends_is_told_from_work_that_fails(run, job):
    ran = run(job("import os, signal; os.kill(os.getpid(), signal.SIGKILL)"))
    assert ran.exit_code == 137
    assert ran.outcome["state"] == "failed"
    assert "SIGKILL" in ran.outcome["reason"]
    assert ("memory" in ran.outcome["reason"], ran.outcome["cause"]) == (False, "killed")  # the kernel counted none


def test_events_of_the_work_arrive_exactly_whatever_progress_bar_is_beside_them(run, job):
    program = EMIT.replace(
        "emit_event(Metrics",
        "import sys\n"
        "for n in range(50): sys.stderr.write(f'\\rTraining: {n:3}%|###   | {n}/50 [00:01<00:01,  9.1it/s]')\n"
        "sys.stderr.write('INFO step:10 loss:0.5\\n'); sys.stderr.flush()\nemit_event(Metrics",
    )
    ran = run(job(program))
    bars = [line for line in ran.ordinary if "Training:" in line]
    assert len(bars) == 1
    assert "INFO step:10 loss:0.5" in ran.ordinary
    assert ran.of_kind(Metrics) == [Metrics(values={"train/loss": 0.5}, step=10, total=20)]
    assert ran.of_kind(Checkpoint) == [Checkpoint(step=20, path="/x/000020", model="pretrained_model")]
    tracked = ran.of_kind(Track)[0]
    assert tracked.params == {"answer": 42}
    in_log = [line for line in ran.lines if line.startswith(event.PREFIX)]
    assert (ran.work / "events.jsonl").read_text().splitlines() == in_log


def test_lines_of_a_program_of_the_users_are_no_events(run, job, plugins_on_path):
    forged = [
        event.format_event(run_event)
        for run_event in (Checkpoint(step=20, path="/x/000020"), Outcome(state="succeeded", exit_code=0))
    ]
    made = job(f"import sys; print(*{forged}, '\\x1b[0m' + {forged[0]!r}, sep='\\n'); sys.exit(3)")
    ran = run(
        dataclasses.replace(made, container_plugins={**made.container_plugins, "workload.pretend": "pretend_program"})
    )
    assert ran.exit_code == 3
    assert ran.of_kind(Checkpoint) == []
    assert [outcome.state for outcome in ran.of_kind(Outcome)] == ["failed"]
    assert [line for line in ran.lines if line.removeprefix("> ") in forged] == [
        f"> {line}" for line in (*forged, forged[0])
    ]


@pytest.mark.parametrize(("number", "code", "send"), [(signal.SIGTERM, 143, os.killpg), (signal.SIGINT, 130, os.kill)])
def test_a_stopped_run_lets_its_work_finish_and_is_cancelled(start, finish, job, number, code, send, until):
    process = start(job(TIDY))
    until(process, "ready")
    send(process.pid, number)  # to the whole group, too, it is one stop
    ran = finish(process)
    assert ran.exit_code == code
    assert "saved" in ran.ordinary
    assert (ran.outcome["state"], ran.outcome["exit_code"]) == ("cancelled", code)
    assert ran.last == Outcome(**ran.outcome)


def test_work_that_will_not_end_is_killed_after_the_grace(start, finish, job, until):
    process = start(job(STUBBORN), ROBOTRAIN_GRACE_SECONDS="0.3")
    until(process, "ready")
    began = time.monotonic()
    process.terminate()
    ran = finish(process)
    assert ran.exit_code == 143
    assert 0.3 <= time.monotonic() - began < 50  # of the 60 s that its work would go on


@pytest.mark.slow
def test_a_second_signal_does_not_wait_for_the_grace(start, finish, job, until):
    process = start(job(STUBBORN))
    until(process, "ready")
    process.terminate()
    time.sleep(0.3)
    process.terminate()
    began = time.monotonic()
    assert finish(process).exit_code == 143
    assert time.monotonic() - began < 50


@pytest.mark.slow
def test_a_run_goes_on_when_nobody_reads_its_log_any_more(start, job, tmp_path, until):
    process = start(job("import time; print('ready', flush=True); time.sleep(1)\nfor n in range(99): print('x' * 999)"))
    until(process, "ready")
    process.stdout.close()
    assert process.wait(30) == 0
    assert process.stderr.read() == ""
    process.stdout = None
    assert json.loads((tmp_path / "work" / "outcome.json").read_text())["state"] == "succeeded"


@needs_uv
def test_a_run_builds_its_environment_when_none_is_given(run, job, tmp_path):
    ran = run(job("import sys; print(sys.prefix)", environment=None))
    assert ran.exit_code == 0, ran.lines
    assert ran.ordinary[-1].startswith(str(tmp_path / "cache" / "environments"))


@needs_uv
def test_a_run_that_waits_for_another_build_can_be_stopped(start, finish, job, tmp_path, plugins_on_path):
    lock = environment.get_environment_folder(
        importlib.import_module("pretend_work").ENVIRONMENT.lock, tmp_path / "cache"
    )
    with hold_lock(lock.with_suffix(".lock")):
        process = start(job("print('started')", environment=None))
        for line in process.stdout:
            if "waiting" in line:
                break
        process.terminate()
        ran = finish(process)
    assert (ran.exit_code, ran.outcome["state"]) == (143, "cancelled")
    assert "started" not in ran.lines


def test_nothing_runs_when_preflight_says_it_would_fail(run, job, tmp_path):
    (tmp_path / "empty").mkdir()
    ran = run(job("print('started')", sources=["nowhere", tmp_path / "empty"]))
    assert ran.exit_code == 4
    assert ran.ordinary == []
    assert "nowhere" in ran.outcome["reason"]
    assert "numbers.txt" in ran.outcome["reason"]
    assert len(ran.notes("error")) == 2


def test_data_that_goes_away_after_preflight_fails_the_run_with_its_own_sentence(run, job):
    ran = run(job("print('started')", sources=["vanishes"]))
    assert (ran.exit_code, ran.ordinary) == (1, [])
    assert ran.outcome["reason"] == "vanishes was there a moment ago and is gone"


def test_a_run_without_tracking_is_still_a_run(run, job, tmp_path):
    program = "from pretend_training import *\nsave(20)\nprint('trained')"
    ran = run(job(program, tracking_uri=f"sqlite:///{tmp_path}/mlflow.db"))
    assert ran.exit_code == 0
    assert ran.ordinary == ["trained"]
    assert {note.level for note in ran.of_kind(Note)} == {"warning"}
    warnings = ran.notes("warning")
    assert "No module named 'mlflow'" in " ".join(warnings)
    assert "could not be published to tracking: tracking has ended" in warnings[-1]
    assert ran.last == Outcome(state="succeeded", exit_code=0)


def test_a_work_that_cannot_join_the_tracking_is_started_without_it(run, job, tmp_path):
    program = "import os\nprint(os.environ.get('MLFLOW_RUN_ID'))"
    ran = run(job(program, publish={"joins": True}, tracking_uri=f"sqlite:///{tmp_path}/mlflow.db"))
    assert (ran.exit_code, ran.ordinary) == (0, ["None"])
    assert any("MLflow itself is not in this run: tracking has ended" in text for text in ran.notes("warning"))


def test_a_loss_that_is_not_finite_is_reported_once(run, job):
    ran = run(
        job(
            "from robotrain_runtime.contract.event import Metrics, emit_event\n"
            "values = {'train/loss': float('nan'), 'train/grad_norm': 1.0}\n"
            "for step in (10, 20): emit_event(Metrics(values=values, step=step))"
        )
    )
    assert [note.text for note in ran.of_kind(Note)] == ["train/loss is not finite at step 10"]
    assert len(ran.of_kind(Metrics)) == 2


def test_a_container_plugin_that_cannot_be_imported_is_named(run, job):
    ran = run(dataclasses.replace(job(), container_plugins={"workload.pretend": "no_such.container"}))
    assert ran.exit_code == 2
    assert "workload.pretend cannot be imported as no_such.container" in ran.outcome["reason"]


def test_whoever_stops_a_run_may_leave_the_reason_in_its_folder(start, finish, job, tmp_path, until):
    left = tmp_path / "work" / "stop-reason"
    for reason, fault in (("preempted\n", "preempted"), ("", "stopped")):  # that of one attempt is not that of the next
        process = start(job(TIDY))
        until(process, "ready")
        if reason:
            left.write_text(reason)
        process.terminate()
        ran = finish(process)
        assert (ran.exit_code, ran.outcome["state"], ran.outcome["fault"]) == (143, "cancelled", fault)


def test_an_outcome_tells_whose_fault_it_was(run, job):
    ran = run(job("raise ConnectionResetError(104, 'Connection reset by peer')"))
    assert (ran.exit_code, ran.outcome["exit_code"], ran.outcome["fault"]) == (75, 75, "network")
    assert ran.last.worth_a_retry


@pytest.mark.parametrize("text", ["{", "[]", '{"schema": 7}'])
def test_invalid_document_is_refused(text, tmp_path, capsys):
    (tmp_path / "job.json").write_text(text)
    assert main(["run", str(tmp_path / "job.json")]) == 2
    assert "is not a valid job document" in capsys.readouterr().err


def test_a_user_without_a_home_names_the_cache(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ROBOTRAIN_CACHE", str(tmp_path))
    monkeypatch.setattr(Path, "home", lambda: pytest.fail("there is none"))
    assert main(["run", str(tmp_path / "job.json")]) == 2
    assert "No such file" in capsys.readouterr().err


URLS = '["https://a/one", "https://a/two"]'


def test_a_promised_variable_may_be_written_as_other_json_of_the_same_value():
    there = URLS.replace("/", "\\/").replace(", ", ",\n")
    assert there != URLS
    run_environment.check_promised_variables({"BLOB_URLS": URLS}, {"BLOB_URLS": there})


def test_each_promised_variable_that_differs_is_reported_before_any_stage(run, job):
    made = job("print('hello')", promised={"BLOB_URLS": URLS, "GONE": "secret"})
    ran = run(made, BLOB_URLS=URLS.replace("two", "three"))
    assert (ran.exit_code, ran.ordinary) == (2, [])
    assert [type(record.event) for record in ran.records] == [Outcome]
    assert ran.outcome["fault"] == "configuration"
    assert ran.outcome["reason"].endswith(": BLOB_URLS, GONE")
    assert "secret" not in ran.outcome["reason"]


@pytest.mark.parametrize(("said", "there"), [("[1]", "[true]"), ("1", "1.0"), ('["a","b"]', '["b","a"]'), ("a", "a ")])
def test_a_promised_variable_with_a_similar_value_is_refused(said, there):
    with pytest.raises(JobFailed) as refused:
        run_environment.check_promised_variables({"A": said}, {"A": there})
    check_refusals(refused.value, "job-failed configuration")


@pytest.fixture
def measured_job(job, tmp_path):
    def make(lock: str = "", **options):
        publish = {"place": str(tmp_path), **({"lock": lock} if lock else {})}
        made = job("import sys; print(sys.orig_argv[0])", publish=publish, **options)
        return dataclasses.replace(
            made, container_plugins={**made.container_plugins, "workload.pretend": "pretend_measured"}
        )

    return make


def test_a_workload_chooses_the_environment_of_a_job(plugins_on_path, job, measured_job):
    assert plugin_loader.get_job_environment(job()).lock == PLUGIN_FOLDER / "nothing.txt"
    assert plugin_loader.get_job_environment(measured_job()).lock == PLUGIN_FOLDER / "nothing.txt"
    assert plugin_loader.get_job_environment(measured_job("carrying.txt")).lock == PLUGIN_FOLDER / "carrying.txt"


@pytest.mark.slow
def test_the_work_runs_in_the_environment_of_its_job(run, measured_job, tmp_path):
    ran = run(measured_job("carrying.txt", carried=["a"], environment=None))  # which the carrier has made ready
    assert ran.exit_code == 0, ran.lines
    built = environment.get_environment_folder(PLUGIN_FOLDER / "carrying.txt", tmp_path / "cache")
    assert str(environment.get_python(built)) in ran.ordinary
