"""What installed distributions claim to bring, read from their metadata without importing anything.

A claim is the name of an entry point in the group `robotrain`: `platform.NAME`, `source.NAME`, `workload.NAME`,
`command.NAME`; a name without a dot is a site plugin.
"""

import functools
import re
from typing import NamedTuple

from robotrain.entry_points import EntryPoint, of_group, requirements

GROUP = "robotrain"
FAMILIES = ("platform", "workload", "source", "command")


class Claim(NamedTuple):
    """A name that an installed distribution claims. family is empty for a site plugin."""

    family: str
    name: str
    point: EntryPoint

    @property
    def project(self) -> str:
        """The distribution's name, in its one spelling."""
        return normal(self.point.distribution)

    @property
    def distribution(self) -> str:
        """`name version` of what brings it; of a plugin file its path."""
        return f"{self.point.distribution} {self.point.version}".rstrip()

    @property
    def dotted(self) -> str:
        """As metadata have it: `platform.slurm`."""
        return ".".join(part for part in (self.family, self.name) if part)

    @property
    def own(self) -> bool:
        """Whether robotrain itself comes with it."""
        return self.project in built_in()

    def __str__(self) -> str:
        return " ".join(part for part in (self.family, self.name) if part)


def read_claims() -> tuple[Claim, ...]:
    """Every claim, sorted by family and name; a broken plugin is among them."""
    found = [Claim(*_split(point.name), point) for point in of_group(GROUP)]
    return tuple(sorted(found, key=lambda claim: (claim.family, claim.name, claim.distribution)))


def _split(point_name: str) -> tuple[str, str]:
    family, dot, name = point_name.partition(".")
    return (family, name) if dot and family in FAMILIES else ("", point_name)


@functools.cache
def built_in() -> set[str]:
    """What the distribution `robotrain` itself requires, extras included."""
    return {normal(re.split(r"[^A-Za-z0-9._-]", need, maxsplit=1)[0]) for need in requirements("robotrain")}


def normal(distribution: str) -> str:
    """The name of a distribution in its one spelling."""
    return re.sub(r"[-_.]+", "-", distribution).lower()
