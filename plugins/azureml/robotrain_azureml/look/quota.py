"""A look at what a subscription may have of a kind of machine in the workspace's region, and has."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from robotrain.problem import Instead, Problem

from robotrain_azureml.look.compute import count
from robotrain_azureml.look.finding import Severity, az, problem
from robotrain_azureml.look.looking import VERSION, Looking

UNBOUND = -1


@dataclass(frozen=True, slots=True)
class Machine:
    """A size of Azure's machines. gpus: None where nobody told."""

    size: str
    family: str
    cores: int
    gpus: int | None


def machine(looking: Looking, size: str) -> Machine | None:
    """A size by its name; None where the region does not tell of it. Raises ArmError."""
    for one in looking.arm.all(_path(looking, "vmSizes"), VERSION):
        if str(one.get("name")).lower() == size.lower():
            return Machine(size, str(one.get("family") or ""), count(one.get("vCPUs")) or 0, count(one.get("gpus")))
    return None


def problems(looking: Looking, wanted: Machine, low: bool) -> Iterator[Problem]:
    """A node that may not be had, ever or at this moment. low: of low priority. Raises ArmError."""
    told = next((one for one in looking.arm.all(_path(looking, "usages"), VERSION) if _is(one, wanted, low)), None)
    limit, used = (count(told.get("limit")), count(told.get("currentValue")) or 0) if told else (None, 0)
    if limit is None or limit == UNBOUND or not wanted.cores or used + wanted.cores <= limit:
        return
    never = wanted.cores > limit
    title = (
        f"the quota of {wanted.family} in {looking.region} is {limit} cores, and a node has {wanted.cores}"
        if never
        else f"{used} of {limit} cores of {wanted.family} in {looking.region} are used: a node of {wanted.cores} waits"
    )
    why = "The compute never gets a node." if never else "The job waits until others are done."
    shows = Instead(az(looking.order, f"compute list-usage --location {looking.region}"), "shows what is used")
    more = Instead("https://ml.azure.com/quota", "asks for more")
    severity: Severity = "error" if never else "warning"
    yield problem("azureml-quota", title, "--compute", looking.order.compute, why, more, shows, severity=severity)


def _is(told: Mapping[str, Any], wanted: Machine, low: bool) -> bool:
    name = told.get("name")
    family = str(name.get("value") if isinstance(name, dict) else "")
    return family.lower() == wanted.family.lower() and ("lowpriority" in str(told.get("type")).lower()) == low


def _path(looking: Looking, what: str) -> str:
    kind = "Microsoft.MachineLearningServices/locations"
    return f"/subscriptions/{looking.order.subscription}/providers/{kind}/{looking.region}/{what}"
