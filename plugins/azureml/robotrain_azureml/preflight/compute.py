"""The compute of a job: whether it exists, is ready, and has the identity that the job signs in with."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from robotrain.errors import Problem, Rejected, Suggestion
from robotrain.model.platform import PlatformDefault
from robotrain_azure import errors, workspace
from robotrain_azure.arm import ArmClient, ArmError
from robotrain_azure.workspace import Workspace

from robotrain_azureml.preflight import context, machines
from robotrain_azureml.preflight.context import (
    API_VERSION,
    PreflightContext,
    Severity,
    make_az_command,
    make_preflight_problem,
)
from robotrain_azureml.preflight.machines import Compute, ComputeIdentity
from robotrain_azureml.settings import AzureMLSettings
from robotrain_azureml.spec import job_settings
from robotrain_azureml.spec.submission_spec import AzureMLSubmissionSpec

READY_STATES = ("", "Succeeded", "Unknown")
PENDING_STATES = ("Creating", "Updating")


def check_compute(preflight: PreflightContext) -> Iterator[Problem]:
    """What would be refused there, would fail, or would wait. Raises ArmError."""
    if not preflight.spec.compute:  # nothing is sent: what is brought ahead needs none
        return
    found = fetch_compute(preflight)
    yield from [found] if isinstance(found, Problem) else check_fetched_compute(preflight, found)


def fetch_compute(preflight: PreflightContext) -> Compute | Problem:
    """The compute, or that it is not there, with those that are. Raises ArmError."""
    order = preflight.spec
    try:
        return machines.parse_compute(preflight.get(f"computes/{order.compute}"))
    except ArmError as error:
        if not context.is_missing_part(error, order.compute):
            raise
    there = context.list_names(preflight.arm, f"{order.target_workspace.resource}/computes", API_VERSION)
    return make_missing_compute_problem(
        order.compute,
        *context.suggest_names("--compute {}", order.compute, there, make_az_command(order, "compute list")),
    )


def check_fetched_compute(preflight: PreflightContext, compute: Compute) -> Iterator[Problem]:
    """What is said of a compute that was told. Raises ArmError."""
    order = preflight.spec
    yield from _check_state(preflight, compute)
    if not compute.kind:
        why = "Command jobs run on a Kubernetes compute, a compute cluster or a compute instance."
        yield make_preflight_problem(
            "azureml-compute-kind",
            _describe_type(compute) + " and runs no command jobs",
            "--compute",
            compute.name,
            why,
        )
        return
    if (order.compute_kind or "kubernetes") != compute.kind:
        yield _make_kind_problem(order.compute_kind, compute)
        return
    yield from check_compute_identity(order, compute)
    if compute.kind == "kubernetes":
        yield from machines.check_kubernetes_compute(order, compute)
    else:
        yield from machines.check_managed_compute(preflight, compute)


def make_missing_compute_problem(name: str, *ways: Suggestion, severity: Severity = "error") -> Problem:
    """No such compute."""
    title = f"the workspace has no compute {name}"
    return make_preflight_problem("azureml-compute-missing", title, "--compute", name, "", *ways, severity=severity)


def _check_state(preflight: PreflightContext, compute: Compute) -> Iterator[Problem]:
    if compute.state in READY_STATES:
        return
    show = Suggestion(make_az_command(preflight.spec, f"compute show --name {compute.name}"), "says more")
    title = f"the compute {compute.name} is not ready: its state is {compute.state}"
    severity: Severity = "warning" if compute.state in PENDING_STATES else "error"
    yield make_preflight_problem(
        "azureml-compute-state", title, "--compute", compute.name, compute.error, show, severity=severity
    )


def _describe_type(compute: Compute) -> str:
    return f"the compute {compute.name} is of the type {compute.type or 'that was not told'}"


def _make_kind_problem(kind: str, compute: Compute) -> Problem:
    why = "A job for Kubernetes names an instance type, and one for Azure ML's own machines does not."
    way = Suggestion(f"--compute-kind {compute.kind}", "or none: it is asked when the job is pinned")
    return make_preflight_problem("azureml-compute-kind", _describe_type(compute), "--compute-kind", kind, why, way)


IDENTITY_FLAG = "--workload-identity"


def check_compute_identity(spec: AzureMLSubmissionSpec, compute: Compute) -> Iterator[Problem]:
    """What keeps the job from signing in. On Kubernetes a pod may have another sign-in, so it is a warning there."""
    severity: Severity = "warning" if compute.kind == "kubernetes" else "error"
    if not compute.identities and not compute.system_assigned:
        yield _make_no_identity_problem(spec, compute, severity)
    elif not spec.identity and not compute.system_assigned and len(compute.identities) > 1:
        yield _make_unnamed_identity_problem(compute, severity)
    elif spec.identity and all(one.client for one in compute.identities):
        yield from _check_named_identity(spec, compute, severity)


def _make_no_identity_problem(spec: AzureMLSubmissionSpec, compute: Compute, severity: Severity) -> Problem:
    title = f"the compute {compute.name} has no managed identity for jobs to sign in with"
    why = "A job reads storage and key vaults as the identity of its compute."
    return make_preflight_problem(
        "azureml-identity-missing",
        title,
        "--compute",
        compute.name,
        why,
        _suggest_assignment(spec, compute),
        severity=severity,
    )


def _make_unnamed_identity_problem(compute: Compute, severity: Severity) -> Problem:
    """It was rendered without the workspace being asked."""
    title = f"the compute {compute.name} has {len(compute.identities)} identities, and the job says none of them"
    why = "Where there are several, a sign-in fails that does not name one."
    ways = [_suggest_identity(one) for one in compute.identities if one.client]
    return make_preflight_problem("azureml-identity-unnamed", title, IDENTITY_FLAG, "", why, *ways, severity=severity)


def _check_named_identity(spec: AzureMLSubmissionSpec, compute: Compute, severity: Severity) -> Iterator[Problem]:
    wanted = spec.identity.lower()
    if wanted in [one.client.lower() for one in compute.identities]:
        return
    meant = [one for one in compute.identities if one.principal.lower() == wanted]
    there = [_suggest_identity(one) for one in meant or compute.identities]
    title = f"the compute {compute.name} does not have the identity that the job signs in with"
    why = (
        "That is the object id of one: a sign-in names the client id." if meant else 'There it is "Identity not found".'
    )
    ways = [*there, *([] if meant else [_suggest_assignment(spec, compute)])]
    yield make_preflight_problem(
        "azureml-identity-missing", title, IDENTITY_FLAG, spec.identity, why, *ways, severity=severity
    )


def _suggest_identity(identity: ComputeIdentity) -> Suggestion:
    return Suggestion(f"{IDENTITY_FLAG} {identity.client}", f"{identity.name}, which the compute has")


def _suggest_assignment(spec: AzureMLSubmissionSpec, compute: Compute) -> Suggestion:
    given = "--identity-type UserAssigned --user-assigned-identities IDENTITY-RESOURCE-ID"
    if compute.kind == "kubernetes":
        given = f"--type Kubernetes --resource-id CLUSTER-RESOURCE-ID {given}"
        return Suggestion(
            make_az_command(spec, f"compute attach --name {compute.name} {given}"), "attaches it anew, with an identity"
        )
    return Suggestion(make_az_command(spec, f"compute update --name {compute.name} {given}"), "gives it one")


class UnknownSetting(NamedTuple):
    """stands: what comes of it that nobody told. way: to say it oneself."""

    consequence: str
    suggestion: Suggestion


UNKNOWN_SETTINGS: Mapping[str, UnknownSetting] = {
    "compute_kind": UnknownSetting(
        "it counts as a Kubernetes one", Suggestion("--compute-kind managed", "where it is a machine of Azure ML's own")
    ),
    "workload_identity": UnknownSetting("the job names no identity", Suggestion("--workload-identity CLIENT-ID")),
}


def fetch_compute_settings(settings: AzureMLSettings) -> Mapping[str, PlatformDefault]:
    """Those of the settings that nobody said, in one request; none where the workspace or the compute is not known.

    Raises Rejected with a warning when it is not told: the look before a submit says more.
    """
    at, name = workspace.get_workspace(settings), job_settings.get_compute_name(settings)
    missing = [field for field in UNKNOWN_SETTINGS if getattr(settings, field) is None]
    if not missing or at is None or not name:
        return {}
    arm = ArmClient()
    try:
        found = machines.parse_compute(arm.get(f"{at.resource}/computes/{name}", API_VERSION))
    except ArmError as error:
        raise Rejected([_make_fetch_problem(arm, error, at, name, missing)]) from error
    return {field: one for field, one in _list_defaults(found) if field in missing}


def get_client_id(compute: Compute) -> str:
    """As whom its jobs sign in when nobody says: the client id of its first identity; empty where it has none."""
    return next((one.client for one in compute.identities if one.client), "")


def _list_defaults(compute: Compute) -> Iterator[tuple[str, PlatformDefault]]:
    if compute.kind:
        yield "compute_kind", PlatformDefault(compute.kind, f"what {compute.name} is")
    if first := get_client_id(compute):
        yield "workload_identity", PlatformDefault(first, f"the first identity of {compute.name}")


def _make_fetch_problem(
    arm: ArmClient, error: ArmError, workspace: Workspace, name: str, missing: Sequence[str]
) -> Problem:
    if context.is_missing_part(error, name):
        return make_missing_compute_problem(name, severity="warning")
    closed = _find_workspace_error(arm, workspace) if error.status == 403 else error
    return (
        _make_denied_problem(error, workspace, name, missing)
        if closed is None
        else context.make_workspace_problem(closed, workspace, "warning")
    )


def _find_workspace_error(arm: ArmClient, workspace: Workspace) -> ArmError | None:
    """Why who may not look at the compute may not look at its workspace either; None where they may."""
    try:
        arm.get(workspace.resource, API_VERSION)
    except ArmError as error:
        return error
    return None


def _make_denied_problem(error: ArmError, workspace: Workspace, name: str, missing: Sequence[str]) -> Problem:
    """With what the job is sent with, unless somebody says more."""
    told = " and ".join(UNKNOWN_SETTINGS[field].consequence for field in missing)
    title = f"the compute {name} may not be looked at: {told}"
    ways = [
        *(UNKNOWN_SETTINGS[field].suggestion for field in missing),
        *map(Suggestion, errors.diagnose_workspace_error(error, workspace).suggestions),
    ]
    why = f"Azure answered HTTP {error.status} {error.code}."  # the look before a submit has its words
    return make_preflight_problem(context.UNCHECKED_CODE, title, "--compute", name, why, *ways, severity="warning")
