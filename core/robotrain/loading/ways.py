"""The ways out of a plugin's failure: install what is missing, give it more time, see where, go on without it."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

from collections.abc import Iterator
from typing import TYPE_CHECKING

from robotrain.problem import Instead

if TYPE_CHECKING:
    from robotrain.claims import Claim

TRACEBACK = "ROBOTRAIN_TRACEBACK"
MORE = {"ROBOTRAIN_HOOK_SECONDS": 30, "ROBOTRAIN_PLUGIN_SECONDS": 900}
"""Seconds to try next."""


class Unsuitable(Exception):
    """Why a plugin cannot be taken, as a sentence of ours. ways: what else to do about it."""

    def __init__(self, why: str, *ways: Instead) -> None:
        super().__init__(why)
        self.ways = ways


def out(claim: Claim, cause: BaseException) -> Iterator[Instead]:
    """Best first; the last is the one that always helps the others' work."""
    from robotrain.limited import Overdue

    if isinstance(cause, ImportError):
        from robotrain.loading.missing import install

        yield Instead(install(claim, cause), "installs what is missing")
    elif isinstance(cause, Overdue):
        yield Instead(f"{cause.setting}={MORE[cause.setting]} robotrain …", "gives it more time")
    elif isinstance(cause, Unsuitable):
        yield from cause.ways
    if not isinstance(cause, (Overdue, Unsuitable)):
        yield Instead(f"{TRACEBACK}=1 robotrain …", "shows where, for whoever mends it")
    if not claim.own:
        yield without(claim)


def without(claim: Claim) -> Instead:
    """To go on without what brings a claim."""
    from robotrain.loading.file_point import from_file

    if from_file(claim):
        return Instead("robotrain …", "without --plugins-from: goes on without it")
    import shlex

    return Instead(f"robotrain --without {shlex.quote(claim.point.distribution)} …", "goes on without it")
