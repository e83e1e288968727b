"""Inputs that OSMO downloads for the task, and checkpoints that it copies to storage.

OSMO copies incomplete checkpoints too: the manifest of a checkpoint, and the last file of results, mark complete ones.
It does not follow links such as `last`.
"""

import hashlib
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from robotrain.errors import Problem, Rejected
from robotrain.messages import Messages
from robotrain.model.job import PUBLISH_PARAMETER, Job
from robotrain_runtime.contract.document import JobSource, Mount
from robotrain_runtime.contract.parameter import parse_pairs
from robotrain_sources.local_path import folder_content
from robotrain_sources.role_flags import CHECKPOINT, CODE, RESUME, SCENES

from robotrain_osmo import dataset, storage
from robotrain_osmo.settings import OsmoSettings
from robotrain_osmo.spec.submission_spec import OsmoInput, OsmoUpload

make_problem = Messages(__file__)


def check_checkpoint_url(uri: str) -> Iterator[Problem]:
    """Check that a storage URL names a single checkpoint."""
    if not uri.rpartition("/")[2].isdecimal():
        yield make_problem("value-invalid.checkpoint", where=RESUME.flag, given=uri, uri=uri)


CODE_BUCKET = "training"
"""The default bucket of code."""
DATASET_SERVERS = ("6.0", "6.1", "6.2", "6.3")
"""Versions of the OSMO service with built-in datasets."""
INPUT_FLAGS = {
    ("dataset", "local_path"): "--dataset-path",
    ("dataset", "osmo_dataset"): dataset.DATASET_FLAG,
    ("policy", "local_path"): "--policy-path",
    ("reference", "local_path"): "--reference-path",
    ("checkpoint", "local_path"): CHECKPOINT.flag,
    ("code", "local_path"): CODE.flag,
    ("code", "osmo_dataset"): dataset.CODE_FLAG,
    ("resume", "local_path"): RESUME.flag,
    ("backbone", "local_path"): "--backbone-path",
    ("scenes", "local_path"): SCENES.flag,
}


@dataclass(frozen=True, kw_only=True)
class TaskInput:
    """An input of the task."""

    source: JobSource
    entry: Mapping[str, Any]
    """The input in the workflow."""
    origin: str
    """What the folder contains, for messages."""
    label: str = ""
    """The name that the user gave an uploaded folder."""
    upload: OsmoUpload | None = None
    required: OsmoInput | None = None

    def to_mount(self, index: int) -> Mount:
        """Return the input as a mount of the runtime. `index`: its position in the task's inputs."""
        folder = make_input_reference(index)
        return Mount(role=self.source.role, uri=self.source.uri, folder=folder, origin=self.origin, label=self.label)


INPUT_VARIABLE = "ROBOTRAIN_INPUT_{}"
"""The variable that holds an input's folder."""


def make_input_reference(index: int) -> str:
    """Return a reference to the variable with the input's folder, which the runtime expands."""
    return f"${{{INPUT_VARIABLE.format(index)}}}"


def collect_inputs(job: Job, settings: OsmoSettings, run: str, inline: JobSource | None = None) -> Iterator[TaskInput]:
    """Yield the inputs of a job in the order of its sources, but not `inline`. Pure: pins give the content of folders.

    Raise Rejected if the URL of a checkpoint names none.
    """
    for index, source in enumerate(job.sources):
        if source == inline:
            continue
        if source.kind == "local_path":
            yield _make_upload_input(source, settings, f"runs/{run}/{index}")
        elif source.kind == "osmo_dataset":
            yield _make_dataset_input(source, settings)
        elif source.kind == "osmo_storage":
            if problems := list(check_checkpoint_url(source.uri)):  # `robotrain resume` does not call `check`
                raise Rejected(problems)
            required_input = OsmoInput(url=source.uri, flag=RESUME.flag)
            yield TaskInput(source=source, entry={"url": source.uri}, origin=source.uri, required=required_input)


def make_archive_upload(archive: bytes, settings: OsmoSettings) -> OsmoUpload:
    """Return the upload of a job's archive, whose URL contains its digest."""
    url = _make_upload_url(settings, "jobs", hashlib.sha256(archive).hexdigest())
    return OsmoUpload(path="", url=url, files=1, size=len(archive))


def _make_upload_url(settings: OsmoSettings, *path: str) -> str:
    root = (settings.storage_account or "", settings.storage_container, "robotrain")
    return str(storage.OsmoStorage("azure", (*root, *path)))


def _make_upload_input(source: JobSource, settings: OsmoSettings, unpinned_path: str) -> TaskInput:
    pin = folder_content.parse_pin(source.pin)
    label = ""
    if source.role == "code" and settings.code_dataset:
        label = dataset.parse_dataset(settings.code_dataset).name
        version = pin.hex[:VERSION_LENGTH] if pin else f"robotrain/{unpinned_path}"
        bucket = _get_bucket_url(choose_bucket(settings.code_dataset, "code", settings), settings)
        url = str(bucket.join(label, *version.split("/")))
    else:
        url = _make_upload_url(settings, *(("data", pin.hex) if pin else unpinned_path.split("/")))
    files, size = (pin.files, pin.size) if pin else (None, None)
    flag = INPUT_FLAGS.get((source.role, source.kind), "")
    upload = OsmoUpload(path=source.uri, url=url, files=files, size=size, flag=flag)
    return TaskInput(source=source, entry={"url": url}, origin=url, label=label, upload=upload)


VERSION_LENGTH = 16
VERSION_PATTERN = rf"[0-9a-f]{{{VERSION_LENGTH}}}"
"""Digits of the digest of a folder of code that name its version, a folder of its own."""


def choose_bucket(name: str, role: str, settings: OsmoSettings) -> str:
    """Return the bucket of an OSMO dataset: its own, else that of the settings, which is another one for code."""
    return dataset.parse_dataset(name).bucket or choose_default_bucket(role, settings)


def choose_default_bucket(role: str, settings: OsmoSettings) -> str:
    """Return the bucket of datasets that name none."""
    is_default = settings.dataset_bucket == OsmoSettings.dataset_bucket
    return CODE_BUCKET if role == "code" and is_default else settings.dataset_bucket


def _make_dataset_input(source: JobSource, settings: OsmoSettings) -> TaskInput:
    reference = dataset.parse_dataset(source.uri)
    bucket = choose_bucket(source.uri, source.role, settings)
    if settings.server in DATASET_SERVERS:
        name = str(dataset.OsmoDataset(reference.name, bucket, reference.version))
        return TaskInput(source=source, entry={"dataset": {"name": name}}, origin=name)
    version = (reference.version,) if reference.version else ()
    url = str(_get_bucket_url(bucket, settings).join(reference.name, *version))
    required_input = OsmoInput(url=url, flag=INPUT_FLAGS[source.role, source.kind])
    return TaskInput(source=source, entry={"url": url}, origin=url, required=required_input)


def _get_bucket_url(bucket: str, settings: OsmoSettings) -> storage.OsmoStorage:
    if url := parse_pairs(settings.buckets or "").get(bucket):
        return storage.parse_storage_url(url)
    return storage.OsmoStorage("azure", (settings.storage_account or "", bucket))


def find_published_dataset(settings: OsmoSettings, submission: str) -> str:
    """Return the OSMO dataset that the task writes: its name, since 6.4 the URL of its folder; "" for none.

    :param submission: since 6.4, the name of its version, which is that of no other submission.
    """
    if not settings.publish_dataset:
        return ""
    osmo_dataset = dataset.parse_dataset(settings.publish_dataset)
    bucket = osmo_dataset.bucket or settings.dataset_bucket
    if settings.server in DATASET_SERVERS:
        return str(dataset.OsmoDataset(osmo_dataset.name, bucket))
    return str(_get_bucket_url(bucket, settings).join(osmo_dataset.name).join(submission))


COPY_FREQUENCY = "10m"
"""Pause between two copies, each of which copies everything."""
_DEFAULT_OUTPUT_DIR = "outputs"


@dataclass(frozen=True)
class CheckpointCopy:
    """A folder that OSMO copies to storage."""

    path: str
    """The folder in the container."""
    url: storage.OsmoStorage
    """The target; it ends with the workflow's id, so that two submissions of a run do not overwrite each other."""
    restored: bool
    """Whether a restarted task finds the copy."""

    @property
    def entry(self) -> dict[str, str]:
        """The copy in the workflow."""
        return {"path": self.path, "url": str(self.url), "frequency": COPY_FREQUENCY}


def find_checkpoint_copy(job: Job, work: str, submission: str) -> CheckpointCopy | None:
    """Return the copy that OSMO makes; None if the run publishes by itself or nothing.

    :param work: the run's folder.
    :param submission: the name of the copy, which is that of no other submission.
    """
    parameters, outputs = dict(job.parameters), job.profile.outputs
    url = str(parameters.get(PUBLISH_PARAMETER) or "")
    if not storage.is_storage_url(url):
        return None
    output = posixpath.join(work, str(parameters.get("output_dir") or _DEFAULT_OUTPUT_DIR))
    path = posixpath.normpath(posixpath.join(output, outputs.folder))
    return CheckpointCopy(path, storage.parse_storage_url(url).join(submission), outputs.resumable)


def find_publish_url(job: Job, copy: CheckpointCopy | None) -> str:
    """Return the URL that OSMO or the run copies checkpoints or results to, or ""."""
    if copy:
        return str(copy.url.join(job.profile.outputs.folder))
    return str(dict(job.parameters).get(PUBLISH_PARAMETER) or "")
