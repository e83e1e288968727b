"""The machine that packages are locked for: Linux on x86_64, and a version of Python."""

import re
from collections.abc import Mapping
from functools import cached_property

from packaging.specifiers import SpecifierSet
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from robotrain.errors import Rejected
from robotrain.messages import Messages

make_problem = Messages(__file__)

PYTHON_FLAG = "--python-version"
PYTHONS = ("3.12", "3.11", "3.10", "3.13")
"""The versions that robotrain's images and most machines have, the preferred one first."""
GLIBC = 28
"""The minor version of the glibc that most images have, or a newer one: that of Debian 10 and RHEL 8."""
NEWEST_GLIBC = 39
"""That of the newest usual images, for packages that have no wheel for an older one: Ubuntu 24.04."""
OLDER = ("manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64", "linux_x86_64")
UV_PLATFORM = f"x86_64-manylinux_2_{GLIBC}"


class Target:
    """A Linux machine on x86_64 with a version of Python such as `3.12`."""

    def __init__(self, python: str) -> None:
        self.python = python
        self.description = f"Python {python} on Linux x86_64"
        self.markers = {
            "implementation_name": "cpython",
            "implementation_version": f"{python}.0",
            "os_name": "posix",
            "platform_machine": "x86_64",
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": f"{python}.0",
            "python_version": python,
            "sys_platform": "linux",
        }

    @cached_property
    def _tags(self) -> list[frozenset[Tag]]:
        """The tags of wheels that run on most machines, and on new ones."""
        version, tags = [int(part) for part in self.python.split(".")], []
        for newest_glibc in (GLIBC, NEWEST_GLIBC):
            platforms = [*(f"manylinux_2_{number}_x86_64" for number in range(newest_glibc, 4, -1)), *OLDER]
            compatible = compatible_tags(version, f"cp{version[0]}{version[1]}", platforms)
            tags.append(frozenset([*cpython_tags(version, platforms=platforms), *compatible]))
        return tags

    def choose_wheels(self, wheel_names: Mapping[str, object]) -> list[str]:
        """Return the names of the wheels that fit: those for most machines, or else those for new ones only."""
        tags: dict[str, frozenset[Tag]] = {}
        for name in wheel_names:
            try:
                tags[name] = parse_wheel_filename(name)[3]
            except InvalidWheelFilename:
                continue
        fitting_wheels = (
            [name for name, wheel_tags in tags.items() if wheel_tags & accepted_tags] for accepted_tags in self._tags
        )
        return next(filter(None, fitting_wheels), [])


def choose_python(requested: object, version_file: str, requires: str, origin: str) -> tuple[str, bool]:
    """Return the version of Python to lock for, and whether nothing asks for it. Raise Rejected if none fits.

    :param requested: the value of `--python-version`, or None.
    :param version_file: the content of `.python-version`; empty for none.
    :param requires: the project's `requires-python`, which `origin` names; empty for none.
    """
    if requested is not None and not re.fullmatch(r"3\.\d+(?:\.\d+)?", str(requested)):
        raise Rejected([make_problem("value-invalid", given=str(requested), pythons=PYTHONS[0])])
    match = re.search(r"^(?:cpython[@-]?)?(3\.\d+)", str(requested or version_file), re.MULTILINE)
    wanted_versions = (match[1],) if match else PYTHONS
    allowed_versions = SpecifierSet(requires)
    fitting_versions = [
        version for version in wanted_versions if any(f"{version}.{patch}" in allowed_versions for patch in (0, 99))
    ]
    if not fitting_versions:
        requested = f"requires-python = {requires}"
        raise Rejected(
            [make_problem("python-not-allowed", where=origin, given=requested, names=", ".join(wanted_versions))]
        )
    return fitting_versions[0], not match and not requires
