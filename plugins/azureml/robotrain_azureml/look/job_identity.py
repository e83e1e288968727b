"""A look at the roles of whom the job signs in as: on the storage that it reaches, and for models in the workspace."""

from collections.abc import Iterator, Mapping

from robotrain.problem import Problem
from robotrain_azure import caller, roles
from robotrain_azure import preflight as azure
from robotrain_azure.arm import ArmError
from robotrain_azure.preflight import Holder
from robotrain_runtime.document import JobDocument

from robotrain_azureml.look import compute
from robotrain_azureml.look.looking import Looking

REGISTER = "register_checkpoint"


def on_storage(looking: Looking, accounts: Mapping[str, bool]) -> Iterator[Problem]:
    """What it may not do there. accounts: those that it reaches, and whether it writes there."""
    order = looking.order
    if order.identity:
        yield from azure.identity(order.identity, order.subscription, accounts)
    elif who := of_compute(looking):
        yield from azure.holder(who, order.subscription, accounts)


def on_models(looking: Looking, told: JobDocument) -> Iterator[Problem]:
    """That it may not make a checkpoint a model, where the job is to. Raises ArmError."""
    if told.parameters.get(REGISTER) and (who := holder(looking)):
        yield from azure.models(who, looking.order.at)


def assignee(looking: Looking) -> str:
    """Its object id, for a command that gives it a role; `caller.UNKNOWN` where it is not told."""
    try:
        found = holder(looking)
    except ArmError:
        return caller.UNKNOWN
    return found.principal if found else caller.UNKNOWN


def holder(looking: Looking) -> Holder | None:
    """Whom the job signs in as; None where that is not known from here. Raises ArmError."""
    order = looking.order
    if not order.identity:
        return of_compute(looking)
    principal = roles.principal(looking.arm, order.subscription, order.identity)
    return Holder(principal, azure.IDENTITY, order.identity) if principal else None


def of_compute(looking: Looking) -> Holder | None:
    """Whom a job signs in as that names nobody: the compute itself, or the one identity that it was given."""
    try:
        found = compute.read(looking.get(f"computes/{looking.order.compute}"))
    except ArmError:  # the look at the compute says so
        return None
    given = [one.principal for one in found.identities]
    principal = found.principal if found.own else given[0] if len(given) == 1 else ""
    return Holder(principal, "--compute", found.name) if principal else None
