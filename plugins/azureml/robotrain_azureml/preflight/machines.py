"""Machines of a compute: instance types, nodes, GPUs, quota, preemption."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from robotrain.cluster.answers import as_int
from robotrain.cluster.checks import suggest_names
from robotrain.errors import Problem, Stage, Suggestion
from robotrain.messages import Messages
from robotrain.model.job import PUBLISH_PARAMETER
from robotrain.model.workload_profile import OutputProfile
from robotrain.redaction import MAX_SENTENCE, redact
from robotrain_azure.arm import Answer, ArmError
from robotrain_runtime.contract.document import JobDocument

from robotrain_azureml.identity import choose_compute_identity
from robotrain_azureml.preflight.context import PreflightContext
from robotrain_azureml.spec.submission_spec import AzureMLSubmissionSpec

make_problem = Messages(__file__)

COMPUTE_KINDS: Mapping[str, str] = {"Kubernetes": "kubernetes", "AmlCompute": "managed", "ComputeInstance": "managed"}
"""The setting's value for each type of compute that runs command jobs."""


@dataclass(frozen=True, slots=True)
class ComputeIdentity:
    """A managed identity of a compute: its client id and object id, empty if not known."""

    name: str
    client: str
    principal: str


@dataclass(frozen=True, slots=True)
class Compute:
    """A compute of a workspace."""

    name: str
    type: str
    state: str
    """Its provisioning state."""
    error: str
    """Why provisioning failed; empty if it did not."""
    details: Answer
    identities: tuple[ComputeIdentity, ...]
    """User-assigned identities, in order."""
    system_assigned: bool
    principal: str = ""
    """The object id of the system-assigned identity; empty if not known."""

    @property
    def default_identity(self) -> str:
        """The client id of the identity of jobs that name none; empty if it has none."""
        return choose_compute_identity(identity.client for identity in self.identities)

    @property
    def kind(self) -> str:
        """The setting's value; empty for a compute that runs no command jobs."""
        return COMPUTE_KINDS.get(self.type, "")


def parse_compute(body: Answer) -> Compute:
    """Parse an answer of the resource manager. Raises ArmError."""
    properties = body.get_object("properties")
    identity = body.get_object("identity")
    assigned = identity.get_object("userAssignedIdentities")
    return Compute(
        name=body.get_text("name"),
        type=properties.get_text("computeType"),
        state=properties.get_text("provisioningState"),
        error=get_first_message(properties, "provisioningErrors"),
        details=properties.get_object("properties"),
        identities=tuple(
            ComputeIdentity(
                resource.rpartition("/")[2],
                assigned.get_object(resource).get_text("clientId"),
                assigned.get_object(resource).get_text("principalId"),
            )
            for resource in assigned
        ),
        system_assigned="systemassigned" in identity.get_text("type").lower(),
        principal=identity.get_text("principalId"),
    )


def suggest_details(spec: AzureMLSubmissionSpec) -> Suggestion:
    """Suggest the command that shows the compute of a job."""
    return Suggestion(spec.make_az_command(f"compute show --name {spec.compute}"), "shows details")


def get_first_message(body: Answer, name: str) -> str:
    """Return the message of the first of a list of Azure's errors, without secrets; empty for none. Raises ArmError."""
    for message_object in body.get_objects(name):
        if message := (message_object.get_object("error") or message_object).get_text("message"):
            return redact(message, max_length=MAX_SENTENCE)
    return ""


def check_gpu_count(
    spec: AzureMLSubmissionSpec, available_gpus: int | None, machine: str, flag: str, alternatives: Sequence[str]
) -> Iterator[Problem]:
    """Check that a machine has the GPUs of the job.

    :param available_gpus: None if not known.
    :param alternatives: larger machines.
    """
    if available_gpus is None or available_gpus >= spec.gpus:
        return
    if available_gpus == 0:
        yield make_problem("machines-too-small.no-gpu", *alternatives[:1], where=flag, machine=machine)
        return
    gpu_option, fixes = f"--num-gpus {spec.gpus}", [*alternatives[:1], f"--num-gpus {available_gpus}"]
    yield make_problem(
        "machines-too-small.fewer-gpus",
        *fixes,
        where=flag,
        given=gpu_option,
        machine=machine,
        available=available_gpus,
        gpus=spec.gpus,
    )


UNLIMITED = -1


@dataclass(frozen=True, slots=True)
class MachineSize:
    """A size of Azure's machines."""

    size: str
    family: str
    cores: int
    gpus: int | None
    """None if not known."""


def find_machine_size(preflight: PreflightContext, size: str) -> MachineSize | None:
    """Return a machine size by name; None if the region does not list it. Raises ArmError."""
    for size_object in preflight.arm.list_all(_make_location_path(preflight, "vmSizes")):
        if str(size_object.get("name")).lower() == size.lower():
            cores = as_int(size_object.get("vCPUs")) or 0
            gpus = as_int(size_object.get("gpus"))
            return MachineSize(size, size_object.get_text("family"), cores, gpus)
    return None


def check_quota(
    preflight: PreflightContext, machine: MachineSize, low_priority: bool, nodes: int = 1
) -> Iterator[Problem]:
    """Check that the quota allows so many more nodes. Raises ArmError."""
    cores, family = machine.cores * nodes, machine.family
    need_sentence = f"a node needs {cores}" if nodes == 1 else f"{nodes} nodes need {cores}"
    usage = Answer()
    for quota in preflight.arm.list_all(_make_location_path(preflight, "usages")):
        quota_name = quota.get_object("name")
        is_family = str(quota_name.get("value")).lower() == machine.family.lower()
        label = f"{quota_name.get('value')} {quota_name.get('localizedValue')}".lower()
        if low_priority and "lowpriority" in label and "total" in label:  # one limit for all families of the region
            usage, family = quota, "all low-priority machines"
            break
        if not usage and is_family and ("lowpriority" in str(quota.get("type")).lower()) == low_priority:
            usage = quota
    limit = as_int(usage.get("limit"))
    used_cores = as_int(usage.get("currentValue")) or 0
    if limit is None or limit == UNLIMITED or not cores or used_cores + cores <= limit:
        return
    name, command = preflight.spec.compute, f"compute list-usage --location {preflight.region}"
    quota_request = Suggestion("https://ml.azure.com/quota", "to request more")
    usage_fix = Suggestion(preflight.spec.make_az_command(command), "shows the usage")
    message = "azureml-quota.never" if cores > limit else "azureml-quota.later"
    pronoun = "a node" if nodes == 1 else "them"
    yield make_problem(
        message,
        quota_request,
        usage_fix,
        given=name,
        family=family,
        region=preflight.region,
        limit=limit,
        used=used_cores,
        need=need_sentence,
        what=pronoun,
    )


def _make_location_path(preflight: PreflightContext, collection: str) -> str:
    kind = "Microsoft.MachineLearningServices/locations"
    return f"/subscriptions/{preflight.spec.subscription}/providers/{kind}/{preflight.region}/{collection}"


GPU_RESOURCES = ("nvidia.com/gpu", "amd.com/gpu")


def check_kubernetes_compute(spec: AzureMLSubmissionSpec, compute: Compute) -> Iterator[Problem]:
    """Check that the instance type exists and has enough GPUs, if the compute lists its types."""
    types = compute.details.get_object("instanceTypes")
    if compute.details.get("instanceTypes") is None or not spec.instance_type:
        return
    flag = "--instance-type"
    instance_type = spec.instance_type
    type_names = sorted(types)
    large_types = [name for name in type_names if (count_gpus(types.get_object(name)) or 0) >= spec.gpus]
    if instance_type in types:
        gpus = count_gpus(types.get_object(instance_type))
        alternatives = [f"{flag} {name}" for name in large_types]
        yield from check_gpu_count(spec, gpus, f"the instance type {instance_type}", flag, alternatives)
        return
    large_types = large_types or type_names
    fixes = suggest_names(f"{flag} {{}}", instance_type, large_types, "kubectl get instancetype")
    reason = 'The job would fail with "Invalid instance type".'
    if not type_names or large_types != type_names:
        reason += f" Existing: {', '.join(type_names) or 'none'}."
    yield make_problem(
        "resource-unknown.instance-type",
        *fixes,
        given=instance_type,
        name=compute.name,
        wanted=instance_type,
        why=reason,
    )


def count_gpus(instance_type: Answer) -> int | None:
    """Return the GPUs of an instance type; None if its resources are not known. Raises ArmError."""
    resources = instance_type.get_object("resources")
    tables = [resource_amounts for name in ("limits", "requests") if (resource_amounts := resources.get_object(name))]
    counts = [as_int(resource_amounts.get(name)) or 0 for resource_amounts in tables for name in GPU_RESOURCES]
    return max(counts) if counts else None


STOPPED_STATES = ("Stopped", "Stopping")
BROKEN_STATES = ("CreateFailed", "SetupFailed", "UserSetupFailed", "Unusable", "Deleting")


def check_managed_compute(preflight: PreflightContext, compute: Compute) -> Iterator[Problem]:
    """Check the state, the machines and the quota of a managed compute. Raises ArmError."""
    if compute.type != "ComputeInstance":
        yield from _check_cluster(preflight, compute)
        return
    name, state = compute.name, compute.details.get_text("state")
    if state in STOPPED_STATES:
        fix = preflight.spec.make_az_command(f"compute start --name {name}")
        yield make_problem("azureml-compute-stopped", fix, given=name, name=name, state=state)
    elif state in BROKEN_STATES:
        reason = get_first_message(compute.details, "errors")
        details = suggest_details(preflight.spec)
        yield make_problem("pool-closed.instance", details, given=name, name=name, state=state, why=reason)
    if preflight.nodes > 1:
        yield make_problem("nodes-too-few.instance", given=str(preflight.nodes), name=name)
    yield from _check_size(preflight, compute, 0)


def is_low_priority(compute: Compute) -> bool:
    """Return whether the compute's machines may be preempted."""
    return compute.details.get_text("vmPriority").lower() == "lowpriority"


def _check_cluster(preflight: PreflightContext, compute: Compute) -> Iterator[Problem]:
    max_nodes = as_int(compute.details.get_object("scaleSettings").get("maxNodeCount"))
    current_nodes = as_int(compute.details.get("currentNodeCount")) or 0
    idle_nodes = as_int(compute.details.get_object("nodeStateCounts").get("idleNodeCount")) or 0
    growth = float("inf") if max_nodes is None else max(0, max_nodes - current_nodes)
    name, needed_nodes = compute.name, preflight.nodes
    if reason := get_first_message(compute.details, "errors"):
        details = suggest_details(preflight.spec)
        yield make_problem("azureml-compute-errors", details, given=name, name=name, why=reason)
    if max_nodes == 0:
        fix = preflight.spec.make_az_command(f"compute update --name {name} --max-instances {needed_nodes}")
        yield make_problem("azureml-compute-empty", fix, given=name, name=name)
    elif max_nodes is not None and max_nodes < needed_nodes:
        fix = preflight.spec.make_az_command(f"compute update --name {name} --max-instances {needed_nodes}")
        yield make_problem(
            "nodes-too-few", given=str(preflight.nodes), name=name, most=max_nodes, wanted=needed_nodes, command=fix
        )
    elif idle_nodes + growth < needed_nodes:
        message = "pool-full.in-part" if idle_nodes + growth else "pool-full"
        yield make_problem(
            message, given=name, free=idle_nodes + growth, most=max_nodes, name=name, wanted=needed_nodes
        )
    yield from _check_size(preflight, compute, int(min(max(0, needed_nodes - idle_nodes), growth)))


def _check_size(preflight: PreflightContext, compute: Compute, nodes: int) -> Iterator[Problem]:
    """Check the machines' GPUs and, for more `nodes`, the quota."""
    size = compute.details.get_text("vmSize")
    machine = find_machine_size(preflight, size) if size and preflight.region else None
    if machine is None:
        return
    subject = f"a {size} of the compute {compute.name}"
    yield from check_gpu_count(preflight.spec, machine.gpus, subject, "--compute", [])
    if nodes:
        yield from check_quota(preflight, machine, is_low_priority(compute), nodes)


def check_preemption(preflight: PreflightContext, document: JobDocument, outputs: OutputProfile) -> Iterator[Problem]:
    """Note that checkpoints are lost if a low-priority machine is preempted."""
    name = preflight.spec.compute
    if not name or not outputs.resumable or document.placement.left or document.parameters.get(PUBLISH_PARAMETER, True):
        return
    try:
        compute = parse_compute(preflight.get(f"computes/{name}"))
    except ArmError:  # the check of the compute reports it
        return
    if is_low_priority(compute):
        machine = f"a machine of the compute {compute.name}"
        yield make_problem("nothing-kept", stage=Stage.PREFLIGHT, machine=machine)
