"""A look at the compute: whether it is there, well, of the kind that the job is for, and has what the job needs."""

from collections.abc import Iterator

from robotrain.problem import Instead, Problem
from robotrain_azure.arm import ArmError

from robotrain_azureml.look import compute, compute_identity, compute_kubernetes, compute_managed, names, refused
from robotrain_azureml.look.compute import Compute
from robotrain_azureml.look.finding import Severity, az, problem
from robotrain_azureml.look.looking import VERSION, Looking

WELL = ("", "Succeeded", "Unknown")
COMING = ("Creating", "Updating")


def problems(looking: Looking) -> Iterator[Problem]:
    """What would be refused there, would fail, or would wait. Raises ArmError."""
    if not looking.order.compute:  # nothing is sent: what is brought ahead needs none
        return
    found = asked(looking)
    yield from [found] if isinstance(found, Problem) else within(looking, found)


def asked(looking: Looking) -> Compute | Problem:
    """The compute, or that it is not there, with those that are. Raises ArmError."""
    order = looking.order
    try:
        return compute.read(looking.get(f"computes/{order.compute}"))
    except ArmError as error:
        if not refused.is_of_it(error, order.compute):
            raise
    there = names.below(looking.arm, f"{order.at.resource}/computes", VERSION)
    return missing(order.compute, *names.others("--compute {}", order.compute, there, az(order, "compute list")))


def within(looking: Looking, found: Compute) -> Iterator[Problem]:
    """What is said of a compute that was told. Raises ArmError."""
    order = looking.order
    yield from _state(looking, found)
    if not found.kind:
        why = "Command jobs run on a Kubernetes compute, a compute cluster or a compute instance."
        yield problem("azureml-compute-kind", _is(found) + " and runs no command jobs", "--compute", found.name, why)
        return
    if (order.compute_kind or "kubernetes") != found.kind:
        yield _of_another_kind(order.compute_kind, found)
        return
    yield from compute_identity.problems(order, found)
    if found.kind == "kubernetes":
        yield from compute_kubernetes.problems(order, found)
    else:
        yield from compute_managed.problems(looking, found)


def missing(name: str, *ways: Instead, severity: Severity = "error") -> Problem:
    """No such compute."""
    title = f"the workspace has no compute {name}"
    return problem("azureml-compute-missing", title, "--compute", name, "", *ways, severity=severity)


def _state(looking: Looking, found: Compute) -> Iterator[Problem]:
    if found.state in WELL:
        return
    show = Instead(az(looking.order, f"compute show --name {found.name}"), "says more")
    title = f"the compute {found.name} is not ready: its state is {found.state}"
    severity: Severity = "warning" if found.state in COMING else "error"
    yield problem("azureml-compute-state", title, "--compute", found.name, found.why, show, severity=severity)


def _is(found: Compute) -> str:
    return f"the compute {found.name} is of the type {found.type or 'that was not told'}"


def _of_another_kind(said: str, found: Compute) -> Problem:
    why = "A job for Kubernetes names an instance type, and one for Azure ML's own machines does not."
    way = Instead(f"--compute-kind {found.kind}", "or none: it is asked when the job is pinned")
    return problem("azureml-compute-kind", _is(found), "--compute-kind", said, why, way)
