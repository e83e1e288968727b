"""The environment, data assets and models of a job: whether each exists and can be used."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

from robotrain.errors import Problem, Stage, Suggestion
from robotrain.model.source import SourceError
from robotrain.submission.pin import find_describing_files as described_by
from robotrain_azure import errors
from robotrain_azure.arm import ArmError, ServiceError
from robotrain_azure.checks import Severity
from robotrain_azure.workspace import Workspace
from robotrain_runtime.contract.document import JobDocument

from robotrain_azureml import datastore_path
from robotrain_azureml.capabilities import CAPABILITIES
from robotrain_azureml.datastore_path import DatastorePath
from robotrain_azureml.preflight import context
from robotrain_azureml.preflight.context import PreflightContext, make_az_command, make_preflight_problem
from robotrain_azureml.preflight.machines import parse_count
from robotrain_azureml.service import datastore
from robotrain_azureml.service.datastore import Datastore
from robotrain_azureml.spec.submission_spec import WorkspaceAsset
from robotrain_azureml.submit import submit


def check_environment(preflight: PreflightContext) -> Iterator[Problem]:
    """Check the environment's image; note that a missing one will be registered. Raises ArmError."""
    environment, image = preflight.spec.environment, fetch_environment_image(preflight)
    if image is None:
        name = f"{environment.name}:{environment.version}"
        title = f"the environment {name} will be registered in the workspace at submission"
        yield make_preflight_problem("azureml-environment-new", title, "--image", environment.image, severity="note")
    elif image != environment.image:
        yield submit.make_environment_differs_problem(environment, image, Stage.PREFLIGHT)


def fetch_environment_image(preflight: PreflightContext) -> str | None:
    """Return the environment's image, empty if it is built from files; None if it does not exist. Raises ArmError."""
    environment = preflight.spec.environment
    try:
        resource = preflight.get(f"environments/{environment.name}/versions/{environment.version}")
    except ArmError as error:
        if error.status == 404:
            return None
        raise
    return str((resource.get("properties") or {}).get("image") or "")


WORKSPACE_SCOPE = r"subscriptions/([^/]+)/resourcegroups/([^/]+)(?:/providers/[^/]+)?/workspaces/([^/]+)"
LOCATION_SCOPE = r"locations/[^/]+/workspaces/([^/]+)"
ASSET_TYPES = {"data": ("dataType", "uri_folder"), "models": ("modelType", "custom_model")}
ASSET_NOUNS = {"data": "data asset", "models": "model"}
LIST_COMMANDS = {"data": "data list", "models": "model list"}


def check_asset(
    preflight: PreflightContext, asset: WorkspaceAsset, describing_files: Sequence[str] = ()
) -> Iterator[Problem]:
    """Check one asset. Raises ArmError if it cannot be read. `describing_files`: files that every dataset has."""
    workspace = find_asset_workspace(preflight, asset)
    if workspace is None:
        yield _make_unchecked_asset_problem(asset)
        return
    try:
        properties = fetch_asset_properties(preflight, asset, workspace)
    except ArmError as error:
        yield _make_asset_problem(preflight, asset, workspace, error)
        return
    field, expected = ASSET_TYPES[asset.kind]
    kind = str(properties.get(field) or "")
    if kind.lower().replace("_", "") not in ("", expected.replace("_", "")):
        yield _make_type_problem(asset, kind, expected)
    else:
        yield from check_dataset_asset(preflight, asset, properties, describing_files)
    if properties.get("isArchived"):
        title = f"the {ASSET_NOUNS[asset.kind]} {format_asset(asset)} is archived"
        yield make_preflight_problem(
            "azureml-asset-archived", title, asset.flag, _format_option_value(asset), severity="warning"
        )


def fetch_asset_properties(
    preflight: PreflightContext, asset: WorkspaceAsset, workspace: Workspace
) -> Mapping[str, Any]:
    """Return the properties of an asset's version. Raises ArmError."""
    path = f"{workspace.resource}/{asset.kind}/{asset.name}/versions/{asset.version}"
    return preflight.get_or_fetch(path, lambda: preflight.arm.get_properties(path))


def find_asset_workspace(preflight: PreflightContext, asset: WorkspaceAsset) -> Workspace | None:
    """Return the workspace of an asset; None if its name does not tell."""
    workspace = preflight.spec.target_workspace
    if not asset.scope:
        return workspace
    if match := re.fullmatch(WORKSPACE_SCOPE, asset.scope, re.IGNORECASE):
        return Workspace(*match.groups())
    match = re.fullmatch(LOCATION_SCOPE, asset.scope, re.IGNORECASE)
    own_names = (workspace.name.lower(), preflight.get_property("workspaceId").lower())
    return workspace if match and match[1].lower() in own_names else None


def format_asset(asset: WorkspaceAsset) -> str:
    """Return `NAME:VERSION`."""
    return f"{asset.name}:{asset.version}"


def _make_asset_problem(
    preflight: PreflightContext, asset: WorkspaceAsset, workspace: Workspace, error: ArmError
) -> Problem:
    """Return the problem of an asset that cannot be read. Raises ArmError for the job's own workspace."""
    if errors.is_part_missing(error, asset.name):
        return _make_missing_asset_problem(preflight, asset, workspace)
    if workspace == preflight.spec.target_workspace:
        raise error
    if error.status == 404:
        return replace(
            context.make_workspace_problem(error, workspace), where=asset.flag, given=_format_option_value(asset)
        )
    return context.make_unchecked_problem(
        [f"the {ASSET_NOUNS[asset.kind]} {format_asset(asset)} of {workspace.name}"],
        errors.diagnose_workspace_error(error, workspace),
    )


def _make_missing_asset_problem(preflight: PreflightContext, asset: WorkspaceAsset, workspace: Workspace) -> Problem:
    """Return the problem of a missing asset, with the newest version or the existing names."""
    noun = ASSET_NOUNS[asset.kind]
    fixes: tuple[Suggestion, ...]
    where = f"the workspace {workspace.name}"
    if newest := _find_newest_version(preflight, f"{workspace.resource}/{asset.kind}/{asset.name}"):
        title = f"{where} has no version {asset.version} of the {noun} {asset.name}"
        fixes = (Suggestion(f"{asset.flag} {_format_option_value(asset, version=newest)}", "its newest version"),)
    else:
        title = f"{where} has no {noun} {asset.name}"
        path, command = f"{workspace.resource}/{asset.kind}", make_az_command(preflight.spec, LIST_COMMANDS[asset.kind])
        option = f"{asset.flag} {_format_option_value(asset, name='{}', version='VERSION')}"
        fixes = context.suggest_existing(preflight.arm, path, option, asset.name, command)
    return make_preflight_problem("azureml-asset-missing", title, asset.flag, _format_option_value(asset), "", *fixes)


def _find_newest_version(preflight: PreflightContext, path: str) -> str:
    try:
        properties = preflight.arm.get_properties(path)
    except ArmError:
        return ""
    newest = properties.get("latestVersion")
    return str(newest) if parse_count(newest) is not None else ""


def _make_type_problem(asset: WorkspaceAsset, kind: str, wanted: str) -> Problem:
    """Return the problem of a wrong type: an error for data, a warning for a model, which may work."""
    title = f"the {ASSET_NOUNS[asset.kind]} {format_asset(asset)} has the type {kind}, but the job reads {wanted}"
    remark = "a version that is a folder" if asset.kind == "data" else "a version that was registered as a folder"
    fix = Suggestion(f"{asset.flag} {_format_option_value(asset, version='VERSION')}", remark)
    severity: Severity = "error" if asset.kind == "data" else "warning"
    return make_preflight_problem(
        "azureml-asset-type", title, asset.flag, _format_option_value(asset), "", fix, severity=severity
    )


def _make_unchecked_asset_problem(asset: WorkspaceAsset) -> Problem:
    title = f"the {ASSET_NOUNS[asset.kind]} {format_asset(asset)} of another region or registry was not checked"
    why = "Azure ML checks it when the job is created."
    return make_preflight_problem(
        "azureml-asset-unseen", title, asset.flag, _format_option_value(asset), why, severity="note"
    )


def _format_option_value(asset: WorkspaceAsset, name: str = "", version: str = "") -> str:
    """Return the asset as an option's value, optionally with another name or version."""
    name, version = name or asset.name, version or str(asset.version)
    if not asset.scope:
        return f"azureml:{name}:{version}"
    return f"azureml://{asset.scope}/{asset.kind}/{name}/versions/{version}"


DATASET_ROLE = "dataset"
_BLOB_URL = r"https://([a-z0-9]{3,24})\.(?:blob|dfs)\.([a-z.]+)/([a-z0-9$-]{1,63})/([^?#]*[^?#/])/?"


def list_describing_files(document: JobDocument) -> Sequence[str]:
    """Return the files of which a dataset of the job's workload must have one; empty if none are declared."""
    return tuple(described_by(CAPABILITIES, document.halves).get(DATASET_ROLE, ()))


def check_dataset_asset(
    preflight: PreflightContext, asset: WorkspaceAsset, properties: Mapping[str, Any], describing_files: Sequence[str]
) -> Iterator[Problem]:
    """Check that a data asset has a describing file; skipped if it cannot be read, as the job checks again."""
    if asset.kind != "data" or not describing_files:
        return
    try:
        location = locate_asset_folder(preflight, str(properties.get("dataUri") or ""))
        if location is None:
            return
        store, folder = location
        with datastore.open_datastore(preflight.arm, store, retries=0) as blobs:
            if any(blobs.has_blob(f"{folder}/{path}") for path in describing_files):
                return
    except ServiceError:
        return
    yield _make_undescribed_problem(preflight, asset, describing_files)


def locate_asset_folder(preflight: PreflightContext, address: str) -> tuple[Datastore, str] | None:
    """Return the datastore and folder of an asset; None if its form is unknown. Raises ArmError, StorageError."""
    if match := re.fullmatch(_BLOB_URL, address):
        account, suffix, container, folder = match.groups()
        return Datastore(preflight.spec.target_workspace, "", account, container, suffix, keyed=False), unquote(folder)
    try:
        path = datastore_path.parse_datastore_path(address)
    except SourceError:
        return None
    workspace = path.workspace or preflight.spec.target_workspace
    return context.get_datastore(preflight, workspace, path.datastore), path.path


def _make_undescribed_problem(
    preflight: PreflightContext, asset: WorkspaceAsset, describing_files: Sequence[str]
) -> Problem:
    name = f"{asset.name}:{asset.version}"
    title = f"the data asset {name} is not a valid dataset: it has no {' and no '.join(describing_files)}"
    why = "The job would fail: use a data asset whose folder has this file."
    command = make_az_command(preflight.spec, f"data show --name {asset.name} --version {asset.version}")
    return make_preflight_problem(
        "source-undescribed", title, asset.flag, f"azureml:{name}", why, Suggestion(command, "shows its place")
    )


ADDRESS_FIELDS = {"data": "dataUri", "models": "modelUri"}


def list_mounted_accounts(preflight: PreflightContext, document: JobDocument) -> Iterator[str]:
    """Yield the storage account of each mount that is read with the job's own identity."""
    for asset in preflight.spec.assets:
        yield from _list_accounts(preflight, asset)
    for source in document.sources:
        if source.kind == DatastorePath.kind:
            yield from _list_accounts(preflight, source.uri)


def _list_accounts(preflight: PreflightContext, source: WorkspaceAsset | str) -> Iterator[str]:
    try:
        address = source if isinstance(source, str) else _fetch_asset_address(preflight, source)
        location = locate_asset_folder(preflight, address)
    except ServiceError:  # its own check reports it
        return
    if location and not location[0].keyed:
        yield location[0].account


def _fetch_asset_address(preflight: PreflightContext, asset: WorkspaceAsset) -> str:
    workspace = find_asset_workspace(preflight, asset)
    properties = fetch_asset_properties(preflight, asset, workspace) if workspace else {}
    return str(properties.get(ADDRESS_FIELDS[asset.kind]) or "")
