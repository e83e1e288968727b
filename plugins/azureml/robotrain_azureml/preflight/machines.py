"""A compute as Azure ML describes it, and the GPUs of its machines."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from robotrain.cluster.answers import as_int
from robotrain.errors import Problem, Severity
from robotrain.messages import Messages
from robotrain_azure.arm import Answer

from robotrain_azureml.identity import choose_compute_identity
from robotrain_azureml.preflight.context import PreflightContext

make_problem = Messages(__file__)

COMPUTE_KINDS: Mapping[str, str] = {"Kubernetes": "kubernetes", "AmlCompute": "managed", "ComputeInstance": "managed"}
"""The setting's value for each type of compute that runs command jobs."""
GPU_RESOURCES = ("nvidia.com/gpu", "amd.com/gpu")


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
    kind: str
    """The setting's value; empty for a compute that runs no command jobs."""
    details: Answer
    identities: tuple[ComputeIdentity, ...]
    """User-assigned identities, in order."""
    system_assigned: bool

    @property
    def default_identity(self) -> str:
        """The client id of the identity of jobs that name none; empty if it has none."""
        return choose_compute_identity(identity.client for identity in self.identities)


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
            ComputeIdentity(
                resource.rpartition("/")[2],
                assigned.get_object(resource).get_text("clientId"),
                assigned.get_object(resource).get_text("principalId"),
            )
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
