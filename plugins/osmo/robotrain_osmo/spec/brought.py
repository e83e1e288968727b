"""Sources that OSMO itself brings to the machine: its datasets, checkpoints that it copied, and folders of this one,
which are uploaded.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from robotrain.job import Job
from robotrain.problem import Rejected
from robotrain_runtime.document import Mount, Source
from robotrain_sources.local_path import digest
from robotrain_sources.roles import RESUME

from robotrain_osmo.kinds import dataset, storage
from robotrain_osmo.order import Input, Upload
from robotrain_osmo.settings import Settings
from robotrain_osmo.spec import resumed

WITH_DATASETS = ("6.0", "6.1", "6.2", "6.3")
"""The versions of OSMO's service that have datasets of their own."""
FLAGS = {
    ("dataset", "local_path"): "--dataset-path",
    ("dataset", "osmo_dataset"): dataset.FLAG,
    ("policy", "local_path"): "--policy-path",
    ("resume", "local_path"): RESUME.flag,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """One of them. entry: of the task's inputs. origin: what lies in its folder, for messages."""

    source: Source
    entry: Mapping[str, Any]
    origin: str
    upload: Upload | None = None
    needed: Input | None = None

    def mount(self, index: int) -> Mount:
        """What the runtime is told. index: of the task's inputs. In it, a dataset of OSMO is a folder."""
        return Mount(role=self.source.role, uri=self.source.uri, folder=variable(index), origin=self.origin)


def variable(index: int) -> str:
    """The folder of an input, as a name of the environment that the runtime puts in."""
    return f"${{{name(index)}}}"


def name(index: int) -> str:
    """The name of the environment that holds the folder of an input."""
    return f"ROBOTRAIN_INPUT_{index}"


def brought(job: Job, settings: Settings, run: str) -> Iterator[Brought]:
    """Those of a job, in its order. Pure: what a folder holds is known by its pin. Raises Rejected for an address of
    checkpoints that names none of them.
    """
    for index, source in enumerate(job.sources):
        if source.kind == "local_path":
            yield _uploaded(source, settings, f"runs/{run}/{index}")
        elif source.kind == "osmo_dataset":
            yield _dataset(source, settings)
        elif source.kind == "osmo_storage":
            yield _copied(source)


def uploads(settings: Settings) -> storage.Storage:
    """Where what is uploaded lies."""
    return storage.Storage("azure", (settings.storage_account or "", settings.storage_container, "robotrain"))


def address(packed: bytes, settings: Settings) -> str:
    """Where a job's archive is uploaded to, by its content."""
    return str(uploads(settings).below("jobs", hashlib.sha256(packed).hexdigest()))


def bucket(name: str, settings: Settings) -> storage.Storage:
    """Where a bucket lies: as the settings say, else the container of that name in the storage account."""
    from robotrain.tables import pairs

    if said := pairs(settings.buckets or "").get(name):
        return storage.parse(said)
    return storage.Storage("azure", (settings.storage_account or "", name))


def _uploaded(source: Source, settings: Settings, unpinned: str) -> Brought:
    held = digest.read(source.pin)
    url = str(uploads(settings).below(*(("data", held.hex) if held else unpinned.split("/"))))
    flag = FLAGS.get((source.role, source.kind), "")
    upload = Upload(
        path=source.uri,
        url=url,
        files=held.files if held else None,
        size=held.size if held else None,
        flag=flag,
    )
    return Brought(source=source, entry={"url": url}, origin=url, upload=upload)


def _copied(source: Source) -> Brought:
    if wrong := list(resumed.wrong_with(source.uri)):  # of a run that is gone on from nobody asks `check`
        raise Rejected(wrong)
    needed = Input(url=source.uri, flag=RESUME.flag)
    return Brought(source=source, entry={"url": source.uri}, origin=source.uri, needed=needed)


def _dataset(source: Source, settings: Settings) -> Brought:
    one = dataset.parse(source.uri)
    inside = one.bucket or settings.dataset_bucket
    if settings.server in WITH_DATASETS:
        whole = str(dataset.OsmoDataset(one.name, inside, one.version))
        return Brought(source=source, entry={"dataset": {"name": whole}}, origin=whole)
    url = str(bucket(inside, settings).below(one.name))
    return Brought(source=source, entry={"url": url}, origin=url, needed=Input(url=url, flag=dataset.FLAG))
