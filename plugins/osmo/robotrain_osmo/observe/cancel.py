"""Cancel a workflow. The command reports success even if OSMO refused, so the state is queried again."""

from robotrain.cluster import cancel
from robotrain.errors import Suggestion
from robotrain.model.run import Reference

from robotrain_osmo.client import service
from robotrain_osmo.observe import workflow_state

CANCEL_MESSAGE = "robotrain cancel"
SECONDS = 30.0
"""Time limit for the end: OSMO cancels later, from a queue."""


def cancel_workflow(reference: Reference) -> None:
    """Cancel the workflow and wait for its end; do nothing if it has ended. Raise RunGone or Rejected."""

    def has_ended() -> bool:
        return workflow_state.query_workflow(reference).is_finished

    if has_ended():
        return
    name = reference["workflow"]
    words = ("workflow", "cancel", name, "-m", CANCEL_MESSAGE, "-t", "json")
    refusal = _read_refusal(service.query_text(workflow_state.get_command(reference), *words))
    force = Suggestion(f"osmo workflow cancel {name} --force", "if its cluster is gone")
    cancel.require_end(reference, name, "OSMO", has_ended, SECONDS, force, refusal=refusal)


def _read_refusal(output: str) -> str:
    """Return why OSMO refused to cancel, or ""."""
    reason = output.partition("cancelation failed for workflow")[2].partition(":")[2]
    return " ".join(reason.split()) or ("" if '"name"' in output else " ".join(output.split()) or "OSMO gave no reason")
