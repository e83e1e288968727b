"""How large a workflow may be. OSMO renders it in half a second or not at all, and keeps it in one piece."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from robotrain_osmo.order import WORKFLOW

if TYPE_CHECKING:
    from robotrain.plan import Plan
    from robotrain.problem import Instead, Problem

LARGE = 400 << 10
MOST = 1 << 20
"""Bytes. A service was seen to take 1.4 MB when it had nothing else to do, and to give up on 2.8 MB; Kubernetes takes
1 MiB in a file of a task, and three quarters of this are that file. A busy one needs several times as long: LARGE
leaves it that. Ordinary jobs stay below; the archive of a larger one is uploaded where there is a place for it.
"""


def too_large(found: int) -> "Problem":
    """Why a workflow of so many bytes is none."""
    from robotrain.amounts import size
    from robotrain.problem import Problem, Stage

    return Problem(
        code="osmo-workflow-too-large",
        stage=Stage.CHECK,
        title=f"the workflow has {size(found)}, and OSMO takes about 1 MB",
        why="The runtime and the modules of the job travel in it.",
        instead=_uploaded(),
    )


def _uploaded() -> "tuple[Instead, ...]":
    from robotrain.problem import Instead

    return (Instead("--storage-account NAME", "then the archive in it is uploaded there, and read from there"),)


def wrong_with(plan: "Plan") -> "Iterator[Problem]":
    """What is to be said of the size of a plan's workflow."""
    from robotrain.amounts import size
    from robotrain.problem import Problem, Stage

    found = len(plan.files[WORKFLOW])
    if found > MOST:  # of a plan that was kept
        yield too_large(found)
    elif found > LARGE:
        yield Problem(
            code="osmo-workflow-large",
            stage=Stage.PREFLIGHT,
            title=f"the workflow has {size(found)}: OSMO may refuse it when it is busy",
            why="It gives the reading of a workflow half a second. What it refused for that may be sent again.",
            instead=_uploaded(),
            severity="warning",
        )
