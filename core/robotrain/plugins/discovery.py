"""Discovery of plugins: the names that installed distributions claim, without those that --without excludes.

A claim is the name of an entry point in the group `robotrain`: `platform.NAME`, `source.NAME`, `workload.NAME`,
`command.NAME`; a name without a dot is a site plugin. `default-workload.NAME` beside `workload.NAME` says that a job
that names no workload means this one: nothing is imported to learn that.
https://packaging.python.org/en/latest/specifications/entry-points/
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import itertools
import operator
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from typing import Any, NamedTuple

from robotrain.errors import Problem, Suggestion, raise_if_any
from robotrain.messages import Messages
from robotrain.nearest_name import suggest_name
from robotrain.redaction import redact

make_problem = Messages(__file__)

GROUP = "robotrain"
FAMILIES = ("platform", "workload", "source", "command")
DEFAULT_WORKLOAD = "default-workload."
HOOKS = {
    "platform": "robotrain_platforms",
    "source": "robotrain_source_kinds",
    "workload": "robotrain_workloads",
    "health": "robotrain_health",
}
"""The hook that provides each family."""


class Claim(NamedTuple):
    """A name that an entry point of an installed distribution claims; `family` is empty for a site plugin."""

    family: str
    name: str
    value: str
    """`module` or `module:attribute`."""
    package: str
    """The name of its distribution; the path of a plugin file."""
    version: str
    built_in: bool
    """Whether it is part of robotrain."""
    is_default: bool = False
    """Whether it is the workload of a job that names none."""

    @property
    def project(self) -> str:
        """Return the distribution's normalized name."""
        return normalize_name(self.package)

    @property
    def distribution(self) -> str:
        """Return name and version of its distribution; the path of a plugin file."""
        return f"{self.package} {self.version}".rstrip()

    @property
    def dotted(self) -> str:
        """Return the entry point's name, such as `platform.acme`."""
        return ".".join(filter(None, (self.family, self.name)))

    @property
    def module(self) -> str:
        """Return the name of its module."""
        return self.value.partition("[")[0].partition(":")[0].strip()

    @property
    def top_package(self) -> str:
        """Return the name of the package that its module is in."""
        return self.module.partition(".")[0]

    @property
    def source(self) -> str:
        """Return the claim and its distribution."""
        return f"{self} ({self.distribution})"

    @property
    def from_file(self) -> bool:
        """Return whether it is of a plugin file."""
        return os.sep in self.package

    def load(self) -> Any:
        """Import and return what it names. Raise what the import raises."""
        attribute = self.value.partition("[")[0].partition(":")[2]
        loaded: Any = importlib.import_module(self.module)
        for part in filter(None, attribute.strip().split(".")):
            loaded = loaded[part] if isinstance(loaded, Mapping) else getattr(loaded, part)
        return loaded

    def matches(self, name: str) -> bool:
        """Return whether a value of --without excludes it: its name, or that of its distribution."""
        return self.dotted == name or self.project == normalize_name(name)

    def __str__(self) -> str:
        return " ".join(filter(None, (self.family, self.name)))


def make_claim(point: str, value: str, package: str, version: str = "") -> Claim:
    """Return the claim of an entry point by its name."""
    family, _, name = point.partition(".")
    claim_names = (family, name) if name and family in FAMILIES else ("", point)
    built_in = normalize_name(package) in list_built_in_distributions()
    return Claim(*claim_names, value, package, version, built_in)


def read_claims() -> tuple[Claim, ...]:
    """Return every claim, sorted by family and name, broken plugins included.

    Of two distributions with the same name the first on the path counts.
    """
    claims: list[Claim] = []
    for distribution, points in itertools.groupby(metadata.entry_points(group=GROUP), operator.attrgetter("dist")):
        name, version = distribution.name, distribution.version
        value_by_point = {point.name: point.value for point in points}
        for point_name, value in value_by_point.items():
            if not point_name.startswith(DEFAULT_WORKLOAD):
                claim = make_claim(point_name, value, name, version)
                is_default = claim.family == "workload" and DEFAULT_WORKLOAD + claim.name in value_by_point
                claims.append(claim._replace(is_default=is_default))
    return tuple(sorted(claims, key=lambda claim: (claim.family, claim.name, claim.distribution)))


@functools.cache
def list_built_in_distributions() -> set[str]:
    """Return the normalized names of what the distribution `robotrain` requires, extras included; none without it."""
    with contextlib.suppress(metadata.PackageNotFoundError):
        requirements = metadata.requires("robotrain") or []
        return {normalize_name(match[0]) for match in map(re.compile(r"[\w.-]+").match, requirements) if match}
    return set()


@functools.cache
def normalize_name(distribution: str) -> str:
    """Return the normalized name of a distribution."""
    return "-".join(filter(None, distribution.lower().replace("_", "-").replace(".", "-").split("-")))


def exclude_claims(claims: Sequence[Claim], without: Iterable[str]) -> tuple[Claim, ...]:
    """Return the claims that are not excluded. Raise Rejected for names that exclude nothing."""
    excluded_names = list(dict.fromkeys(without))
    full_names = [name for claim in claims for name in (claim.package, claim.dotted)]
    problems = list[Problem]()
    for name in excluded_names:
        if not any(claim.matches(name) for claim in claims):
            ways = suggest_name(name, full_names, "--without ")
            listing = Suggestion("robotrain plugins", "lists what is installed")
            problems.append(make_problem("plugin-unknown", *ways or [listing], given=name, name=redact(name)))
    raise_if_any(problems)
    return tuple(claim for claim in claims if not any(map(claim.matches, excluded_names)))
