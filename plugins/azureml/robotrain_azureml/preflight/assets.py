"""The environment, data assets and models of a job: whether each exists and can be used."""

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from urllib.parse import unquote

from robotrain.cluster.answers import as_int
from robotrain.errors import Problem, Severity, Stage, Suggestion
from robotrain.messages import Messages
from robotrain.model.source import SourceError
from robotrain.submission.container_plugins import load_workload_container
from robotrain_azure import errors, storage
from robotrain_azure.arm import Answer, ArmError, ServiceError
from robotrain_azure.storage import Datastore
from robotrain_azure.workspace import SCOPE_PATTERN, Workspace
from robotrain_runtime.contract.document import JobDocument

from robotrain_azureml import datastore_path
from robotrain_azureml.datastore_path import DatastorePath
from robotrain_azureml.preflight import context
from robotrain_azureml.preflight.context import PreflightContext
from robotrain_azureml.service import datastore
from robotrain_azureml.spec.submission_spec import WorkspaceAsset, WorkspaceEnvironment
from robotrain_azureml.submit import submit

make_problem = Messages(__file__)


def check_environment(preflight: PreflightContext) -> Iterator[Problem]:
    """Check the environment's image; note that a missing one will be registered. Raises ArmError."""
    environment = preflight.spec.environment
    if environment.registry:
        yield _make_unseen_environment_problem(environment)
        return
    image = fetch_environment_image(preflight)
    if image is None and environment.is_curated:
        yield submit.make_missing_environment_problem(environment, Stage.PREFLIGHT)
    elif image is None:
        yield make_problem("azureml-environment-new", given=environment.image, label=environment.label)
    elif image != environment.image and environment.accepts(image):
        yield _make_unseen_environment_problem(environment)
    elif image != environment.image:
        yield submit.make_environment_differs_problem(environment, image, Stage.PREFLIGHT)


def _make_unseen_environment_problem(environment: WorkspaceEnvironment) -> Problem:
    return make_problem("azureml-environment-unseen", given=environment.reference, label=environment.label)


def fetch_environment_image(preflight: PreflightContext) -> str | None:
    """Return the environment's image, empty if Azure builds it or a registry has it; None if it does not exist.

    Raises ArmError.
    """
    environment = preflight.spec.environment
    if environment.registry:
        return ""
    try:
        resource = preflight.get(f"environments/{environment.name}/versions/{environment.version}")
    except ArmError as error:
        if error.status == 404:
            return None
        raise
    properties = resource.get_object("properties")
    is_built = properties.get("condaFile") or properties.get("build")
    return "" if is_built else properties.get_text("image")


LOCATION_SCOPE = r"locations/[^/]+/workspaces/([^/]+)"
ASSET_TYPES = {"data": ("dataType", "uri_folder"), "models": ("modelType", "custom_model")}
COMMANDS = {"data": "data", "models": "model"}
"""Groups of commands of the Azure CLI."""


def check_asset(
    preflight: PreflightContext, asset: WorkspaceAsset, describing_files: Sequence[str] = ()
) -> Iterator[Problem]:
    """Check one asset. Raises ArmError if it cannot be read. `describing_files`: files that every dataset has."""
    flag = asset.flag
    asset_name = asset.format_value()
    workspace = _find_asset_workspace(preflight, asset)
    if workspace is None:
        yield make_problem("source-unreachable.asset", where=flag, given=asset_name, label=asset.label)
        return
    try:
        properties = preflight.arm.get_properties(_make_asset_path(asset, workspace))
    except ArmError as error:
        yield _make_asset_problem(preflight, asset, workspace, error)
        return
    field, expected_type = ASSET_TYPES[asset.kind]
    kind = properties.get_text(field)
    if kind.lower().replace("_", "") not in ("", expected_type.replace("_", "")):
        is_data = asset.kind == "data"
        remark = f"a version that {'is' if is_data else 'was registered as'} a folder"
        fix = Suggestion(f"{flag} {asset.format_value(version='VERSION')}", remark)
        severity: Severity = "error" if is_data else "warning"  # a model may work
        yield make_problem(
            "resource-unsuitable.asset",
            fix,
            where=flag,
            given=asset_name,
            severity=severity,
            label=asset.label,
            kind=kind,
            expected=expected_type,
        )
    else:
        yield from _check_dataset_asset(preflight, asset, workspace, properties, describing_files)
    if properties.get("isArchived"):
        command = f"{COMMANDS[asset.kind]} restore --name {asset.name} --version {asset.version}"
        fix = Suggestion(preflight.spec.make_az_command(command, workspace), "restores it")
        yield make_problem("azureml-asset-archived", fix, where=flag, given=asset_name, label=asset.label)


def _make_asset_path(asset: WorkspaceAsset, workspace: Workspace) -> str:
    return f"{workspace.resource}/{asset.kind}/{asset.name}/versions/{asset.version}"


def _find_asset_workspace(preflight: PreflightContext, asset: WorkspaceAsset) -> Workspace | None:
    """Return the workspace of an asset; None if its name does not tell."""
    workspace = preflight.spec.target_workspace
    if not asset.scope:
        return workspace
    if match := re.fullmatch(SCOPE_PATTERN, asset.scope, re.IGNORECASE):
        asset_workspace = Workspace(*match.groups())
        return workspace if asset_workspace.resource.lower() == workspace.resource.lower() else asset_workspace
    match = re.fullmatch(LOCATION_SCOPE, asset.scope, re.IGNORECASE)
    own_names = (workspace.name.lower(), preflight.get_property("workspaceId").lower())
    return workspace if match and match[1].lower() in own_names else None


def _make_asset_problem(
    preflight: PreflightContext, asset: WorkspaceAsset, workspace: Workspace, error: ArmError
) -> Problem:
    """Return the problem of an asset that cannot be read. Raises ArmError for the job's own workspace."""
    if errors.is_part_missing(error, asset.name):
        return _make_missing_asset_problem(preflight, asset, workspace)
    if workspace == preflight.spec.target_workspace:
        raise error
    if error.status == 404:
        problem = context.make_workspace_problem(error, workspace)
        return replace(problem, where=asset.flag, given=asset.format_value())
    subjects = [f"the {asset.label} of {workspace.name}"]
    diagnosis = errors.diagnose_workspace_error(error, workspace)
    if error.is_transient:
        return context.make_no_answer_problem(subjects, error, diagnosis)
    return context.make_unchecked_problem(subjects, diagnosis)


def _make_missing_asset_problem(preflight: PreflightContext, asset: WorkspaceAsset, workspace: Workspace) -> Problem:
    subject, list_path = f"the workspace {workspace.name}", f"{workspace.resource}/{asset.kind}"
    fixes: tuple[Suggestion, ...]
    newest_version: object = None
    with contextlib.suppress(ArmError):
        newest_version = preflight.arm.get_properties(f"{list_path}/{asset.name}").get("latestVersion")
    if newest_version and as_int(newest_version) is not None:
        title = f"{subject} has no version {asset.version} of the {asset.noun} {asset.name}"
        fixes = (Suggestion(f"{asset.flag} {asset.format_value(version=str(newest_version))}", "its newest version"),)
    else:
        title = f"{subject} has no {asset.noun} {asset.name}"
        option = f"{asset.flag} {asset.format_value(name='{}', version='VERSION')}"
        command = preflight.spec.make_az_command(f"{COMMANDS[asset.kind]} list", workspace)
        fixes = context.suggest_existing(preflight.arm, list_path, option, asset.name, command)
    return make_problem("resource-unknown.asset", *fixes, where=asset.flag, given=asset.format_value(), title=title)


DATASET_ROLE = "dataset"
_BLOB_URL = r"https://([a-z0-9]{3,24})\.(?:blob|dfs)\.([a-z.]+)/([a-z0-9$-]{1,63})/([^?#]*[^?#/])/?"


def list_describing_files(document: JobDocument) -> Sequence[str]:
    """Return the files of which a dataset of the job's workload must have one; empty if none are declared."""
    plugin = load_workload_container(document.container_plugins)
    return tuple(plugin.identifying_files(document).get(DATASET_ROLE, ())) if plugin else ()


def _check_dataset_asset(
    preflight: PreflightContext,
    asset: WorkspaceAsset,
    workspace: Workspace,
    properties: Answer,
    describing_files: Sequence[str],
) -> Iterator[Problem]:
    """Check that a data asset has a describing file; skipped if it cannot be read, as the job checks again."""
    if asset.kind != "data" or not describing_files:
        return
    try:
        location = _locate_asset_folder(preflight, workspace, properties.get_text("dataUri"))
        if location is None:
            return
        store, folder = location
        with datastore.open_datastore(preflight.arm, store, retries=0) as blobs:
            if any(blobs.has_blob(f"{folder}/{path}") for path in describing_files):
                return
    except ServiceError:
        return
    command = preflight.spec.make_az_command(f"data show --name {asset.name} --version {asset.version}", workspace)
    asset_name = asset.format_value()
    fix = Suggestion(command, "shows its place")
    yield make_problem(
        "source-undescribed",
        fix,
        where=asset.flag,
        given=asset_name,
        label=asset.label,
        describing_files=" and no ".join(describing_files),
    )


def _locate_asset_folder(
    preflight: PreflightContext, workspace: Workspace, address: str
) -> tuple[Datastore, str] | None:
    """Return the datastore and folder of an address; None if its form is unknown. Raises ArmError, StorageError.

    :param workspace: the one whose datastores the address means, if it names none.
    """
    if match := re.fullmatch(_BLOB_URL, address):
        account, suffix, container, folder = match.groups()
        return Datastore(workspace, "", account, container, suffix, keyed=False), unquote(folder)
    try:
        path = datastore_path.parse_datastore_path(address)
    except SourceError:
        return None
    return storage.get_datastore(preflight.arm, path.workspace or workspace, path.datastore), path.path


ADDRESS_FIELDS = {"data": "dataUri", "models": "modelUri"}


def list_mounted_accounts(preflight: PreflightContext, document: JobDocument) -> Iterator[str]:
    """Yield the storage account of each mount that is read with the job's own identity."""
    uris = [source.uri for source in document.sources if source.kind == DatastorePath.kind]
    mounted_assets: tuple[WorkspaceAsset | str, ...] = (*preflight.spec.assets, *uris)
    for asset in mounted_assets:
        with contextlib.suppress(ServiceError):  # its own check reports it
            workspace: Workspace | None = preflight.spec.target_workspace
            address = asset if isinstance(asset, str) else ""
            if not isinstance(asset, str) and (workspace := _find_asset_workspace(preflight, asset)):
                properties = preflight.arm.get_properties(_make_asset_path(asset, workspace))
                address = properties.get_text(ADDRESS_FIELDS[asset.kind])
            location = _locate_asset_folder(preflight, workspace, address) if workspace else None
            if location and not location[0].keyed:
                yield location[0].account
