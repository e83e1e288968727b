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
from robotrain_azure.arm import ArmError
from robotrain_azure.workspace import Workspace
from robotrain_runtime.contract.document import JobDocument

from robotrain_azureml.capabilities import CAPABILITIES
from robotrain_azureml.kinds import datastore_path
from robotrain_azureml.kinds.datastore_path import DatastorePath
from robotrain_azureml.preflight import context
from robotrain_azureml.preflight.context import (
    API_VERSION,
    PreflightContext,
    Severity,
    make_az_command,
    make_preflight_problem,
)
from robotrain_azureml.preflight.machines import parse_count
from robotrain_azureml.service import datastore
from robotrain_azureml.service.datastore import Datastore, StorageError
from robotrain_azureml.spec.submission_spec import WorkspaceAsset
from robotrain_azureml.submit import submit


def check_environment(preflight: PreflightContext) -> Iterator[Problem]:
    """Another image in it, or a note that it is registered when the job is sent. Raises ArmError."""
    wanted, there = preflight.spec.environment, fetch_environment_image(preflight)
    named = f"{wanted.name}:{wanted.version}"
    if there is None:
        title = f"the environment {named} is not in the workspace yet: it is registered when the job is sent"
        yield make_preflight_problem("azureml-environment-new", title, "--image", wanted.image, severity="note")
    elif there != wanted.image:
        yield submit.make_environment_differs_problem(wanted, there, Stage.PREFLIGHT)


def fetch_environment_image(preflight: PreflightContext) -> str | None:
    """What the environment holds, empty for no image; None where it is not there. Raises ArmError."""
    wanted = preflight.spec.environment
    try:
        told = preflight.get(f"environments/{wanted.name}/versions/{wanted.version}")
    except ArmError as error:
        if error.status == 404:
            return None
        raise
    return str((told.get("properties") or {}).get("image") or "")


WORKSPACE_SCOPE = r"subscriptions/([^/]+)/resourcegroups/([^/]+)(?:/providers/[^/]+)?/workspaces/([^/]+)"
LOCATION_SCOPE = r"locations/[^/]+/workspaces/([^/]+)"
ASSET_TYPES = {"data": ("dataType", "uri_folder"), "models": ("modelType", "custom_model")}
ASSET_NOUNS = {"data": "data asset", "models": "model"}
LIST_COMMANDS = {"data": "data list", "models": "model list"}


def check_asset(
    preflight: PreflightContext, asset: WorkspaceAsset, describing_files: Sequence[str] = ()
) -> Iterator[Problem]:
    """What is wrong with one. described: the files that a dataset is told by. Raises ArmError when it is not told."""
    at = find_asset_workspace(preflight, asset)
    if at is None:
        yield _make_unchecked_asset_problem(asset)
        return
    try:
        told = fetch_asset_properties(preflight, asset, at)
    except ArmError as error:
        yield _make_asset_problem(preflight, asset, at, error)
        return
    field, wanted = ASSET_TYPES[asset.kind]
    kind = str(told.get(field) or "")
    if kind.lower().replace("_", "") not in ("", wanted.replace("_", "")):
        yield _make_type_problem(asset, kind, wanted)
    else:
        yield from check_dataset_asset(preflight, asset, told, describing_files)
    if told.get("isArchived"):
        title = f"the {ASSET_NOUNS[asset.kind]} {format_asset(asset)} is archived: somebody took it out of use"
        yield make_preflight_problem(
            "azureml-asset-archived", title, asset.flag, _format_option_value(asset), severity="warning"
        )


def fetch_asset_properties(
    preflight: PreflightContext, asset: WorkspaceAsset, workspace: Workspace
) -> Mapping[str, Any]:
    """Those of its version. Raises ArmError."""
    path = f"{workspace.resource}/{asset.kind}/{asset.name}/versions/{asset.version}"
    return preflight.get_or_fetch(path, lambda: preflight.arm.get(path, API_VERSION).get("properties") or {})


def find_asset_workspace(preflight: PreflightContext, asset: WorkspaceAsset) -> Workspace | None:
    """The workspace that has it; None where its address does not say that."""
    here = preflight.spec.target_workspace
    if not asset.scope:
        return here
    if found := re.fullmatch(WORKSPACE_SCOPE, asset.scope, re.IGNORECASE):
        return Workspace(*found.groups())
    found = re.fullmatch(LOCATION_SCOPE, asset.scope, re.IGNORECASE)
    own = (here.name.lower(), preflight.get_property("workspaceId").lower())
    return here if found and found[1].lower() in own else None


def format_asset(asset: WorkspaceAsset) -> str:
    """As people say it."""
    return f"{asset.name}:{asset.version}"


def _make_asset_problem(
    preflight: PreflightContext, asset: WorkspaceAsset, workspace: Workspace, error: ArmError
) -> Problem:
    """Raises ArmError for one of the job's own workspace."""
    if context.is_missing_part(error, asset.name):
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
    """Told with the newest version, or with the names that there are."""
    order, what = preflight.spec, ASSET_NOUNS[asset.kind]
    ways: tuple[Suggestion, ...]
    where = f"the workspace {workspace.name}"
    if newest := _find_newest_version(preflight, f"{workspace.resource}/{asset.kind}/{asset.name}"):
        title = f"{where} has no version {asset.version} of the {what} {asset.name}"
        ways = (Suggestion(f"{asset.flag} {_format_option_value(asset, version=newest)}", "its newest version"),)
    else:
        title = f"{where} has no {what} {asset.name}"
        there = context.list_names(preflight.arm, f"{workspace.resource}/{asset.kind}", API_VERSION)
        said = f"{asset.flag} {_format_option_value(asset, name='{}', version='VERSION')}"
        ways = context.suggest_names(said, asset.name, there, make_az_command(order, LIST_COMMANDS[asset.kind]))
    return make_preflight_problem("azureml-asset-missing", title, asset.flag, _format_option_value(asset), "", *ways)


def _find_newest_version(preflight: PreflightContext, path: str) -> str:
    try:
        told = preflight.arm.get(path, API_VERSION).get("properties") or {}
    except ArmError:
        return ""
    newest = told.get("latestVersion")
    return str(newest) if parse_count(newest) is not None else ""


def _make_type_problem(asset: WorkspaceAsset, kind: str, wanted: str) -> Problem:
    """A model of another type may be taken all the same; data is mounted as a folder or not at all."""
    title = f"the {ASSET_NOUNS[asset.kind]} {format_asset(asset)} is of the type {kind}, and is read as {wanted}"
    lists = "a version that is a folder" if asset.kind == "data" else "a version that was registered as a folder"
    way = Suggestion(f"{asset.flag} {_format_option_value(asset, version='VERSION')}", lists)
    severity: Severity = "error" if asset.kind == "data" else "warning"
    return make_preflight_problem(
        "azureml-asset-type", title, asset.flag, _format_option_value(asset), "", way, severity=severity
    )


def _make_unchecked_asset_problem(asset: WorkspaceAsset) -> Problem:
    title = f"the {ASSET_NOUNS[asset.kind]} {format_asset(asset)} of another place is not looked at from here"
    why = "Azure ML looks it up when the job is made."
    return make_preflight_problem(
        "azureml-asset-unseen", title, asset.flag, _format_option_value(asset), why, severity="note"
    )


def _format_option_value(asset: WorkspaceAsset, name: str = "", version: str = "") -> str:
    """As it is typed; with another name or version in it."""
    name, version = name or asset.name, version or str(asset.version)
    if not asset.scope:
        return f"azureml:{name}:{version}"
    return f"azureml://{asset.scope}/{asset.kind}/{name}/versions/{version}"


DATASET_ROLE = "dataset"
_BLOB_URL = r"https://([a-z0-9]{3,24})\.(?:blob|dfs)\.([a-z.]+)/([a-z0-9$-]{1,63})/([^?#]*[^?#/])/?"


def list_describing_files(document: JobDocument) -> Sequence[str]:
    """The few files that a dataset of this job's workload is told by; none where it says nothing of them."""
    return tuple(described_by(CAPABILITIES, document.halves).get(DATASET_ROLE, ()))


def check_dataset_asset(
    preflight: PreflightContext, asset: WorkspaceAsset, properties: Mapping[str, Any], describing_files: Sequence[str]
) -> Iterator[Problem]:
    """A data asset in which none of the files is that describe a dataset; nothing where it cannot be seen from here,
    as the job looks again. properties: of its version, as Azure tells them.
    """
    if asset.kind != "data" or not describing_files:
        return
    try:
        found = locate_asset_folder(preflight, str(properties.get("dataUri") or ""))
        if found is None:
            return
        store, folder = found
        with datastore.open_datastore(preflight.arm, store, retries=0) as blobs:
            if any(blobs.has_blob(f"{folder}/{path}") for path in describing_files):
                return
    except (ArmError, StorageError):
        return
    yield _make_undescribed_problem(preflight, asset, describing_files)


def locate_asset_folder(preflight: PreflightContext, address: str) -> tuple[Datastore, str] | None:
    """Where an asset's content lies, and the folder there; None for a form that is not read. Raises ArmError, and
    StorageError.
    """
    if blob := re.fullmatch(_BLOB_URL, address):
        account, suffix, container, folder = blob.groups()
        return Datastore(preflight.spec.target_workspace, "", account, container, suffix, keyed=False), unquote(folder)
    try:
        path = datastore_path.parse_datastore_path(address)
    except SourceError:
        return None
    return context.get_datastore(
        preflight, path.workspace or preflight.spec.target_workspace, path.datastore
    ), path.path


def _make_undescribed_problem(
    preflight: PreflightContext, asset: WorkspaceAsset, describing_files: Sequence[str]
) -> Problem:
    name = f"{asset.name}:{asset.version}"
    title = f"the data asset {name} is no dataset that can be used: it has no {' and no '.join(describing_files)}"
    why = "The job would end there: name a data asset whose folder holds it."
    way = make_az_command(preflight.spec, f"data show --name {asset.name} --version {asset.version}")
    return make_preflight_problem(
        "source-undescribed", title, asset.flag, f"azureml:{name}", why, Suggestion(way, "says where it lies")
    )


ADDRESS_FIELDS = {"data": "dataUri", "models": "modelUri"}


def list_mounted_accounts(preflight: PreflightContext, document: JobDocument) -> Iterator[str]:
    """Of each that is read as the job's identity: not by a secret that a workspace keeps, and where that is known."""
    for one in preflight.spec.assets:
        yield from _list_accounts(preflight, one)
    for source in document.sources:
        if source.kind == DatastorePath.kind:
            yield from _list_accounts(preflight, source.uri)


def _list_accounts(preflight: PreflightContext, source: WorkspaceAsset | str) -> Iterator[str]:
    try:
        address = source if isinstance(source, str) else _fetch_asset_address(preflight, source)
        found = locate_asset_folder(preflight, address)
    except (ArmError, StorageError):  # the look at it says so
        return
    if found and not found[0].keyed:
        yield found[0].account


def _fetch_asset_address(preflight: PreflightContext, asset: WorkspaceAsset) -> str:
    """Empty where it is not told."""
    at = find_asset_workspace(preflight, asset)
    told = fetch_asset_properties(preflight, asset, at) if at else {}
    return str(told.get(ADDRESS_FIELDS[asset.kind]) or "")
