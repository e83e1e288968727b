"""Inputs that OSMO downloads to the task, and checkpoints that it copies from it.

It copies whatever lies there, half a checkpoint too: the seal of each tells the reader which are whole, and results are
whole with the file that is written last. Links, such as `last`, it does not follow.
"""

import hashlib
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from robotrain.errors import Problem, Rejected, Stage, Suggestion
from robotrain.model.job import Job
from robotrain.redaction import redact
from robotrain_runtime.contract.document import JobSource, Mount
from robotrain_sources.local_path import folder_content
from robotrain_sources.role_flags import RESUME

from robotrain_osmo.kinds import dataset, storage
from robotrain_osmo.settings import OsmoSettings
from robotrain_osmo.spec.submission_spec import WORKFLOW_ID, OsmoInput, OsmoUpload


def check_checkpoint_url(uri: str) -> Iterator[Problem]:
    """Why an address of OSMO's storage names no single checkpoint."""
    if not uri.rpartition("/")[2].isdecimal():
        yield Problem(
            code="osmo-checkpoint-unnamed",
            stage=Stage.RESOLVE,
            title="the address of a checkpoint ends with its step, and this does not",
            where=RESUME.flag,
            given=redact(uri),
            why="OSMO brings all that lies there; below a place to publish to lies `WORKFLOW/checkpoints/STEP`.",
            suggestions=(
                Suggestion(f"{RESUME.flag} {uri}/STEP"),
                Suggestion(f"osmo data list {uri} --no-pager", "shows what is there"),
            ),
        )


DATASET_SERVERS = ("6.0", "6.1", "6.2", "6.3")
"""The versions of OSMO's service that have datasets of their own."""
INPUT_FLAGS = {
    ("dataset", "local_path"): "--dataset-path",
    ("dataset", "osmo_dataset"): dataset.DATASET_FLAG,
    ("policy", "local_path"): "--policy-path",
    ("resume", "local_path"): RESUME.flag,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskInput:
    """One of them. entry: of the task's inputs. origin: what lies in its folder, for messages."""

    source: JobSource
    entry: Mapping[str, Any]
    origin: str
    upload: OsmoUpload | None = None
    required: OsmoInput | None = None

    def to_mount(self, index: int) -> Mount:
        """What the runtime is told. index: of the task's inputs. In it, a dataset of OSMO is a folder."""
        return Mount(role=self.source.role, uri=self.source.uri, folder=make_input_reference(index), origin=self.origin)


def make_input_reference(index: int) -> str:
    """The folder of an input, as a name of the environment that the runtime puts in."""
    return f"${{{get_input_variable(index)}}}"


def get_input_variable(index: int) -> str:
    """The name of the environment that holds the folder of an input."""
    return f"ROBOTRAIN_INPUT_{index}"


def collect_inputs(job: Job, settings: OsmoSettings, run: str) -> Iterator[TaskInput]:
    """Those of a job, in its order. Pure: what a folder holds is known by its pin. Raises Rejected for an address of
    checkpoints that names none of them.
    """
    for index, source in enumerate(job.sources):
        if source.kind == "local_path":
            yield _make_upload_input(source, settings, f"runs/{run}/{index}")
        elif source.kind == "osmo_dataset":
            yield _make_dataset_input(source, settings)
        elif source.kind == "osmo_storage":
            yield _make_checkpoint_input(source)


def get_upload_root(settings: OsmoSettings) -> storage.OsmoStorage:
    """Where what is uploaded lies."""
    return storage.OsmoStorage("azure", (settings.storage_account or "", settings.storage_container, "robotrain"))


def get_archive_url(packed: bytes, settings: OsmoSettings) -> str:
    """Where a job's archive is uploaded to, by its content."""
    return str(get_upload_root(settings).join("jobs", hashlib.sha256(packed).hexdigest()))


def get_bucket_url(name: str, settings: OsmoSettings) -> storage.OsmoStorage:
    """Where a bucket lies: as the settings say, else the container of that name in the storage account."""
    from robotrain.config.coerce import parse_pairs

    if said := parse_pairs(settings.buckets or "").get(name):
        return storage.parse_storage_url(said)
    return storage.OsmoStorage("azure", (settings.storage_account or "", name))


def _make_upload_input(source: JobSource, settings: OsmoSettings, unpinned: str) -> TaskInput:
    held = folder_content.parse_pin(source.pin)
    url = str(get_upload_root(settings).join(*(("data", held.hex) if held else unpinned.split("/"))))
    flag = INPUT_FLAGS.get((source.role, source.kind), "")
    upload = OsmoUpload(
        path=source.uri,
        url=url,
        files=held.files if held else None,
        size=held.size if held else None,
        flag=flag,
    )
    return TaskInput(source=source, entry={"url": url}, origin=url, upload=upload)


def _make_checkpoint_input(source: JobSource) -> TaskInput:
    if wrong := list(check_checkpoint_url(source.uri)):  # of a run that is gone on from nobody asks `check`
        raise Rejected(wrong)
    needed = OsmoInput(url=source.uri, flag=RESUME.flag)
    return TaskInput(source=source, entry={"url": source.uri}, origin=source.uri, required=needed)


def _make_dataset_input(source: JobSource, settings: OsmoSettings) -> TaskInput:
    one = dataset.parse_dataset(source.uri)
    inside = one.bucket or settings.dataset_bucket
    if settings.server in DATASET_SERVERS:
        whole = str(dataset.OsmoDataset(one.name, inside, one.version))
        return TaskInput(source=source, entry={"dataset": {"name": whole}}, origin=whole)
    url = str(get_bucket_url(inside, settings).join(one.name))
    return TaskInput(
        source=source, entry={"url": url}, origin=url, required=OsmoInput(url=url, flag=dataset.DATASET_FLAG)
    )


PUBLISH_PARAMETER = "publish_url"
COPY_FREQUENCY = "10m"
"""Between the end of one copy and the next: each copies everything again."""
_DEFAULT_OUTPUT_DIR = "outputs"


@dataclass(frozen=True, slots=True)
class CheckpointCopy:
    """path: the folder in the container. url: where it is copied to, under its own name. back: whether a run that
    starts anew finds it there.

    The address ends with the workflow's id, which OSMO puts in: of two submissions of a run none writes over the
    other's.
    """

    path: str
    url: storage.OsmoStorage
    restored: bool

    @property
    def entry(self) -> dict[str, str]:
        """As a task says it."""
        return {"path": self.path, "url": str(self.url), "frequency": COPY_FREQUENCY}


def find_checkpoint_copy(job: Job, work: str) -> CheckpointCopy | None:
    """What OSMO copies; None when the run publishes by itself, or nothing. work: the run's folder in the container."""
    values, left = dict(job.parameters), job.profile.outputs
    text = str(values.get(PUBLISH_PARAMETER) or "")
    if not storage.is_storage_url(text):
        return None
    output = posixpath.join(work, str(values.get("output_dir") or _DEFAULT_OUTPUT_DIR))
    path = posixpath.normpath(posixpath.join(output, left.folder))
    return CheckpointCopy(path, storage.parse_storage_url(text).join(WORKFLOW_ID), left.resumable)


def find_publish_url(job: Job, work: str) -> str:
    """The address that checkpoints or results go to, whoever brings them; empty for none."""
    if found := find_checkpoint_copy(job, work):
        return str(found.url.join(job.profile.outputs.folder))
    return str(dict(job.parameters).get(PUBLISH_PARAMETER) or "")
