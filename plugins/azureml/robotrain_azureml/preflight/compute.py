"""The compute of a job: whether it exists, is ready, and has the identity that the job signs in with."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from robotrain.cluster.answers import as_int
from robotrain.errors import Problem, Rejected, Severity, Suggestion
from robotrain.messages import Messages
from robotrain.model.job import Job
from robotrain.model.platform import PlatformDefault
from robotrain_azure import errors
from robotrain_azure.arm import Answer, ArmClient, ArmError
from robotrain_azure.lookup import LookupClient
from robotrain_azure.settings import get_workspace
from robotrain_azure.workspace import Workspace

from robotrain_azureml.preflight import context
from robotrain_azureml.preflight.context import PreflightContext
from robotrain_azureml.settings import AzureMLSettings
from robotrain_azureml.spec import job_settings
from robotrain_azureml.spec.submission_spec import AzureMLSubmissionSpec

make_problem = Messages(__file__)

COMPUTE_KINDS: Mapping[str, str] = {"Kubernetes": "kubernetes", "AmlCompute": "managed", "ComputeInstance": "managed"}
"""The setting's value for each type of compute that runs command jobs."""
GPU_RESOURCES = ("nvidia.com/gpu", "amd.com/gpu")


@dataclass(frozen=True, slots=True)
class ComputeIdentity:
    """A managed identity of a compute: its client id is empty if not known."""

    name: str
    client: str


@dataclass(frozen=True, slots=True)
class Compute:
    """A compute of a workspace."""

    name: str
    kind: str
    """The setting's value; empty for a compute that runs no command jobs."""
    details: Answer
    identities: tuple[ComputeIdentity, ...]
    """User-assigned identities, in order."""
    system_assigned: bool

    @property
    def default_identity(self) -> str:
        """The client id of the identity of jobs that name none; empty if it has none."""
        return next((identity.client for identity in self.identities if identity.client), "")


def parse_compute(body: Answer) -> Compute:
    """Parse an answer of the resource manager. Raises ArmError."""
    properties = body.get_object("properties")
    identity = body.get_object("identity")
    assigned = identity.get_object("userAssignedIdentities")
    return Compute(
        name=body.get_text("name"),
        kind=COMPUTE_KINDS.get(properties.get_text("computeType"), ""),
        details=properties.get_object("properties"),
        identities=tuple(
            ComputeIdentity(resource.rpartition("/")[2], assigned.get_object(resource).get_text("clientId"))
            for resource in assigned
        ),
        system_assigned="systemassigned" in identity.get_text("type").lower(),
    )


def check_gpus(preflight: PreflightContext, compute: Compute) -> Iterator[Problem]:
    """Check that the machines have the GPUs of the job, where Azure tells how many they have. Raises ArmError."""
    wanted, is_kubernetes = preflight.spec.gpus, compute.kind == "kubernetes"
    machine = preflight.spec.instance_type if is_kubernetes else compute.details.get_text("vmSize")
    gpus = _count_type_gpus(compute, machine) if is_kubernetes else _count_size_gpus(preflight, machine)
    if gpus is not None and gpus < wanted:
        flag = "--instance-type" if is_kubernetes else "--compute"
        severity: Severity = "error" if gpus else "warning"  # without a GPU it trains on the CPU
        yield make_problem(
            "machines-too-small", where=flag, severity=severity, machine=machine, available=gpus, gpus=wanted
        )


def _count_type_gpus(compute: Compute, instance_type: str) -> int | None:
    resources = compute.details.get_object("instanceTypes").get_object(instance_type).get_object("resources")
    tables = [amounts for name in ("limits", "requests") if (amounts := resources.get_object(name))]
    counts = [as_int(amounts.get(name)) or 0 for amounts in tables for name in GPU_RESOURCES]
    return max(counts, default=None)


def _count_size_gpus(preflight: PreflightContext, size: str) -> int | None:
    location = f"Microsoft.MachineLearningServices/locations/{preflight.region}"
    path = f"/subscriptions/{preflight.spec.subscription}/providers/{location}/vmSizes"
    sizes = preflight.arm.list_all(path) if size and preflight.region else ()
    return next((as_int(row.get("gpus")) for row in sizes if str(row.get("name")).lower() == size.lower()), None)


IDENTITY_FLAG = "--workload-identity"


def check_compute(preflight: PreflightContext) -> Iterator[Problem]:
    """Check that the compute exists, and has the GPUs and the identity of the job. Raises ArmError."""
    if not preflight.spec.compute:  # only uploads are prepared
        return
    compute = fetch_compute(preflight)
    yield from [compute] if isinstance(compute, Problem) else check_fetched_compute(preflight, compute)


def fetch_compute(preflight: PreflightContext) -> Compute | Problem:
    """Return the compute, or the problem that it does not exist. Raises ArmError."""
    spec = preflight.spec
    try:
        return parse_compute(preflight.get(f"computes/{spec.compute}"))
    except ArmError as error:
        if not errors.is_part_missing(error, spec.compute):
            raise
    fix = Suggestion(spec.make_az_command("compute list"), "lists the others")
    return make_missing_compute_problem(spec.compute, fix)


def check_fetched_compute(preflight: PreflightContext, compute: Compute) -> Iterator[Problem]:
    """Check a compute that exists. Raises ArmError."""
    spec, name = preflight.spec, compute.name
    if compute.kind and compute.kind != (spec.compute_kind or "kubernetes"):
        yield make_problem("resource-unsuitable.compute-kind", given=spec.compute_kind, name=name, kind=compute.kind)
        return
    yield from _check_identity(spec, compute)
    yield from check_gpus(preflight, compute)


def make_missing_compute_problem(name: str, *fixes: Suggestion, severity: Severity = "error") -> Problem:
    """Return the problem of a missing compute."""
    return make_problem("resource-unknown.compute", *fixes, given=name, severity=severity, name=name)


def _check_identity(spec: AzureMLSubmissionSpec, compute: Compute) -> Iterator[Problem]:
    """Check that the job can sign in. On Kubernetes a pod may have another sign-in, so it is a warning there."""
    severity: Severity = "warning" if compute.kind == "kubernetes" else "error"
    name, count = compute.name, len(compute.identities)
    if not count and not compute.system_assigned:
        yield make_problem("azureml-identity-missing.none", given=name, severity=severity, name=name)
    elif not spec.identity and not compute.system_assigned and count > 1:  # rendered without asking the workspace
        fixes = [_suggest_identity(identity) for identity in compute.identities if identity.client]
        yield make_problem(
            "value-missing.identity", *fixes, where=IDENTITY_FLAG, severity=severity, name=name, count=count
        )
    elif spec.identity and all(identity.client for identity in compute.identities):
        identity_id = spec.identity.lower()
        if identity_id in [identity.client.lower() for identity in compute.identities]:
            return
        yield make_problem(
            "azureml-identity-missing.other",
            *map(_suggest_identity, compute.identities),
            where=IDENTITY_FLAG,
            given=spec.identity,
            severity=severity,
            name=name,
        )


def _suggest_identity(identity: ComputeIdentity) -> Suggestion:
    return Suggestion(f"{IDENTITY_FLAG} {identity.client}", f"{identity.name}, which the compute has")


UNKNOWN_SETTINGS = ("compute_kind", "workload_identity")
"""What only the workspace knows: without an answer, a compute is one of Kubernetes, and the job selects no identity."""


def fetch_compute_settings(job: Job, settings: AzureMLSettings) -> Mapping[str, PlatformDefault]:
    """Return settings that only the workspace knows, in one request; empty without a workspace or compute.

    Raises Rejected if that fails: an error if Azure gave no answer, else a warning, as the preflight gives details.
    """
    workspace = get_workspace(settings)
    name = job_settings.get_compute_name(settings)
    missing_settings = [field for field in UNKNOWN_SETTINGS if getattr(settings, field) is None]
    if not missing_settings or workspace is None or not name:
        return {}
    arm = LookupClient()
    try:
        compute = parse_compute(arm.get(f"{workspace.resource}/computes/{name}"))
    except ArmError as error:
        raise Rejected([_make_fetch_problem(arm, error, workspace, name)]) from error
    defaults = {
        "compute_kind": PlatformDefault(compute.kind, f"the kind of {compute.name}"),
        "workload_identity": PlatformDefault(compute.default_identity, f"the first identity of {compute.name}"),
    }
    return {field: defaults[field] for field in missing_settings if defaults[field].value}


def _make_fetch_problem(arm: ArmClient, error: ArmError, workspace: Workspace, name: str) -> Problem:
    if errors.is_part_missing(error, name):
        return make_missing_compute_problem(name, severity="warning")
    diagnosis = errors.diagnose_error(error, workspace)
    if error.is_transient:
        return context.make_no_answer_problem([f"the compute {name}"], error, diagnosis)
    if error.status == 403:
        try:
            arm.get(workspace.resource)
        except ArmError as workspace_error:  # the workspace cannot be read either
            return context.make_workspace_problem(workspace_error, workspace, "warning")
        return context.make_unchecked_problem([f"the compute {name}"], diagnosis)
    return context.make_workspace_problem(error, workspace, "warning")
