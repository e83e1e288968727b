"""The declaration: brought as it is claimed, whole, and beside the others without taking anything of theirs."""

import re
import typing
from pathlib import Path

import pytest

from robotrain.cli.job.options import every_flag
from robotrain.plugins import Plugins
from robotrain.source import SourceKind
from robotrain.testing import command_line, probe
from robotrain.testing.source.base import BASE, OfKind, reader
from robotrain.testing.still import still

FLAG = r"--[a-z0-9]+(-[a-z0-9]+)*"
SHORT = rf"{FLAG}|-[a-zA-Z]"


class Declaration(OfKind):
    """Of the SourceKind record."""

    def test_it_brings_what_it_claims(self, declared: SourceKind) -> None:
        """The name of the entry point is its claim: the kind of that name is brought, and nothing fails on the way."""
        plugins = Plugins()
        plugins.source_kinds()
        failed = [str(failure) for claim, failure in plugins.failures.items() if claim.name == self.kind]
        assert declared.name == self.kind
        assert not failed

    def test_its_declaration_is_whole(self, declared: SourceKind) -> None:
        """Help, refusals and docs are made from these texts: none is empty, and no flag is misspelt."""
        for name in ("name", "title", "form", "example", "help"):
            assert getattr(declared, name).strip(), f"{name} is empty"
        assert re.fullmatch(r"[a-z][a-z0-9_]*", declared.name), "a kind's name is small letters, digits and `_`"
        assert declared.roles, "it fills no role: nothing could name it"
        for role, flag in declared.roles.items():
            assert role in probe.ROLES, f"no role is called {role!r}; there are {', '.join(probe.ROLES)}"
            assert re.fullmatch(FLAG, flag.flag), f"{flag.flag!r} is no long option"
            assert all(re.fullmatch(SHORT, alias) for alias in flag.aliases), f"{flag.aliases} are no options"

    def test_its_example_parses_in_an_empty_folder(self, declared: SourceKind, kit_folders: Path) -> None:
        """The example is tried on every platform, on machines where nothing of it is there."""
        with still():
            source = declared.parse(declared.example, kit_folders)
        assert reader(declared, source).parse(str(source), BASE) == source

    def test_its_flags_are_its_own(self, declared: SourceKind) -> None:
        """A flag means one thing: none is robotrain's, a workload's or a platform's."""
        plugins = Plugins()
        others: list[typing.Any] = [*plugins.workloads().values(), *plugins.platforms().values()]
        taken = {flag: other.name for other in others for flag in every_flag(_said_of(other))}
        for flag in declared.roles.values():
            for spelling in (flag.flag, *flag.aliases):
                assert spelling not in taken, f"{spelling} is an option of {taken.get(spelling)}"

    def test_its_flags_clash_with_nothing(self, declared: SourceKind, probed: None) -> None:
        """What robotrain finds when it composes the options: a flag shared by kinds is the same throughout."""
        answer = command_line.run("explain", probe.NAME, "--platform", probe.NAME, "--json")
        clashes = [one for one in answer.json.get("problems", ()) if one["code"].endswith("-clash")]
        assert not [one["title"] for one in clashes if re.search(rf"\b{declared.name}\b", one["title"])]

    def test_where_a_flag_is_shared_the_text_tells_the_kind(self, declared: SourceKind) -> None:
        """Kinds may share a flag where the text says which is meant: its own recogniser knows it, no other's does."""
        sharing = [kind for kind in Plugins().source_kinds().values() if kind.name != self.kind]
        sharing = [kind for kind in sharing if set(kind.roles.items()) & set(declared.roles.items())]
        if sharing or declared.target or declared.carried:
            assert declared.recognises(declared.example), "it does not recognise its own example"
        for text in (declared.example, *self.good):
            takers = [kind.name for kind in sharing if declared.recognises(text) and kind.recognises(text)]
            assert not takers, f"{text} is taken for one of {', '.join(takers)} as well"

    def test_the_recogniser_asks_nothing(self, declared: SourceKind) -> None:
        """Every text of a job is shown to every recogniser: it looks at the text alone, and always answers."""
        with still():
            answers = [declared.recognises(text) for text in ("", " ", "\x00", "x", "://", *self.good, *self.bad)]
        assert all(isinstance(answer, bool) for answer in answers)

    @pytest.mark.parametrize("asked", ["half", "target"])
    def test_a_module_that_it_names_is_there(self, declared: SourceKind, asked: str) -> None:
        """What acts in the container is packed by its name."""
        from importlib.util import find_spec

        module = getattr(declared, asked)
        assert not module or find_spec(module), f"{asked}: no module is called {module}"


def _said_of(other: typing.Any) -> type:
    """The dataclass of a workload's parameters or a platform's settings."""
    return typing.cast(type, getattr(other, "parameters", None) or other.settings)
