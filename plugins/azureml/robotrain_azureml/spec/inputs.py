"""Inputs and outputs of the job: data assets, models, folders of datastores, uploaded folders.

Each has an input of its own, also one that is named twice: who reads `dataset_asset_0`, `dataset_asset_1`, … finds as
many as were given, in their order.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from robotrain.model.job import Job
from robotrain_azure.workspace import Workspace
from robotrain_runtime.contract.document import JobSource, Mount
from robotrain_sources.data_asset import kind as data_asset
from robotrain_sources.local_path import folder_content
from robotrain_sources.registered_model import kind as model_asset
from robotrain_sources.role_flags import INIT_POLICY, POLICY_MODEL, RESUME

from robotrain_azureml.kinds import datastore_path
from robotrain_azureml.settings import AzureMLSettings
from robotrain_azureml.spec.submission_spec import DatastoreUpload, WorkspaceAsset


def make_job_folder(name: str) -> str:
    """The folder in the datastore that is a job's alone. name: the job's in the workspace."""
    return f"azureml/{name}"


def make_output_folder(name: str, output: str) -> str:
    """That of its output. output: what that is called."""
    return f"{make_job_folder(name)}/{output}"


def make_output_uri(datastore: str, name: str, output: str) -> str:
    """The same as a job says it."""
    return f"azureml://datastores/{datastore}/paths/{make_output_folder(name, output)}/"


def make_output_variable(output: str) -> str:
    """Where it lies in the container: by a name of the environment that Azure ML sets."""
    return f"${{AZURE_ML_OUTPUT_{output}}}"


def make_outputs(output: str, settings: AzureMLSettings, name: str) -> dict[str, dict[str, str]]:
    """All of them, as the job declares them. output: what it is called."""
    at = make_output_uri(settings.datastore, name, output)
    return {output: {"type": "uri_folder", "mode": settings.output_mode, "path": at}}


CONTENT_PREFIX = "robotrain/data/"
"""What uploaded folders of the datastore begin with whose address is their digest."""


class InputForm(NamedTuple):
    """How a kind is brought in a role. name: of the input, with room for its number. flag: as people type it."""

    name: str
    flag: str


INPUT_FORMS: Mapping[tuple[str, str], InputForm] = {
    ("dataset", "data_asset"): InputForm("dataset_asset_{}", "--dataset-asset"),
    ("dataset", "local_path"): InputForm("dataset_path_{}", "--dataset-path"),
    ("policy", "model_asset"): InputForm("policy_model", POLICY_MODEL.flag),
    ("policy", "local_path"): InputForm("policy_path", "--policy-path"),
    ("policy", "datastore_path"): InputForm("policy_in_datastore", "--policy-url"),
    ("init_policy", "model_asset"): InputForm("init_from_policy_model", INIT_POLICY.flag),
    ("resume", "local_path"): InputForm("resume_path", RESUME.flag),
    ("resume", "datastore_path"): InputForm("resume_in_datastore", RESUME.flag),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class JobInput:
    """One input of the job. entry: as the job says it. It is an asset or a folder that is there, or an upload."""

    name: str
    source: JobSource
    entry: Mapping[str, str]
    asset: WorkspaceAsset | None = None
    upload: DatastoreUpload | None = None

    @property
    def mount(self) -> Mount:
        """What the runtime is told: the folder is a name of the environment that Azure ML sets."""
        folder = f"${{AZURE_ML_INPUT_{self.name}}}"
        origin = "" if self.upload and not is_by_content(self.upload.to) else self.entry["path"]
        return Mount(role=self.source.role, uri=self.source.uri, folder=folder, origin=origin)


def list_inputs(job: Job, settings: AzureMLSettings, run: str) -> Iterator[JobInput]:
    """Those of a job, in its order. Pure: what a folder holds is known by its pin."""
    numbers: Counter[InputForm] = Counter()
    for index, source in enumerate(job.sources):
        if way := INPUT_FORMS.get((source.role, source.kind)):
            name = way.name.format(numbers[way])
            numbers[way] += 1
            if source.kind == "local_path":
                yield _make_upload_input(name, source, settings, make_unpinned_folder(run, index), way.flag)
            elif source.kind == "datastore_path":
                yield _make_datastore_input(name, source, settings)
            else:
                yield _make_asset_input(name, source, way.flag)


def make_unpinned_folder(name: str, index: int | str) -> str:
    """The folder in the datastore for what has no digest: that of one job. name: the job's in the workspace."""
    return f"{make_job_folder(name)}/inputs/{index}"


def is_by_content(to: str) -> bool:
    """Whether a folder of the datastore is named by what it holds, so that it is the same for everybody."""
    return to.startswith(CONTENT_PREFIX)


def make_folder_uri(datastore: str, to: str) -> str:
    """A folder of a datastore as a job says it."""
    return f"azureml://datastores/{datastore}/paths/{to}/"


def find_input_flag(message: str) -> str:
    """What was typed for the input that a sentence of Azure's names; empty where it names none."""
    named = re.search(r"\binput ['\"]?(\w+)", message)
    shapes = {re.escape(way.name).replace(r"\{\}", r"\d+"): way.flag for way in INPUT_FORMS.values()}
    return next((flag for shape, flag in shapes.items() if named and re.fullmatch(shape, named[1])), "")


def make_asset_uri(asset: WorkspaceAsset) -> str:
    """The address of an asset that both the SDK and the service take, from the parts of its full name.

    The SDK reads a name in a subscription only as a resource's id, and hands on what begins otherwise.
    """
    name = f"{asset.kind}/{asset.name}/versions/{asset.version}"
    if not asset.scope:
        return f"azureml:{asset.name}:{asset.version}"
    where, *parts = asset.scope.split("/")
    if where != "subscriptions":
        return f"azureml://{asset.scope}/{name}"
    return f"azureml:{Workspace(parts[0], parts[2], parts[-1]).resource}/{name}"


def _make_asset_input(name: str, source: JobSource, flag: str) -> JobInput:
    if source.kind == "data_asset":
        data = data_asset.parse_data_asset(source.uri)
        asset = _make_asset("data", data, flag)
        return JobInput(
            name=name, source=source, asset=asset, entry=_make_entry("uri_folder", "ro_mount", make_asset_uri(asset))
        )
    asset = _make_asset("models", model_asset.parse_model_asset(source.uri), flag)
    return JobInput(
        name=name, source=source, asset=asset, entry=_make_entry("custom_model", "download", make_asset_uri(asset))
    )


def _make_asset(
    kind: Literal["data", "models"], source: data_asset.DataAsset | model_asset.ModelAsset, flag: str
) -> WorkspaceAsset:
    return WorkspaceAsset(kind=kind, name=source.name, version=source.version, scope=source.scope, flag=flag)


def _make_datastore_input(name: str, source: JobSource, settings: AzureMLSettings) -> JobInput:
    here = Workspace(settings.subscription_id or "", settings.resource_group or "", settings.workspace_name or "")
    place = datastore_path.parse_datastore_path(source.uri).relative_to(here)
    return JobInput(name=name, source=source, entry=_make_entry("uri_folder", "ro_mount", f"{place}/"))


def _make_upload_input(
    name: str, source: JobSource, settings: AzureMLSettings, unpinned_folder: str, flag: str
) -> JobInput:
    held = folder_content.parse_pin(source.pin)
    to = f"{CONTENT_PREFIX}{held.hex}" if held else unpinned_folder
    upload = DatastoreUpload(
        path=source.uri,
        to=to,
        files=held.files if held else None,
        size=held.size if held else None,
        flag=flag,
    )
    at = make_folder_uri(settings.datastore, to)
    return JobInput(name=name, source=source, upload=upload, entry=_make_entry("uri_folder", "ro_mount", at))


def _make_entry(kind: str, mode: str, uri: str) -> dict[str, str]:
    return {"type": kind, "mode": mode, "path": uri}
