"""What a platform is tried on: command lines with its options, and the plans that it makes of them."""

import functools
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from robotrain_runtime.document import JobDocument
from robotrain_runtime.parameter import Parameter, parameters_of

from robotrain.claims import Claim
from robotrain.plan import Plan
from robotrain.platforms import Platform
from robotrain.plugins import Plugins
from robotrain.run import Reference, State
from robotrain.source import Source, SourceKind
from robotrain.testing import command_line, strangers
from robotrain.testing.command_line import Answer
from robotrain.testing.in_time import in_time
from robotrain.testing.world import World
from robotrain.workload import Workload

NOTE = "sent by the kit"


@functools.lru_cache(maxsize=4)
def _loaded(platform: str, *path: str) -> Plugins:
    """Found once for all tests of a class: what is installed does not change meanwhile. path: where it was looked."""
    plugins = Plugins()
    plugins.platform(platform)
    return plugins


@dataclass(frozen=True, slots=True)
class Run:
    """A run that was sent. answer: what the submit said."""

    name: str
    reference: Reference
    answer: Answer


class Bench:
    """One platform in its world. plans: those that it rendered since, the newest last."""

    def __init__(self, name: str, world: World) -> None:
        self.name, self.world = name, world
        self.plans: list[Plan] = []

    @cached_property
    def plugins(self) -> Plugins:
        """What is installed, this platform loaded."""
        return _loaded(self.name, *sys.path)

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
        names = [strangers.WORKLOAD, self.plugins.default_workload(), *self.plugins.names("workload")]
        for name in dict.fromkeys(names):
            if self.platform.capabilities.workload(name) and name in self.plugins.names("workload"):
                return self.plugins.workload(name)
        pytest.skip(f"{self.name} takes no workload that is installed")

    def needs_own_workload(self) -> None:
        """Skip the test where the kit's own workload cannot be sent."""
        if self.workload.name != strangers.WORKLOAD:
            pytest.skip(f"{self.name} takes no workload of a stranger, such as the kit's")

    def ask(self, command: str, *words: object) -> Answer:
        """A command on the platform, with the world's options. words: a workload first, where one is named."""
        return command_line.run(*self.line(command, *words))

    def line(self, command: str, *words: object) -> list[object]:
        """Its words; what chooses the options stands in front of them."""
        chosen = words[:1] if words and not str(words[0]).startswith("-") else ()
        return [command, *chosen, "--platform", self.name, *self._options(words), *words[len(chosen) :]]

    def with_kinds(self, *kinds: SourceKind) -> list[str]:
        """The words that sources of these kinds need on the platform, beside the world's options."""
        needs = self.world.needs
        return [word for kind in kinds for word in needs.get(kind.name, needs.get(kind.requires, ()))]

    def _options(self, given: Iterable[object]) -> Iterable[str]:
        """The world's, without those that are said again."""
        again = {str(word).partition("=")[0] for word in given}
        dropped = False
        for word in self.world.options:
            dropped = word in again if word.startswith("--") else dropped
            if not dropped:
                yield word

    def render(self, *words: object, workload: Workload | None = None) -> Answer:
        """`robotrain render --json` of a job of a workload, complete but for what `words` say."""
        chosen = workload or self.workload
        return self.ask("render", chosen.name, "--json", *self.required(chosen, words), *words)

    @property
    def complete(self) -> list[str]:
        """The words of a job's inputs: one source where the platform takes any."""
        words = self.first_source()
        return [*self.required(self.workload, words), *words]

    @property
    def whole(self) -> list[str]:
        """The whole command line that renders such a job."""
        return [str(word) for word in self.line("render", self.workload.name, "--json", *self.complete)]

    def first_source(self) -> list[str]:
        """The words of a source that the platform takes; none where it takes none."""
        for role in self.workload.roles:
            for kind in self.platform.capabilities.accepted(role, self.kinds):
                if text := self.text(kind):
                    return [f"{kind.roles[role].flag}={text}"]
        return []

    def arrived(self, answer: Answer) -> JobDocument:
        """The document that the runtime is started with, of a plan that was just rendered."""
        assert answer.exit_code == 0, answer.told
        return self.world.arrived(self.plans[-1])

    def submit(self, *words: object) -> Answer:
        """`robotrain submit` of the world's job."""
        chosen = self.job[:1] if not str(self.job[0]).startswith("-") else ()
        return self.ask("submit", *chosen, "--no-pin", *words, *self.job[len(chosen) :])

    def sent(self) -> Run:
        """The world's job, sent."""
        answer = self.submit("--json")
        assert answer.exit_code == 0, answer.told
        return Run(answer.json["run"], answer.json["reference"], answer)

    def of_run(self, command: str, run: str) -> Answer:
        """A command about a run, as data where it has any."""
        words = [command, run, *([] if command == "logs" else ["--json"])]
        return in_time(lambda: command_line.run(*words), command)

    def words(self, *states: State) -> list[str]:
        """The engine's words for these states, in this order; the test is skipped where the world says none."""
        found = [native for state in states for native, means in self.world.natives.items() if means == state]
        if not found:
            pytest.skip(f"the world says no native word for {' or '.join(states)}")
        return found

    def needs(self, feature: str) -> None:
        """Skip the test where the platform does not have a feature."""
        if not self.platform.capabilities.feature(feature):
            pytest.skip(f"{self.name} does not declare {feature}")

    @property
    def job(self) -> Sequence[object]:
        """The words of a job that the engine takes."""
        if self.world.job:
            return self.world.job
        note = ("--kit-note", NOTE) if self.workload.name == strangers.WORKLOAD else ()
        return (self.workload.name, *self.required(self.workload, ()), *note)

    def required(self, workload: Workload, given: Iterable[object]) -> list[str]:
        """The words for what the workload cannot do without, as far as `given` does not fill it."""
        words: list[str] = []
        for role, rule in workload.roles.items():
            flags = {kind.roles[role].flag for kind in self.kinds.values() if role in kind.roles}
            if (rule.required or rule.usual) and not flags & {str(word).partition("=")[0] for word in given}:
                words += self.first(role)
        return words

    def first(self, role: str) -> list[str]:
        """The words of a source of the first kind that the platform takes in a role."""
        for kind in self.platform.capabilities.accepted(role, self.kinds):
            if text := self.text(kind):
                return [f"{kind.roles[role].flag}={text}"]
        pytest.skip(f"{self.name} takes no {role} of a kind that says an example")

    def text(self, kind: SourceKind) -> str:
        """A text to try of a kind; empty when neither the world nor the kind says one."""
        return self.world.texts.get(kind.name, kind.example)

    def source(self, role: str, kind: SourceKind) -> Source:
        """The source that the text of a kind is in a role: several kinds may share the flag."""
        text = self.text(kind)
        sharing = [one for one in self.kinds.values() if one.roles.get(role) == kind.roles[role]]
        meant = next((one for one in sharing if one.recognises(text)), sharing[0])
        return meant.parse(text, Path.cwd())

    def text_settings(self) -> list[Parameter]:
        """The platform's settings that take any text, but for those that the world's options give."""
        given = {str(word).partition("=")[0] for word in self.world.options}
        settings = parameters_of(self.platform.settings)
        return [one for one in settings if one.bare is str and not one.choices and not given & {*one.flags}]

    def watch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Keep every plan that the platform renders from now on."""
        rendering: Any = type(self.platform).render

        def render(*args: Any, **more: Any) -> Plan:
            plan: Plan = rendering(*args, **more)
            self.plans.append(plan)
            return plan

        monkeypatch.setattr(type(self.platform), "render", render)
