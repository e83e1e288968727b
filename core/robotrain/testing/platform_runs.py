"""Tests of a platform: submit, find, status, cancel, outputs and logs."""

import contextlib
import dataclasses
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, get_args

import pytest

from robotrain.errors import Problem, Rejected, Stage
from robotrain.model.plan import Plan
from robotrain.model.run import Output, Reference, RunState
from robotrain.store import records
from robotrain.testing import harness as patience
from robotrain.testing.bench import Bench, SubmittedRun
from robotrain.testing.harness import assert_no_problems, run_with_deadline
from robotrain.testing.platform_base import PlatformTestBase

SUBMIT_KEYS = {"run", "platform", "job", "reference", "shown", "notes"}
STATUS_KEYS = {
    *("run", "platform", "workload", "state", "reason", "exit_code", "fault", "created", "started", "ended", "stage"),
    *("step", "total", "download", "metrics", "checkpoint", "checkpoint_step", "published", "registered", "tracking"),
    *("warnings", "notes", "next", "shown", "log_end"),
}
STATES = ("pending", "running", "succeeded", "failed", "cancelled", "lost")


class SubmitInterrupted(BaseException):
    """What ends a submit in the middle: as a kill does, it asks nobody."""


class SubmitTests(PlatformTestBase):
    """`submit`, and `find` after one that was cut off."""

    def test_submit_creates_one_run(self, bench: Bench) -> None:
        """Its name is printed, its record says that it was sent, and the engine was given it once."""
        run = bench.submit_job()
        record = records.read_record(run.name)
        assert (record.phase, record.platform, record.reference) == ("sent", bench.name, run.reference)
        assert bench.world.count_runs(run.name) == 1
        assert run.reference, "an empty one finds nothing"
        assert all(isinstance(part, str) for pair in run.reference.items() for part in pair)
        assert json.loads(json.dumps(dict(run.reference))) == run.reference

    def test_run_as_json(self, bench: Bench) -> None:
        """`submit --json` and `status --json`: keys are only ever added, and the state is one that everybody knows."""
        run = bench.submit_job()
        assert set(run.result.json) >= SUBMIT_KEYS
        status = bench.run_for("status", run.name).json
        assert set(status) >= STATUS_KEYS
        assert status["state"] in STATES

    def test_same_job_twice_creates_two_runs(self, bench: Bench) -> None:
        """A second submit of what was sent is the next attempt."""
        first, second = bench.submit_job(), bench.submit_job()
        assert (first.name[-2:], second.name[-2:]) == ("-1", "-2")
        assert [bench.world.count_runs(run.name) for run in (first, second)] == [1, 1]
        assert first.reference != second.reference

    def test_find_returns_the_submitted_plan_only(self, bench: Bench) -> None:
        """`find` knows a plan that the engine took, and no other: it decides whether one is sent again."""
        assert bench.submit("--dry-run").exit_code == 0
        plan = bench.plans[-1]
        assert bench.world.count_runs(plan.run) == 0, "a dry run was sent"
        assert bench.platform.find(plan) is None
        run = bench.submit_job()
        assert bench.plans[-1].digest == plan.digest
        found = bench.platform.find(plan)
        assert found is not None
        assert bench.platform.status(found).state == bench.platform.status(run.reference).state
        assert bench.platform.find(_make_other_plan(plan)) is None, (
            "another plan of that name is taken for the one that was sent"
        )

    def test_run_name_is_printed_before_the_log(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        """With `--stream`, whatever becomes of the stream, the person has the name and the record says `sent`."""

        def breaks(*args: Any, **more: Any) -> Any:
            raise ConnectionError("the kit cut the line")

        def refuses(*args: Any, **more: Any) -> Any:
            raise Rejected([Problem(code="kit", stage=Stage.SUBMIT, title="the kit signed you out")])

        monkeypatch.setattr(type(bench.platform), "logs", breaks)
        monkeypatch.setattr(type(bench.platform), "status", refuses)
        answer = bench.submit("--stream")
        assert answer.exit_code == 1, answer.output
        [name] = records.list_runs()
        assert name in answer.stdout
        assert records.read_record(name).phase == "sent"
        assert bench.world.count_runs(name) == 1

    @pytest.mark.parametrize("taken", [False, True], ids=["before-the-engine-took-it", "after-the-engine-took-it"])
    def test_repeated_submit_after_interruption_creates_one_run(self, bench: Bench, taken: bool) -> None:
        """The same command finds what the engine has, or sends it under the same name."""
        _assert_one_run(bench, lambda: _interrupt_submit(bench, taken))

    def test_repeated_submit_after_inner_interruption_creates_one_run(self, bench: Bench) -> None:
        """The same, wherever the platform's own `submit` can be cut off in the world."""
        cuts = iter(bench.world.interruptions())
        if (first := next(cuts, None)) is None:
            pytest.skip("the world says no ways to cut a submit off")
        _assert_one_run(bench, lambda: first)
        for cut in cuts:
            _assert_one_run(bench, lambda cut=cut: cut)  # type: ignore[misc]


def _assert_one_run(bench: Bench, interruption: Callable[[], AbstractContextManager[object]]) -> None:
    before = records.list_runs()
    with interruption():
        assert not _submit_succeeds(bench), "it was not cut off"
    left = [name for name in records.list_runs() if name not in before]
    run = bench.submit_job()
    new = [name for name in records.list_runs() if name not in before]
    assert new == [run.name], f"the submit that was cut off left {left}"
    assert bench.world.count_runs(run.name) == 1
    assert records.read_record(run.name).phase == "sent"
    assert bench.run_for("status", run.name).exit_code == 0


def _make_other_plan(plan: Plan) -> Plan:
    """A plan of the same name whose spec says something else, as other settings make it."""
    files = {**plan.files, plan.spec: plan.files[plan.spec] + b"\n", "kit-another.txt": b"another"}
    return dataclasses.replace(plan, files=files)


def _submit_succeeds(bench: Bench) -> bool:
    """Whether a submit comes to its good end."""
    with contextlib.suppress(BaseException):
        return bench.submit().exit_code == 0
    return False


@contextlib.contextmanager
def _interrupt_submit(bench: Bench, is_taken: bool) -> Iterator[None]:
    platform: Any = type(bench.platform)
    submit = platform.submit

    def cut_off(*args: Any, **more: Any) -> Any:
        if is_taken:
            submit(*args, **more)
        raise SubmitInterrupted

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(platform, "submit", cut_off)
        yield


UNKNOWN_STATE = "KitUnheardOf"
CHECKPOINT_STEP = 40


class ObservationTests(PlatformTestBase):
    """`status`, `cancel`, `outputs`, `register` and `shown`."""

    def test_native_states_are_mapped(self, bench: Bench) -> None:
        """What the engine says is one of the six states that everybody knows. A word that nobody heard of is no end: a
        newer engine may have it, and the reason says it.
        """
        assert bench.world.native_states, "the world says no native words: what the platform makes of them is not tried"
        assert {*bench.world.native_states.values()} <= {*get_args(RunState)}
        natives = bench.native_states("pending", "running", "succeeded", "failed", "cancelled", "lost")
        assert_no_problems(_find_wrong_states(bench, bench.submit_job().reference, natives))

    def test_unknown_run_is_rejected(self, bench: Bench) -> None:
        """A reference of something else is answered with `Rejected` (`RunGone`), never with a state."""
        reference = bench.submit_job().reference
        with pytest.raises(Rejected):
            bench.platform.status({name: f"{text}-kit" for name, text in reference.items()})

    def test_cancel_is_idempotent(self, bench: Bench) -> None:
        """Who does not know whether the first one arrived says it again, of a run that waits and of one that runs."""
        bench.require_feature("cancel")
        running = [native for native, state in bench.world.native_states.items() if state == "running"]
        for native in ("", *running[:1]):
            run = bench.submit_job()
            if native:
                bench.world.set_native_state(run.reference, native)
            self._cancel_twice(bench, run)

    def _cancel_twice(self, bench: Bench, run: SubmittedRun) -> None:
        for _ in range(2):
            answer = run_with_deadline(lambda: bench.run_for("cancel", run.name), "cancel")
            assert answer.exit_code == 0, answer.output
        run_with_deadline(lambda: bench.platform.cancel(run.reference), "cancel")
        assert bench.platform.status(run.reference).state not in ("succeeded", "failed")

    def test_cancel_does_not_change_an_ended_run(self, bench: Bench) -> None:
        """It stays what it was, and nothing is wrong with having asked."""
        bench.require_feature("cancel")
        native = bench.native_states("succeeded", "failed")[0]
        run = bench.submit_job()
        bench.world.set_native_state(run.reference, native)
        run_with_deadline(lambda: bench.platform.cancel(run.reference), "cancel")
        assert bench.platform.status(run.reference).state == bench.world.native_states[native]

    def test_new_run_has_no_outputs(self, bench: Bench) -> None:
        """`outputs` answers at once and names no checkpoint; `register` refuses in words; what is shown is text."""
        run = bench.submit_job()
        left = run_with_deadline(lambda: list(bench.platform.outputs(run.reference)), "outputs")
        assert all(isinstance(one, Output) for one in left)
        assert [one.name for one in left if one.kind == "checkpoint"] == []
        if bench.platform.capabilities.feature("register_model"):
            with pytest.raises(Rejected):
                bench.platform.register(run.reference, "kit-model", None)
        shown = bench.platform.describe_reference(run.reference)
        assert all(isinstance(part, str) for pair in shown.items() for part in pair)

    def test_checkpoint_is_downloaded(self, bench: Bench, tmp_path: Path) -> None:
        """`outputs` names it with its step, and `bring` copies all of it to a folder of its own."""
        run, to = bench.submit_job(), tmp_path / "kit-brought"
        if not (files := bench.world.leave_checkpoint(run.reference, CHECKPOINT_STEP)):
            pytest.skip("the world lets no run leave a checkpoint")
        left = run_with_deadline(lambda: list(bench.platform.outputs(run.reference)), "outputs")
        checkpoints = [one for one in left if one.kind == "checkpoint"]
        assert [one.step for one in checkpoints] == [CHECKPOINT_STEP]
        run_with_deadline(lambda: bench.platform.download(run.reference, checkpoints[0], to), "bring")
        brought = {path: (to / path).read_bytes() for path in files if (to / path).is_file()}
        assert brought == files


def _find_wrong_states(bench: Bench, reference: Reference, natives: list[str]) -> Iterator[str]:
    for native in natives:
        bench.world.set_native_state(reference, native)
        said, meant = bench.platform.status(reference), bench.world.native_states[native]
        if said.state != meant:
            yield f"{native} is {said.state}, and means {meant}"
    if bench.world.only_native_states:
        return
    bench.world.set_native_state(reference, UNKNOWN_STATE)
    status = bench.platform.status(reference)
    if status.finished:
        yield f"{UNKNOWN_STATE}, which nobody knows, is {status.state}"
    if UNKNOWN_STATE.lower() not in status.reason.lower():
        yield f"the reason of {UNKNOWN_STATE} does not say it: {status.reason!r}"


LOG_LINES = ("kit: first", "kit: second", "kit: {{ third }}", "kit: fourth ü", "kit: fifth")


class LogTests(PlatformTestBase):
    """`logs`."""

    def test_log_returns_immediately(self, bench: Bench) -> None:
        """Without following: nothing while the run waits, then its lines so far, each once and in order, or the last of
        them. A script that asks is never left waiting.
        """
        run = bench.submit_job()
        assert _own_lines(run_with_deadline(lambda: _read_log(bench, run), "logs of a run that waits"), bench) == []
        _start_run(bench, run)
        bench.world.write_log(run.reference, *LOG_LINES)
        assert _own_lines(run_with_deadline(lambda: _read_log(bench, run), "logs of a run that goes on"), bench) == [
            *LOG_LINES
        ]
        last = run_with_deadline(lambda: list(bench.platform.logs(run.reference, False, 2)), "the last lines of a log")
        assert _own_lines(last, bench) == [*LOG_LINES[-2:]]

    def test_following_ends_with_the_run(self, bench: Bench) -> None:
        """From before its beginning to its end, with every line once; then it returns, so that `wait` does. Afterwards
        the log is the same, with following and without.
        """
        ended = bench.native_states("succeeded", "failed", "cancelled")[0]
        run = bench.submit_job()
        follower = LogFollower(bench, run)
        _start_run(bench, run)
        bench.world.write_log(run.reference, *LOG_LINES[:2])
        if bench.platform.capabilities.feature("stream_logs"):
            follower.wait_for_line(LOG_LINES[1])
        bench.world.write_log(run.reference, *LOG_LINES[2:])
        bench.world.set_native_state(run.reference, ended)
        assert _own_lines(follower.read_to_end(), bench) == [*LOG_LINES]
        assert _own_lines(run_with_deadline(lambda: _read_log(bench, run), "logs of a run that ended"), bench) == [
            *LOG_LINES
        ]
        assert _own_lines(
            run_with_deadline(lambda: _read_log(bench, run, True), "following a run that ended"), bench
        ) == [*LOG_LINES]


class LogFollower:
    """Follows the log of a run in a thread of its own."""

    def __init__(self, bench: Bench, run: SubmittedRun) -> None:
        self._bench, self._run, self._lines = bench, run, list[str]()
        self._more, self._failure = threading.Condition(), list[BaseException]()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def wait_for_line(self, line: str) -> None:
        """Return once it was heard."""
        with self._more:
            came = self._more.wait_for(lambda: line in self._lines or self._failure, timeout=patience.DEADLINE_SECONDS)
        assert came, f"{line!r} was not heard while the run went on, only {self._lines}"

    def read_to_end(self) -> list[str]:
        """Every line, when there are no more."""
        self._thread.join(timeout=patience.DEADLINE_SECONDS)
        assert not self._thread.is_alive(), f"the log went on after the run's end; it told {self._lines}"
        if self._failure:
            raise self._failure[0]
        return self._lines

    def _follow(self) -> None:
        try:
            for line in self._bench.platform.logs(self._run.reference, True):
                with self._more:
                    self._lines.append(line)
                    self._more.notify_all()
        except BaseException as error:
            with self._more:
                self._failure.append(error)
                self._more.notify_all()


def _start_run(bench: Bench, run: SubmittedRun) -> None:
    running = [native for native, state in bench.world.native_states.items() if state == "running"]
    if running:
        bench.world.set_native_state(run.reference, running[0])


def _read_log(bench: Bench, run: SubmittedRun, follow: bool = False) -> list[str]:
    return list(bench.platform.logs(run.reference, follow))


def _own_lines(lines: Any, bench: Bench) -> list[str]:
    """The run's own lines: what the platform says in between begins with its name."""
    return [*_drop_prefixed(lines, f"[{bench.name}] ")]


def _drop_prefixed(lines: list[str], beginning: str) -> Iterator[str]:
    for line in lines:
        assert not line.endswith(("\n", "\r")), "lines have no ends"
        if not line.startswith(beginning):
            yield line
