"""Tests of a platform: rendering is pure and reproducible, and values reach the document unchanged."""

import dataclasses
import functools
import os
import sys
import zoneinfo
from collections.abc import Callable, Iterator
from importlib.machinery import all_suffixes
from inspect import getattr_static
from types import FunctionType
from typing import Any

import pytest

from robotrain.model.plan import Payload
from robotrain.testing import harness, platform_base
from robotrain.testing.bench import Bench
from robotrain.testing.fixtures import read_zip
from robotrain.testing.harness import SideEffectRecorder, no_side_effects
from robotrain.testing.platform_base import PlatformTestBase

FlatValues = dict[str, str]


class RenderTests(PlatformTestBase):
    """`check`, `render` and what goes with them."""

    @pytest.mark.parametrize("command", ["render", "explain"])
    def test_rendering_has_no_side_effects(self, bench: Bench, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """No file is written, no network asked, no program started, and no file read but what is installed and what a
        setting names: anybody can look at a plan, anywhere, and it is the same.
        """
        with no_side_effects() as block:
            record_reads(bench, block, monkeypatch)
            answer = bench.run_command(command, bench.workload.name, "--json", *bench.complete_words)
        assert answer.exit_code == 0, answer.output

    def test_rendering_does_not_change_the_job(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        """`render` gets the job, its settings, the payload and the halves to read: the job's digest names the run."""
        given = _record_arguments(bench, monkeypatch)
        assert bench.render(*bench.first_source()).exit_code == 0
        [(before, after)] = given
        assert {name: after.get(name) for name in {*before, *after} if before.get(name) != after.get(name)} == {}

    def test_plan_names_its_platform_run_and_job(self, bench: Bench) -> None:
        """Its platform, its run and its job, a native spec among its files, and text in those that people are shown."""
        answer = bench.render(*bench.first_source())
        assert answer.exit_code == 0, answer.output
        plan = bench.plans[-1]
        assert plan.platform == bench.name
        assert plan.run == plan.job.run_name(1)
        assert plan.spec in plan.files
        assert set(plan.shown) <= set(plan.files)
        for path in plan.shown:
            plan.files[path].decode()

    def test_another_attempt_is_another_run(self, bench: Bench) -> None:
        """The plan of attempt 2 differs from that of attempt 1, and both say the same job."""
        words = bench.first_source()
        first = bench.read_document(bench.render(*words))
        second = bench.read_document(bench.render(*words, "--attempt", "2"))
        assert (first.run[-2:], second.run[-2:]) == ("-1", "-2")
        assert first.job == second.job
        assert bench.plans[-1].digest != bench.plans[-2].digest

    def test_document_matches_the_job(self, bench: Bench) -> None:
        """The document that the runtime starts with says the run, its job, its platform and its workload."""
        document = bench.read_document(bench.render(*bench.first_source()))
        plan = bench.plans[-1]
        assert document.platform == bench.name
        assert (document.run, document.job, document.workload) == (plan.run, plan.job.digest, plan.job.workload)
        assert f"workload.{document.workload}" in document.halves

    def test_payload_is_unpacked_unchanged(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        """The runtime, the workload and what fetches its sources are where the runtime is started, file by file."""
        given = _record_payloads(bench, monkeypatch)
        assert bench.render(*bench.first_source()).exit_code == 0
        wanted, there = read_zip(given[-1].archive), bench.world.read_payload(bench.plans[-1])
        assert [path for path in wanted if wanted[path] != there.get(path)] == [], "not there, or changed"

    def test_rendering_is_reproducible(
        self, bench: Bench, kit_processes: platform_base.OtherProcesses, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Another process of another user on another host, in another folder, time zone and week, with another order of
        hashes, renders the same bytes: what was looked at is what is sent, and `resubmit` sends it again.
        """
        for name, value in kit_processes.environ.items():
            monkeypatch.setenv(name, value)
        plans = [
            harness.run_command(*bench.render_command).json,
            *(one.plan for one in kit_processes.render_plans(bench)),
        ]
        differing = {path for plan in plans for path in plan["files"] if plan["files"] != plans[0]["files"]}
        changed = sorted(path for path in differing if len({_file_digest(plan, path) for plan in plans}) > 1)
        assert changed == [], "these files differ"
        assert len({plan["digest"] for plan in plans}) == 1


def _file_digest(plan: dict[str, Any], path: str) -> str:
    return str(plan["files"].get(path, {}).get("sha256"))


def _record_arguments(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> list[tuple[FlatValues, FlatValues]]:
    """What `render` was given, part by part, before and after each call."""
    found: list[tuple[FlatValues, FlatValues]] = []
    render: Callable[..., Any] = type(bench.platform).render

    def watched(self: Any, *args: Any, **more: Any) -> Any:
        before = dict(_flatten_values("", [*args, *more.values()]))
        plan = render(self, *args, **more)
        found.append((before, dict(_flatten_values("", [*args, *more.values()]))))
        return plan

    monkeypatch.setattr(type(bench.platform), "render", watched)
    return found


def _record_payloads(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> list[Payload]:
    """The payload that each `render` was given."""
    found: list[Payload] = []
    render: Callable[..., Any] = type(bench.platform).render

    def watched(self: Any, *args: Any, **more: Any) -> Any:
        found.extend(one for one in (*args, *more.values()) if isinstance(one, Payload))
        return render(self, *args, **more)

    monkeypatch.setattr(type(bench.platform), "render", watched)
    return found


def _flatten_values(at: str, content: Any) -> Iterator[tuple[str, str]]:
    """Every value in something, as text, by where it stands there."""
    if dataclasses.is_dataclass(content) and not isinstance(content, type):
        content = {field.name: getattr(content, field.name) for field in dataclasses.fields(content)}
    if isinstance(content, list):
        content = dict(enumerate(content))
    if isinstance(content, dict):
        for name, value in content.items():
            yield from _flatten_values(f"{at}.{name}", value)
    else:
        yield at, repr(content)


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
        """Texts, numbers, switches and choices, of their own type."""
        bench.require_sample_workload()
        document = bench.read_document(bench.render(*(word for word, _ in SAMPLE_VALUES.values())))
        wanted = {name: value for name, (_, value) in SAMPLE_VALUES.items()}
        assert {name: document.parameters.get(name) for name in wanted} == wanted
        assert {name: type(document.parameters.get(name)) for name in wanted} == {
            name: type(value) for name, value in wanted.items()
        }

    def test_every_workload_keeps_all_its_parameters(self, bench: Bench) -> None:
        """Those that nobody said, too: the runtime has no defaults of its own."""
        for name, workload in bench.plugins.workloads().items():
            if bench.platform.capabilities.workload(name):
                document = bench.read_document(bench.render(workload=workload))
                assert dict(document.parameters) == dict(bench.plans[-1].job.parameters), name

    def test_trainer_arguments_keep_their_order(self, bench: Bench) -> None:
        """Each as it is: empty ones, repeated ones, and those with spaces."""
        document = bench.read_document(bench.render(*bench.first_source(), "--", *SAMPLE_ARGUMENTS))
        assert document.trainer_args == SAMPLE_ARGUMENTS


PURE_METHODS = ("check", "render", "defaults", "derive_defaults", "container_plugins")
CODE_SUFFIXES = tuple(all_suffixes())


def record_reads(bench: Bench, recorder: SideEffectRecorder, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on a block hears what the platform's pure methods read, but for what is installed and what they are
    given the name of.
    """
    for name in PURE_METHODS:
        method = getattr_static(type(bench.platform), name, None)
        if isinstance(method, FunctionType):
            monkeypatch.setattr(type(bench.platform), name, _record_method(method, recorder))


def _record_method(method: Callable[..., Any], recorder: SideEffectRecorder) -> Callable[..., Any]:
    @functools.wraps(method)
    def call_recorded(self: Any, *given: Any, **named: Any) -> Any:
        before, recorder.is_foreign = (
            recorder.is_foreign,
            functools.partial(_is_foreign, _list_paths([*given, *named.values()])),
        )
        try:
            answer = method(self, *given, **named)
            return iter([*answer]) if isinstance(answer, Iterator) else answer  # a generator works when it is asked
        finally:
            recorder.is_foreign = before

    return call_recorded


def _is_foreign(allowed: set[str], path: str) -> bool:
    """Whether a path is neither among those named nor of what is installed here."""
    if path.endswith(CODE_SUFFIXES) or _is_import_running():
        return False
    real = os.path.realpath(path)
    return real not in allowed and not any(
        real == place or real.startswith(place + os.sep) for place in _list_installed_folders()
    )


def _list_paths(arguments: Any) -> set[str]:
    """The paths that the texts of what a method is given may stand for."""
    return {os.path.realpath(os.path.expanduser(text)) for text in _iter_texts(arguments) if "\0" not in text}


def _is_import_running() -> bool:
    """Whether it is the import that reads: whatever finders find."""
    frame: Any = sys._getframe()
    while frame and frame.f_globals.get("__name__") in (__name__, SideEffectRecorder.__module__):
        frame = frame.f_back
    return frame is not None and frame.f_code.co_filename.startswith("<frozen importlib")


def _list_installed_folders() -> Iterator[str]:
    prefixes = (sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix)
    yield from (os.path.realpath(one) for one in (*prefixes, *filter(None, sys.path), *zoneinfo.TZPATH))


def _iter_texts(value: Any) -> Iterator[str]:
    """Every text in something."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = [getattr(value, field.name) for field in dataclasses.fields(value)]
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _iter_texts(part)
