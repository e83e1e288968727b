"""Checks of `robotrain doctor`: libraries, sign-in, settings, workspace."""

import importlib.util
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from robotrain.config import project_file as projects
from robotrain.config import terraform
from robotrain.config.coerce import coerce_values
from robotrain.config.layers import LayerStack, read_dotenv_files, read_environment
from robotrain.config.request import Request, make_variable_name
from robotrain.config.terraform import TerraformLayer
from robotrain.errors import Problem, Rejected, Suggestion
from robotrain.model.health import (
    HealthCheck,
    HealthResult,
    convert_problem,
    report_failure,
    report_missing,
    report_ok,
    report_warning,
)

from robotrain_azureml import settings
from robotrain_azureml.settings import AzureMLSettings

if TYPE_CHECKING:
    from robotrain_azureml.preflight.context import PreflightContext
    from robotrain_azureml.spec.submission_spec import AzureMLSubmissionSpec

PLATFORM_NAME = "azureml"


def read_configured_settings(with_terraform: bool = False) -> AzureMLSettings:
    """What is not valid counts as not said. asking: Terraform's outputs are read as well, which takes a moment."""
    request = _make_request(with_terraform)
    tables = request.project.list_settings(PLATFORM_NAME) if request.project else []
    typed, _ = coerce_values(AzureMLSettings, LayerStack(request).resolve_values(AzureMLSettings, {}, {}, tables))
    found: AzureMLSettings = typed
    return found


def find_terraform_folder() -> str:
    """The folder that Terraform's outputs would be read in, as it is shown; empty for none."""
    request = _make_request(with_terraform=False)
    try:
        found = terraform.find_terraform_folder(request.variables, request.project, Path.cwd())
    except Rejected:
        return ""
    return terraform.format_folder(found) if found else ""


def _make_request(with_terraform: bool) -> Request:
    here = Path.cwd()
    names = (read_environment(), *read_dotenv_files(here))
    profile = next((value for layer in names if (value := layer.find_first((make_variable_name("profile"),)))), None)
    project = projects.load_project(here, profile)
    return Request(
        variables=names, project=project, terraform=TerraformLayer(names, project, here) if with_terraform else None
    )


LIBRARIES = {
    "azure.ai.ml": "azure-ai-ml",
    "azure.identity": "azure-identity",
    "azure.storage.blob": "azure-storage-blob",
}
INSTALL_SUGGESTION = Suggestion("pip install 'robotrain[azureml]'", "brings all of them")
WORKSPACE_SUGGESTION = Suggestion(
    "--subscription-id ID --resource-group GROUP --workspace-name NAME",
    "at each submit, AZURE_RESOURCE_GROUP and AZUREML_WORKSPACE_NAME, or a table of robotrain.toml",
)
CHASSIS_TAG_FILE, AZURE_CHASSIS_TAG = Path("/sys/class/dmi/id/chassis_asset_tag"), "7783-7084-3265-9085-8269-3286-77"
"""Where Linux tells what a machine is, and what it tells on those of Azure."""
COMPUTE_SUGGESTION = Suggestion("--compute NAME", "at each submit, AZUREML_COMPUTE, or compute in robotrain.toml")


def list_health_checks() -> Iterable[HealthCheck]:
    """All of this platform's."""
    return (
        HealthCheck(name="azureml libraries", run=check_libraries),
        HealthCheck(name="azure sign-in", run=check_sign_in),
        HealthCheck(name="azureml settings", run=check_settings),
        HealthCheck(name="azureml workspace", run=check_workspace, online=True),
    )


def check_libraries() -> Iterator[HealthResult]:
    """Azure's own, by where they lie: to import them takes seconds."""
    missing = [name for module, name in LIBRARIES.items() if not _is_installed(module)]
    yield (
        report_failure(f"not installed: {', '.join(missing)}", INSTALL_SUGGESTION)
        if missing
        else report_ok(", ".join(LIBRARIES.values()))
    )


def check_sign_in() -> Iterator[HealthResult]:
    """Who would be asked for, as far as files and the environment tell; whether it holds only Azure knows. A machine of
    Azure's may have an identity of its own.
    """
    from robotrain_azure import workspace

    named = next((name for name in settings.SIGN_IN_VARIABLES if os.environ.get(name)), "")
    if named and os.environ.get("AZURE_CLIENT_ID"):
        yield report_ok(f"as AZURE_CLIENT_ID, by {named}")
    elif found := workspace.find_default_subscription():
        yield report_ok(f"{found[1]}, subscription {found[0]}")
    else:
        says = "nobody is signed in to the Azure CLI here, and the environment names nobody"
        yield (
            report_warning(says, Suggestion("az login"))
            if _is_azure_machine()
            else report_missing(says, Suggestion("az login"))
        )


def check_settings() -> Iterator[HealthResult]:
    """Which workspace and compute a submit would go to. Who set neither may not use Azure ML from here."""
    from robotrain_azure import workspace as workspaces

    from robotrain_azureml.spec import job_settings

    pass

    said, terraform = read_configured_settings(), find_terraform_folder()
    at, compute = workspaces.get_workspace(said), job_settings.get_compute_name(said)
    if terraform and not (at and compute):
        yield report_ok(f"what is not said is read from Terraform's outputs in {terraform} when a job is sent")
        return
    yield report_ok(f"{at.name} in {at.group}") if at else report_missing("no workspace is set", WORKSPACE_SUGGESTION)
    yield report_ok(f"compute {compute}") if compute else report_missing("no compute is set", COMPUTE_SUGGESTION)


def check_workspace() -> Iterator[HealthResult]:
    """Whether the workspace and the compute are there for you, and whether you may submit."""
    from robotrain_azure import workspace as workspaces
    from robotrain_azure.arm import ArmClient, ArmError

    from robotrain_azureml.preflight import context
    from robotrain_azureml.preflight.context import API_VERSION, PreflightContext

    said = read_configured_settings(with_terraform=True)
    if (at := workspaces.get_workspace(said)) is None:
        yield report_warning("no workspace is set, so Azure was not asked", WORKSPACE_SUGGESTION)
        return
    looking = PreflightContext(ArmClient(), _make_submission_spec(said))
    try:
        looking = replace(looking, workspace=looking.arm.get(at.resource, API_VERSION))
    except ArmError as error:
        yield convert_problem(context.make_workspace_problem(error, at))
        return
    yield report_ok(f"{at.name} in {looking.region}")
    yield from _check_inside_workspace(looking)


def _check_inside_workspace(preflight: "PreflightContext") -> Iterator[HealthResult]:
    """Of a workspace that answers."""
    from robotrain_azure import preflight_checks

    from robotrain_azureml.preflight import context, roles

    unchecked = context.UncheckedParts(preflight.spec.target_workspace)
    rights = unchecked.collect_errors("your roles", partial(roles.check_caller_roles, preflight))
    compute = unchecked.collect_errors(f"the compute {preflight.spec.compute}", partial(_check_compute, preflight))
    found = preflight_checks.run_checks([compute, rights] if preflight.spec.compute else [rights])
    problems = [*found, *unchecked.make_problems()]
    yield from (convert_problem(problem) for problem in problems if problem.severity != "note")
    if not problems:
        named = f"the compute {preflight.spec.compute} is there, and you" if preflight.spec.compute else "you"
        yield report_ok(f"{named} may submit")


def _check_compute(preflight: "PreflightContext") -> Iterator[Problem]:
    """Of whatever kind it is, and with the identity that it has: a submit asks."""
    from robotrain_azureml.preflight import compute

    found = compute.fetch_compute(preflight)
    if isinstance(found, Problem):
        yield found
        return
    order = preflight.spec
    kind, identity = order.compute_kind or found.kind, order.identity or compute.get_client_id(found)
    order = replace(order, compute_kind=kind, identity=identity)
    yield from compute.check_fetched_compute(replace(preflight, spec=order), found)


def _make_submission_spec(settings: AzureMLSettings) -> "AzureMLSubmissionSpec":
    """What a submit would look with."""
    from robotrain.model.workload import WorkloadProfile

    from robotrain_azureml.spec import job_settings
    from robotrain_azureml.spec.submission_spec import AzureMLSubmissionSpec, WorkspaceEnvironment

    at = WorkloadProfile()
    try:
        version = job_settings.get_environment_version(at, settings)
    except ValueError:
        version = ""
    return AzureMLSubmissionSpec(
        run="",
        subscription=settings.subscription_id or "",
        group=settings.resource_group or "",
        workspace=settings.workspace_name or "",
        environment=WorkspaceEnvironment(
            name=job_settings.get_environment_name(at, settings),
            version=version,
            image=job_settings.get_image(at, settings),
        ),
        compute=job_settings.get_compute_name(settings),
        compute_kind=settings.compute_kind or "",
        instance_type=settings.instance_type or "",
        identity=settings.workload_identity or "",
    )


def _is_azure_machine() -> bool:
    """Whether this is a machine of Azure's, or is told where its identity is asked for."""
    if os.environ.get("IDENTITY_ENDPOINT") or os.environ.get("MSI_ENDPOINT"):
        return True
    try:
        return CHASSIS_TAG_FILE.read_text(encoding="utf-8").strip() == AZURE_CHASSIS_TAG
    except (OSError, ValueError):
        return False


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False
