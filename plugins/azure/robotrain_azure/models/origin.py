"""Where the files of a model lie: from its version to a folder of blobs. Runs in the data environment.

Pure.

Azure's resource manager tells where
its files lie, and they are read as any folder of blobs.
"""

import difflib
import importlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from robotrain_sources.fetching.errors import FetchError
from robotrain_sources.transfer.origin import DataOrigin, SourceFile

from robotrain_azure import errors
from robotrain_azure.arm import ArmClient, ArmError
from robotrain_azure.models import container
from robotrain_azure.models.container import WorkspaceModel
from robotrain_azure.workspace import Workspace

ARTIFACTS_OUTPUT, ARTIFACT_DATASTORE = "artifacts", "workspaceartifactstore"
"""The output that tracking writes to, and the datastore of every workspace that it lies in."""
DEFAULT_OUTPUT_URI = "azureml://datastores/workspaceblobstore/paths/azureml/{job}/{output}"
"""Where an output lies of which nothing was said."""
BLOB_DATASTORE_TYPES = ("AzureBlob", "AzureDataLakeGen2")
BLOB_SUFFIX = "core.windows.net"

_WORKSPACE = (
    r"subscriptions/(?P<subscription>[^/]+)/resource[gG]roups/(?P<group>[^/]+)(?:/providers/[^/]+)?"
    r"/workspaces/(?P<name>[^/]+)/"
)
_DATASTORE_URI = rf"azureml://(?:{_WORKSPACE})?datastores/(?P<datastore>[^/]+)/paths/(?P<path>.+)"
_JOB_URI = r"azureml://jobs/(?P<job>[^/]+)/outputs/(?P<output>[^/]+)(?:/paths/(?P<path>.*))?"
_RUN_URI = r"runs:/(?P<job>[^/]+)/(?P<path>.+)"
_BLOB_URL = r"https://[^/?#@]+\.blob\.core\.windows\.net/[^?#]+"


@dataclass(frozen=True, slots=True)
class DatastoreFolder:
    """A folder in a datastore of a workspace."""

    workspace: Workspace
    datastore: str
    path: str


@dataclass(frozen=True, slots=True)
class JobOutputFolder:
    """A folder in an output of a job of a workspace."""

    workspace: Workspace
    job: str
    output: str
    path: str


ModelLocation = DatastoreFolder | JobOutputFolder | str
"""A text is the address of blobs."""


def parse_location(uri: str, workspace: Workspace) -> ModelLocation | None:
    """Where an address leads; None for one that leads elsewhere. here: the workspace that says it."""
    if found := re.fullmatch(_DATASTORE_URI, uri):
        named = found["name"] is not None
        at = Workspace(found["subscription"], found["group"], found["name"]) if named else workspace
        return DatastoreFolder(at, found["datastore"], found["path"].strip("/"))
    if found := re.fullmatch(_JOB_URI, uri):
        job, output, path = found["job"], found["output"], (found["path"] or "").strip("/")
        return (
            _locate_artifact(workspace, job, path)
            if output == ARTIFACTS_OUTPUT
            else JobOutputFolder(workspace, job, output, path)
        )
    if found := re.fullmatch(_RUN_URI, uri):
        return _locate_artifact(workspace, found["job"], found["path"].strip("/"))
    return uri.rstrip("/") if re.fullmatch(_BLOB_URL, uri) else None


def resolve_output_folder(folder: JobOutputFolder, output_uri: str) -> DatastoreFolder:
    """The folder in a datastore. said: the address of the output, as the job has it; empty for none."""
    found = parse_location(output_uri, folder.workspace) if output_uri else None
    whole = (
        found
        if isinstance(found, DatastoreFolder)
        else parse_location(DEFAULT_OUTPUT_URI.format(job=folder.job, output=folder.output), folder.workspace)
    )
    assert isinstance(whole, DatastoreFolder)
    path = whole.path.replace("${{name}}", folder.job).replace("${{output_name}}", folder.output)
    return replace(whole, path=f"{path}/{folder.path}".rstrip("/"))


def make_blob_url(datastore: Mapping[str, Any], path: str) -> str:
    """The address of a folder of blobs. datastore: as Azure's resource manager tells of it. Empty where it has none."""
    account, container = datastore.get("accountName"), datastore.get("containerName") or datastore.get("filesystem")
    blobs = (
        datastore.get("datastoreType") in BLOB_DATASTORE_TYPES
        and (datastore.get("endpoint") or BLOB_SUFFIX) == BLOB_SUFFIX
    )
    return f"https://{account}.blob.{BLOB_SUFFIX}/{container}/{path}" if blobs and account and container else ""


def _locate_artifact(workspace: Workspace, job: str, path: str) -> DatastoreFolder:
    return DatastoreFolder(workspace, ARTIFACT_DATASTORE, f"ExperimentRun/dcid.{job}/{path}".rstrip("/"))


API_VERSION = "2024-04-01"
WORKSPACE_MISSING_CODES = ("ResourceNotFound", "ResourceGroupNotFound", *errors.SUBSCRIPTION_MISSING_CODES)
"""What Azure says when there is no such workspace at all."""
MAX_SUGGESTIONS = 5


def find_folder_url(arm: ArmClient, model: WorkspaceModel) -> str:
    """The blob URL of the folder. Raises Refused."""
    try:
        uri = _fetch_model_uri(arm, model)
        found = parse_location(uri, model.workspace)
        if found is None:
            raise FetchError(
                f"{_format_model(model)} lies where no blobs are: {uri.partition('?')[0]}", "configuration"
            )
        return _resolve_url(arm, found, model)
    except ArmError as error:
        raise make_workspace_refusal(error, model.workspace) from error


def make_workspace_refusal(error: ArmError, workspace: Workspace) -> FetchError:
    """What Azure's resource manager answered, or did not."""
    told = errors.diagnose_workspace_error(error, workspace)
    sentence = f"{told.title}: {told.why}" if told.why else told.title
    return FetchError("\n".join((sentence, *told.suggestions[:1])), "network" if told.network else "configuration")


def _fetch_model_uri(arm: ArmClient, model: WorkspaceModel) -> str:
    """As the workspace has it. Raises ArmError, Refused."""
    try:
        version = arm.get(f"{_make_models_path(model)}/{model.name}/versions/{model.version}", API_VERSION)
    except ArmError as error:
        if not _is_missing(error):
            raise
        raise _make_missing_refusal(arm, model) from error
    return str((version.get("properties") or {}).get("modelUri") or "")


def _make_missing_refusal(arm: ArmClient, model: WorkspaceModel) -> FetchError:
    """That there is no such version, and what there is."""
    at = f"the Azure ML workspace {model.workspace.name}"
    try:
        there = [
            str(one["name"]) for one in arm.list_all(f"{_make_models_path(model)}/{model.name}/versions", API_VERSION)
        ]
    except ArmError as error:
        if not _is_missing(error):
            raise
        there = []
    if there:
        newest = sorted(there, key=lambda number: (len(number), number))[-MAX_SUGGESTIONS:]
        return FetchError(
            f"{at} has no version {model.version} of {model.name}; it has {', '.join(newest)}", "configuration"
        )
    near = _find_similar_names(
        model.name, sorted(str(one["name"]) for one in arm.list_all(_make_models_path(model), API_VERSION))
    )
    told = f"it has {', '.join(near)}" if near else "it has none at all"
    return FetchError(f"{at} has no model {model.name}; {told}", "configuration")


def _find_similar_names(name: str, names: Sequence[str]) -> Sequence[str]:
    return difflib.get_close_matches(name, names, n=MAX_SUGGESTIONS) or names[:MAX_SUGGESTIONS]


def _resolve_url(arm: ArmClient, found: ModelLocation, model: WorkspaceModel) -> str:
    if isinstance(found, str):
        return found
    try:
        place = found if isinstance(found, DatastoreFolder) else _find_output_folder(arm, found)
        told = arm.get(f"{place.workspace.resource}/datastores/{place.datastore}", API_VERSION).get("properties") or {}
    except ArmError as error:
        if not _is_missing(error):
            raise
        raise FetchError(f"where {_format_model(model)} lay is not there any more: {error}", "data") from error
    if url := make_blob_url(told, place.path):
        return url
    why = (
        f"{_format_model(model)} lies in the datastore {place.datastore}, which holds no blobs of Azure's public cloud"
    )
    raise FetchError(why, "configuration")


def _find_output_folder(arm: ArmClient, found: JobOutputFolder) -> DatastoreFolder:
    """The datastore of an output that has a name."""
    job: dict[str, Any] = arm.get(f"{found.workspace.resource}/jobs/{found.job}", API_VERSION).get("properties") or {}
    said = str(((job.get("outputs") or {}).get(found.output) or {}).get("uri") or "")
    return resolve_output_folder(found, said)


def _is_missing(error: ArmError) -> bool:
    """Whether a part of the workspace is not there; the workspace itself is."""
    return error.status == 404 and error.code not in WORKSPACE_MISSING_CODES


def _make_models_path(model: WorkspaceModel) -> str:
    return f"{model.workspace.resource}/models"


def _format_model(model: WorkspaceModel) -> str:
    return f"the model {model.name} version {model.version}"


ORIGIN = "robotrain_sources.blob_url.fetch"
"""What opens the folder of blobs."""
PATIENCE_SECONDS = 8.0
"""Seconds for which a bad moment of Azure is sat out."""


class ModelOrigin:
    """The files of one version, as whoever this is reads them."""

    def __init__(self, model: WorkspaceModel, role: str) -> None:
        self.place = f"model_asset/{model.workspace.name}/{model.name}"
        self._model = model
        self._role = role
        self._arm = ArmClient(PATIENCE_SECONDS)
        self._blobs: DataOrigin | None = None

    def list_files(self) -> Iterator[SourceFile]:
        """The files, as they are listed. Raises Refused when there is no such version."""
        return self._open_blobs().list_files()

    def open_store(self) -> Any:
        """The container they lie in."""
        return self._open_blobs().open_store()

    def get_store_path(self, name: str) -> str:
        """Where a file lies in the container."""
        return self._open_blobs().get_store_path(name)

    def find_pin_mismatch(self, digest: str) -> str:
        """Nothing: a version means the same for ever, and no pin is compared."""
        return ""

    def explain_empty(self) -> FetchError:
        """That the version has no files, and where they should be."""
        told = f"the model {self._model.name} version {self._model.version} has no files"
        return FetchError(f"{told}: {self._open_blobs().explain_empty()}", "data")

    def explain_error(self, error: Exception) -> FetchError:
        """Why Azure did not give something."""
        if isinstance(error, ArmError):
            return make_workspace_refusal(error, self._model.workspace)
        return self._open_blobs().explain_error(error)

    def _open_blobs(self) -> DataOrigin:
        """The folder of blobs, once it is known. Raises Refused."""
        if self._blobs is None:
            folder = find_folder_url(self._arm, self._model)
            self._blobs = importlib.import_module(ORIGIN).open(folder, "", self._role, "")
        return self._blobs


def open(uri: str, pin: str, role: str, credential: str, way: str = "") -> ModelOrigin:
    """The model of that full name. Raises Refused when it is none."""
    try:
        return ModelOrigin(container.parse_model_name(uri, None), role)
    except container.ModelNameError as no:
        raise FetchError(
            f"the job names no model of a workspace: {no.reason}\n{no.suggestion}".rstrip(), "configuration"
        ) from None
