"""Machines of a compute: instance types, nodes, GPUs, quota, preemption."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from robotrain.errors import MAX_SENTENCE, Problem, Suggestion
from robotrain.model.workload import OutputProfile
from robotrain.redaction import redact
from robotrain_azure.arm import ArmError
from robotrain_runtime.contract.document import JobDocument

from robotrain_azureml.preflight import context
from robotrain_azureml.preflight.context import (
    API_VERSION,
    PreflightContext,
    Severity,
    make_az_command,
    make_preflight_problem,
)
from robotrain_azureml.spec.check_job import NOTHING_SURVIVES_CODE, PREEMPTION_TITLE, PUBLISH_PARAMETER
from robotrain_azureml.spec.submission_spec import AzureMLSubmissionSpec

COMPUTE_KINDS: Mapping[str, str] = {"Kubernetes": "kubernetes", "AmlCompute": "managed", "ComputeInstance": "managed"}
"""What the settings call those that run command jobs."""


@dataclass(frozen=True, slots=True)
class ComputeIdentity:
    """A managed identity of a compute, with the two ids that people mistake for each other; empty where not told."""

    name: str
    client: str
    principal: str


@dataclass(frozen=True, slots=True)
class Compute:
    """type, kind: as Azure calls it, and as the settings do; kind is empty for one that runs no command jobs.

    state: of its making. why: what went wrong with that; empty for nothing. details: of its type. identities: given by
    somebody, in their order. own: whether it has one of its own; principal: of that one, empty where not told.
    """

    name: str
    type: str
    state: str
    error: str
    details: Mapping[str, Any]
    identities: tuple[ComputeIdentity, ...]
    system_assigned: bool
    principal: str = ""

    @property
    def kind(self) -> str:
        """As the settings call it."""
        return COMPUTE_KINDS.get(self.type, "")


def parse_compute(body: Mapping[str, Any]) -> Compute:
    """Of an answer of the resource manager."""
    properties = _as_mapping(body.get("properties"))
    identity = _as_mapping(body.get("identity"))
    given = _as_mapping(identity.get("userAssignedIdentities"))
    return Compute(
        name=str(body.get("name") or ""),
        type=str(properties.get("computeType") or ""),
        state=str(properties.get("provisioningState") or ""),
        error=get_first_message(properties.get("provisioningErrors")),
        details=_as_mapping(properties.get("properties")),
        identities=tuple(_parse_identity(name, _as_mapping(one)) for name, one in given.items()),
        system_assigned="systemassigned" in str(identity.get("type") or "").lower(),
        principal=str(identity.get("principalId") or ""),
    )


def get_first_message(errors: object) -> str:
    """The message of the first of Azure's errors, as it may be shown; empty for none."""
    for one in errors if isinstance(errors, list) else ():
        told = _as_mapping(_as_mapping(one).get("error")) or _as_mapping(one)
        if message := str(told.get("message") or ""):
            return redact(message, max_length=MAX_SENTENCE)
    return ""


def parse_count(value: object) -> int | None:
    """A number, also one that is told as a text; None for anything else."""
    text = str(value)
    return int(text) if text.lstrip("-").isdecimal() else None


def _parse_identity(resource: str, data: Mapping[str, Any]) -> ComputeIdentity:
    return ComputeIdentity(
        resource.rpartition("/")[2], str(data.get("clientId") or ""), str(data.get("principalId") or "")
    )


def _as_mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def check_gpu_count(
    spec: AzureMLSubmissionSpec, available: int | None, machine: str, where: str, alternatives: Sequence[str]
) -> Iterator[Problem]:
    """Fewer than the job trains on. has: None where nobody told. others: what to type for a machine that has enough."""
    if available is None or available >= spec.gpus:
        return
    if available == 0:
        title, why = f"{machine} has no GPU", "The job trains on the processor there, which takes far longer."
        yield make_preflight_problem(
            "azureml-no-gpu", title, where, "", why, *map(Suggestion, alternatives[:1]), severity="warning"
        )
        return
    title = f"{machine} has {available} GPU{'' if available == 1 else 's'}, and the job trains on {spec.gpus}"
    ways = [*map(Suggestion, alternatives[:1]), Suggestion(f"--num-gpus {available}")]
    yield make_preflight_problem("azureml-too-few-gpus", title, where, f"--num-gpus {spec.gpus}", "", *ways)


UNLIMITED = -1


@dataclass(frozen=True, slots=True)
class MachineSize:
    """A size of Azure's machines. gpus: None where nobody told."""

    size: str
    family: str
    cores: int
    gpus: int | None


def find_machine_size(preflight: PreflightContext, size: str) -> MachineSize | None:
    """A size by its name; None where the region does not tell of it. Raises ArmError."""
    for one in preflight.arm.list_all(_make_location_path(preflight, "vmSizes"), API_VERSION):
        if str(one.get("name")).lower() == size.lower():
            return MachineSize(
                size, str(one.get("family") or ""), parse_count(one.get("vCPUs")) or 0, parse_count(one.get("gpus"))
            )
    return None


def check_quota(preflight: PreflightContext, machine: MachineSize, low_priority: bool) -> Iterator[Problem]:
    """A node that may not be had, ever or at this moment. low: of low priority. Raises ArmError."""
    told = next(
        (
            one
            for one in preflight.arm.list_all(_make_location_path(preflight, "usages"), API_VERSION)
            if _is_quota_of(one, machine, low_priority)
        ),
        None,
    )
    limit, used = (parse_count(told.get("limit")), parse_count(told.get("currentValue")) or 0) if told else (None, 0)
    if limit is None or limit == UNLIMITED or not machine.cores or used + machine.cores <= limit:
        return
    never = machine.cores > limit
    title = (
        f"the quota of {machine.family} in {preflight.region} is {limit} cores, and a node has {machine.cores}"
        if never
        else f"{used} of {limit} cores of {machine.family} in {preflight.region} are used: a node of {machine.cores} waits"
    )
    why = "The compute never gets a node." if never else "The job waits until others are done."
    shows = Suggestion(
        make_az_command(preflight.spec, f"compute list-usage --location {preflight.region}"), "shows what is used"
    )
    more = Suggestion("https://ml.azure.com/quota", "asks for more")
    severity: Severity = "error" if never else "warning"
    yield make_preflight_problem(
        "azureml-quota", title, "--compute", preflight.spec.compute, why, more, shows, severity=severity
    )


def _is_quota_of(usage: Mapping[str, Any], machine: MachineSize, low_priority: bool) -> bool:
    name = usage.get("name")
    family = str(name.get("value") if isinstance(name, dict) else "")
    return (
        family.lower() == machine.family.lower() and ("lowpriority" in str(usage.get("type")).lower()) == low_priority
    )


def _make_location_path(preflight: PreflightContext, what: str) -> str:
    kind = "Microsoft.MachineLearningServices/locations"
    return f"/subscriptions/{preflight.spec.subscription}/providers/{kind}/{preflight.region}/{what}"


GPU_RESOURCES = ("nvidia.com/gpu", "amd.com/gpu")


def check_kubernetes_compute(spec: AzureMLSubmissionSpec, compute: Compute) -> Iterator[Problem]:
    """An instance type that is not there, or has fewer GPUs than the job trains on; nothing where they are not told."""
    types = compute.details.get("instanceTypes")
    if not isinstance(types, dict) or not spec.instance_type:
        return
    if spec.instance_type not in types:
        yield _make_instance_type_problem(spec, compute, types)
        return
    has = count_gpus(types[spec.instance_type])
    enough = [name for name in sorted(types) if (count_gpus(types[name]) or 0) >= spec.gpus]
    ways = [f"--instance-type {name}" for name in enough]
    yield from check_gpu_count(spec, has, f"the instance type {spec.instance_type}", "--instance-type", ways)


def count_gpus(instance_type: object) -> int | None:
    """The GPUs of an instance type; None where its resources are not told."""
    resources = instance_type.get("resources") if isinstance(instance_type, dict) else None
    if not isinstance(resources, dict):
        return None
    tables = [resources.get(name) for name in ("limits", "requests")]
    said = [one for one in tables if isinstance(one, dict)]
    if not said:
        return None
    found = [number for table in said for name in GPU_RESOURCES if (number := parse_count(table.get(name))) is not None]
    return max(found, default=0)


def _make_instance_type_problem(spec: AzureMLSubmissionSpec, compute: Compute, types: Mapping[str, Any]) -> Problem:
    there = sorted(types)
    fitting = [name for name in there if (count_gpus(types[name]) or 0) >= spec.gpus] or there
    ways = context.suggest_names("--instance-type {}", spec.instance_type, fitting, "kubectl get instancetype")
    title = f"the compute {compute.name} has no instance type {spec.instance_type}"
    why = 'Jobs of it end with "Invalid instance type".'
    if not there or fitting != there:
        why += f" All that it has: {', '.join(there) or 'none'}."
    return make_preflight_problem("azureml-instance-type", title, "--instance-type", spec.instance_type, why, *ways)


STOPPED_STATES = ("Stopped", "Stopping")
BROKEN_STATES = ("CreateFailed", "SetupFailed", "UserSetupFailed", "Unusable", "Deleting")


def check_managed_compute(preflight: PreflightContext, compute: Compute) -> Iterator[Problem]:
    """What would fail there, or wait. Raises ArmError."""
    if compute.type == "ComputeInstance":
        yield from _check_instance(preflight, compute)
        yield from _check_size(preflight, compute, 0)
    else:
        yield from _check_cluster(preflight, compute)


def is_low_priority(compute: Compute) -> bool:
    """Whether its machines are of low priority: others may take them away."""
    return str(compute.details.get("vmPriority") or "").lower() == "lowpriority"


def _check_instance(preflight: PreflightContext, compute: Compute) -> Iterator[Problem]:
    state = str(compute.details.get("state") or "")
    title = f"the compute instance {compute.name} is not running: its state is {state}"
    if state in STOPPED_STATES:
        start = Suggestion(make_az_command(preflight.spec, f"compute start --name {compute.name}"))
        yield make_preflight_problem(
            "azureml-compute-stopped", title, "--compute", compute.name, "A job waits there for ever.", start
        )
    elif state in BROKEN_STATES:
        why = get_first_message(compute.details.get("errors"))
        yield make_preflight_problem("azureml-compute-state", title, "--compute", compute.name, why)


def _check_cluster(preflight: PreflightContext, compute: Compute) -> Iterator[Problem]:
    most = parse_count(_as_table(compute.details.get("scaleSettings")).get("maxNodeCount"))
    now, idle = parse_count(compute.details.get("currentNodeCount")) or 0, _count_idle_nodes(compute)
    if why := get_first_message(compute.details.get("errors")):
        title = f"the compute {compute.name} reports an error of its nodes"
        yield make_preflight_problem(
            "azureml-compute-errors", title, "--compute", compute.name, why, severity="warning"
        )
    if most == 0:
        title = f"the compute {compute.name} may have no node at all: a job waits there for ever"
        way = Suggestion(make_az_command(preflight.spec, f"compute update --name {compute.name} --max-instances 1"))
        yield make_preflight_problem("azureml-compute-empty", title, "--compute", compute.name, "", way)
    elif most is not None and now >= most and not idle:
        title = f"no node of the compute {compute.name} is idle, and it has all {most} that it may have: the job waits"
        yield make_preflight_problem("azureml-compute-busy", title, "--compute", compute.name, severity="note")
    yield from _check_size(preflight, compute, 0 if idle or (most is not None and now >= most) else 1)


def _check_size(preflight: PreflightContext, compute: Compute, nodes: int) -> Iterator[Problem]:
    """What the machines have, and whether `nodes` more of them may be had."""
    size = str(compute.details.get("vmSize") or "")
    if not size or not preflight.region:
        return
    machine = find_machine_size(preflight, size)
    if machine is None:
        return
    what = f"a {size} of the compute {compute.name}"
    yield from check_gpu_count(preflight.spec, machine.gpus, what, "--compute", [])
    if nodes:
        yield from check_quota(preflight, machine, is_low_priority(compute))


def _count_idle_nodes(compute: Compute) -> int:
    return parse_count(_as_table(compute.details.get("nodeStateCounts")).get("idleNodeCount")) or 0


def _as_table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def check_preemption(preflight: PreflightContext, document: JobDocument, outputs: OutputProfile) -> Iterator[Problem]:
    """Checkpoints that would end with it. left: what the run leaves."""
    order = preflight.spec
    if (
        not order.compute
        or not outputs.resumable
        or document.placement.left
        or document.parameters.get(PUBLISH_PARAMETER, True)
    ):
        return
    try:
        found = parse_compute(preflight.get(f"computes/{order.compute}"))
    except ArmError:  # the look at the compute says so
        return
    if is_low_priority(found):
        yield make_preflight_problem(
            NOTHING_SURVIVES_CODE, PREEMPTION_TITLE.format(f"a machine of the compute {found.name}"), severity="note"
        )
