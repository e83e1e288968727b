"""The version of the plugin API that a plugin was written for, held against this robotrain's."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from robotrain.claims import Claim

NAME = "ROBOTRAIN_API"


FIRST = 1
"""That of a plugin which says none."""


def of(claim: Claim) -> Any:
    """The version that a loaded plugin was written for, as its module says it."""
    return getattr(sys.modules.get(claim.point.value.partition(":")[0].strip()), NAME, FIRST)


def must_suit(claim: Claim) -> None:
    """Raises Unsuitable for a plugin whose module says a version that this robotrain does not take."""
    from robotrain import __version__
    from robotrain.loading.ways import Unsuitable
    from robotrain.problem import Instead
    from robotrain.stable import API, OLDEST

    said = of(claim)
    if not isinstance(said, int) or isinstance(said, bool):
        raise Unsuitable(f"{NAME} is a whole number such as {API}")
    written = f"it is written for version {said} of the plugin API, and robotrain {__version__}"
    if said > API:
        way = Instead("uv pip install --upgrade robotrain-core", "a newer robotrain has it")
        raise Unsuitable(f"{written} has version {API}", way)
    if said < OLDEST:
        takes = f"{OLDEST} to {API}" if OLDEST < API else str(API)
        way = Instead(f"uv pip install --upgrade {claim.point.distribution}", "a newer release may suit")
        raise Unsuitable(f"{written} takes version {takes}", *([way] if claim.point.version else []))


def outdated(claim: Claim) -> str:
    """That a plugin which works was written for an older version, as a note; empty where it was not."""
    from robotrain.stable import API

    said = of(claim)
    if claim.own or said >= API:
        return ""
    return f"it is written for version {said} of the plugin API, and the newest is {API}: it works all the same"
