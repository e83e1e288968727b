"""Checks of this machine's setup, for any plan: libraries, sign-in, settings, workspace."""

import importlib.util
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from robotrain.cluster.settings import read_configured_settings
from robotrain.config import terraform
from robotrain.config.selection import read_surroundings
from robotrain.errors import Problem, Rejected, Suggestion
from robotrain.installation import suggest_install
from robotrain.model.health import (
    Check,
    HealthResult,
    RunCheck,
    report_failure,
    report_missing,
    report_ok,
    report_warning,
)
from robotrain.model.job import Job
from robotrain_azure.arm import ArmClient
from robotrain_azure.settings import get_workspace, list_missing_flags
from robotrain_azure.workspace import find_default_subscription

from robotrain_azureml.errors import suggest_login
from robotrain_azureml.identity import SIGN_IN_VARIABLES
from robotrain_azureml.preflight import assets, compute, context
from robotrain_azureml.preflight.context import PreflightContext
from robotrain_azureml.settings import AzureMLSettings
from robotrain_azureml.spec import job_settings, render

PLATFORM_NAME = "azureml"
LIBRARIES = {
    "azure.ai.ml": "azure-ai-ml",
    "azure.identity": "azure-identity",
    "azure.storage.blob": "azure-storage-blob",
}
VARIABLES = {
    "--subscription-id": "AZURE_SUBSCRIPTION_ID=ID",
    "--resource-group": "AZURE_RESOURCE_GROUP=GROUP",
    "--workspace-name": "AZUREML_WORKSPACE_NAME=NAME",
    "--compute": "AZUREML_COMPUTE=NAME",
}
"""By the option of a submit: the variable that does the same, for `doctor` too."""


def list_checks() -> list[Check]:
    """Return the checks of the libraries, the sign-in, the settings and the workspace that they name."""
    return [
        Check(name="azureml libraries", run=check_libraries),
        Check(name="azure sign-in", run=check_sign_in),
        Check(name="azureml settings", run=check_settings),
        Check(name="azureml workspace", run=check_workspace, online=True),
    ]


def check_libraries() -> Iterator[HealthResult]:
    """Check that Azure's libraries are installed, without importing them: that takes seconds."""
    if missing_libraries := [name for module, name in LIBRARIES.items() if not _is_installed(module)]:
        suggestion = suggest_install("robotrain[azureml]", remark="installs all of them")
        yield report_failure(f"not installed: {', '.join(missing_libraries)}", suggestion)
    else:
        yield report_ok(", ".join(LIBRARIES.values()))


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def check_sign_in() -> Iterator[HealthResult]:
    """Look for an identity in files and the environment; a machine of Azure's may have one without them."""
    variable = next((name for name in SIGN_IN_VARIABLES if os.environ.get(name)), "")
    if variable and os.environ.get("AZURE_CLIENT_ID"):
        yield report_ok(f"as AZURE_CLIENT_ID, by {variable}")
    elif subscription := find_default_subscription():
        yield report_ok(f"{subscription[1]}, subscription {subscription[0]}")
    else:
        yield report_warning(
            "you are not signed in to the Azure CLI, and the environment sets no identity", suggest_login()
        )


def check_settings() -> Iterator[HealthResult]:
    """Check that a workspace and a compute are set and well named."""
    configured = read_configured_settings(AzureMLSettings, PLATFORM_NAME)
    compute_name = job_settings.get_compute_name(configured)
    missing_flags = [*list_missing_flags(configured), *([] if compute_name else ["--compute"])]
    if missing_flags and (folder := _find_terraform_folder()):
        yield report_ok(f"missing settings are read from Terraform's outputs in {folder} at submission")
    elif missing_flags:
        yield _report_missing(missing_flags)
    else:
        yield report_ok(f"{configured.workspace_name} in {configured.resource_group}, compute {compute_name}")


def _find_terraform_folder() -> str:
    try:
        folder = terraform.find_terraform_folder(read_surroundings(), Path.cwd())
    except Rejected:
        return ""
    return terraform.format_folder(folder) if folder else ""


def _report_missing(flags: Sequence[str], more: str = "") -> HealthResult:
    names = ", ".join(flag.removeprefix("--").replace("-", " ") for flag in flags)
    variables = " ".join(VARIABLES[flag] for flag in flags)
    ways = [Suggestion(variables, "in the environment, or in [platforms.azureml] of robotrain.toml")]
    if "--subscription-id" in flags:
        ways.append(suggest_login("then `az account set --subscription ID` chooses the default one"))
    return report_missing(f"not set: {names}{more}", *ways)


def check_workspace() -> Iterator[Problem | HealthResult]:
    """Check that the workspace lets you in, and that its datastore and the compute exist."""
    configured = read_configured_settings(AzureMLSettings, PLATFORM_NAME, with_terraform=True)
    if get_workspace(configured) is None:
        yield _report_missing(list_missing_flags(configured), "; Azure was not asked")
        return
    job = Job(workload="", parameters=())
    try:
        version = job_settings.get_environment_version(job.profile, configured)
    except ValueError:  # no image is set
        version = "none"
    spec = render.make_submission_spec(job, replace(configured, environment_version=version), "", ())
    outcomes = [*context.check_workspace(PreflightContext(ArmClient(), spec), _list_parts)]
    yield from outcomes
    if all(isinstance(outcome, HealthResult) for outcome in outcomes):
        compute_note = f" and the compute {spec.compute}" if spec.compute else ""
        yield report_ok(f"it has the datastore {spec.datastore}{compute_note}")


def _list_parts(preflight: PreflightContext) -> list[tuple[str, RunCheck]]:
    store, name = preflight.spec.datastore, preflight.spec.compute
    storage = (f"the datastore {store}", partial(assets.check_storage, preflight))
    return [(f"the compute {name}", partial(_find_compute, preflight)), storage] if name else [storage]


def _find_compute(preflight: PreflightContext) -> Iterator[Problem]:
    fetched = compute.fetch_compute(preflight)
    if isinstance(fetched, Problem):
        yield fetched
