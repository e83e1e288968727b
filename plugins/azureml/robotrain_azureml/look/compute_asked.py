"""What only the workspace knows of a compute: its kind, and as whom its jobs sign in (contract A.0)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from robotrain.platforms import Default
from robotrain.problem import Instead, Problem, Rejected
from robotrain_azure import refusal, workspace
from robotrain_azure.arm import Arm, ArmError
from robotrain_azure.workspace import Workspace

from robotrain_azureml import compute_name
from robotrain_azureml.look import compute, compute_there, refused
from robotrain_azureml.look.compute import Compute
from robotrain_azureml.look.finding import problem
from robotrain_azureml.look.looking import VERSION
from robotrain_azureml.settings import Settings


class Needed(NamedTuple):
    """stands: what comes of it that nobody told. way: to say it oneself."""

    stands: str
    way: Instead


NEEDED: Mapping[str, Needed] = {
    "compute_kind": Needed(
        "it counts as a Kubernetes one", Instead("--compute-kind managed", "where it is a machine of Azure ML's own")
    ),
    "workload_identity": Needed("the job names no identity", Instead("--workload-identity CLIENT-ID")),
}


def asked(settings: Settings) -> Mapping[str, Default]:
    """Those of the settings that nobody said, in one request; none where the workspace or the compute is not known.

    Raises Rejected with a warning when it is not told: the look before a submit says more.
    """
    at, name = workspace.of(settings), compute_name.compute(settings)
    missing = [field for field in NEEDED if getattr(settings, field) is None]
    if not missing or at is None or not name:
        return {}
    arm = Arm()
    try:
        found = compute.read(arm.get(f"{at.resource}/computes/{name}", VERSION))
    except ArmError as error:
        raise Rejected([_silent(arm, error, at, name, missing)]) from error
    return {field: one for field, one in _told(found) if field in missing}


def client(found: Compute) -> str:
    """As whom its jobs sign in when nobody says: the client id of its first identity; empty where it has none."""
    return next((one.client for one in found.identities if one.client), "")


def _told(found: Compute) -> Iterator[tuple[str, Default]]:
    if found.kind:
        yield "compute_kind", Default(found.kind, f"what {found.name} is")
    if first := client(found):
        yield "workload_identity", Default(first, f"the first identity of {found.name}")


def _silent(arm: Arm, error: ArmError, at: Workspace, name: str, missing: Sequence[str]) -> Problem:
    if refused.is_of_it(error, name):
        return compute_there.missing(name, severity="warning")
    closed = _closed(arm, at) if error.status == 403 else error
    return _unasked(error, at, name, missing) if closed is None else refused.of(closed, at, "warning")


def _closed(arm: Arm, at: Workspace) -> ArmError | None:
    """Why who may not look at the compute may not look at its workspace either; None where they may."""
    try:
        arm.get(at.resource, VERSION)
    except ArmError as error:
        return error
    return None


def _unasked(error: ArmError, at: Workspace, name: str, missing: Sequence[str]) -> Problem:
    """With what the job is sent with, unless somebody says more."""
    told = " and ".join(NEEDED[field].stands for field in missing)
    title = f"the compute {name} may not be looked at: {told}"
    ways = [*(NEEDED[field].way for field in missing), *map(Instead, refusal.of(error, at).ways)]
    why = f"Azure answered HTTP {error.status} {error.code}."  # the look before a submit has its words
    return problem(refused.UNCHECKED, title, "--compute", name, why, *ways, severity="warning")
