"""A job that is sent becomes one run, which is found again, whatever happens to the sender."""

import contextlib
import dataclasses
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest

from robotrain import store
from robotrain.plan import Plan
from robotrain.problem import Problem, Rejected, Stage
from robotrain.testing.bench import Bench
from robotrain.testing.on_a_bench import OnABench

SENT = {"run", "platform", "job", "reference", "shown", "notes"}
STATUS = {
    *("run", "platform", "workload", "state", "reason", "exit_code", "fault", "created", "started", "ended", "stage"),
    *("step", "total", "download", "metrics", "checkpoint", "checkpoint_step", "published", "registered", "tracking"),
    *("warnings", "notes", "next", "shown", "log_end"),
}
STATES = ("pending", "running", "succeeded", "failed", "cancelled", "lost")


class Cut(BaseException):
    """What ends a submit in the middle: as a kill does, it asks nobody."""


class Sending(OnABench):
    """`submit`, and `find` after one that was cut off."""

    def test_a_submit_is_one_run(self, bench: Bench) -> None:
        """Its name is printed, its record says that it was sent, and the engine was given it once."""
        run = bench.sent()
        record = store.read(run.name)
        assert (record.phase, record.platform, record.reference) == ("sent", bench.name, run.reference)
        assert bench.world.taken(run.name) == 1
        assert run.reference, "an empty one finds nothing"
        assert all(isinstance(part, str) for pair in run.reference.items() for part in pair)
        assert json.loads(json.dumps(dict(run.reference))) == run.reference

    def test_a_run_as_data(self, bench: Bench) -> None:
        """`submit --json` and `status --json`: keys are only ever added, and the state is one that everybody knows."""
        run = bench.sent()
        assert set(run.answer.json) >= SENT
        status = bench.of_run("status", run.name).json
        assert set(status) >= STATUS
        assert status["state"] in STATES

    def test_the_same_job_twice_is_two_runs(self, bench: Bench) -> None:
        """A second submit of what was sent is the next attempt."""
        first, second = bench.sent(), bench.sent()
        assert (first.name[-2:], second.name[-2:]) == ("-1", "-2")
        assert [bench.world.taken(run.name) for run in (first, second)] == [1, 1]
        assert first.reference != second.reference

    def test_a_plan_is_found_once_it_was_sent(self, bench: Bench) -> None:
        """`find` knows a plan that the engine took, and no other: it decides whether one is sent again."""
        assert bench.submit("--dry-run").exit_code == 0
        plan = bench.plans[-1]
        assert bench.world.taken(plan.run) == 0, "a dry run was sent"
        assert bench.platform.find(plan) is None
        run = bench.sent()
        assert bench.plans[-1].digest == plan.digest
        found = bench.platform.find(plan)
        assert found is not None
        assert bench.platform.status(found).state == bench.platform.status(run.reference).state
        assert bench.platform.find(_another(plan)) is None, (
            "another plan of that name is taken for the one that was sent"
        )

    def test_the_name_is_told_before_the_log_is_followed(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        """With `--stream`, whatever becomes of the stream, the person has the name and the record says `sent`."""

        def breaks(*args: Any, **more: Any) -> Any:
            raise ConnectionError("the kit cut the line")

        def refuses(*args: Any, **more: Any) -> Any:
            raise Rejected([Problem(code="kit", stage=Stage.SUBMIT, title="the kit signed you out")])

        monkeypatch.setattr(type(bench.platform), "logs", breaks)
        monkeypatch.setattr(type(bench.platform), "status", refuses)
        answer = bench.submit("--stream")
        assert answer.exit_code == 1, answer.told
        [name] = store.names()
        assert name in answer.stdout
        assert store.read(name).phase == "sent"
        assert bench.world.taken(name) == 1

    @pytest.mark.parametrize("taken", [False, True], ids=["before-the-engine-took-it", "after-the-engine-took-it"])
    def test_a_submit_that_is_cut_off_and_repeated_is_one_run(self, bench: Bench, taken: bool) -> None:
        """The same command finds what the engine has, or sends it under the same name."""
        _assert_one_run(bench, lambda: _cut_beside_submit(bench, taken))

    def test_a_submit_that_is_cut_off_inside_and_repeated_is_one_run(self, bench: Bench) -> None:
        """The same, wherever the platform's own `submit` can be cut off in the world."""
        cuts = iter(bench.world.cuts())
        if (first := next(cuts, None)) is None:
            pytest.skip("the world says no ways to cut a submit off")
        _assert_one_run(bench, lambda: first)
        for cut in cuts:
            _assert_one_run(bench, lambda cut=cut: cut)  # type: ignore[misc]


def _assert_one_run(bench: Bench, cut: Callable[[], AbstractContextManager[object]]) -> None:
    before = store.names()
    with cut():
        assert not _submits(bench), "it was not cut off"
    left = [name for name in store.names() if name not in before]
    run = bench.sent()
    new = [name for name in store.names() if name not in before]
    assert new == [run.name], f"the submit that was cut off left {left}"
    assert bench.world.taken(run.name) == 1
    assert store.read(run.name).phase == "sent"
    assert bench.of_run("status", run.name).exit_code == 0


def _another(plan: Plan) -> Plan:
    """A plan of the same name whose spec says something else, as other settings make it."""
    files = {**plan.files, plan.spec: plan.files[plan.spec] + b"\n", "kit-another.txt": b"another"}
    return dataclasses.replace(plan, files=files)


def _submits(bench: Bench) -> bool:
    """Whether a submit comes to its good end."""
    with contextlib.suppress(BaseException):
        return bench.submit().exit_code == 0
    return False


@contextlib.contextmanager
def _cut_beside_submit(bench: Bench, taken: bool) -> Iterator[None]:
    platform: Any = type(bench.platform)
    submit = platform.submit

    def cut_off(*args: Any, **more: Any) -> Any:
        if taken:
            submit(*args, **more)
        raise Cut

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(platform, "submit", cut_off)
        yield
