"""The package of a new plugin, which `robotrain plugins new` writes: from the templates beside this module."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from string import Template
from typing import NamedTuple

from robotrain import __version__

NAME_PATTERN = r"[a-z][a-z0-9]*([-_][a-z0-9]+)*"
MAX_NAME = 30
"""Longer names would not fit the lines of the templates."""
MODULES = {"platform": "platform", "source": "kind", "workload": "workload"}
"""By what a plugin brings, the module that its claim names. The templates of each are in a folder of that name."""
EVERY, SUFFIX = "every", ".tmpl"


class NewPlugin(NamedTuple):
    """A plugin to write: what it brings, by which name."""

    family: str
    given: str
    remote: bool = False
    """Whether a platform's engine shares no disk with the machine that submits."""
    scheduler: bool = False
    """Whether a command of a scheduler sends the jobs of a platform."""

    @property
    def name(self) -> str:
        """The name that users type and that the plugin claims: a source kind has no dash, all others no underline."""
        return self.given.replace("-", "_") if self.family == "source" else self.slug

    @property
    def slug(self) -> str:
        """The name as part of a flag."""
        return self.given.replace("_", "-")

    @property
    def flag(self) -> str:
        """The flag that the package declares by its name; empty if it declares none."""
        return f"--{self.slug}" if self.family == "source" else ""

    @property
    def claim(self) -> str:
        """The name of its entry point."""
        return f"{self.family}.{self.name}"

    @property
    def distribution(self) -> str:
        """The name of its distribution, and of its folder."""
        return f"robotrain-{self.slug}"

    @property
    def package(self) -> str:
        """The name of its package."""
        return self.distribution.replace("-", "_")

    def make_files(self) -> dict[str, str]:
        """Return its files by their paths."""
        short = self.package.removeprefix("robotrain_")
        words = {
            "family": "source kind" if self.family == "source" else self.family,
            "name": self.name,
            "slug": self.slug,
            "claim": self.claim,
            "distribution": self.distribution,
            "package": self.package,
            "module": f"{self.package}.{MODULES[self.family]}",
            "short": short,
            "class_name": "".join(word.title() for word in self.slug.split("-")),
            "version": __version__,
        }
        root = files(__package__).joinpath("plugin_templates")
        kind = "_remote" if self.remote else "_scheduler" if self.scheduler else ""
        own = f"{self.family}{kind}"
        made = {}
        for path, template in (one for folder in (EVERY, own) for one in _read_templates(root / folder)):
            place = path.replace("PACKAGE", self.package).replace("SHORT", short)
            made[place.removesuffix(SUFFIX)] = Template(template).substitute(words)
        return dict(sorted(made.items()))


def is_valid_name(name: str) -> bool:
    """Return whether a plugin can have this name."""
    return len(name) <= MAX_NAME and bool(re.fullmatch(NAME_PATTERN, name))


def _read_templates(folder: Traversable, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield the path of each template below the folder, and its text."""
    for one in folder.iterdir():
        if one.is_dir():
            yield from _read_templates(one, f"{path}{one.name}/")
        elif one.name.endswith(SUFFIX):
            yield path + one.name, one.read_text(encoding="utf-8")
