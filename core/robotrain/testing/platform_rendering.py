"""Tests of a platform: rendering is pure and reproducible, and values reach the document unchanged."""

import os
import sys
import zoneinfo
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.machinery import all_suffixes
from inspect import getattr_static
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest

from robotrain.model.plan import Payload, Plan
from robotrain.testing.bench import MARS, MOON, Bench, PlatformTestBase, read_zip, render_elsewhere
from robotrain.testing.harness import SideEffectRecorder, compare, no_side_effects, report
from robotrain.testing.kit_base import SAMPLE_WORKLOAD

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


class RenderTests(PlatformTestBase):
    """`check`, `render` and the other pure methods."""

    @pytest.mark.parametrize("command", ["render", "explain"])
    def test_rendering_has_no_side_effects(self, bench: Bench, command: str) -> None:
        """Write no file, use no network, start no program, and read only what is installed or named by a setting."""
        with no_side_effects() as recorder, ExitStack() as methods:
            _record_reads(bench, recorder, methods)
            result = bench.run_command(command, "--json", *bench.complete_words())
        result.require(f"`{command}` must accept the job")

    def test_render_uses_its_arguments_unchanged(self, bench: Bench) -> Iterator[str]:
        """It only reads the job, whose digest names the run; all of the payload is where the runtime is started."""
        changes: list[str] = []
        payloads: list[Payload] = []

        def compare_arguments(render: Callable[..., Plan], arguments: list[Any]) -> Plan:
            before = [repr(one) for one in arguments]
            plan = render(*arguments)
            pairs = zip(before, map(repr, arguments), strict=True)
            changes.extend(f"{first} became {then}" for first, then in pairs if first != then)
            payloads.extend(one for one in arguments if isinstance(one, Payload))
            return plan

        with bench.wrap_method("render", compare_arguments):
            found = bench.world.read_payload(bench.render_plan())
        yield from report("`render` must not change its arguments; copy them with dataclasses.replace", changes)
        changed = (path for path, content in read_zip(payloads[-1].archive).items() if content != found.get(path))
        yield from report("files of the payload are missing or changed; put all of `payload.archive` into it", changed)

    def test_plan_and_document_match_the_job(self, bench: Bench) -> Iterator[str]:
        """They have its platform, and the run of the attempt that `render` is given; the plan shows texts."""
        plans = [bench.render_plan("--attempt", str(attempt)) for attempt in (1, 2)]
        for attempt, plan in enumerate(plans, 1):
            run = plan.job.run_name(attempt)
            yield from compare("the plan has another platform or run", (plan.platform, plan.run), (bench.name, run))
            document = bench.world.read_document(plan)
            found = (document.platform, document.run, document.job, document.workload)
            expected = (bench.name, run, plan.job.digest, plan.job.workload)
            yield from compare("the document is of another job; use `make_job_document`", found, expected)
        missing = {plans[0].spec, *plans[0].shown} - {*plans[0].files}
        yield from report("`spec` and `shown` name files that are not in `files`", missing)
        texts = {path: plans[0].files.get(path, b"").decode(errors="replace") for path in plans[0].shown}
        binary = (path for path, text in texts.items() if "\ufffd" in text)
        yield from report("`shown` names files that are not texts", binary)
        if plans[0].digest == plans[1].digest:
            yield "the plans of two attempts are equal: they must have the `run` that render is given"

    def test_rendering_is_reproducible(self, bench: Bench, tmp_path: Path) -> Iterator[str]:
        """Another process, user, host, folder, time zone, week and order of hashes: the same bytes."""
        plans = [
            bench.run_command("render", "--json", *bench.complete_words()).require("the job must be rendered").json
        ]
        for name, place in {"moon": MOON, "mars": MARS}.items():
            plans.append(render_elsewhere(bench, tmp_path / name, **place)["plan"])
        paths = sorted({path for plan in plans for path in plan["files"]})
        changed = [path for path in paths if len({str(plan["files"].get(path)) for plan in plans}) > 1]
        if len({plan["digest"] for plan in plans}) > 1:
            changed.append("the plan's digest")
        yield from report("these differ on another machine, at another time; use only `render`'s arguments", changed)

    def test_parameters_and_arguments_reach_the_document(self, bench: Bench) -> Iterator[str]:
        """Texts, numbers, switches and choices have their own type; arguments of the trainer are as typed, in order."""
        words = [word for word, _ in SAMPLE_VALUES.values()] if bench.workload.name == SAMPLE_WORKLOAD else []
        document = bench.world.read_document(bench.render_plan(*words, "--", *SAMPLE_ARGUMENTS))
        for name, (_, value) in SAMPLE_VALUES.items() if words else ():
            yield from compare(f"the parameter {name} is another", repr(document.parameters.get(name)), repr(value))
        yield from compare("the arguments of the trainer are others", document.trainer_args, SAMPLE_ARGUMENTS)


PURE_METHODS = ("check", "render", "defaults", "derive_defaults", "container_plugins")
CODE_SUFFIXES = tuple(all_suffixes())


def _record_reads(bench: Bench, recorder: SideEffectRecorder, methods: ExitStack) -> None:
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
            methods.enter_context(bench.wrap_method(name, call_recorded))
