"""Sources that Azure ML itself brings to the machine: data assets, models, folders of its datastores, and folders of
this machine, which are uploaded.

Each has an input of its own, also one that is named twice: who reads `dataset_asset_0`, `dataset_asset_1`, … finds as
many as were given, in their order.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from robotrain.job import Job
from robotrain_azure.workspace import Workspace
from robotrain_runtime.document import Mount, Source
from robotrain_sources.data_asset import asset as data_asset
from robotrain_sources.local_path import digest
from robotrain_sources.registered_model import asset as model_asset
from robotrain_sources.roles import INIT_POLICY, POLICY_MODEL, RESUME

from robotrain_azureml.kinds import datastore_path
from robotrain_azureml.order import Asset, Upload
from robotrain_azureml.settings import Settings
from robotrain_azureml.spec import outputs

BY_CONTENT = "robotrain/data/"
"""What uploaded folders of the datastore begin with whose address is their digest."""


class Way(NamedTuple):
    """How a kind is brought in a role. name: of the input, with room for its number. flag: as people type it."""

    name: str
    flag: str


WAYS: Mapping[tuple[str, str], Way] = {
    ("dataset", "data_asset"): Way("dataset_asset_{}", "--dataset-asset"),
    ("dataset", "local_path"): Way("dataset_path_{}", "--dataset-path"),
    ("policy", "model_asset"): Way("policy_model", POLICY_MODEL.flag),
    ("policy", "local_path"): Way("policy_path", "--policy-path"),
    ("policy", "datastore_path"): Way("policy_in_datastore", "--policy-url"),
    ("init_policy", "model_asset"): Way("init_from_policy_model", INIT_POLICY.flag),
    ("resume", "local_path"): Way("resume_path", RESUME.flag),
    ("resume", "datastore_path"): Way("resume_in_datastore", RESUME.flag),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One input of the job. entry: as the job says it. It is an asset or a folder that is there, or an upload."""

    name: str
    source: Source
    entry: Mapping[str, str]
    asset: Asset | None = None
    upload: Upload | None = None

    @property
    def mount(self) -> Mount:
        """What the runtime is told: the folder is a name of the environment that Azure ML sets."""
        folder = f"${{AZURE_ML_INPUT_{self.name}}}"
        origin = "" if self.upload and not is_by_content(self.upload.to) else self.entry["path"]
        return Mount(role=self.source.role, uri=self.source.uri, folder=folder, origin=origin)


def of(job: Job, settings: Settings, run: str) -> Iterator[Input]:
    """Those of a job, in its order. Pure: what a folder holds is known by its pin."""
    numbers: Counter[Way] = Counter()
    for index, source in enumerate(job.sources):
        if way := WAYS.get((source.role, source.kind)):
            name = way.name.format(numbers[way])
            numbers[way] += 1
            if source.kind == "local_path":
                yield _uploaded(name, source, settings, unpinned(run, index), way.flag)
            elif source.kind == "datastore_path":
                yield _there(name, source, settings)
            else:
                yield _asset(name, source, way.flag)


def unpinned(name: str, index: int | str) -> str:
    """The folder in the datastore for what has no digest: that of one job. name: the job's in the workspace."""
    return f"{outputs.own(name)}/inputs/{index}"


def is_by_content(to: str) -> bool:
    """Whether a folder of the datastore is named by what it holds, so that it is the same for everybody."""
    return to.startswith(BY_CONTENT)


def folder(datastore: str, to: str) -> str:
    """A folder of a datastore as a job says it."""
    return f"azureml://datastores/{datastore}/paths/{to}/"


def flag_of(told: str) -> str:
    """What was typed for the input that a sentence of Azure's names; empty where it names none."""
    named = re.search(r"\binput ['\"]?(\w+)", told)
    shapes = {re.escape(way.name).replace(r"\{\}", r"\d+"): way.flag for way in WAYS.values()}
    return next((flag for shape, flag in shapes.items() if named and re.fullmatch(shape, named[1])), "")


def path(asset: Asset) -> str:
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


def _asset(name: str, source: Source, flag: str) -> Input:
    if source.kind == "data_asset":
        data = data_asset.parse(source.uri)
        asset = _named("data", data, flag)
        return Input(name=name, source=source, asset=asset, entry=_entry("uri_folder", "ro_mount", path(asset)))
    asset = _named("models", model_asset.parse(source.uri), flag)
    return Input(name=name, source=source, asset=asset, entry=_entry("custom_model", "download", path(asset)))


def _named(kind: Literal["data", "models"], one: data_asset.DataAsset | model_asset.ModelAsset, flag: str) -> Asset:
    return Asset(kind=kind, name=one.name, version=one.version, scope=one.scope, flag=flag)


def _there(name: str, source: Source, settings: Settings) -> Input:
    here = Workspace(settings.subscription_id or "", settings.resource_group or "", settings.workspace_name or "")
    place = datastore_path.parse(source.uri).seen_from(here)
    return Input(name=name, source=source, entry=_entry("uri_folder", "ro_mount", f"{place}/"))


def _uploaded(name: str, source: Source, settings: Settings, unpinned: str, flag: str) -> Input:
    held = digest.read(source.pin)
    to = f"{BY_CONTENT}{held.hex}" if held else unpinned
    upload = Upload(
        path=source.uri,
        to=to,
        files=held.files if held else None,
        size=held.size if held else None,
        flag=flag,
    )
    at = folder(settings.datastore, to)
    return Input(name=name, source=source, upload=upload, entry=_entry("uri_folder", "ro_mount", at))


def _entry(kind: str, mode: str, at: str) -> dict[str, str]:
    return {"type": kind, "mode": mode, "path": at}
