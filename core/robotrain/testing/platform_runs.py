"""Tests of a platform: submit, find, status, cancel, outputs and logs."""

import contextlib
import dataclasses
import functools
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from robotrain_runtime.contract.deadline import DeadlineExceeded, DeadlineFuture

from robotrain.errors import Rejected
from robotrain.model.run import Output, Reference, RunState
from robotrain.store import records
from robotrain.testing import harness
from robotrain.testing.bench import Bench, SubmittedRun
from robotrain.testing.harness import assert_no_problems, assert_none, run_with_deadline
from robotrain.testing.platform_base import PlatformTestBase

STATES = get_args(RunState)


class SubmitTests(PlatformTestBase):
    """`submit`, and `find` after an interrupted one."""

    def test_submit_creates_one_run(self, bench: Bench) -> None:
        """The run's name is printed, its record says that it was sent, and the engine has it once."""
        run = bench.submit_job()
        record = records.read_record(run.name)
        assert (record.phase, record.platform, record.reference) == ("sent", bench.name, run.reference)
        _assert_count(bench, run.name, 1)
        assert run.reference, "`submit` returned an empty reference: return what finds the run again"
        wrong = [name for name, text in run.reference.items() if not isinstance(text, str)]
        assert_none(wrong, "a reference maps texts to texts; these are not")

    def test_same_job_twice_creates_two_runs(self, bench: Bench) -> None:
        """A second submit of what was sent is the next attempt."""
        first, second = bench.submit_job(), bench.submit_job()
        assert (first.name[-2:], second.name[-2:]) == ("-1", "-2")
        for run in (first, second):
            _assert_count(bench, run.name, 1)
        assert first.reference != second.reference, "two runs have the same reference"

    def test_find_returns_the_submitted_plan_only(self, bench: Bench) -> None:
        """`find` finds a plan that the engine has, and no other: it decides whether one is submitted again."""
        assert bench.submit("--dry-run").exit_code == 0
        plan = bench.plans[-1]
        _assert_count(bench, plan.run, 0)
        assert bench.platform.find(plan) is None, "`find` returned a run for a plan that was not submitted"
        run = bench.submit_job()
        assert bench.plans[-1].digest == plan.digest
        found = bench.platform.find(plan)
        assert found is not None, "`find` returned None for a plan that was submitted"
        assert bench.platform.status(found).state == bench.platform.status(run.reference).state
        files = {**plan.files, plan.spec: plan.files[plan.spec] + b"\n", "kit-another.txt": b"another"}
        other = dataclasses.replace(plan, files=files)
        assert bench.platform.find(other) is None, "`find` takes another plan of that name for the submitted one"

    @pytest.mark.parametrize("taken", [False, True], ids=["before-the-engine-took-it", "after-the-engine-took-it"])
    def test_repeated_submit_after_interruption_creates_one_run(self, bench: Bench, taken: bool) -> None:
        """The same command finds what the engine has, or submits it under the same name."""

        def interrupt(submit: Callable[..., Any], arguments: list[Any]) -> Any:
            if taken:
                submit(*arguments)
            raise KeyboardInterrupt

        with pytest.MonkeyPatch.context() as patched:
            bench.wrap_method(patched, "submit", interrupt)
            before = _submit_interrupted(bench)
        _assert_one_run(bench, before)

    def test_repeated_submit_after_inner_interruption_creates_one_run(self, bench: Bench) -> None:
        """The same, wherever the world can interrupt the platform's own `submit`."""
        is_tried = False
        for interruption in bench.world.interruptions():
            with interruption:
                before = _submit_interrupted(bench)
            _assert_one_run(bench, before)
            is_tried = True
        if not is_tried:
            pytest.skip("the world has no interruptions")


def _assert_count(bench: Bench, run: str, expected: int) -> None:
    count = bench.world.count_runs(run)
    assert count == expected, f"the engine has {count} runs named {run}, not {expected}"


def _submit_interrupted(bench: Bench) -> list[str]:
    """Submit, which must be interrupted, and return the runs before it."""
    before, is_submitted = records.list_runs(), False
    with contextlib.suppress(BaseException):
        is_submitted = bench.submit().exit_code == 0
    assert not is_submitted, "the submit was not interrupted"
    return before


def _assert_one_run(bench: Bench, before: list[str]) -> None:
    left = [name for name in records.list_runs() if name not in before]
    run = bench.submit_job()
    new = [name for name in records.list_runs() if name not in before]
    assert new == [run.name], f"the interrupted submit left {left}, and the same command created {run.name}"
    _assert_count(bench, run.name, 1)
    assert records.read_record(run.name).phase == "sent"
    assert bench.run_for("status", run.name).exit_code == 0


UNKNOWN_STATE = "KitUnheardOf"
CHECKPOINT_STEP = 40


class ObservationTests(PlatformTestBase):
    """`status`, `cancel`, `outputs`, `register` and `describe_reference`."""

    def test_native_states_are_mapped(self, bench: Bench) -> None:
        """Every native state is one of the six states; an unknown one is not an end, and the reason contains it."""
        natives = bench.world.native_states
        assert natives, "set `native_states` of the world: without it the platform's states are not tested"
        assert_none({*natives.values()} - {*STATES}, f"`native_states` maps to {', '.join(STATES)}; not to")
        assert_no_problems(_find_wrong_states(bench, bench.submit_job().reference))

    def test_unknown_run_is_rejected(self, bench: Bench) -> None:
        """A reference of something else raises `Rejected` (`RunGone`), and has no state."""
        reference = {name: f"{text}-kit" for name, text in bench.submit_job().reference.items()}
        with contextlib.suppress(Rejected):
            state = bench.platform.status(reference).state
            pytest.fail(f"the status of an unknown run is {state}: raise RunGone")

    def test_cancel_is_idempotent(self, bench: Bench) -> None:
        """A pending and a running run can be cancelled again: the user may not know whether the first one arrived."""
        bench.require_feature("cancel")
        running = [native for native, state in bench.world.native_states.items() if state == "running"]
        for native in ("", *running[:1]):
            run = bench.submit_job()
            if native:
                bench.world.set_native_state(run.reference, native)
            for _ in range(2):
                result = bench.run_for("cancel", run.name)
                assert result.exit_code == 0, result.output
            run_with_deadline(functools.partial(bench.platform.cancel, run.reference), "cancel")
            assert bench.platform.status(run.reference).state not in ("succeeded", "failed")

    def test_cancel_does_not_change_an_ended_run(self, bench: Bench) -> None:
        """Cancelling an ended run succeeds, and its state stays."""
        bench.require_feature("cancel")
        native = bench.native_states("succeeded", "failed")[0]
        run = bench.submit_job()
        bench.world.set_native_state(run.reference, native)
        run_with_deadline(lambda: bench.platform.cancel(run.reference), "cancel")
        state, ended = bench.platform.status(run.reference).state, bench.world.native_states[native]
        assert state == ended, f"a run that was {ended} is {state} after cancel"

    def test_new_run_has_no_outputs(self, bench: Bench) -> None:
        """`outputs` returns at once, without a checkpoint; `register` is rejected; what is shown is text."""
        run = bench.submit_job()
        outputs = run_with_deadline(lambda: list(bench.platform.outputs(run.reference)), "outputs")
        assert all(isinstance(one, Output) for one in outputs)
        assert_none((one.name for one in outputs if one.kind == "checkpoint"), "a new run has checkpoints already")
        if bench.capabilities.feature("register_model"):
            with pytest.raises(Rejected):
                bench.platform.register(run.reference, "kit-model", None)
        shown = bench.platform.describe_reference(run.reference)
        assert all(isinstance(part, str) for pair in shown.items() for part in pair)

    def test_checkpoint_is_downloaded(self, bench: Bench, tmp_path: Path) -> None:
        """`outputs` lists a checkpoint with its step, and `download` copies all of it to a new folder."""
        run, to = bench.submit_job(), tmp_path / "kit-download"
        if not (files := bench.world.leave_checkpoint(run.reference, CHECKPOINT_STEP)):
            pytest.skip("the world does not implement leave_checkpoint")
        outputs = run_with_deadline(lambda: list(bench.platform.outputs(run.reference)), "outputs")
        checkpoints = [one for one in outputs if one.kind == "checkpoint"]
        steps = [one.step for one in checkpoints]
        assert steps == [CHECKPOINT_STEP], f"the checkpoints in `outputs` have steps {steps}, not [{CHECKPOINT_STEP}]"
        run_with_deadline(lambda: bench.platform.download(run.reference, checkpoints[0], to), "download")
        missing = [path for path in files if not (to / path).is_file() or (to / path).read_bytes() != files[path]]
        assert_none(missing, "`download` did not copy these files of the checkpoint unchanged")


def _find_wrong_states(bench: Bench, reference: Reference) -> Iterator[str]:
    for native, state in sorted(bench.world.native_states.items(), key=lambda pair: STATES.index(pair[1])):
        bench.world.set_native_state(reference, native)
        if (found := bench.platform.status(reference).state) != state:
            yield f"{native} is mapped to {found}, and the world says that it means {state}"
    if bench.world.only_native_states:
        return
    bench.world.set_native_state(reference, UNKNOWN_STATE)
    status = bench.platform.status(reference)
    if status.finished:
        yield f"the unknown native state {UNKNOWN_STATE} is mapped to {status.state}; it must not end the run"
    if UNKNOWN_STATE.lower() not in status.reason.lower():
        yield f"the reason of the native state {UNKNOWN_STATE} does not contain it: {status.reason!r}"


LOG_LINES = ("kit: first", "kit: second", "kit: {{ third }}", "kit: fourth ü", "kit: fifth")


class LogTests(PlatformTestBase):
    """`logs`."""

    def test_log_returns_immediately(self, bench: Bench) -> None:
        """Without following: nothing while the run is pending, then its lines so far, in order, or the last of them."""
        run = bench.submit_job()
        _assert_log(bench, run, [], "a pending run")
        _start_run(bench, run)
        bench.world.write_log(run.reference, *LOG_LINES)
        _assert_log(bench, run, LOG_LINES, "a running run")
        _assert_log(bench, run, LOG_LINES[-2:], "the last 2 lines of a running run", tail=2)

    def test_following_ends_with_the_run(self, bench: Bench) -> None:
        """Following yields every line once and returns when the run ends; afterwards the log is the same."""
        ended = bench.native_states("succeeded", "failed", "cancelled")[0]
        run = bench.submit_job()
        lines: list[str] = []

        def follow() -> None:
            for line in bench.platform.logs(run.reference, True):
                lines.append(line)

        follower = DeadlineFuture(follow)
        _start_run(bench, run)
        bench.world.write_log(run.reference, *LOG_LINES[:2])
        if bench.capabilities.feature("stream_logs"):
            _wait_for_line(lines, LOG_LINES[1], follower)
        bench.world.write_log(run.reference, *LOG_LINES[2:])
        bench.world.set_native_state(run.reference, ended)
        try:
            follower.result(harness.DEADLINE_SECONDS * 2)
        except DeadlineExceeded:
            pytest.fail(f"following did not end with the run; it yielded {lines}")
        _assert_lines(bench, lines, LOG_LINES, "a run that was followed")
        _assert_log(bench, run, LOG_LINES, "an ended run")
        _assert_log(bench, run, LOG_LINES, "an ended run, followed", follow=True)


def _wait_for_line(lines: list[str], line: str, follower: DeadlineFuture[None]) -> None:
    until = time.monotonic() + harness.DEADLINE_SECONDS
    while line not in lines:
        with contextlib.suppress(DeadlineExceeded):
            follower.result(0)
        assert time.monotonic() < until, f"{line!r} was not followed while the run was running, only {lines}"
        time.sleep(0.01)


def _start_run(bench: Bench, run: SubmittedRun) -> None:
    running = [native for native, state in bench.world.native_states.items() if state == "running"]
    if running:
        bench.world.set_native_state(run.reference, running[0])


def _assert_log(
    bench: Bench, run: SubmittedRun, expected: Iterable[str], what: str, follow: bool = False, tail: int | None = None
) -> None:
    lines = run_with_deadline(lambda: list(bench.platform.logs(run.reference, follow, tail)), f"the log of {what}")
    _assert_lines(bench, lines, expected, what)


def _assert_lines(bench: Bench, lines: list[str], expected: Iterable[str], what: str) -> None:
    """Compare the run's own lines: those of the platform begin with its name."""
    assert_none((line for line in lines if line.endswith(("\n", "\r"))), "lines of a log have no line ends; these do")
    own = [line for line in lines if not line.startswith(f"[{bench.name}] ")]
    assert own == [*expected], f"the log of {what} has other lines than were written"
