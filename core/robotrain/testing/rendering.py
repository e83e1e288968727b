"""A plan is a matter of the job alone."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from robotrain.payload import Payload
from robotrain.testing import command_line, elsewhere, planning
from robotrain.testing.bench import Bench
from robotrain.testing.on_a_bench import OnABench
from robotrain.testing.still import still
from robotrain.testing.world import archived

Parts = dict[str, str]


class Rendering(OnABench):
    """`check`, `render` and what goes with them."""

    @pytest.mark.parametrize("command", ["render", "explain"])
    def test_a_plan_is_made_without_touching_anything(
        self, bench: Bench, command: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """No file is written, no network asked, no program started, and no file read but what is installed and what a
        setting names: anybody can look at a plan, anywhere, and it is the same.
        """
        with still() as block:
            planning.watch(bench, block, monkeypatch)
            answer = bench.ask(command, bench.workload.name, "--json", *bench.complete)
        assert answer.exit_code == 0, answer.told

    def test_the_job_is_left_as_it_is(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        """`render` gets the job, its settings, the payload and the halves to read: the job's digest names the run."""
        given = _given(bench, monkeypatch)
        assert bench.render(*bench.first_source()).exit_code == 0
        [(before, after)] = given
        assert {name: after.get(name) for name in {*before, *after} if before.get(name) != after.get(name)} == {}

    def test_the_plan_says_whose_it_is(self, bench: Bench) -> None:
        """Its platform, its run and its job, a native spec among its files, and text in those that people are shown."""
        answer = bench.render(*bench.first_source())
        assert answer.exit_code == 0, answer.told
        plan = bench.plans[-1]
        assert plan.platform == bench.name
        assert plan.run == plan.job.run_name(1)
        assert plan.spec in plan.files
        assert set(plan.shown) <= set(plan.files)
        for path in plan.shown:
            plan.files[path].decode()

    def test_another_attempt_is_another_run_of_the_same_job(self, bench: Bench) -> None:
        """The plan of attempt 2 differs from that of attempt 1, and both say the same job."""
        words = bench.first_source()
        first = bench.arrived(bench.render(*words))
        second = bench.arrived(bench.render(*words, "--attempt", "2"))
        assert (first.run[-2:], second.run[-2:]) == ("-1", "-2")
        assert first.job == second.job
        assert bench.plans[-1].digest != bench.plans[-2].digest

    def test_what_arrives_is_the_job(self, bench: Bench) -> None:
        """The document that the runtime starts with says the run, its job, its platform and its workload."""
        document = bench.arrived(bench.render(*bench.first_source()))
        plan = bench.plans[-1]
        assert document.platform == bench.name
        assert (document.run, document.job, document.workload) == (plan.run, plan.job.digest, plan.job.workload)
        assert f"workload.{document.workload}" in document.halves

    def test_the_payload_travels(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        """The runtime, the workload and what fetches its sources are where the runtime is started, file by file."""
        given = _payloads(bench, monkeypatch)
        assert bench.render(*bench.first_source()).exit_code == 0
        wanted, there = archived(given[-1].archive), bench.world.unpacked(bench.plans[-1])
        assert [path for path in wanted if wanted[path] != there.get(path)] == [], "not there, or changed"

    def test_equal_jobs_are_equal_bytes_anywhere(
        self, bench: Bench, kit_afar: elsewhere.Afar, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Another process of another user on another host, in another folder, time zone and week, with another order of
        hashes, renders the same bytes: what was looked at is what is sent, and `resubmit` sends it again.
        """
        for name, value in kit_afar.folders.items():
            monkeypatch.setenv(name, value)
        plans = [command_line.run(*bench.whole).json, *(one.plan for one in kit_afar.asked(bench))]
        differing = {path for plan in plans for path in plan["files"] if plan["files"] != plans[0]["files"]}
        changed = sorted(path for path in differing if len({_digest(plan, path) for plan in plans}) > 1)
        assert changed == [], "these files differ"
        assert len({plan["digest"] for plan in plans}) == 1


def _digest(plan: dict[str, Any], path: str) -> str:
    return str(plan["files"].get(path, {}).get("sha256"))


def _given(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Parts, Parts]]:
    """What `render` was given, part by part, before and after each call."""
    found: list[tuple[Parts, Parts]] = []
    render: Callable[..., Any] = type(bench.platform).render

    def watched(self: Any, *args: Any, **more: Any) -> Any:
        before = dict(_parts("", [*args, *more.values()]))
        plan = render(self, *args, **more)
        found.append((before, dict(_parts("", [*args, *more.values()]))))
        return plan

    monkeypatch.setattr(type(bench.platform), "render", watched)
    return found


def _payloads(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> list[Payload]:
    """The payload that each `render` was given."""
    found: list[Payload] = []
    render: Callable[..., Any] = type(bench.platform).render

    def watched(self: Any, *args: Any, **more: Any) -> Any:
        found.extend(one for one in (*args, *more.values()) if isinstance(one, Payload))
        return render(self, *args, **more)

    monkeypatch.setattr(type(bench.platform), "render", watched)
    return found


def _parts(at: str, one: Any) -> Iterator[tuple[str, str]]:
    """Every value in something, as text, by where it stands there."""
    if dataclasses.is_dataclass(one) and not isinstance(one, type):
        one = {field.name: getattr(one, field.name) for field in dataclasses.fields(one)}
    if isinstance(one, list):
        one = dict(enumerate(one))
    if isinstance(one, dict):
        for name, value in one.items():
            yield from _parts(f"{at}.{name}", value)
    else:
        yield at, repr(one)
