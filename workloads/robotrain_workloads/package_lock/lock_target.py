"""The machine that a program's packages are locked for: Linux on x86_64, and a version of Python."""

import re
from collections.abc import Mapping
from functools import cached_property
from typing import NamedTuple

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from robotrain.errors import Problem, Rejected
from robotrain.messages import Messages

make_problem = Messages(__file__)

PYTHON_FLAG = "--python-version"
PYTHONS = ("3.12", "3.11", "3.10", "3.13")
"""The versions that robotrain's images and most machines have, the preferred one first."""
GLIBC = 28
"""The minor version of the glibc that most images have, or a newer one: that of Debian 10 and RHEL 8."""
NEWEST_GLIBC = 39
"""That of the newest usual images, for packages that have no wheel for an older one: Ubuntu 24.04."""
UV_PLATFORM = f"x86_64-manylinux_2_{GLIBC}"


class Target:
    """A Linux machine on x86_64 with a version of Python such as `3.12`."""

    def __init__(self, python: str) -> None:
        self.python = python

    @property
    def description(self) -> str:
        """The target, for people."""
        return f"Python {self.python} on Linux x86_64"

    @property
    def markers(self) -> Mapping[str, str]:
        """The values of environment markers."""
        return {
            "implementation_name": "cpython",
            "implementation_version": f"{self.python}.0",
            "os_name": "posix",
            "platform_machine": "x86_64",
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": f"{self.python}.0",
            "python_version": self.python,
            "sys_platform": "linux",
        }

    @cached_property
    def _tags(self) -> tuple[frozenset[Tag], frozenset[Tag]]:
        """The tags of wheels that run on most machines, and on new ones."""
        major, _, minor = self.python.partition(".")
        version = int(major), int(minor)
        found = []
        for newest in (GLIBC, NEWEST_GLIBC):
            older = ("manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64", "linux_x86_64")
            platforms = [*(f"manylinux_2_{number}_x86_64" for number in range(newest, 4, -1)), *older]
            own = cpython_tags(python_version=version, platforms=platforms)
            others = compatible_tags(python_version=version, interpreter=f"cp{major}{minor}", platforms=platforms)
            found.append(frozenset([*own, *others]))
        return found[0], found[1]

    def choose_wheels(self, names: Mapping[str, object]) -> list[str]:
        """Return the names of the wheels that fit: those for most machines, or else those for new ones only."""
        tags: dict[str, frozenset[Tag]] = {}
        for name in names:
            try:
                tags[name] = parse_wheel_filename(name)[3]
            except InvalidWheelFilename:
                continue
        for fitting in self._tags:
            if found := [name for name, own in tags.items() if own & fitting]:
                return found
        return []


class PythonChoice(NamedTuple):
    """A version of Python, and why it is that one."""

    version: str
    origin: str


def choose_python(given: object, version_file: str, requires: str, where: str) -> PythonChoice:
    """Return the version of Python to lock for. Raise Rejected if what was given does not fit the project.

    :param given: the value of `--python-version`, or None.
    :param version_file: the content of `.python-version`; empty for none.
    :param requires: the project's `requires-python`, which `where` names; empty for none.
    """
    allowed = _parse_requires(requires, where)
    pinned = re.search(r"^(?:cpython[@-]?)?(3\.\d+)", version_file, re.MULTILINE)
    if given is not None:
        match = re.fullmatch(r"(3\.\d+)(?:\.\d+)?", str(given))
        if match is None:
            raise Rejected([make_problem("value-invalid", given=str(given), pythons=PYTHONS[0])])
        choice = PythonChoice(match[1], PYTHON_FLAG)
    elif pinned:
        choice = PythonChoice(pinned[1], ".python-version")
    else:
        fitting = [version for version in PYTHONS if _is_allowed(version, allowed)]
        if not fitting:
            raise Rejected([_make_requires_problem("none of Python 3.10 to 3.13", requires, where)])
        return PythonChoice(fitting[0], f"requires-python of {where}" if requires else "default")
    if not _is_allowed(choice.version, allowed):
        raise Rejected([_make_requires_problem(f"no Python {choice.version} ({choice.origin})", requires, where)])
    return choice


def _parse_requires(requires: str, where: str) -> SpecifierSet:
    try:
        return SpecifierSet(requires)
    except InvalidSpecifier:
        raise Rejected([make_problem("requirement-invalid.requires-python", where=where, given=requires)]) from None


def _is_allowed(version: str, allowed: SpecifierSet) -> bool:
    return any(f"{version}.{patch}" in allowed for patch in (0, 99))


def _make_requires_problem(what: str, requires: str, where: str) -> Problem:
    return make_problem("python-not-allowed", where=where, given=f"requires-python = {requires}", what=what)
