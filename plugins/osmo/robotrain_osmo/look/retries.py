"""How often OSMO starts a task again that was preempted: a number of the whole service, which as shipped is 0. It is in
its configuration, and that is shown to its administrators alone.
"""

from collections.abc import Iterator

from robotrain.problem import Instead, Problem, Stage

from robotrain_osmo.cli import asking, refusals
from robotrain_osmo.cli.refusals import Refused
from robotrain_osmo.order import Order

NAME = "max_retry_per_task"
WAY = Instead(f"{NAME} of at least 1", f"what to ask the administrator for: `osmo config update WORKFLOW`, {NAME}")


def most(cli: str, seconds: float) -> int:
    """That number. Raises Refused, also for who may not see it."""
    told = asking.said(cli, "config", "show", "WORKFLOW", NAME, seconds=seconds, stage=Stage.PREFLIGHT)
    try:
        return int(told)
    except ValueError:
        raise Refused(refusals.no_json(), Stage.PREFLIGHT) from None


def problems(order: Order, seconds: float) -> Iterator[Problem]:
    """That no task is started again; nothing where that is not told: other looks say what is wrong with a service."""
    try:
        found = most(order.cli, seconds)
    except Refused:
        return
    if found < 1:
        yield none()


def none() -> Problem:
    """No task is started again."""
    return Problem(
        code="osmo-no-retries",
        stage=Stage.PREFLIGHT,
        title="this OSMO starts no task again: a run that is preempted or evicted has failed",
        why=f"Its {NAME} is 0.",
        instead=(WAY, Instead("robotrain resume RUN", "then goes on from the last checkpoint that was published")),
        severity="warning",
    )
