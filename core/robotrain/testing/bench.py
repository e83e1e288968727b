"""A platform under test in its world: command lines, the plans it renders, the kit's sample plugin."""

import functools
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from robotrain_runtime.contract.document import JobDocument
from robotrain_runtime.contract.parameter import Parameter, get_parameters

from robotrain.model.plan import Plan
from robotrain.model.platform import Platform
from robotrain.model.run import Reference, RunState
from robotrain.model.source import Source, SourceKind
from robotrain.model.workload import Workload
from robotrain.plugins.claims import Claim
from robotrain.plugins.manager import Plugins
from robotrain.testing import harness
from robotrain.testing.fixtures import World
from robotrain.testing.harness import CommandResult, run_with_deadline

SAMPLE_NOTE = "sent by the kit"


@functools.lru_cache(maxsize=4)
def _load_plugins(platform: str, *path: str) -> Plugins:
    """Found once for all tests of a class: what is installed does not change meanwhile. path: where it was looked."""
    plugins = Plugins()
    plugins.platform(platform)
    return plugins


@dataclass(frozen=True, slots=True)
class SubmittedRun:
    """A run that was sent. answer: what the submit said."""

    name: str
    reference: Reference
    result: CommandResult


class Bench:
    """One platform in its world. plans: those that it rendered since, the newest last."""

    def __init__(self, name: str, world: World) -> None:
        self.name, self.world = name, world
        self.plans: list[Plan] = []

    @cached_property
    def plugins(self) -> Plugins:
        """What is installed, this platform loaded."""
        return _load_plugins(self.name, *sys.path)

    @cached_property
    def claim(self) -> Claim:
        """The claim that brings it."""
        return next(claim for claim in self.plugins.claims if (claim.family, claim.name) == ("platform", self.name))

    @cached_property
    def platform(self) -> Platform:
        """The platform as its plugin brings it; what core calls is that with a guard around it."""
        brought: list[Platform] = list(self.claim.point.load().robotrain_platforms())
        return next(platform for platform in brought if platform.name == self.name)

    @cached_property
    def kinds(self) -> Mapping[str, SourceKind]:
        """Every source kind, the platform's own among them."""
        return self.plugins.source_kinds()

    @cached_property
    def workload(self) -> Workload:
        """The kit's own where the platform takes any, else the first that it takes."""
        names = [SAMPLE_WORKLOAD, self.plugins.default_workload(), *self.plugins.list_names("workload")]
        for name in dict.fromkeys(names):
            if self.platform.capabilities.workload(name) and name in self.plugins.list_names("workload"):
                return self.plugins.workload(name)
        pytest.skip(f"{self.name} takes no workload that is installed")

    def require_sample_workload(self) -> None:
        """Skip the test where the kit's own workload cannot be sent."""
        if self.workload.name != SAMPLE_WORKLOAD:
            pytest.skip(f"{self.name} takes no workload of a stranger, such as the kit's")

    def run_command(self, command: str, *words: object) -> CommandResult:
        """A command on the platform, with the world's options. words: a workload first, where one is named."""
        return harness.run_command(*self.make_command(command, *words))

    def make_command(self, command: str, *words: object) -> list[object]:
        """Its words; what chooses the options stands in front of them."""
        chosen = words[:1] if words and not str(words[0]).startswith("-") else ()
        return [command, *chosen, "--platform", self.name, *self._list_world_options(words), *words[len(chosen) :]]

    def list_kind_options(self, *kinds: SourceKind) -> list[str]:
        """The words that sources of these kinds need on the platform, beside the world's options."""
        needs = self.world.needs
        return [word for kind in kinds for word in needs.get(kind.name, needs.get(kind.requires, ()))]

    def _list_world_options(self, words: Iterable[object]) -> Iterable[str]:
        """The world's, without those that are said again."""
        again = {str(word).partition("=")[0] for word in words}
        dropped = False
        for word in self.world.options:
            dropped = word in again if word.startswith("--") else dropped
            if not dropped:
                yield word

    def render(self, *words: object, workload: Workload | None = None) -> CommandResult:
        """`robotrain render --json` of a job of a workload, complete but for what `words` say."""
        chosen = workload or self.workload
        return self.run_command("render", chosen.name, "--json", *self.required_words(chosen, words), *words)

    @property
    def complete_words(self) -> list[str]:
        """The words of a job's inputs: one source where the platform takes any."""
        words = self.first_source()
        return [*self.required_words(self.workload, words), *words]

    @property
    def render_command(self) -> list[str]:
        """The whole command line that renders such a job."""
        return [str(word) for word in self.make_command("render", self.workload.name, "--json", *self.complete_words)]

    def first_source(self) -> list[str]:
        """The words of a source that the platform takes; none where it takes none."""
        for role in self.workload.roles:
            for kind in self.platform.capabilities.list_accepted_kinds(role, self.kinds):
                if text := self.example_text(kind):
                    return [f"{kind.roles[role].flag}={text}"]
        return []

    def read_document(self, result: CommandResult) -> JobDocument:
        """The document that the runtime is started with, of a plan that was just rendered."""
        assert result.exit_code == 0, result.output
        return self.world.read_document(self.plans[-1])

    def submit(self, *words: object) -> CommandResult:
        """`robotrain submit` of the world's job."""
        chosen = self.job_words[:1] if not str(self.job_words[0]).startswith("-") else ()
        return self.run_command("submit", *chosen, "--no-pin", *words, *self.job_words[len(chosen) :])

    def submit_job(self) -> SubmittedRun:
        """The world's job, sent."""
        answer = self.submit("--json")
        assert answer.exit_code == 0, answer.output
        return SubmittedRun(answer.json["run"], answer.json["reference"], answer)

    def run_for(self, command: str, run: str) -> CommandResult:
        """A command about a run, as data where it has any."""
        words = [command, run, *([] if command == "logs" else ["--json"])]
        return run_with_deadline(lambda: harness.run_command(*words), command)

    def native_states(self, *states: RunState) -> list[str]:
        """The engine's words for these states, in this order; the test is skipped where the world says none."""
        found = [native for state in states for native, means in self.world.native_states.items() if means == state]
        if not found:
            pytest.skip(f"the world says no native word for {' or '.join(states)}")
        return found

    def require_feature(self, feature: str) -> None:
        """Skip the test where the platform does not have a feature."""
        if not self.platform.capabilities.feature(feature):
            pytest.skip(f"{self.name} does not declare {feature}")

    @property
    def job_words(self) -> Sequence[object]:
        """The words of a job that the engine takes."""
        if self.world.job:
            return self.world.job
        note = ("--kit-note", SAMPLE_NOTE) if self.workload.name == SAMPLE_WORKLOAD else ()
        return (self.workload.name, *self.required_words(self.workload, ()), *note)

    def required_words(self, workload: Workload, words_given: Iterable[object]) -> list[str]:
        """The words for what the workload cannot do without, as far as `given` does not fill it."""
        words: list[str] = []
        for role, rule in workload.roles.items():
            flags = {kind.roles[role].flag for kind in self.kinds.values() if role in kind.roles}
            if (rule.required or rule.typical) and not flags & {str(word).partition("=")[0] for word in words_given}:
                words += self.first_in_role(role)
        return words

    def first_in_role(self, role: str) -> list[str]:
        """The words of a source of the first kind that the platform takes in a role."""
        for kind in self.platform.capabilities.list_accepted_kinds(role, self.kinds):
            if text := self.example_text(kind):
                return [f"{kind.roles[role].flag}={text}"]
        pytest.skip(f"{self.name} takes no {role} of a kind that says an example")

    def example_text(self, kind: SourceKind) -> str:
        """A text to try of a kind; empty when neither the world nor the kind says one."""
        return self.world.texts.get(kind.name, kind.example)

    def parse_source(self, role: str, kind: SourceKind) -> Source:
        """The source that the text of a kind is in a role: several kinds may share the flag."""
        text = self.example_text(kind)
        sharing = [one for one in self.kinds.values() if one.roles.get(role) == kind.roles[role]]
        meant = next((one for one in sharing if one.recognizes(text)), sharing[0])
        return meant.parse(text, Path.cwd())

    def list_text_settings(self) -> list[Parameter]:
        """The platform's settings that take any text, but for those that the world's options give."""
        given = {str(word).partition("=")[0] for word in self.world.options}
        settings = get_parameters(self.platform.settings)
        return [one for one in settings if one.bare_type is str and not one.choices and not given & {*one.flags}]

    def record_plans(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Keep every plan that the platform renders from now on."""
        rendering: Any = type(self.platform).render

        def render(*args: Any, **more: Any) -> Plan:
            plan: Plan = rendering(*args, **more)
            self.plans.append(plan)
            return plan

        monkeypatch.setattr(type(self.platform), "render", render)


SAMPLE_PACKAGE = "robotrain_kit_stranger"
SAMPLE_KIND = "kit_shelf"
SAMPLE_WORKLOAD = "kit-train"
_ENTRY_POINTS = (
    f"[robotrain]\nsource.{SAMPLE_KIND} = {SAMPLE_PACKAGE}.plugin\n"
    f"workload.{SAMPLE_WORKLOAD} = {SAMPLE_PACKAGE}.plugin\n"
)


def install_sample_plugin(site: Path) -> None:
    """Make `site` a folder for the path, with the stranger in it."""
    shutil.copytree(
        Path(__file__).with_name("sample_plugin"), site / SAMPLE_PACKAGE, ignore=shutil.ignore_patterns("__pycache__")
    )
    info = site / f"{SAMPLE_PACKAGE}-1.0.dist-info"
    info.mkdir()
    info.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: robotrain-kit-stranger\nVersion: 1.0\n")
    info.joinpath("entry_points.txt").write_text(_ENTRY_POINTS)
