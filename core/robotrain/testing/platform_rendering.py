"""Tests of a platform: rendering is pure and reproducible, and values reach the document unchanged."""

import os
import sys
import zoneinfo
from collections.abc import Callable, Iterator
from importlib.machinery import all_suffixes
from inspect import getattr_static
from types import FunctionType
from typing import Any

import pytest

from robotrain.model.plan import Payload, Plan
from robotrain.testing import harness
from robotrain.testing.bench import Bench, read_zip
from robotrain.testing.harness import SideEffectRecorder, assert_none, no_side_effects
from robotrain.testing.platform_base import OtherProcesses, PlatformTestBase


class RenderTests(PlatformTestBase):
    """`check`, `render` and the other pure methods."""

    @pytest.mark.parametrize("command", ["render", "explain"])
    def test_rendering_has_no_side_effects(self, bench: Bench, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Write no file, use no network, start no program, and read only what is installed or named by a setting."""
        with no_side_effects() as recorder:
            _record_reads(bench, recorder, monkeypatch)
            result = bench.run_command(command, bench.workload.name, "--json", *bench.complete_words)
        assert result.exit_code == 0, result.output

    def test_rendering_does_not_change_the_job(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        """`render` only reads the job, its settings, the payload and the plugins: the job's digest names the run."""
        changes: list[str] = []

        def compare(render: Callable[..., Plan], arguments: list[Any]) -> Plan:
            before = [repr(one) for one in arguments]
            plan = render(*arguments)
            pairs = zip(before, map(repr, arguments), strict=True)
            changes.extend(f"{first} became {then}" for first, then in pairs if first != then)
            return plan

        bench.wrap_method(monkeypatch, "render", compare)
        bench.render_plan()
        assert_none(changes, "`render` must not change its arguments; copy them with dataclasses.replace")

    def test_plan_and_document_match_the_job(self, bench: Bench) -> None:
        """They have its platform and run; the plan has a native spec, and shows texts."""
        plan = bench.render_plan()
        assert (plan.platform, plan.run) == (bench.name, plan.job.run_name(1))
        missing = {plan.spec, *plan.shown} - {*plan.files}
        assert_none(missing, "`spec` and `shown` name files that are not in `files`")
        for path in plan.shown:
            plan.files[path].decode()
        document = bench.world.read_document(plan)
        found = (document.platform, document.run, document.job, document.workload)
        assert found == (bench.name, plan.run, plan.job.digest, plan.job.workload), "use `make_job_document`"
        assert f"workload.{document.workload}" in document.halves

    def test_another_attempt_is_another_run(self, bench: Bench) -> None:
        """The plans of attempt 1 and 2 differ, and have the same job."""
        words = bench.first_source()
        first = bench.read_document(bench.render(*words))
        second = bench.read_document(bench.render(*words, "--attempt", "2"))
        assert (first.run[-2:], second.run[-2:]) == ("-1", "-2"), (
            "the document must have the `run` that render is given"
        )
        assert first.job == second.job
        assert bench.plans[-1].digest != bench.plans[-2].digest

    def test_payload_is_unpacked_unchanged(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        """The runtime, the workload and what fetches its sources are where the runtime is started, file by file."""
        payloads: list[Payload] = []

        def record(render: Callable[..., Plan], arguments: list[Any]) -> Plan:
            payloads.extend(one for one in arguments if isinstance(one, Payload))
            return render(*arguments)

        bench.wrap_method(monkeypatch, "render", record)
        found = bench.world.read_payload(bench.render_plan())
        wanted = read_zip(payloads[-1].archive)
        changed = [path for path in wanted if wanted[path] != found.get(path)]
        assert_none(changed, "files of the payload are missing or changed; put all of `payload.archive` into the plan")

    def test_rendering_is_reproducible(
        self, bench: Bench, kit_processes: OtherProcesses, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Another process, user, host, folder, time zone, week and order of hashes: the same bytes."""
        for name, value in kit_processes.environ.items():
            monkeypatch.setenv(name, value)
        plans = [harness.run_command(*bench.render_command).json, *kit_processes.render_plans(bench)]
        paths = sorted({path for plan in plans for path in plan["files"]})
        changed = [path for path in paths if len({str(plan["files"].get(path)) for plan in plans}) > 1]
        assert_none(changed, "these files differ on another machine, at another time; use only `render`'s arguments")
        assert len({plan["digest"] for plan in plans}) == 1


SAMPLE_VALUES: dict[str, tuple[str, Any]] = {
    "kit_note": ("--kit-note=two words", "two words"),
    "kit_nickname": ("--kit-nickname=ü 機", "ü 機"),
    "kit_steps": ("--kit-steps=12345", 12345),
    "kit_rate": ("--kit-rate=1e-7", 1e-7),
    "kit_fast": ("--kit-fast", True),
    "kit_mode": ("--kit-mode=fancy", "fancy"),
    "kit_table": ("--kit-table=a=1,b=two", "a=1,b=two"),
}
SAMPLE_ARGUMENTS = ("--policy.chunk_size=16", "plain", "--flag", "--flag", "", "--two=a b", "--", "-x")


class ParameterTransferTests(PlatformTestBase):
    """Parameters and arguments of the trainer."""

    def test_parameters_reach_the_document(self, bench: Bench) -> None:
        """Texts, numbers, switches and choices arrive, with their own type."""
        bench.require_sample_workload()
        document = bench.read_document(bench.render(*(word for word, _ in SAMPLE_VALUES.values())))
        found = {name: repr(document.parameters.get(name)) for name in SAMPLE_VALUES}
        assert found == {name: repr(value) for name, (_, value) in SAMPLE_VALUES.items()}

    def test_every_workload_keeps_all_its_parameters(self, bench: Bench) -> None:
        """Defaults arrive, too: the runtime has none of its own."""
        for name, workload in bench.plugins.workloads().items():
            if bench.capabilities.workload(name):
                document = bench.read_document(bench.render(workload=workload))
                assert dict(document.parameters) == dict(bench.plans[-1].job.parameters), f"parameters of {name}"

    def test_trainer_arguments_keep_their_order(self, bench: Bench) -> None:
        """Each arrives unchanged: empty ones, repeated ones, and those with spaces."""
        document = bench.world.read_document(bench.render_plan("--", *SAMPLE_ARGUMENTS))
        assert document.trainer_args == SAMPLE_ARGUMENTS, "arguments of the trainer are lost or changed"


PURE_METHODS = ("check", "render", "defaults", "derive_defaults", "container_plugins")
CODE_SUFFIXES = tuple(all_suffixes())


def _record_reads(bench: Bench, recorder: SideEffectRecorder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Record the files that the platform's pure methods read, but for what is installed or named by an argument."""
    prefixes = (sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix)
    folders = (*prefixes, *filter(None, sys.path), *zoneinfo.TZPATH)
    installed = tuple({os.path.realpath(one) + os.sep for one in folders})

    def call_recorded(method: Callable[..., Any], arguments: list[Any]) -> Any:
        named = repr([one for one in arguments if not isinstance(one, Payload)]).replace("~", os.path.expanduser("~"))

        def is_foreign(path: str) -> bool:
            real = os.path.realpath(path)
            is_installed = path.endswith(CODE_SUFFIXES) or f"{real}{os.sep}".startswith(installed)
            return not is_installed and path not in named and real not in named

        before, recorder.is_foreign = recorder.is_foreign, is_foreign
        try:
            result = method(*arguments)
            return iter([*result]) if isinstance(result, Iterator) else result  # a generator works when it is consumed
        finally:
            recorder.is_foreign = before

    for name in PURE_METHODS:
        if isinstance(getattr_static(type(bench.platform), name, None), FunctionType):
            bench.wrap_method(monkeypatch, name, call_recorded)
