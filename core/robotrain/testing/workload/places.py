"""Where it runs: every platform that says yes renders it, and what it needs is asked for."""

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

import pytest
from robotrain_runtime.parameter import parameters_of

from robotrain.platforms import Platform
from robotrain.plugins import Plugins
from robotrain.testing import command_line, probe
from robotrain.testing.workload.base import OfWorkload, refused
from robotrain.workload import Workload


class Places(OfWorkload):
    """options: by platform, the words that its settings need."""

    yours: ClassVar[tuple[str, ...]] = ("options",)
    options: ClassVar[Mapping[str, Sequence[str]]] = {}

    def test_its_roles_are_known(self, declared: Workload) -> None:
        """A role says what an input is for: source kinds fill those that there are."""
        assert {*declared.roles} <= {*probe.ROLES}, f"there are {', '.join(probe.ROLES)}"

    def test_an_input_that_it_needs_is_asked_for(self, declared: Workload, probed: None) -> None:
        """A job without its data is refused where it is typed, exit code 2, with what to type."""
        needed = [role for role, rule in declared.roles.items() if rule.required]
        if not needed:
            pytest.skip("it needs no input")
        answer, problems = refused(self.workload)
        titles = [problem["title"] for problem in problems if problem["code"] == "source-missing"]
        assert answer.exit_code == 2, str(answer)
        assert "plugin-failed" not in answer.codes, f"`check` takes it for granted: {answer}"
        assert not [role for role in needed if not any(role in title for title in titles)], str(answer)

    def test_every_platform_that_says_yes_renders_it(self, declared: Workload, probed: None) -> None:
        """A platform's yes is a promise: with its own settings said, the job becomes a plan."""
        plugins = Plugins()
        kinds = plugins.source_kinds()
        flags = {flag for one in parameters_of(declared.parameters) for flag in one.flags}
        for name, platform in plugins.platforms().items():
            if not platform.capabilities.workload(declared.name):
                continue
            words = [*_inputs(declared, platform, kinds), *self.options.get(name, ())]
            answer = command_line.run("render", self.workload, "--platform", name, *words, "--json")
            if answer.exit_code and name not in self.options:  # its settings are not said; the rest counts
                wrong = [one for one in answer.json["problems"] if one["severity"] == "error"]
                assert not [one for one in wrong if one["where"] in flags or "workload" in one["code"]], str(answer)
            else:
                assert answer.exit_code == 0, str(answer)


def _inputs(declared: Workload, platform: Platform, kinds: Mapping[str, object]) -> Iterator[str]:
    """An example of each input that is needed, of the first kind that the platform takes."""
    for role, rule in declared.roles.items():
        accepted = platform.capabilities.accepted(role, kinds) if rule.required else []  # type: ignore[arg-type]  # kinds
        for kind in accepted[:1]:
            yield from (kind.roles[role].flag, kind.example)
