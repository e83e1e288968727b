"""A look at a machine of Azure ML's own: whether it may have nodes, is started, has the GPUs, and quota for more."""

from collections.abc import Iterator, Mapping
from typing import Any

from robotrain.problem import Instead, Problem

from robotrain_azureml.look import gpus, quota
from robotrain_azureml.look.compute import Compute, count, first
from robotrain_azureml.look.finding import az, problem
from robotrain_azureml.look.looking import Looking

STOPPED = ("Stopped", "Stopping")
BROKEN = ("CreateFailed", "SetupFailed", "UserSetupFailed", "Unusable", "Deleting")


def problems(looking: Looking, found: Compute) -> Iterator[Problem]:
    """What would fail there, or wait. Raises ArmError."""
    if found.type == "ComputeInstance":
        yield from _instance(looking, found)
        yield from _sized(looking, found, 0)
    else:
        yield from _cluster(looking, found)


def is_low(found: Compute) -> bool:
    """Whether its machines are of low priority: others may take them away."""
    return str(found.details.get("vmPriority") or "").lower() == "lowpriority"


def _instance(looking: Looking, found: Compute) -> Iterator[Problem]:
    state = str(found.details.get("state") or "")
    title = f"the compute instance {found.name} is not running: its state is {state}"
    if state in STOPPED:
        start = Instead(az(looking.order, f"compute start --name {found.name}"))
        yield problem("azureml-compute-stopped", title, "--compute", found.name, "A job waits there for ever.", start)
    elif state in BROKEN:
        why = first(found.details.get("errors"))
        yield problem("azureml-compute-state", title, "--compute", found.name, why)


def _cluster(looking: Looking, found: Compute) -> Iterator[Problem]:
    most = count(_table(found.details.get("scaleSettings")).get("maxNodeCount"))
    now, idle = count(found.details.get("currentNodeCount")) or 0, _idle(found)
    if why := first(found.details.get("errors")):
        title = f"the compute {found.name} reports an error of its nodes"
        yield problem("azureml-compute-errors", title, "--compute", found.name, why, severity="warning")
    if most == 0:
        title = f"the compute {found.name} may have no node at all: a job waits there for ever"
        way = Instead(az(looking.order, f"compute update --name {found.name} --max-instances 1"))
        yield problem("azureml-compute-empty", title, "--compute", found.name, "", way)
    elif most is not None and now >= most and not idle:
        title = f"no node of the compute {found.name} is idle, and it has all {most} that it may have: the job waits"
        yield problem("azureml-compute-busy", title, "--compute", found.name, severity="note")
    yield from _sized(looking, found, 0 if idle or (most is not None and now >= most) else 1)


def _sized(looking: Looking, found: Compute, nodes: int) -> Iterator[Problem]:
    """What the machines have, and whether `nodes` more of them may be had."""
    size = str(found.details.get("vmSize") or "")
    if not size or not looking.region:
        return
    machine = quota.machine(looking, size)
    if machine is None:
        return
    what = f"a {size} of the compute {found.name}"
    yield from gpus.problems(looking.order, machine.gpus, what, "--compute", [])
    if nodes:
        yield from quota.problems(looking, machine, is_low(found))


def _idle(found: Compute) -> int:
    return count(_table(found.details.get("nodeStateCounts")).get("idleNodeCount")) or 0


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
