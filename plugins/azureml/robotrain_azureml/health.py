"""What would stop a submit to Azure ML from here: its libraries, the sign-in, the settings, the workspace."""

import importlib.util
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from robotrain.health import Finding, HealthCheck, fail, lacking, of_problem, ok, warn
from robotrain.problem import Instead, Problem

from robotrain_azureml import identity
from robotrain_azureml.settings import Settings

if TYPE_CHECKING:
    from robotrain_azureml.look.looking import Looking
    from robotrain_azureml.order import Order

LIBRARIES = {
    "azure.ai.ml": "azure-ai-ml",
    "azure.identity": "azure-identity",
    "azure.storage.blob": "azure-storage-blob",
}
INSTALL = Instead("pip install 'robotrain[azureml]'", "brings all of them")
WORKSPACE = Instead(
    "--subscription-id ID --resource-group GROUP --workspace-name NAME",
    "at each submit, AZURE_RESOURCE_GROUP and AZUREML_WORKSPACE_NAME, or a table of robotrain.toml",
)
TAG, AZURE = Path("/sys/class/dmi/id/chassis_asset_tag"), "7783-7084-3265-9085-8269-3286-77"
"""Where Linux tells what a machine is, and what it tells on those of Azure."""
COMPUTE = Instead("--compute NAME", "at each submit, AZUREML_COMPUTE, or compute in robotrain.toml")


def checks() -> Iterable[HealthCheck]:
    """All of this platform's."""
    return (
        HealthCheck(name="azureml libraries", look=libraries),
        HealthCheck(name="azure sign-in", look=sign_in),
        HealthCheck(name="azureml settings", look=settings),
        HealthCheck(name="azureml workspace", look=workspace, online=True),
    )


def libraries() -> Iterator[Finding]:
    """Azure's own, by where they lie: to import them takes seconds."""
    missing = [name for module, name in LIBRARIES.items() if not _installed(module)]
    yield fail(f"not installed: {', '.join(missing)}", INSTALL) if missing else ok(", ".join(LIBRARIES.values()))


def sign_in() -> Iterator[Finding]:
    """Who would be asked for, as far as files and the environment tell; whether it holds only Azure knows. A machine of
    Azure's may have an identity of its own.
    """
    from robotrain_azure import profile

    named = next((name for name in identity.OWN if os.environ.get(name)), "")
    if named and os.environ.get("AZURE_CLIENT_ID"):
        yield ok(f"as AZURE_CLIENT_ID, by {named}")
    elif found := profile.default_subscription():
        yield ok(f"{found[1]}, subscription {found[0]}")
    else:
        says = "nobody is signed in to the Azure CLI here, and the environment names nobody"
        yield warn(says, Instead("az login")) if _of_azure() else lacking(says, Instead("az login"))


def settings() -> Iterator[Finding]:
    """Which workspace and compute a submit would go to. Who set neither may not use Azure ML from here."""
    from robotrain_azure import workspace as workspaces

    from robotrain_azureml import compute_name
    from robotrain_azureml.look import said_here

    said, terraform = said_here.settings(), said_here.terraform()
    at, compute = workspaces.of(said), compute_name.compute(said)
    if terraform and not (at and compute):
        yield ok(f"what is not said is read from Terraform's outputs in {terraform} when a job is sent")
        return
    yield ok(f"{at.name} in {at.group}") if at else lacking("no workspace is set", WORKSPACE)
    yield ok(f"compute {compute}") if compute else lacking("no compute is set", COMPUTE)


def workspace() -> Iterator[Finding]:
    """Whether the workspace and the compute are there for you, and whether you may submit."""
    from robotrain_azure import workspace as workspaces
    from robotrain_azure.arm import Arm, ArmError

    from robotrain_azureml.look import refused, said_here
    from robotrain_azureml.look.looking import VERSION, Looking

    said = said_here.settings(asking=True)
    if (at := workspaces.of(said)) is None:
        yield warn("no workspace is set, so Azure was not asked", WORKSPACE)
        return
    looking = Looking(Arm(), _order(said))
    try:
        looking = replace(looking, workspace=looking.arm.get(at.resource, VERSION))
    except ArmError as error:
        yield of_problem(refused.of(error, at))
        return
    yield ok(f"{at.name} in {looking.region}")
    yield from _inside(looking)


def _inside(looking: "Looking") -> Iterator[Finding]:
    """Of a workspace that answers."""
    from robotrain_azure import at_once

    from robotrain_azureml.look import allowed, refused

    unchecked = refused.Unchecked(looking.order.at)
    rights = unchecked.around("your roles", partial(allowed.problems, looking))
    compute = unchecked.around(f"the compute {looking.order.compute}", partial(_compute, looking))
    found = at_once.found([compute, rights] if looking.order.compute else [rights])
    problems = [*found, *unchecked.problems()]
    yield from (of_problem(problem) for problem in problems if problem.severity != "note")
    if not problems:
        named = f"the compute {looking.order.compute} is there, and you" if looking.order.compute else "you"
        yield ok(f"{named} may submit")


def _compute(looking: "Looking") -> Iterator[Problem]:
    """Of whatever kind it is, and with the identity that it has: a submit asks."""
    from robotrain_azureml.look import compute_asked, compute_there

    found = compute_there.asked(looking)
    if isinstance(found, Problem):
        yield found
        return
    order = looking.order
    kind, identity = order.compute_kind or found.kind, order.identity or compute_asked.client(found)
    order = replace(order, compute_kind=kind, identity=identity)
    yield from compute_there.within(replace(looking, order=order), found)


def _order(said: Settings) -> "Order":
    """What a submit would look with."""
    from robotrain.workload import Profile

    from robotrain_azureml import compute_name, environment
    from robotrain_azureml.order import Environment, Order

    at = Profile()
    try:
        version = environment.version(at, said)
    except ValueError:
        version = ""
    return Order(
        run="",
        subscription=said.subscription_id or "",
        group=said.resource_group or "",
        workspace=said.workspace_name or "",
        environment=Environment(name=environment.name(at, said), version=version, image=environment.image(at, said)),
        compute=compute_name.compute(said),
        compute_kind=said.compute_kind or "",
        instance_type=said.instance_type or "",
        identity=said.workload_identity or "",
    )


def _of_azure() -> bool:
    """Whether this is a machine of Azure's, or is told where its identity is asked for."""
    if os.environ.get("IDENTITY_ENDPOINT") or os.environ.get("MSI_ENDPOINT"):
        return True
    try:
        return TAG.read_text(encoding="utf-8").strip() == AZURE
    except (OSError, ValueError):
        return False


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False
