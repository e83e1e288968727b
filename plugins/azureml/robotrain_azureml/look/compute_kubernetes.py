"""A look at a Kubernetes compute: the instance types that its cluster offers."""

from collections.abc import Iterator, Mapping
from typing import Any

from robotrain.problem import Problem

from robotrain_azureml.look import gpus, names
from robotrain_azureml.look.compute import Compute, count
from robotrain_azureml.look.finding import problem
from robotrain_azureml.order import Order

GPU = ("nvidia.com/gpu", "amd.com/gpu")


def problems(order: Order, found: Compute) -> Iterator[Problem]:
    """An instance type that is not there, or has fewer GPUs than the job trains on; nothing where they are not told."""
    types = found.details.get("instanceTypes")
    if not isinstance(types, dict) or not order.instance_type:
        return
    if order.instance_type not in types:
        yield _unknown(order, found, types)
        return
    has = of(types[order.instance_type])
    enough = [name for name in sorted(types) if (of(types[name]) or 0) >= order.gpus]
    ways = [f"--instance-type {name}" for name in enough]
    yield from gpus.problems(order, has, f"the instance type {order.instance_type}", "--instance-type", ways)


def of(told: object) -> int | None:
    """The GPUs of an instance type; None where its resources are not told."""
    resources = told.get("resources") if isinstance(told, dict) else None
    if not isinstance(resources, dict):
        return None
    tables = [resources.get(name) for name in ("limits", "requests")]
    said = [one for one in tables if isinstance(one, dict)]
    if not said:
        return None
    found = [number for table in said for name in GPU if (number := count(table.get(name))) is not None]
    return max(found, default=0)


def _unknown(order: Order, found: Compute, types: Mapping[str, Any]) -> Problem:
    there = sorted(types)
    fitting = [name for name in there if (of(types[name]) or 0) >= order.gpus] or there
    ways = names.others("--instance-type {}", order.instance_type, fitting, "kubectl get instancetype")
    title = f"the compute {found.name} has no instance type {order.instance_type}"
    why = 'Jobs of it end with "Invalid instance type".'
    if not there or fitting != there:
        why += f" All that it has: {', '.join(there) or 'none'}."
    return problem("azureml-instance-type", title, "--instance-type", order.instance_type, why, *ways)
