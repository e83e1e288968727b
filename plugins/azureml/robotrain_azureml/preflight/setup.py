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
    convert_problem,
    report_failure,
    report_missing,
    report_ok,
    report_warning,
)
from robotrain.model.job import Job
from robotrain_azure.arm import ArmClient
from robotrain_azure.settings import get_workspace, list_missing_flags
from robotrain_azure.workspace import find_default_subscription

from robotrain_azureml.identity import SIGN_IN_VARIABLES
from robotrain_azureml.preflight import access, context
from robotrain_azureml.preflight import compute as compute_checks
from robotrain_azureml.preflight.context import PreflightContext, UncheckedParts
from robotrain_azureml.settings import AzureMLSettings
from robotrain_azureml.sign_in import suggest_login
from robotrain_azureml.spec import check_job, job_settings, render

PLATFORM_NAME = "azureml"


def find_terraform_folder() -> str:
    """Return the folder of Terraform's outputs for display; empty if there is none."""
    try:
        folder = terraform.find_terraform_folder(read_surroundings(), Path.cwd())
    except Rejected:
        return ""
    return terraform.format_folder(folder) if folder else ""


LIBRARIES = {
    "azure.ai.ml": "azure-ai-ml",
    "azure.identity": "azure-identity",
    "azure.storage.blob": "azure-storage-blob",
}
WORKSPACE_VARIABLES = {
    "--subscription-id": "AZURE_SUBSCRIPTION_ID=ID",
    "--resource-group": "AZURE_RESOURCE_GROUP=GROUP",
    "--workspace-name": "AZUREML_WORKSPACE_NAME=NAME",
}
"""By the option of a submit that names a part of the workspace: the variable that does, for `doctor` too."""
CHASSIS_TAG_FILE, AZURE_CHASSIS_TAG = Path("/sys/class/dmi/id/chassis_asset_tag"), "7783-7084-3265-9085-8269-3286-77"
"""Where Linux describes the machine, and the value on Azure's machines."""
COMPUTE_SUGGESTION = Suggestion("AZUREML_COMPUTE=NAME", "in the environment, or compute in robotrain.toml")


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


def check_sign_in() -> Iterator[HealthResult]:
    """Check that files or the environment name an identity; only Azure knows if it is valid.

    A machine of Azure's may have a managed identity.
    """
    variable = next((name for name in SIGN_IN_VARIABLES if os.environ.get(name)), "")
    if variable and os.environ.get("AZURE_CLIENT_ID"):
        yield report_ok(f"as AZURE_CLIENT_ID, by {variable}")
    elif subscription := find_default_subscription():
        yield report_ok(f"{subscription[1]}, subscription {subscription[0]}")
    else:
        message = "you are not signed in to the Azure CLI, and the environment sets no identity"
        report = report_warning if _is_azure_machine() else report_missing
        yield report(message, suggest_login())


def check_settings() -> Iterator[HealthResult]:
    """Check that a workspace and a compute are set and well named; without both, Azure ML may not be used from here."""
    configured = read_configured_settings(AzureMLSettings, PLATFORM_NAME)
    terraform = find_terraform_folder()
    workspace = get_workspace(configured)
    compute = job_settings.get_compute_name(configured)
    if terraform and not (workspace and compute):
        yield report_ok(f"missing settings are read from Terraform's outputs in {terraform} at submission")
        if not configured.subscription_id:
            yield _report_incomplete_workspace(("--subscription-id",), "unless Terraform has an output subscription_id")
        return
    invalid_names = [_report_invalid(problem) for problem in check_job.find_invalid_names(configured)]
    yield from invalid_names
    if workspace is None:
        yield _report_incomplete_workspace(list_missing_flags(configured))
    elif not invalid_names:
        yield report_ok(f"{workspace.name} in {workspace.group}")
    if not compute:
        yield report_missing("no compute is set", COMPUTE_SUGGESTION)
        return
    invalid_computes = [_report_invalid(problem) for problem in check_job.find_invalid_compute(configured)]
    yield from invalid_computes or [report_ok(f"compute {compute}")]


def _report_invalid(problem: Problem) -> HealthResult:
    """Return the result for a setting that a submit refuses: a failure only for users of this platform."""
    return replace(convert_problem(problem), state="warn", required=True)


def _report_incomplete_workspace(missing_flags: Sequence[str], *more: str) -> HealthResult:
    """Return the result for a workspace of which parts are missing; `doctor` takes no options for them."""
    subject = " and ".join(flag.removeprefix("--").replace("-", " ") for flag in missing_flags)
    title = f"the workspace is incomplete: its {subject} {'are' if missing_flags[1:] else 'is'} not set"
    title = "no workspace is set" if len(missing_flags) == len(WORKSPACE_VARIABLES) else title
    variables = " ".join(WORKSPACE_VARIABLES[flag] for flag in missing_flags)
    ways = [Suggestion(variables, "in the environment, or in [platforms.azureml] of robotrain.toml")]
    if "--subscription-id" in missing_flags:
        ways.append(suggest_login("then `az account set --subscription ID` chooses the default one"))
    return report_missing(", ".join((title, *more)), *ways)


def check_workspace() -> Iterator[Problem | HealthResult]:
    """Check that the workspace, its storage and the compute exist and answer you."""
    configured = read_configured_settings(AzureMLSettings, PLATFORM_NAME, with_terraform=True)
    if get_workspace(configured) is None:
        yield _report_incomplete_workspace(list_missing_flags(configured), "so Azure was not asked")
        return
    job = Job(workload="", parameters=())
    try:
        version = job_settings.get_environment_version(job.profile, configured)
    except ValueError:  # no image is set
        version = "none"
    spec = render.make_submission_spec(job, replace(configured, environment_version=version), "", ())
    preflight = PreflightContext(ArmClient(), replace(spec, instance_type=configured.instance_type or ""))
    outcomes = [*context.check_workspace(preflight, _list_parts)]
    yield from outcomes
    if all(isinstance(outcome, HealthResult) for outcome in outcomes):
        compute = f", and the compute {spec.compute} exists" if spec.compute else ""
        yield report_ok(f"the datastore {spec.datastore} answers{compute}")


def _list_parts(preflight: PreflightContext, unchecked: UncheckedParts) -> list[RunCheck]:
    """Return the checks of the compute, if one is set, and of the datastore."""
    store, name = preflight.spec.datastore, preflight.spec.compute
    storage = unchecked.collect_errors(f"the datastore {store}", partial(_try_storage, preflight))
    compute = unchecked.collect_errors(f"the compute {name}", partial(_check_compute, preflight))
    return [compute, storage] if name else [storage]


def _try_storage(preflight: PreflightContext) -> Iterator[Problem]:
    """List blobs of the datastore; a job without folders to upload needs none."""
    for problem in access.try_blobs(preflight, preflight.get_datastore()):
        yield replace(problem, severity="warning")


def _check_compute(preflight: PreflightContext) -> Iterator[Problem]:
    """Check the compute with its own kind and identity, as a submit would set them."""
    compute = compute_checks.fetch_compute(preflight)
    if isinstance(compute, Problem):
        yield compute
        return
    spec = preflight.spec
    kind = spec.compute_kind or compute.kind
    identity = spec.identity or compute.default_identity
    spec = replace(spec, compute_kind=kind, identity=identity)
    yield from compute_checks.check_fetched_compute(replace(preflight, spec=spec), compute)


def _is_azure_machine() -> bool:
    """Return whether this is a machine of Azure's, or the environment has an identity endpoint."""
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
