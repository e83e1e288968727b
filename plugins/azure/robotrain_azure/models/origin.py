"""The files of a workspace's model: from its version to a folder of blobs. Runs in the data environment."""

import importlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from robotrain_sources.fetching.errors import FetchError
from robotrain_sources.transfer.origin import DataOrigin, SourceFile

from robotrain_azure import errors, storage
from robotrain_azure.arm import ArmClient, ArmError, StorageError
from robotrain_azure.models import container
from robotrain_azure.models.container import WorkspaceModel
from robotrain_azure.storage import PUBLIC_SUFFIX
from robotrain_azure.workspace import ARTIFACTS_OUTPUT, SCOPE_PATTERN, Workspace

_DATASTORE_URI = rf"azureml://(?:{SCOPE_PATTERN}/)?datastores/(?P<datastore>[^/]+)/paths/(?P<path>.+)"
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
"""A string is the URL of a blob folder."""


def parse_location(uri: str, workspace: Workspace) -> ModelLocation | None:
    """Parse a location; None if it is not supported. `workspace` is the one that relative locations refer to."""
    if match := re.fullmatch(_DATASTORE_URI, uri):
        if match["workspace"] is not None:
            workspace = Workspace(match["subscription"], match["group"], match["workspace"])
        return DatastoreFolder(workspace, match["datastore"], match["path"].strip("/"))
    if match := re.fullmatch(_JOB_URI, uri):
        job = match["job"]
        output = match["output"]
        path = (match["path"] or "").strip("/")
        if output == ARTIFACTS_OUTPUT:
            return _locate_artifact(workspace, job, path)
        return JobOutputFolder(workspace, job, output, path)
    if match := re.fullmatch(_RUN_URI, uri):
        return _locate_artifact(workspace, match["job"], match["path"].strip("/"))
    return uri.rstrip("/") if re.fullmatch(_BLOB_URL, uri) else None


def resolve_output_folder(folder: JobOutputFolder, output_uri: str) -> DatastoreFolder:
    """Return the datastore folder of an output. `output_uri`: its URI in the job; empty for the default place."""
    output = parse_location(output_uri, folder.workspace) if output_uri else None
    if not isinstance(output, DatastoreFolder):
        output = DatastoreFolder(folder.workspace, "workspaceblobstore", f"azureml/{folder.job}/{folder.output}")
    path = output.path.replace("${{name}}", folder.job).replace("${{output_name}}", folder.output)
    return replace(output, path=f"{path}/{folder.path}".rstrip("/"))


def find_blob_url(arm: ArmClient, folder: DatastoreFolder) -> str:
    """Return the URL of a folder; empty if its datastore holds no blobs of Azure's public cloud. Raises ArmError."""
    try:
        store = storage.get_datastore(arm, folder.workspace, folder.datastore)
    except StorageError:
        return ""
    return f"{store.url}/{folder.path}" if store.suffix == PUBLIC_SUFFIX else ""


def _locate_artifact(workspace: Workspace, job: str, path: str) -> DatastoreFolder:
    return DatastoreFolder(workspace, storage.ARTIFACT_DATASTORE, storage.make_artifact_path(job, path))


def find_folder_url(arm: ArmClient, model: WorkspaceModel) -> str:
    """Return the URL of the blob folder that holds a model. Raises FetchError."""
    try:
        try:
            version = arm.get_properties(f"{model.workspace.resource}/models/{model.name}/versions/{model.version}")
        except ArmError as error:
            if not errors.is_part_missing(error):
                raise
            reason = f"the Azure ML workspace {model.workspace.name} has no version {model.version} of {model.name}"
            raise FetchError(reason, "configuration") from error
        uri = version.get_text("modelUri")
        location = parse_location(uri, model.workspace)
        if location is None:
            raise FetchError(f"{model.label} is not stored as blobs: {uri.partition('?')[0]}", "configuration")
        return _resolve_url(arm, location, model)
    except ArmError as error:
        raise make_workspace_refusal(error, model.workspace) from error


def make_workspace_refusal(error: ArmError, workspace: Workspace) -> FetchError:
    """Return the fetch error for an error of Azure's resource manager."""
    diagnosis = errors.diagnose_error(error, workspace)
    reason = "\n".join((f"{diagnosis.title}: {diagnosis.why}", *diagnosis.suggestions[:1]))
    return FetchError(reason, "network" if diagnosis.network else "configuration")


def _resolve_url(arm: ArmClient, location: ModelLocation, model: WorkspaceModel) -> str:
    if isinstance(location, str):
        return location
    try:
        if isinstance(location, DatastoreFolder):
            folder = location
        else:
            job = arm.get_properties(f"{location.workspace.resource}/jobs/{location.job}")
            output = job.get_object("outputs").get_object(location.output)
            folder = resolve_output_folder(location, output.get_text("uri"))
        url = find_blob_url(arm, folder)
    except ArmError as error:
        if not errors.is_part_missing(error):
            raise
        raise FetchError(f"the place of {model.label} does not exist any more: {error}", "data") from error
    if url:
        return url
    location_text = f"the datastore {folder.datastore}, which holds no blobs of Azure's public cloud"
    raise FetchError(f"{model.label} is in {location_text}", "configuration")


ORIGIN = "robotrain_sources.blob_url.fetch"
"""The module that opens the blob folder."""
PATIENCE_SECONDS = 8.0
"""How long transient errors of Azure are retried, in seconds."""


class ModelOrigin(DataOrigin):
    """The files of one model version, which never changes, read with the job's identity."""

    def __init__(self, model: WorkspaceModel, role: str) -> None:
        self.place = f"model_asset/{model.workspace.name}/{model.name}"
        self._model = model
        self._role = role
        self._arm = ArmClient(PATIENCE_SECONDS)
        self._blobs: DataOrigin | None = None

    def list_files(self) -> Iterator[SourceFile]:
        """Yield the files. Raises FetchError if there is no such version."""
        return self._open_blobs().list_files()

    def open_store(self, client_options: Mapping[str, Any]) -> Any:
        """Return a client of the container that holds the files."""
        return self._open_blobs().open_store(client_options)

    def get_store_path(self, name: str) -> str:
        """Return the path of a file in the container."""
        return self._open_blobs().get_store_path(name)

    def explain_empty(self) -> FetchError:
        """Return the error for a version without files."""
        return FetchError(f"{self._model.label} has no files: {self._open_blobs().explain_empty()}", "data")

    def explain_error(self, error: Exception) -> FetchError:
        """Return the error for an exception of Azure's."""
        if isinstance(error, ArmError):
            return make_workspace_refusal(error, self._model.workspace)
        return self._open_blobs().explain_error(error)

    def _open_blobs(self) -> DataOrigin:
        """Return the blob folder, which is looked up at first use. Raises FetchError."""
        if self._blobs is None:
            folder = find_folder_url(self._arm, self._model)
            self._blobs = importlib.import_module(ORIGIN).open(folder, "", self._role, "", "")
        return self._blobs


def open(uri: str, pin: str, role: str, credential: str, way: str = "") -> ModelOrigin:
    """Open the model with this full name. Raises FetchError if it is not a valid name."""
    try:
        return ModelOrigin(container.parse_model_name(uri, None), role)
    except container.ModelNameError as error:
        reason = f"the job's model is not one of a workspace: {error.reason}"
        raise FetchError(reason, "configuration", error.suggestion) from None
