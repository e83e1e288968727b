"""Which runs left a checkpoint, as their platforms say."""

from robotrain_runtime.contract.parameter import get_parameters

from robotrain.errors import Rejected
from robotrain.model.run import RunGone, RunRecord
from robotrain.plugins.manager import Plugins
from robotrain.store import records

MAX_QUERIED = 10
"""How many of the newest runs are asked for."""


def has_checkpoint(record: RunRecord, plugins: Plugins) -> bool:
    """Return whether a run has a complete checkpoint. Raise Rejected, also if the platform does not answer."""
    if record.phase != "sent":
        return False
    outputs = plugins.platform_of(record).engine.outputs(record.reference)
    return any(output.kind == "checkpoint" for output in outputs)


def may_be_continued(record: RunRecord, plugins: Plugins) -> bool:
    """Return False for a run that ended without a checkpoint; True also if its platform does not know or answer."""
    if record.phase != "sent":
        return True
    try:
        status = plugins.platform_of(record).engine.status(record.reference)
        return not status.finished or has_checkpoint(record, plugins)
    except (Rejected, OSError):
        return True


def is_complete(record: RunRecord, plugins: Plugins) -> bool:
    """Return whether a run has succeeded, so that only other options leave something to do: as its platform says, and
    False if that does not answer.
    """
    if record.phase != "sent":
        return False
    try:
        status = records.read_final_status(record.run)
        status = status or plugins.platform_of(record).engine.status(record.reference)
    except (Rejected, RunGone, OSError):
        return False
    return status.state == "succeeded"


def ends_by_itself(record: RunRecord, plugins: Plugins) -> bool:
    """Return whether a run that has succeeded has nothing left to do: a pipeline, a training up to a step, a program
    of the user's own, which has its length among its options.
    """
    workload = plugins.workloads().get(record.workload)
    if record.steps or workload is None:
        return bool(record.steps)
    names = [parameter.name for parameter in get_parameters(workload.parameters)]
    return workload.own_command is not None or "training_steps" in names
