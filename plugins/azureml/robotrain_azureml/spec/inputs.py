"""Inputs and outputs of the job: data assets, models, datastore folders, uploaded folders.

Each source has its own input, even if it is named twice: readers of `dataset_asset_0`, `dataset_asset_1`, … rely on the
order.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from robotrain.model.job import Job
from robotrain_azure.workspace import MODEL_KIND, REGISTRY_KIND, Workspace, get_model_name
from robotrain_runtime.contract.document import JobSource, Mount
from robotrain_sources.data_asset import kind as data_asset
from robotrain_sources.local_path import folder_content
from robotrain_sources.mlflow import kind as model_asset
from robotrain_sources.mlflow.reference import LATEST
from robotrain_sources.role_flags import CHECKPOINT, CODE, INIT_POLICY, POLICY_MODEL, REFERENCE_MODEL, RESUME, SCENES

from robotrain_azureml import datastore_path
from robotrain_azureml.settings import AzureMLSettings
from robotrain_azureml.spec import job_settings
from robotrain_azureml.spec.submission_spec import DatastoreUpload, WorkspaceAsset


def make_job_folder(name: str) -> str:
    """Return the datastore folder of a job, by the job's name in the workspace."""
    return f"azureml/{name}"


def make_output_folder(name: str, output: str) -> str:
    """Return the datastore folder of a job's output."""
    return f"{make_job_folder(name)}/{output}"


def make_folder_uri(datastore: str, to: str) -> str:
    """Return the URI of a datastore folder, as a job names it."""
    return f"azureml://datastores/{datastore}/paths/{to}/"


def make_output_uri(datastore: str, name: str, output: str) -> str:
    """Return the URI of a job's output, as the job names it."""
    return make_folder_uri(datastore, make_output_folder(name, output))


OWN_NAME = "${{name}}"
"""What Azure ML replaces in the path of an output by the name of the job that it starts."""


CONTENT_PREFIX = "robotrain/data/"
"""The datastore folder of uploads that are named by their digest."""


class InputForm(NamedTuple):
    """How a source kind becomes an input in a role."""

    name: str
    """The input's name, with a placeholder for its number."""
    flag: str


INPUT_FORMS: Mapping[tuple[str, str], InputForm] = {
    ("dataset", "data_asset"): InputForm("dataset_asset_{}", "--dataset-asset"),
    ("dataset", "local_path"): InputForm("dataset_path_{}", "--dataset-path"),
    ("policy", "model_asset"): InputForm("policy_model", POLICY_MODEL.flag),
    ("policy", "local_path"): InputForm("policy_path", "--policy-path"),
    ("policy", "datastore_path"): InputForm("policy_in_datastore", "--policy-url"),
    ("reference", "model_asset"): InputForm("reference_model_{}", REFERENCE_MODEL.flag),
    ("reference", "local_path"): InputForm("reference_path_{}", "--reference-path"),
    ("reference", "datastore_path"): InputForm("reference_in_datastore_{}", "--reference-url"),
    ("init_policy", "model_asset"): InputForm("init_from_policy_model", INIT_POLICY.flag),
    ("checkpoint", "local_path"): InputForm("checkpoint", CHECKPOINT.flag),
    **{("checkpoint", kind): InputForm("checkpoint_model", CHECKPOINT.flag) for kind in (MODEL_KIND, REGISTRY_KIND)},
    ("code", "local_path"): InputForm("training_code", CODE.flag),
    ("backbone", "local_path"): InputForm("backbone_path_{}", "--backbone-path"),
    ("scenes", "local_path"): InputForm("scenes", SCENES.flag),
    ("resume", "local_path"): InputForm("resume_path", RESUME.flag),
    ("resume", "datastore_path"): InputForm("resume_in_datastore", RESUME.flag),
}


@dataclass(frozen=True, kw_only=True)
class JobInput:
    """One input of the job: an asset, an existing folder, or an upload."""

    name: str
    source: JobSource
    entry: Mapping[str, str]
    """The input as the job declares it."""
    asset: WorkspaceAsset | None = None
    upload: DatastoreUpload | None = None

    @property
    def mount(self) -> Mount:
        """The mount in the job document; the folder is a variable that Azure ML sets."""
        folder = f"${{AZURE_ML_INPUT_{self.name}}}"
        origin = "" if self.upload and not is_by_content(self.upload.to) else self.entry["path"]
        return Mount(role=self.source.role, uri=self.source.uri, folder=folder, origin=origin)


def list_inputs(job: Job, settings: AzureMLSettings, run: str) -> Iterator[JobInput]:
    """Yield the inputs of a job in order. Pure: uploads are identified by their pins."""
    counts_by_form: Counter[InputForm] = Counter()
    for index, source in enumerate(job.sources):
        if form := INPUT_FORMS.get((source.role, source.kind)):
            name = form.name.format(counts_by_form[form])
            counts_by_form[form] += 1
            if source.kind == "local_path":
                pin = folder_content.parse_pin(source.pin)
                to = f"{CONTENT_PREFIX}{pin.hex}" if pin else f"{make_job_folder(run)}/inputs/{index}"
                files, size = (pin.files, pin.size) if pin else (None, None)
                upload = DatastoreUpload(path=source.uri, to=to, files=files, size=size, flag=form.flag)
                entry = _make_entry("uri_folder", "ro_mount", make_folder_uri(settings.datastore, to))
                yield JobInput(name=name, source=source, upload=upload, entry=entry)
            elif source.kind == "datastore_path":
                workspace = job_settings.get_job_workspace(settings)
                path = datastore_path.parse_datastore_path(source.uri).relative_to(workspace)
                yield JobInput(name=name, source=source, entry=_make_entry("uri_folder", "ro_mount", f"{path}/"))
            else:
                yield _make_asset_input(name, source, form.flag)


def is_by_content(to: str) -> bool:
    """Return whether a datastore folder is named by its content, and so shared by all jobs."""
    return to.startswith(CONTENT_PREFIX)


def make_asset_uri(asset: WorkspaceAsset) -> str:
    """Return the URI of an asset in a form that both the SDK and the service accept."""
    name = f"{asset.kind}/{asset.name}/versions/{asset.version}"
    if not asset.scope:
        return f"azureml:{asset.name}:{asset.version}"
    scope_kind, *parts = asset.scope.split("/")
    if scope_kind != "subscriptions":
        return f"azureml://{asset.scope}/{name}"
    return f"azureml:{Workspace(parts[0], parts[2], parts[-1]).resource}/{name}"


def _make_asset_input(name: str, source: JobSource, flag: str) -> JobInput:
    if source.kind == "data_asset":
        asset = _make_asset("data", data_asset.parse_data_asset(source.uri), flag)
        form = ("uri_folder", "ro_mount")
    else:
        form, model = ("custom_model", "download"), get_model_name(source)
        if model.endswith(f":{LATEST}"):  # not pinned: Azure ML looks for it
            label = f"{model.removesuffix(f':{LATEST}')}@{LATEST}"
            return JobInput(name=name, source=source, entry=_make_entry(*form, label))
        asset = _make_asset("models", model_asset.parse_model_asset(model), flag)
    return JobInput(name=name, source=source, asset=asset, entry=_make_entry(*form, make_asset_uri(asset)))


def _make_asset(
    kind: Literal["data", "models"], source: data_asset.DataAsset | model_asset.ModelAsset, flag: str
) -> WorkspaceAsset:
    return WorkspaceAsset(kind=kind, name=source.name, version=source.version, scope=source.scope, flag=flag)


def _make_entry(kind: str, mode: str, uri: str) -> dict[str, str]:
    return {"type": kind, "mode": mode, "path": uri}
