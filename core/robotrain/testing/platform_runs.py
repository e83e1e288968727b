"""Tests of a platform: submit, find, status, cancel, outputs and logs."""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from robotrain_runtime.contract.deadline import DeadlineExceeded, DeadlineFuture
from robotrain_runtime.contract.parameter import get_parameters

from robotrain.errors import Rejected
from robotrain.model.platform import format_cancel_command, has_own_method
from robotrain.model.platform_features import RunAccess, SharedRuns
from robotrain.model.run import FINAL_STATES, Output, RunGone, RunRecord, RunState
from robotrain.run_folder.cancel import Stop
from robotrain.run_folder.scheduler import SchedulerEngine
from robotrain.store import plans, records
from robotrain.testing import harness
from robotrain.testing.harness import call_in_time, compare, report
from robotrain.testing.platform_bench import Bench, PlatformTestBase

STATES = get_args(RunState)
RESOURCE_SETTINGS = ("time", "cpus", "gpus", "memory")
"""Settings of every scheduler, as in `SchedulerSettings`: a platform that has one asks its engine for that."""


class SubmitTests(PlatformTestBase):
    """`submit`, and `find` after an interrupted one."""

    def test_each_submit_creates_one_run(self, bench: Bench) -> Iterator[str]:
        """A second submit with `--new` is another run; a reference has texts by which the run is found again."""
        first_run = bench.submit_job()
        second_run = bench.submit_job()
        if first_run.reference == second_run.reference:
            yield f"two runs have the same reference: {first_run.reference}"
        for run in (first_run, second_run):
            yield from bench.compare_count(run.run, 1)
            if not run.reference or not all(isinstance(text, str) for text in run.reference.values()):
                yield f"`submit` returned {run.reference}: return texts by which the run is found again"

    def test_requests_reach_the_engine(self, bench: Bench) -> Iterator[str]:
        """GPUs, memory, time and a stop signal reach the engine as typed; without the option it has another value."""
        requests = {
            word.partition("=")[0]: (word, expected_request) for word, expected_request in bench.world.requests.items()
        }
        settings = {
            parameter.flag
            for parameter in get_parameters(bench.platform.settings)
            if parameter.name in RESOURCE_SETTINGS
        }
        sentence = "these options ask the engine for something; add them to `requests` of the world"
        yield from report(sentence, sorted(settings - {*requests}))
        if not requests and not settings:
            pytest.skip("the world does not implement requests: write it if a setting asks the engine for something")
        if not requests:
            return
        default = bench.world.read_requests(bench.submit_job().reference)
        received_requests = bench.world.read_requests(bench.submit_job(*bench.world.requests).reference)
        for flag, (word, expected_request) in requests.items():
            yield from compare(f"with {word} the engine has", received_requests.get(flag), expected_request)
            if default.get(flag) == expected_request:
                yield f"without {word} the engine has {expected_request!r} as well: put another value into `requests`"

    def test_run_of_another_machine_is_adopted(
        self, bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[str]:
        """A machine without any state of it records the run by the name that the engine has for it, once."""
        bench.require_feature("adopt")
        run = bench.submit_job("--name", "kit-run", "--note", "of the kit")
        original_status = bench.run_for("status", run.run).require("`status` must succeed").json
        _be_another_machine(bench, tmp_path, monkeypatch)
        for is_new in (True, False):
            adoption = _adopt(bench, run)
            yield from compare("what `adopt` says", (adoption["run"], adoption["is_new"]), (run.run, is_new))
        record = records.read_record(run.run)
        for name in ("reference", "job", "workload", "name", "note", "makes", "metrics"):
            yield from compare(f"the {name} of the adopted run", getattr(record, name), getattr(run, name))
        personal_names = {
            parameter.name for parameter in get_parameters(bench.platform.settings) if parameter.param.names
        }
        for name in ("settings", "values"):  # what names something of another user is not taken over
            sides = (
                {key: value for key, value in getattr(side, name).items() if key not in personal_names}
                for side in (record, run)
            )
            yield from compare(f"the {name} of the adopted run", *sides)
        adopted_status = bench.run_for("status", run.run).require("`status` of an adopted run must succeed").json
        yield from compare(
            "its status", *({**side, "created": 0, "notes": []} for side in (adopted_status, original_status))
        )
        yield from bench.compare_count(run.run, 1)
        if plans.find_stored_plan(run.run) is None:
            yield "the plan of an adopted run cannot be made again"

    def test_runs_of_other_machines_are_listed(
        self, bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[str]:
        """`runs --everywhere` shows what the engine has, once adopted under its name; `adopt` takes its reference."""
        if not has_own_method(bench.engine, SharedRuns, "list_submitted"):
            pytest.skip(f"{bench.name} does not implement list_submitted")
        first_run, run = (bench.submit_job("--name", "kit-run").run for _ in range(2))
        state = bench.engine.status(records.read_record(run).reference).state
        _be_another_machine(bench, tmp_path, monkeypatch)
        words = ("runs", "--everywhere", "--platform", bench.name, "--json")
        for name, is_recorded in (("", False), ("kit-run", True)):
            listed_runs = harness.run_command(*words).require("`runs --everywhere` must list the runs").json["runs"]
            rows = [row for row in listed_runs if row["run"] in (first_run, run)]
            yield from compare("the listed runs, newest first", [row["run"] for row in rows], [run, first_run])
            if not rows:
                return
            expected_row = {"run": run, "name": name, "recorded": is_recorded, "state": state, "platform": bench.name}
            expected_row["can_be_adopted"] = True
            yield from compare("the newest run", {key: rows[0][key] for key in expected_row}, expected_row)
            if not rows[0]["created"]:
                yield "the time of a listed run is not told"
            if not is_recorded:
                adoption = harness.run_command("adopt", rows[0]["ref"], "--platform", bench.name, "--json")
                yield from compare("what is adopted", adoption.require("`adopt` must take it").json["run"], run)

    def test_job_that_two_machines_send_is_never_lost(
        self, bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[str]:
        """Another machine that sends the same job is refused where the engine gives a name once, and told how to record
        the run; else a second run is sent. `--new` starts another one everywhere.
        """
        bench.require_feature("adopt")
        run = bench.submit_job()
        _be_another_machine(bench, tmp_path, monkeypatch)
        second = bench.submit("--json")
        if second.exit_code and "robotrain adopt" not in second.output:
            yield "a submit of a name that is taken does not say of which run: raise a problem with `taken_by`"
        is_sent_beside = not second.exit_code and second.json["run"] == run.run
        yield from bench.compare_count(run.run, 2 if is_sent_beside else 1)
        if bench.submit_job().reference == run.reference:
            yield "`--new` on another machine must start another run"

    def test_find_returns_the_submitted_plan_only(self, bench: Bench) -> Iterator[str]:
        """`find` finds a plan that the engine has, and no other: it decides whether one is submitted again."""
        bench.submit("--dry-run").require("a dry run must succeed")
        plan = bench.plans[-1]
        yield from bench.compare_count(plan.run, 0)
        if bench.engine.find(plan) is not None:
            yield "`find` returned a run for a plan that was not submitted"
        run = bench.submit_job()
        found_reference = bench.engine.find(plan)
        if found_reference is None:
            yield "`find` returned None for a plan that was submitted"
        else:
            states = [bench.engine.status(reference).state for reference in (found_reference, run.reference)]
            yield from compare("the state of what `find` returned", *states)
        files = {**plan.files, plan.spec: plan.files[plan.spec] + b"\n", "kit-another.txt": b"another"}
        if bench.engine.find(dataclasses.replace(plan, files=files)) is not None:
            yield "`find` takes another plan of that name for the submitted one: compare its digest, or its files"

    def test_repeated_submit_after_interruption_creates_one_run(self, bench: Bench) -> Iterator[str]:
        """The same command finds what the engine has, or submits it under the same name, wherever that was."""

        def interrupt(submit: Callable[..., Any], arguments: list[Any]) -> Any:
            raise KeyboardInterrupt

        def submit_and_interrupt(submit: Callable[..., Any], arguments: list[Any]) -> Any:
            submit(*arguments)
            raise KeyboardInterrupt

        for moment, wrapper in {"before": interrupt, "after": submit_and_interrupt}.items():
            yield from _submit_twice(bench, f"{moment} `submit`", bench.wrap_method("submit", wrapper))
        for number, interruption in enumerate(bench.world.interruptions(), 1):
            yield from _submit_twice(bench, f"by interruption {number} of the world", interruption)

    def test_engine_that_does_not_answer_is_a_passing_failure(self, bench: Bench) -> Iterator[str]:
        """Nothing is concluded from silence: `find` raises, `status` is no end, and `submit` can be repeated."""
        run, plan, state = bench.submit_job(), bench.plans[-1], ""
        if (engine_outage := bench.world.away()) is None:
            pytest.skip("the world does not implement away")
        with engine_outage:
            try:
                status = call_in_time("status", bench.engine.status, run.reference)
                state = status.state if status.finished else ""
            except Exception as error:
                is_permanent = isinstance(error, Rejected) and not error.transient
                state = f"{error!r}, without `transient=True`," if is_permanent else ""
            with contextlib.suppress(Exception):
                if call_in_time("find", bench.engine.find, plan) is None:
                    yield "`find` returned None though the engine did not answer: raise Rejected, or it is sent again"
        if state:
            yield f"`status` concludes {state} from silence: raise Rejected(problems, transient=True)"
        yield from compare("the record after silence", records.read_final_status(run.run), None)
        bench.run_for("status", run.run).require("`status` must succeed when the engine answers again")
        yield from _submit_twice(bench, "by silence", bench.world.away() or contextlib.nullcontext())


def _be_another_machine(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Know no run from now on, and take the world's options for the settings of the platform."""
    for parameter, value in bench.list_set_options():
        monkeypatch.setenv(parameter.env[0], value)
    monkeypatch.setenv("ROBOTRAIN_STATE", str(tmp_path / "kit-other-state"))


def _adopt(bench: Bench, run: RunRecord) -> Any:
    """Return what `adopt` prints of a run that another machine submitted."""
    name = bench.world.get_native_name(bench.platform, run.reference)
    return harness.run_command("adopt", name, "--platform", bench.name, "--json").require("`adopt` must record it").json


def _submit_twice(
    bench: Bench, interruption_text: str, interruption: contextlib.AbstractContextManager[object]
) -> Iterator[str]:
    """Submit, which must be interrupted, and again; yield what is wrong unless there is one run."""
    earlier_runs = records.list_runs()
    for name in earlier_runs:  # a job that is running is not submitted again
        bench.run_for("cancel", name)
    with interruption:
        try:
            is_submitted = call_in_time("submit", bench.submit).exit_code == 0
        except pytest.fail.Exception:  # it still runs, and would change what the next submit prints
            raise
        except BaseException:  # whatever the interruption is
            is_submitted = False
    if is_submitted:
        yield f"the submit was not interrupted {interruption_text}: the world's block must keep it from succeeding"
    interrupted_runs = [name for name in records.list_runs() if name not in earlier_runs]
    run = bench.submit("--json").require("the job must be submitted").json["run"]
    new_runs = [name for name in records.list_runs() if name not in earlier_runs]
    if new_runs != [run]:
        yield f"the submit interrupted {interruption_text} left {interrupted_runs}, and the same command created {run}"
    yield from bench.compare_count(run, 1, f", after a submit interrupted {interruption_text} was repeated")
    bench.run_for("status", run).require("`status` of a repeated submit must succeed")


UNKNOWN_STATE = "KitUnheardOf"
CANCELLED_STATES = ("running", "succeeded", "failed")
CHECKPOINT_STEP = 40
LOG_LINES = ("kit: first", "kit: second", "kit: {{ third }}", "kit: fourth ü", "kit: fifth")


class ObservationTests(SubmitTests):
    """`status`, `cancel`, `outputs`, `register`, `describe_reference` and `logs`."""

    def test_native_states_are_mapped(self, bench: Bench) -> Iterator[str]:
        """Every native state is one of the six states; an unknown one is not an end, and the reason contains it."""
        state_by_native, run = bench.world.native_states, bench.submit_job()
        if not state_by_native:
            yield "set `native_states` of the world: without it the platform's states are not tested"
        yield from report(
            f"`native_states` maps to {', '.join(STATES)}; not to", {*state_by_native.values()} - {*STATES}
        )
        for native_state, state in sorted(state_by_native.items(), key=lambda pair: STATES.index(pair[1])):
            bench.world.set_native_state(run.reference, native_state)
            if (own_state := bench.engine.status(run.reference).state) != state:
                yield f"{native_state} is mapped to {own_state}, and the world says that it means {state}"
            states = [status.state for status in bench.engine.list_statuses([run.reference]) if status]
            if any(
                listed_state != own_state and {listed_state, own_state} & {"pending", "running", "succeeded"}
                for listed_state in states
            ):
                yield f"{native_state} is mapped to {own_state} by `status`, and to {states[0]} by `list_statuses`"
        if bench.world.only_native_states:
            return
        bench.world.set_native_state(run.reference, UNKNOWN_STATE)
        status = bench.engine.status(run.reference)
        if status.finished:
            yield f"the unknown native state {UNKNOWN_STATE} is mapped to {status.state}; it must not end the run"
        if UNKNOWN_STATE.lower() not in status.reason.lower():
            yield f"the reason of the native state {UNKNOWN_STATE} does not contain it: {status.reason!r}"

    def test_unknown_run_is_rejected(self, bench: Bench) -> Iterator[str]:
        """A reference of something else raises `Rejected` (`RunGone`), and has no state."""
        reference = {name: f"{text}-kit" for name, text in bench.submit_job().reference.items()}
        with contextlib.suppress(Rejected):
            yield f"the status of an unknown run is {bench.engine.status(reference).state}: raise RunGone"

    def test_forgotten_run_has_ended(self, bench: Bench) -> Iterator[str]:
        """A run that the engine forgot is no failure of the engine's, though its commands fail for an unknown one."""
        run = bench.submit_job()
        if not bench.world.forget(run.reference):
            pytest.skip("the world does not implement forget")
        try:
            status = call_in_time("status", bench.engine.status, run.reference)
            if not status.finished:
                yield f"a run that the engine has forgotten is {status.state}, and would never end"
        except RunGone:
            pass
        except Rejected as rejected:
            yield f"`status` of a run that the engine has forgotten fails: {rejected}"
        if bench.can.feature("cancel") and isinstance(bench.engine, SchedulerEngine):
            for stop in get_args(Stop):
                if refused := bench.engine.stop_jobs([run.reference["job"]], stop):
                    yield f"`stop_jobs`, {stop}, refuses a job that has ended and was forgotten: {refused}"

    def test_job_that_waits_again_is_stopped(self, bench: Bench) -> Iterator[str]:
        """A job may go back to the queue while it is stopped: that it takes no signal there is no refusal."""
        engine = bench.require_scheduler()
        bench.require_feature("cancel")
        job = bench.submit_job().reference["job"]
        for stop in ("running", "waiting"):
            if refused := engine.stop_jobs([job], stop):
                yield f"`stop_jobs`, {stop}, of a waiting job is refused: {refused}"

    def test_cancel_is_idempotent(self, bench: Bench) -> Iterator[str]:
        """Any run can be cancelled again, as the first one may not have arrived; one that has ended does not change."""
        bench.require_feature("cancel")
        native_by_state = {
            state: native_state
            for native_state, state in bench.world.native_states.items()
            if state in CANCELLED_STATES
        }
        for state in ("pending", *native_by_state):
            run = bench.submit_job()
            if state in native_by_state:
                bench.world.set_native_state(run.reference, native_by_state[state])
            for count in ("first", "second"):
                bench.run_for("cancel", run.run).require(f"the {count} `cancel` of a {state} run must succeed")
            call_in_time("cancel", bench.engine.cancel, run.reference)
            last_state = bench.engine.status(run.reference).state
            if last_state != state and (last_state in CANCELLED_STATES or state in ("succeeded", "failed")):
                yield f"a run that was {state} is {last_state} after `cancel`"

    def test_new_run_has_no_outputs(self, bench: Bench) -> Iterator[str]:
        """`outputs` returns at once, without a checkpoint; `register` is rejected; what is shown is text."""
        run = bench.submit_job()
        outputs = call_in_time("outputs", lambda: list(bench.engine.outputs(run.reference)))
        wrong_outputs = (output for output in outputs if not isinstance(output, Output) or output.kind == "checkpoint")
        yield from report("a new run has checkpoints, or outputs that are no robotrain.plugin.Output", wrong_outputs)
        if bench.can.feature("register_model"):
            with contextlib.suppress(Rejected):
                bench.engine.register(run.reference, "kit-model", None)
                yield "`register` of a run without a checkpoint succeeds: raise Rejected"
        reference_texts = bench.engine.describe_reference(run.reference)
        non_texts = (part for pair in reference_texts.items() for part in pair if not isinstance(part, str))
        yield from report("`describe_reference` returns texts by their names; not", non_texts)
        if bench.platform.cancel_command and not format_cancel_command(bench.platform, run.reference):
            yield f"`cancel_command` has other keys than the reference, which has {', '.join(run.reference)}"
        page = bench.platform.get_engine_for(RunAccess).find_page(run.reference)
        if page and not page.startswith(("https://", "http://")):
            yield f"`find_page` returns the address of a page, or nothing; not {page!r}"

    def test_checkpoint_is_downloaded(self, bench: Bench, tmp_path: Path) -> Iterator[str]:
        """`outputs` lists a checkpoint with its step, and `download` copies all of it to a new folder."""
        run, to = bench.submit_job(), tmp_path / "kit-download"
        if not (files := bench.world.leave_checkpoint(run.reference, CHECKPOINT_STEP)):
            pytest.skip("the world does not implement leave_checkpoint")
        outputs = call_in_time("outputs", lambda: list(bench.engine.outputs(run.reference)))
        checkpoints = [output for output in outputs if output.kind == "checkpoint"]
        if (steps := [checkpoint.step for checkpoint in checkpoints]) != [CHECKPOINT_STEP]:
            yield f"the checkpoints in `outputs` have steps {steps}, not [{CHECKPOINT_STEP}]"
            return
        call_in_time("download", bench.engine.download, run.reference, checkpoints[0], to)
        missing_paths = [path for path in files if not (to / path).is_file() or (to / path).read_bytes() != files[path]]
        yield from report("`download` did not copy these files of the checkpoint unchanged", missing_paths)

    def test_adopted_run_answers_as_an_own_one(
        self, bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[str]:
        """`logs`, `outputs`, `report`, `cancel` and `watch` take a run of another machine as they take an own one."""
        bench.require_feature("adopt")
        waiting_run, run = bench.submit_job(), bench.submit_job()
        bench.start_run(run)
        bench.world.write_log(run.reference, *LOG_LINES)
        has_outputs = bool(bench.world.leave_checkpoint(run.reference, CHECKPOINT_STEP))
        commands = ("logs", "outputs") if has_outputs else ("logs",)

        def read_answer(command: str) -> str:
            return bench.run_for(command, run.run).require(f"`{command}` must succeed").stdout

        earlier_answers = [read_answer(command) for command in commands]
        _be_another_machine(bench, tmp_path, monkeypatch)
        for adopted_run in (waiting_run, run):
            _adopt(bench, adopted_run)
        for command, answer in zip(commands, earlier_answers, strict=True):
            yield from compare(f"`{command}` of the adopted run", read_answer(command), answer)
        yield from _compare_log(bench, run, LOG_LINES, "an adopted run")
        page = tmp_path / "kit-report.html"
        harness.run_command("report", run.run, "--to", page).require("`report` of an adopted run must succeed")
        if bench.can.feature("cancel"):
            bench.run_for("cancel", waiting_run.run).require("`cancel` of an adopted run must succeed")
        if final_native := bench.find_native_state(*FINAL_STATES):
            bench.world.set_native_state(run.reference, final_native)
            bench.run_for("watch", run.run).require("`watch` of an adopted run must end with it", 0, 5)

    def test_log_returns_immediately(self, bench: Bench) -> Iterator[str]:
        """Without following: nothing while the run is pending, then its lines so far, in order, or the last of them."""
        run = bench.submit_job()
        yield from _compare_log(bench, run, [], "a pending run")
        bench.start_run(run)
        bench.world.write_log(run.reference, *LOG_LINES)
        yield from _compare_log(bench, run, LOG_LINES, "a running run")
        yield from _compare_log(bench, run, LOG_LINES[-2:], "the last 2 lines of a running run", tail=2)

    def test_following_ends_with_the_run(self, bench: Bench) -> Iterator[str]:
        """Following yields every line once and returns when the run ends; afterwards the log is the same."""
        if not (final_native := bench.find_native_state(*FINAL_STATES)):
            yield "`native_states` of the world has no state that ends a run: add it"
            return
        run = bench.submit_job()
        lines: list[str] = []
        follower = DeadlineFuture(lambda: lines.extend(bench.engine.logs(run.reference, True)))
        bench.start_run(run)
        bench.world.write_log(run.reference, *LOG_LINES[:2])
        deadline = time.monotonic() + harness.DEADLINE_SECONDS
        while bench.can.feature("stream_logs") and LOG_LINES[1] not in lines:
            with contextlib.suppress(DeadlineExceeded):
                follower.result(0)
            if time.monotonic() > deadline:
                yield f"{LOG_LINES[1]!r} was not followed while the run was running, only {lines}"
                break
            time.sleep(0.01)
        bench.world.write_log(run.reference, *LOG_LINES[2:])
        bench.world.set_native_state(run.reference, final_native)
        try:
            follower.result(harness.DEADLINE_SECONDS * 2)
        except DeadlineExceeded:
            yield f"following did not end with the run; it yielded {lines}"
            return
        yield from _compare_lines(bench, lines, LOG_LINES, "a run that was followed")
        yield from _compare_log(bench, run, LOG_LINES, "an ended run")
        yield from _compare_log(bench, run, LOG_LINES, "an ended run, followed", follow=True)


def _compare_log(
    bench: Bench,
    run: RunRecord,
    expected_lines: Iterable[str],
    subject: str,
    follow: bool = False,
    tail: int | None = None,
) -> Iterator[str]:
    lines = call_in_time(f"the log of {subject}", lambda: list(bench.engine.logs(run.reference, follow, tail)))
    yield from _compare_lines(bench, lines, expected_lines, subject)


def _compare_lines(bench: Bench, lines: list[str], expected_lines: Iterable[str], subject: str) -> Iterator[str]:
    """Compare the run's own lines: those of the platform begin with its name."""
    yield from report(
        "lines of a log have no line ends; these do", (line for line in lines if line[-1:] in ("\n", "\r"))
    )
    own_lines = [line for line in lines if not line.startswith(f"[{bench.name}] ")]
    yield from compare(f"the log of {subject} has other lines than were written", own_lines, [*expected_lines])
