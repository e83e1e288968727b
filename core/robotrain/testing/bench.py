"""A platform under test in its world: command lines, the plans it renders, the kit's sample plugin."""

import functools
import io
import sys
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from robotrain_runtime.contract import document
from robotrain_runtime.contract.document import JobDocument
from robotrain_runtime.contract.parameter import Parameter, get_parameters

from robotrain.model.capabilities import Capabilities
from robotrain.model.plan import Plan
from robotrain.model.platform import Platform
from robotrain.model.run import Reference, RunState
from robotrain.model.source import Source, SourceKind
from robotrain.model.workload import Workload
from robotrain.plugins.claims import Claim
from robotrain.plugins.manager import Plugins
from robotrain.testing import harness
from robotrain.testing.harness import CommandResult, run_with_deadline

SAMPLE_NOTE = "sent by the kit"
SAMPLE_KIND = "kit_shelf"
SAMPLE_WORKLOAD = "kit-train"


def read_zip(archive: bytes) -> Mapping[str, bytes]:
    """Return the files of a zip archive, by their paths."""
    with zipfile.ZipFile(io.BytesIO(archive)) as packed:
        return {one.filename: packed.read(one) for one in packed.infolist() if not one.is_dir()}


class World:
    """An engine on this machine, from the author's fixture `world`: the real one, or one that rejects the same."""

    options: Sequence[str] = ()
    """The options that a command line needs beside `--platform NAME`."""
    job: Sequence[str] = ()
    """The words of a job that the engine accepts; by default the kit's own."""
    texts: Mapping[str, str] = {}
    """By source kind, a text to try instead of the kind's example."""
    needs: Mapping[str, Sequence[str]] = {}
    """By source kind or feature, the options that it needs; they replace the same among `options`."""
    native_states: Mapping[str, RunState] = {}
    """Every native state of the engine, and what it means."""
    only_native_states: bool = False
    """Whether the engine has no other state in any version."""

    def read_document(self, plan: Plan) -> JobDocument:
        """Return the document after all that the engine does to a plan: by default the plan's `job.json`."""
        path = next((path for path in sorted(plan.files) if path.rpartition("/")[2] == "job.json"), "")
        assert path, f"no job.json among {', '.join(sorted(plan.files))}: override World.read_document"
        return document.parse_document(plan.files[path].decode())

    def read_payload(self, plan: Plan) -> Mapping[str, bytes]:
        """Return the files of the payload where the runtime starts: by default those of the plan's zip."""
        found = next((content for path, content in sorted(plan.files.items()) if path.endswith(".zip")), b"")
        return read_zip(found) if found else {}

    def count_runs(self, run: str) -> int:
        """Return how many runs of that name the engine was given, ended ones included."""
        raise NotImplementedError

    def set_native_state(self, reference: Reference, native_state: str) -> None:
        """Make the engine report a native state of a run: one of `native_states`, or an unknown one."""
        raise NotImplementedError

    def write_log(self, reference: Reference, *lines: str) -> None:
        """Make a run print lines."""
        raise NotImplementedError

    def leave_checkpoint(self, reference: Reference, step: int) -> Mapping[str, bytes]:
        """Make a run leave a complete checkpoint, and return its files by their paths; by default none is tested."""
        return {}

    def interruptions(self) -> Iterator[AbstractContextManager[object]]:
        """Yield blocks in each of which the platform's `submit` ends in the middle, by any exception."""
        return iter(())


@functools.lru_cache(maxsize=4)
def _load_plugins(platform: str, *path: str) -> Plugins:
    """Load the platform once for all tests of a class; `path` is where plugins are searched."""
    plugins = Plugins()
    plugins.platform(platform)
    return plugins


class SubmittedRun(NamedTuple):
    """A submitted run, and the result of its submit command."""

    name: str
    reference: Reference
    result: CommandResult


class Bench:
    """One platform in its world, and the `plans` that it has rendered, the newest last."""

    def __init__(self, name: str, world: World) -> None:
        self.name, self.world = name, world
        self.plans: list[Plan] = []

    @cached_property
    def plugins(self) -> Plugins:
        """The installed plugins, with this platform loaded."""
        return _load_plugins(self.name, *sys.path)

    @cached_property
    def claim(self) -> Claim:
        """The claim of the platform."""
        return next(claim for claim in self.plugins.claims if (claim.family, claim.name) == ("platform", self.name))

    @cached_property
    def platform(self) -> Platform:
        """The platform as its plugin returns it, without core's guard around it."""
        platforms: list[Platform] = list(self.claim.point.load().robotrain_platforms())
        return next(platform for platform in platforms if platform.name == self.name)

    @property
    def capabilities(self) -> Capabilities:
        """The capabilities that the platform declares."""
        return self.platform.capabilities

    @cached_property
    def kinds(self) -> Mapping[str, SourceKind]:
        """Every installed source kind, the platform's own among them."""
        return self.plugins.source_kinds()

    @cached_property
    def workload(self) -> Workload:
        """The kit's own workload if the platform accepts it, else the first that it accepts."""
        names = [SAMPLE_WORKLOAD, self.plugins.default_workload(), *self.plugins.list_names("workload")]
        for name in dict.fromkeys(names):
            if self.capabilities.workload(name) and name in self.plugins.list_names("workload"):
                return self.plugins.workload(name)
        pytest.skip(f"{self.name} accepts no installed workload")

    def require_sample_workload(self) -> None:
        """Skip the test if the platform does not accept the kit's own workload."""
        if self.workload.name != SAMPLE_WORKLOAD:
            pytest.skip(f"{self.name} accepts no third-party workload, such as the kit's")

    def require_feature(self, feature: str) -> None:
        """Skip the test if the platform does not have a feature."""
        if not self.capabilities.feature(feature):
            pytest.skip(f"{self.name} does not declare {feature}")

    def run_command(self, command: str, *words: object) -> CommandResult:
        """Run a command on the platform with the world's options; the workload is the first word, if any is named."""
        return harness.run_command(*self.make_command(command, *words))

    def make_command(self, command: str, *words: object) -> list[object]:
        """Return the words of a command: the workload, if one is named, and the world's options that `words` lack."""
        workload = words[:1] if words and not str(words[0]).startswith("-") else ()
        given = {str(word).partition("=")[0] for word in words}
        options: list[str] = []
        is_dropped = False
        for word in self.world.options:
            is_dropped = word in given if word.startswith("--") else is_dropped
            options += [] if is_dropped else [word]
        return [command, *workload, "--platform", self.name, *options, *words[len(workload) :]]

    def list_kind_options(self, *kinds: SourceKind) -> list[str]:
        """Return the further options that sources of these kinds need on the platform."""
        needs = self.world.needs
        return [word for kind in kinds for word in needs.get(kind.name, needs.get(kind.requires, ()))]

    def render(self, *words: object, workload: Workload | None = None) -> CommandResult:
        """Run `render --json` of a workload's job, with examples of the required inputs that `words` lack."""
        chosen = workload or self.workload
        return self.run_command("render", chosen.name, "--json", *self.required_words(chosen, words), *words)

    def render_plan(self, *words: object) -> Plan:
        """Render a job, with examples of its inputs, and return the plan; the test fails if it is rejected."""
        result = self.render(*self.first_source(), *words)
        assert result.exit_code == 0, result.output
        return self.plans[-1]

    @property
    def complete_words(self) -> list[str]:
        """The words of a job's inputs: one source, if the platform accepts any, and what the workload requires."""
        words = self.first_source()
        return [*self.required_words(self.workload, words), *words]

    @property
    def render_command(self) -> list[str]:
        """The whole command line that renders such a job."""
        return [str(word) for word in self.make_command("render", self.workload.name, "--json", *self.complete_words)]

    def first_source(self) -> list[str]:
        """Return the words of a source that the platform accepts in any role; none if it accepts none."""
        return next((words for role in self.workload.roles if (words := self.first_in_role(role))), [])

    def first_in_role(self, role: str) -> list[str]:
        """Return the words of a source of the first kind with an example that the platform accepts in a role."""
        kinds = self.capabilities.list_accepted_kinds(role, self.kinds)
        return next(([self.source_word(role, kind)] for kind in kinds if self.example_text(kind)), [])

    def source_word(self, role: str, kind: SourceKind) -> str:
        """Return the option of a kind in a role, with the kind's example."""
        return f"{kind.roles[role].flag}={self.example_text(kind)}"

    def required_words(self, workload: Workload, given: Iterable[object]) -> list[str]:
        """Return the words for the inputs that the workload requires and `given` does not have."""
        words: list[str] = []
        for role, rule in workload.roles.items():
            flags = {kind.roles[role].flag for kind in self.kinds.values() if role in kind.roles}
            if (rule.required or rule.typical) and not flags & {str(word).partition("=")[0] for word in given}:
                words += self.first_in_role(role) or pytest.skip(f"{self.name} accepts no {role} with an example")
        return words

    def example_text(self, kind: SourceKind) -> str:
        """Return a text of a kind to try; empty if neither the world nor the kind has one."""
        return self.world.texts.get(kind.name, kind.example)

    def parse_source(self, role: str, kind: SourceKind) -> Source:
        """Return the source that the example of a kind is parsed to: several kinds may share the flag."""
        text = self.example_text(kind)
        sharing = [one for one in self.kinds.values() if one.roles.get(role) == kind.roles[role]]
        return next((one for one in sharing if one.recognizes(text)), sharing[0]).parse(text, Path.cwd())

    def read_document(self, result: CommandResult) -> JobDocument:
        """Return the document that the runtime starts with, of the plan that was just rendered."""
        assert result.exit_code == 0, result.output
        return self.world.read_document(self.plans[-1])

    @property
    def job_words(self) -> Sequence[object]:
        """The words of a job that the engine accepts."""
        if self.world.job:
            return self.world.job
        note = ("--kit-note", SAMPLE_NOTE) if self.workload.name == SAMPLE_WORKLOAD else ()
        return (self.workload.name, *self.required_words(self.workload, ()), *note)

    def submit(self, *words: object) -> CommandResult:
        """Run `submit` of the world's job."""
        workload = self.job_words[:1] if not str(self.job_words[0]).startswith("-") else ()
        return self.run_command("submit", *workload, "--no-pin", *words, *self.job_words[len(workload) :])

    def submit_job(self) -> SubmittedRun:
        """Submit the world's job."""
        result = self.submit("--json")
        assert result.exit_code == 0, result.output
        return SubmittedRun(result.json["run"], result.json["reference"], result)

    def run_for(self, command: str, run: str) -> CommandResult:
        """Run a command about a run, with `--json` if it has that."""
        words = [command, run, *([] if command == "logs" else ["--json"])]
        return run_with_deadline(lambda: harness.run_command(*words), command)

    def native_states(self, *states: RunState) -> list[str]:
        """Return the engine's names for these states, in this order; skip the test if the world has none."""
        found = [native for state in states for native, means in self.world.native_states.items() if means == state]
        if not found:
            pytest.skip(f"the world has no native state for {' or '.join(states)}")
        return found

    def list_text_settings(self) -> list[Parameter]:
        """Return the platform's settings that accept any text, but for those that the world's options set."""
        given = {str(word).partition("=")[0] for word in self.world.options}
        settings = get_parameters(self.platform.settings)
        return [one for one in settings if one.bare_type is str and not one.choices and not given & {*one.flags}]

    def wrap_method(self, monkeypatch: pytest.MonkeyPatch, name: str, wrapper: Callable[..., Any]) -> None:
        """Call `wrapper(method, arguments)` in place of a method of the platform."""
        original: Any = getattr(type(self.platform), name)

        def method(platform: Any, *args: Any, **kwargs: Any) -> Any:
            return wrapper(functools.partial(original, platform), [*args, *kwargs.values()])

        monkeypatch.setattr(type(self.platform), name, method)

    def record_plans(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Keep every plan that the platform renders from now on."""

        def record(render: Callable[..., Plan], arguments: list[Any]) -> Plan:
            self.plans.append(render(*arguments))
            return self.plans[-1]

        self.wrap_method(monkeypatch, "render", record)
