"""A look at what a machine of Azure ML's own keeps that may be taken away: nothing, unless somebody says so."""

from collections.abc import Iterator

from robotrain.problem import Problem
from robotrain.workload import Outputs
from robotrain_azure.arm import ArmError
from robotrain_runtime.document import JobDocument

from robotrain_azureml.look import compute, compute_managed
from robotrain_azureml.look.finding import problem
from robotrain_azureml.look.looking import Looking
from robotrain_azureml.rules.places import LOST, NOTHING_SURVIVES, PUBLISH


def problems(looking: Looking, told: JobDocument, left: Outputs) -> Iterator[Problem]:
    """Checkpoints that would end with it. left: what the run leaves."""
    order = looking.order
    if not order.compute or not left.resumable or told.placement.left or told.parameters.get(PUBLISH, True):
        return
    try:
        found = compute.read(looking.get(f"computes/{order.compute}"))
    except ArmError:  # the look at the compute says so
        return
    if compute_managed.is_low(found):
        yield problem(NOTHING_SURVIVES, LOST.format(f"a machine of the compute {found.name}"), severity="note")
