"""What only the workspace knows of a compute: its kind, and as whom its jobs sign in (contract A.0)."""

from collections.abc import Iterator, Mapping

from robotrain.platforms import Default
from robotrain.problem import Problem, Rejected
from robotrain_azure import workspace
from robotrain_azure.arm import Arm, ArmError
from robotrain_azure.workspace import Workspace

from robotrain_azureml import compute_name
from robotrain_azureml.look import compute, compute_there, refused
from robotrain_azureml.look.compute import Compute
from robotrain_azureml.look.looking import VERSION
from robotrain_azureml.settings import Settings

NEEDED = ("compute_kind", "workload_identity")


def asked(settings: Settings) -> Mapping[str, Default]:
    """Those of the settings that nobody said, in one request; none where the workspace or the compute is not known.

    Raises Rejected with a warning when it is not told: the look before a submit says more.
    """
    at, name = workspace.of(settings), compute_name.compute(settings)
    missing = [field for field in NEEDED if getattr(settings, field) is None]
    if not missing or at is None or not name:
        return {}
    try:
        found = compute.read(Arm().get(f"{at.resource}/computes/{name}", VERSION))
    except ArmError as error:
        raise Rejected([_silent(error, at, name)]) from error
    return {field: one for field, one in _told(found) if field in missing}


def client(found: Compute) -> str:
    """As whom its jobs sign in when nobody says: the client id of its first identity; empty where it has none."""
    return next((one.client for one in found.identities if one.client), "")


def _told(found: Compute) -> Iterator[tuple[str, Default]]:
    if found.kind:
        yield "compute_kind", Default(found.kind, f"what {found.name} is")
    if first := client(found):
        yield "workload_identity", Default(first, f"the first identity of {found.name}")


def _silent(error: ArmError, at: Workspace, name: str) -> Problem:
    if refused.is_of_it(error, name):
        return compute_there.missing(name, severity="warning")
    return refused.of(error, at, "warning")
