"""The way of a source from what was typed to the document that the container reads: by every door, the same one."""

import json
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from robotrain.inputs import env_names
from robotrain.plugins import Plugins
from robotrain.source import SourceKind
from robotrain.testing import command_line, probe
from robotrain.testing.source.base import BASE, OfKind

FILE = "job.yaml"
Arrived = tuple[str, str, str]
"""Role, kind and printed form."""


class Journey(OfKind):
    """Of the example, in each of its roles."""

    def test_flags_files_and_saved_jobs_say_the_same(self, declared: SourceKind, probed: None) -> None:
        """What is typed reaches the container unchanged and in order, and so does the file that it is saved to."""
        typed = _rendered(*_flags(declared), "--save-as", FILE)
        assert typed == _expected(declared)
        assert _rendered(FILE) == typed

    def test_environment_names_say_the_same(
        self, declared: SourceKind, probed: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A flag has names in the environment: robotrain's own, and those that the kind declares."""
        for names in _names(declared):
            with monkeypatch.context() as said:
                for name in names:
                    said.setenv(name, declared.example)
                assert _rendered() == _expected(declared), f"said with {', '.join(names)}"

    def test_a_platform_that_takes_any_kind_carries_it(self, declared: SourceKind, probed: None) -> None:
        """`ANY` in a platform's declaration means strangers' kinds: on this machine nothing else has to be said."""
        if not declared.half:
            pytest.skip("nothing of it acts in the container: a platform has to mount it")
        platforms = Plugins().platforms().values()
        here = [platform for platform in platforms if platform.capabilities.feature("runs_here")]
        for platform in here:
            roles = [role for role in declared.roles if platform.capabilities.source(role, declared)]
            if roles:
                assert _rendered(*_flags(declared, roles), platform=platform.name) == _expected(declared, roles)


def _rendered(*words: str, platform: str = probe.NAME) -> list[Arrived]:
    """The sources in the document that a job is rendered to."""
    workload = () if FILE in words[:1] else (probe.NAME,)
    to = tempfile.mkdtemp(dir=".")
    answer = command_line.run("render", *workload, *words, "--platform", platform, "--to", to)
    assert answer.exit_code == 0, str(answer)
    (document,) = Path(to).rglob(probe.DOCUMENT)
    return [(one["role"], one["kind"], one["uri"]) for one in json.loads(document.read_text())["sources"]]


def _flags(kind: SourceKind, roles: Iterable[str] = ()) -> list[str]:
    """The example in each role."""
    chosen = {role: flag for role, flag in kind.roles.items() if role in (roles or kind.roles)}
    return [word for flag in chosen.values() for word in (flag.flag, kind.example)]


def _expected(kind: SourceKind, roles: Iterable[str] = ()) -> list[Arrived]:
    """In the order of the roles, each as its printed form."""
    source = kind.parse(kind.example, BASE)
    return sorted(
        [(role, source.kind, str(source)) for role in (roles or kind.roles)], key=lambda one: probe.ROLES.index(one[0])
    )


def _names(kind: SourceKind) -> Iterator[list[str]]:
    """A name for each role; as often as any of them has names."""
    found = [env_names(flag) for flag in kind.roles.values()]
    for number in range(max(map(len, found))):
        yield [names[min(number, len(names) - 1)] for names in found]
