"""A workflow, asked for: one call of the `osmo` command that the run was sent with."""

from robotrain.run import Reference, RunGone

from robotrain_osmo.cli import asking, refusals
from robotrain_osmo.watch import states
from robotrain_osmo.watch.states import Workflow

SECONDS = 20.0


def ask(reference: Reference) -> Workflow:
    """What OSMO says of it now. Raises RunGone when it knows no such workflow, Rejected when it cannot be asked."""
    name = reference.get("workflow", "")
    try:
        answer = asking.ask(cli(reference), "workflow", "query", name, "-t", "json", seconds=SECONDS)
    except refusals.Refused as refused:
        if refused.refusal.code == refusals.UNKNOWN_WORKFLOW:
            raise RunGone(f"OSMO knows no workflow {name} any more: it was removed, or this is another OSMO") from None
        raise
    return states.read(answer, reference.get("task", ""))


def cli(reference: Reference) -> str:
    """The `osmo` command that the run was sent with."""
    return reference.get("cli") or "osmo"
