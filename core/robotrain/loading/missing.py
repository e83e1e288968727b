"""A module that a plugin needs and that is not there: what to install."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

import re
import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING

from robotrain.claims import normal
from robotrain.entry_points import requirements

if TYPE_CHECKING:
    from robotrain.claims import Claim

OURS = ("robotrain", "robotrain_runtime")


def install(claim: Claim, error: ImportError) -> str:
    """What to type: the plugin's own requirements that are not installed; else the package that the module is named
    for, which as a rule has its name.
    """
    wanted = (error.name or "").partition(".")[0]
    distribution = shlex.quote(claim.point.distribution)
    if wanted in OURS:  # a name that this robotrain does not have yet, or not any more
        return f"uv pip install --upgrade robotrain-core {distribution}"
    if wanted == claim.point.value.partition(":")[0].partition(".")[0]:
        return f"uv pip install --reinstall {distribution}"
    needed = list(_not_installed(claim)) or [normal(wanted)]
    return f"uv pip install {' '.join(map(shlex.quote, needed))}"


def _not_installed(claim: Claim) -> Iterator[str]:
    """The plugin's requirements that hold everywhere and are not there, as it words them."""
    from importlib.metadata import PackageNotFoundError, version

    for requirement in requirements(claim.project):
        name = re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]
        if ";" not in requirement:
            try:
                version(name)
            except PackageNotFoundError:
                yield re.sub(r"[\s()]", "", requirement)
