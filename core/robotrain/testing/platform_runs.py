"""Tests of a platform: submit, find, status, cancel, outputs and logs."""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from robotrain_runtime.contract.deadline import DeadlineExceeded, DeadlineFuture

from robotrain.errors import Rejected
from robotrain.model.run import Output, RunState
from robotrain.store import records
from robotrain.testing import harness
from robotrain.testing.bench import Bench, SubmittedRun
from robotrain.testing.harness import call_in_time, compare, report
from robotrain.testing.platform_base import PlatformTestBase

STATES = get_args(RunState)


class SubmitTests(PlatformTestBase):
    """`submit`, and `find` after an interrupted one."""

    def test_each_submit_creates_one_run(self, bench: Bench) -> Iterator[str]:
        """A second submit of what was sent is the next attempt; each record says what was sent, and where it is."""
        runs = [bench.submit_job(), bench.submit_job()]
        yield from compare("the attempts of two submits", [run.name[-2:] for run in runs], ["-1", "-2"])
        if runs[0].reference == runs[1].reference:
            yield f"two runs have the same reference: {runs[0].reference}"
        for run in runs:
            record = records.read_record(run.name)
            found = (record.phase, record.platform, record.reference)
            yield from compare("the record", found, ("sent", bench.name, run.reference))
            yield from _compare_count(bench, run.name, 1)
            wrong = [name for name, text in run.reference.items() if not isinstance(text, str)]
            if wrong or not run.reference:
                yield f"`submit` returned {run.reference}: return texts by which the run is found again"

    def test_find_returns_the_submitted_plan_only(self, bench: Bench) -> Iterator[str]:
        """`find` finds a plan that the engine has, and no other: it decides whether one is submitted again."""
        bench.submit("--dry-run").require("a dry run must succeed")
        plan = bench.plans[-1]
        yield from _compare_count(bench, plan.run, 0)
        if bench.platform.find(plan) is not None:
            yield "`find` returned a run for a plan that was not submitted"
        run = bench.submit_job()
        found = bench.platform.find(plan)
        if found is None:
            yield "`find` returned None for a plan that was submitted"
        else:
            states = [bench.platform.status(reference).state for reference in (found, run.reference)]
            yield from compare("the state of what `find` returned", *states)
        files = {**plan.files, plan.spec: plan.files[plan.spec] + b"\n", "kit-another.txt": b"another"}
        if bench.platform.find(dataclasses.replace(plan, files=files)) is not None:
            yield "`find` takes another plan of that name for the submitted one: compare its digest, or its files"

    @pytest.mark.parametrize("taken", [False, True], ids=["before-the-engine-took-it", "after-the-engine-took-it"])
    def test_repeated_submit_after_interruption_creates_one_run(self, bench: Bench, taken: bool) -> Iterator[str]:
        """The same command finds what the engine has, or submits it under the same name."""

        def interrupt(submit: Callable[..., Any], arguments: list[Any]) -> Any:
            if taken:
                submit(*arguments)
            raise KeyboardInterrupt

        yield from _submit_twice(bench, bench.wrap_method("submit", interrupt))

    def test_repeated_submit_after_inner_interruption_creates_one_run(self, bench: Bench) -> Iterator[str]:
        """The same, wherever the world can interrupt the platform's own `submit`."""
        is_tried = False
        for interruption in bench.world.interruptions():
            is_tried = True
            yield from _submit_twice(bench, interruption)
        if not is_tried:
            pytest.skip("the world has no interruptions")

    def test_engine_that_does_not_answer_is_a_passing_failure(self, bench: Bench) -> Iterator[str]:
        """Nothing is concluded from silence: `find` raises, `status` is no end, and `submit` can be repeated."""
        run, plan, state = bench.submit_job(), bench.plans[-1], ""
        if (away := bench.world.away()) is None:
            pytest.skip("the world does not implement away")
        with away:
            try:
                status = call_in_time("status", bench.platform.status, run.reference)
                state = status.state if status.finished else ""
            except Exception as error:
                state = f"{error!r}, without `transient=True`," if _is_permanent(error) else ""
            with contextlib.suppress(Exception):
                if call_in_time("find", bench.platform.find, plan) is None:
                    yield "`find` returned None though the engine did not answer: raise Rejected, or it is sent again"
        if state:
            yield f"`status` concludes {state} from silence: raise Rejected(problems, transient=True)"
        yield from compare("the record after silence", records.read_final_status(run.name), None)
        bench.run_for("status", run.name).require("`status` must succeed when the engine answers again")
        yield from _submit_twice(bench, bench.world.away() or contextlib.nullcontext())


def _is_permanent(error: Exception) -> bool:
    return isinstance(error, Rejected) and not error.transient


def _compare_count(bench: Bench, run: str, expected: int) -> Iterator[str]:
    count = bench.world.count_runs(run)
    if count != expected:
        yield f"the engine has {count} runs named {run}, not {expected}"


def _submit_twice(bench: Bench, interruption: contextlib.AbstractContextManager[object]) -> Iterator[str]:
    """Submit, which must be interrupted, and again; yield what is wrong unless there is one run."""
    before, is_submitted = records.list_runs(), False
    with interruption, contextlib.suppress(BaseException):
        is_submitted = call_in_time("submit", bench.submit).exit_code == 0
    if is_submitted:
        yield "the submit was not interrupted: the world's block must keep it from succeeding"
    left = [name for name in records.list_runs() if name not in before]
    run = bench.submit_job()
    new = [name for name in records.list_runs() if name not in before]
    if new != [run.name]:
        yield f"the interrupted submit left {left}, and the same command created {run.name}"
    yield from _compare_count(bench, run.name, 1)
    yield from compare(f"the record of {run.name}", records.read_record(run.name).phase, "sent")
    bench.run_for("status", run.name).require("`status` of a repeated submit must succeed")


UNKNOWN_STATE = "KitUnheardOf"
CHECKPOINT_STEP = 40


class ObservationTests(PlatformTestBase):
    """`status`, `cancel`, `outputs`, `register` and `describe_reference`."""

    def test_native_states_are_mapped(self, bench: Bench) -> Iterator[str]:
        """Every native state is one of the six states; an unknown one is not an end, and the reason contains it."""
        natives, run = bench.world.native_states, bench.submit_job()
        if not natives:
            yield "set `native_states` of the world: without it the platform's states are not tested"
        yield from report(f"`native_states` maps to {', '.join(STATES)}; not to", {*natives.values()} - {*STATES})
        for native, state in sorted(natives.items(), key=lambda pair: STATES.index(pair[1])):
            bench.world.set_native_state(run.reference, native)
            if (found := bench.platform.status(run.reference).state) != state:
                yield f"{native} is mapped to {found}, and the world says that it means {state}"
        if bench.world.only_native_states:
            return
        bench.world.set_native_state(run.reference, UNKNOWN_STATE)
        status = bench.platform.status(run.reference)
        if status.finished:
            yield f"the unknown native state {UNKNOWN_STATE} is mapped to {status.state}; it must not end the run"
        if UNKNOWN_STATE.lower() not in status.reason.lower():
            yield f"the reason of the native state {UNKNOWN_STATE} does not contain it: {status.reason!r}"

    def test_unknown_run_is_rejected(self, bench: Bench) -> Iterator[str]:
        """A reference of something else raises `Rejected` (`RunGone`), and has no state."""
        reference = {name: f"{text}-kit" for name, text in bench.submit_job().reference.items()}
        with contextlib.suppress(Rejected):
            yield f"the status of an unknown run is {bench.platform.status(reference).state}: raise RunGone"

    def test_cancel_is_idempotent(self, bench: Bench) -> Iterator[str]:
        """A pending and a running run can be cancelled again: the user may not know whether the first one arrived."""
        bench.require_feature("cancel")
        running = [native for native, state in bench.world.native_states.items() if state == "running"]
        for native in ("", *running[:1]):
            run = bench.submit_job()
            if native:
                bench.world.set_native_state(run.reference, native)
            for count in ("first", "second"):
                bench.run_for("cancel", run.name).require(f"the {count} `cancel` of a run must succeed")
            call_in_time("cancel", bench.platform.cancel, run.reference)
            if (state := bench.platform.status(run.reference).state) in ("succeeded", "failed"):
                yield f"a run that was cancelled is {state}"

    def test_cancel_does_not_change_an_ended_run(self, bench: Bench) -> Iterator[str]:
        """Cancelling an ended run succeeds, and its state stays."""
        bench.require_feature("cancel")
        native = bench.native_states("succeeded", "failed")[0]
        run = bench.submit_job()
        bench.world.set_native_state(run.reference, native)
        call_in_time("cancel", bench.platform.cancel, run.reference)
        state, ended = bench.platform.status(run.reference).state, bench.world.native_states[native]
        if state != ended:
            yield f"a run that was {ended} is {state} after cancel"

    def test_new_run_has_no_outputs(self, bench: Bench) -> Iterator[str]:
        """`outputs` returns at once, without a checkpoint; `register` is rejected; what is shown is text."""
        run = bench.submit_job()
        outputs = call_in_time("outputs", lambda: list(bench.platform.outputs(run.reference)))
        found = (one for one in outputs if not isinstance(one, Output) or one.kind == "checkpoint")
        yield from report("a new run has checkpoints, or outputs that are no robotrain.plugin.Output", found)
        if bench.can.feature("register_model"):
            with contextlib.suppress(Rejected):
                bench.platform.register(run.reference, "kit-model", None)
                yield "`register` of a run without a checkpoint succeeds: raise Rejected"
        shown = bench.platform.describe_reference(run.reference)
        wrong = (part for pair in shown.items() for part in pair if not isinstance(part, str))
        yield from report("`describe_reference` returns texts by their names; not", wrong)

    def test_checkpoint_is_downloaded(self, bench: Bench, tmp_path: Path) -> Iterator[str]:
        """`outputs` lists a checkpoint with its step, and `download` copies all of it to a new folder."""
        run, to = bench.submit_job(), tmp_path / "kit-download"
        if not (files := bench.world.leave_checkpoint(run.reference, CHECKPOINT_STEP)):
            pytest.skip("the world does not implement leave_checkpoint")
        outputs = call_in_time("outputs", lambda: list(bench.platform.outputs(run.reference)))
        checkpoints = [one for one in outputs if one.kind == "checkpoint"]
        if (steps := [one.step for one in checkpoints]) != [CHECKPOINT_STEP]:
            yield f"the checkpoints in `outputs` have steps {steps}, not [{CHECKPOINT_STEP}]"
            return
        call_in_time("download", bench.platform.download, run.reference, checkpoints[0], to)
        missing = [path for path in files if not (to / path).is_file() or (to / path).read_bytes() != files[path]]
        yield from report("`download` did not copy these files of the checkpoint unchanged", missing)


LOG_LINES = ("kit: first", "kit: second", "kit: {{ third }}", "kit: fourth ü", "kit: fifth")


class LogTests(PlatformTestBase):
    """`logs`."""

    def test_log_returns_immediately(self, bench: Bench) -> Iterator[str]:
        """Without following: nothing while the run is pending, then its lines so far, in order, or the last of them."""
        run = bench.submit_job()
        yield from _compare_log(bench, run, [], "a pending run")
        _start_run(bench, run)
        bench.world.write_log(run.reference, *LOG_LINES)
        yield from _compare_log(bench, run, LOG_LINES, "a running run")
        yield from _compare_log(bench, run, LOG_LINES[-2:], "the last 2 lines of a running run", tail=2)

    def test_following_ends_with_the_run(self, bench: Bench) -> Iterator[str]:
        """Following yields every line once and returns when the run ends; afterwards the log is the same."""
        ended = bench.native_states("succeeded", "failed", "cancelled")[0]
        run = bench.submit_job()
        lines: list[str] = []
        follower = DeadlineFuture(lambda: lines.extend(bench.platform.logs(run.reference, True)))
        _start_run(bench, run)
        bench.world.write_log(run.reference, *LOG_LINES[:2])
        until = time.monotonic() + harness.DEADLINE_SECONDS
        while bench.can.feature("stream_logs") and LOG_LINES[1] not in lines:
            with contextlib.suppress(DeadlineExceeded):
                follower.result(0)
            if time.monotonic() > until:
                yield f"{LOG_LINES[1]!r} was not followed while the run was running, only {lines}"
                break
            time.sleep(0.01)
        bench.world.write_log(run.reference, *LOG_LINES[2:])
        bench.world.set_native_state(run.reference, ended)
        try:
            follower.result(harness.DEADLINE_SECONDS * 2)
        except DeadlineExceeded:
            yield f"following did not end with the run; it yielded {lines}"
            return
        yield from _compare_lines(bench, lines, LOG_LINES, "a run that was followed")
        yield from _compare_log(bench, run, LOG_LINES, "an ended run")
        yield from _compare_log(bench, run, LOG_LINES, "an ended run, followed", follow=True)


def _start_run(bench: Bench, run: SubmittedRun) -> None:
    running = [native for native, state in bench.world.native_states.items() if state == "running"]
    if running:
        bench.world.set_native_state(run.reference, running[0])


def _compare_log(
    bench: Bench, run: SubmittedRun, expected: Iterable[str], what: str, follow: bool = False, tail: int | None = None
) -> Iterator[str]:
    lines = call_in_time(f"the log of {what}", lambda: list(bench.platform.logs(run.reference, follow, tail)))
    yield from _compare_lines(bench, lines, expected, what)


def _compare_lines(bench: Bench, lines: list[str], expected: Iterable[str], what: str) -> Iterator[str]:
    """Compare the run's own lines: those of the platform begin with its name."""
    yield from report("lines of a log have no line ends; these do", (one for one in lines if one[-1:] in ("\n", "\r")))
    own = [line for line in lines if not line.startswith(f"[{bench.name}] ")]
    yield from compare(f"the log of {what} has other lines than were written", own, [*expected])
