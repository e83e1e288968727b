"""Render a job to a plan: the workflow, the archive of the payload, and the program that unpacks it.

Compressed each for itself, its many small files would take twice as much.

No brace is doubled in the program and no `$(` is in it, and `tests/osmo` holds it to that: OSMO renders the workflow as
a template, and Kubernetes expands variables in a container's arguments. Every `python3` since 3.6 can read it, to say
when it is too old.
"""

import base64
import bz2
import functools
import hashlib
import io
import tarfile
import threading
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from robotrain.errors import Rejected
from robotrain.model import plan
from robotrain.model.job import Job
from robotrain.model.plan import Payload
from robotrain_runtime.contract.document import Placement, format_document

from robotrain_osmo.settings import OsmoSettings
from robotrain_osmo.spec import environment, inputs, resources, submission_spec, workflow
from robotrain_osmo.spec import environment as environ
from robotrain_osmo.spec import inputs as carrying
from robotrain_osmo.spec.inputs import CheckpointCopy

JOB_MEMBER = "job.json"
PAYLOAD_MEMBER = "payload"
"""In the archive: where the payload's own paths begin."""


def pack_archive(payload: Payload, document: bytes) -> bytes:
    """The archive; equal content gives equal bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as packed:
        _add_member(packed, JOB_MEMBER, document)
    return _pack_payload(payload) + bz2.compress(buffer.getvalue())


@functools.lru_cache(maxsize=4)
def _pack_payload(payload: Payload) -> bytes:
    """The archive's beginning: the same for many jobs of one process, such as those of a sweep."""
    buffer = io.BytesIO()
    packed = tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115 - closing would end it
    for path, content in _read_payload(payload):
        _add_member(packed, path, content)
    return _compress(buffer.getvalue())


def _add_member(packed: tarfile.TarFile, path: str, content: bytes) -> None:
    entry = tarfile.TarInfo(path)  # no clock, no owner: the archive is content alone
    entry.size = len(content)
    entry.mode = 0o644
    packed.addfile(entry, io.BytesIO(content))


def _compress(content: bytes) -> bytes:
    """Two streams, one after the other: they are made side by side, and this is most of what a render takes."""
    middle = len(content) // 2
    first: list[bytes] = []
    beside = threading.Thread(target=lambda: first.append(bz2.compress(content[:middle])))
    beside.start()
    second = bz2.compress(content[middle:])
    beside.join()
    return first[0] + second


def _read_payload(payload: Payload) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(payload.archive)) as packed:
        for name in sorted(packed.namelist()):
            yield f"{PAYLOAD_MEMBER}/{name}", packed.read(name)


BOOTSTRAP_PROGRAM = """\
import os
import sys

archive, folder = sys.argv[1:]


def refuse(why):
    print("error: " + why, file=sys.stderr, flush=True)
    sys.exit(2)


if sys.version_info < (3, 10):
    found = sys.version.split()[0]
    refuse("the python3 of this image is " + found + ", and 3.10 is the oldest that will do: use another --image")
try:
    import bz2, tarfile
except ImportError as error:
    refuse("the python3 of this image lacks a part of its library (" + str(error) + "): use another --image")
try:
    os.makedirs(folder, exist_ok=True)
    with tarfile.open(os.path.expandvars(archive), "r:bz2") as packed:
        packed.extractall(folder, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
except (OSError, EOFError, tarfile.TarError) as error:
    refuse("the job cannot be unpacked in " + folder + ": " + str(error))
os.chdir(folder)
os.environ["PYTHONPATH"] = os.path.join(folder, "payload")
os.execv(sys.executable, [sys.executable, "-m", "robotrain_runtime", "run", "job.json"])
"""


def make_task_command(archive: str, folder: str) -> list[str]:
    """The command of a task. archive: its path, which may begin with `${NAME}` of the environment. folder: where it is
    unpacked, and the run works.
    """
    return ["python3", "-c", BOOTSTRAP_PROGRAM.rstrip("\n"), archive, folder]


ARCHIVE_PATH = "/opt/robotrain/job.tar.bz2"
"""Where OSMO puts the archive in the container."""
CREDENTIAL_OPTIONS = {
    "huggingface": "--hf-credential NAME",
    "blob_url": "--blob-credential NAME",
    "wandb": "--wandb-credential NAME",
}


def render_plan(
    job: Job, settings: OsmoSettings, run: str, payload: Payload, container_plugins: Mapping[str, str]
) -> plan.Plan:
    """The plan: the workflow, how it is handed over, and the job document for people. Raises Rejected when it is more
    than OSMO takes.
    """
    made = _OsmoPlanBuilder(job, settings, run)
    document = made.build_document(container_plugins)
    packed = pack_archive(payload, document)
    files = made.build_inline_files(packed)
    if (
        found := len(files[submission_spec.WORKFLOW_FILE])
    ) > workflow.LARGE_WORKFLOW_BYTES and settings.storage_account:
        files = made.build_uploaded_files(packed)
    elif found > workflow.MAX_WORKFLOW_BYTES:
        raise Rejected([workflow.make_too_large_problem(found)])
    return plan.Plan(
        platform="osmo",
        run=run,
        job=job,
        spec=submission_spec.WORKFLOW_FILE,
        files=files | {submission_spec.DOCUMENT_FILE: document},
        shown=(submission_spec.WORKFLOW_FILE, submission_spec.DOCUMENT_FILE),
    )


@dataclass(frozen=True)
class _OsmoPlanBuilder:
    """What the files of a plan are made from. work: the run's folder in the container."""

    job: Job
    settings: OsmoSettings
    run: str
    work: str = field(init=False)
    sources: tuple[inputs.TaskInput, ...] = field(init=False)
    carried: CheckpointCopy | None = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "work", f"{self.settings.work_dir}/{self.run}")
        object.__setattr__(self, "sources", tuple(inputs.collect_inputs(self.job, self.settings, self.run)))
        object.__setattr__(self, "carried", carrying.find_checkpoint_copy(self.job, self.work))

    @property
    def inputs(self) -> list[Mapping[str, Any]]:
        """The sources that OSMO brings, then what an earlier attempt left."""
        return [*(one.entry for one in self.sources), *({"url": str(one.url)} for one in self._restored_copies)]

    @property
    def _restored_copies(self) -> list[CheckpointCopy]:
        """What OSMO brings back when the run starts anew."""
        return [self.carried] if self.carried and self.carried.restored else []

    def build_document(self, container_plugins: Mapping[str, str]) -> bytes:
        """The job document."""
        return format_document(
            plan.make_job_document(
                self.job,
                run=self.run,
                platform="osmo",
                container_plugins=container_plugins,
                placement=self._build_placement(),
                platform_managed=(carrying.PUBLISH_PARAMETER,) if self.carried else (),
            )
        ).encode()

    def build_inline_files(self, packed: bytes) -> dict[str, bytes]:
        """The workflow with the archive in it, and the order."""
        file = {"path": ARCHIVE_PATH, "base64": True, "contents": workflow.ARCHIVE_PLACEHOLDER}
        handed = submission_spec.dump_submission_spec(self._build_submission_spec())
        spec = self._build_workflow(ARCHIVE_PATH, self.inputs, [file], _compute_digest(packed, handed))
        return {
            submission_spec.WORKFLOW_FILE: workflow.dump_workflow(spec, base64.b64encode(packed).decode()).encode(),
            submission_spec.SUBMISSION_FILE: handed,
        }

    def build_uploaded_files(self, packed: bytes) -> dict[str, bytes]:
        """The same with the archive beside the workflow: it is uploaded, and is the last of the inputs."""
        upload = submission_spec.OsmoUpload(
            path="", url=inputs.get_archive_url(packed, self.settings), files=1, size=len(packed)
        )
        handed = submission_spec.dump_submission_spec(self._build_submission_spec(upload))
        place = f"{inputs.make_input_reference(len(self.inputs))}/{submission_spec.PAYLOAD_FILE}"
        spec = self._build_workflow(place, [*self.inputs, {"url": upload.url}], [], _compute_digest(packed, handed))
        return {
            submission_spec.WORKFLOW_FILE: workflow.dump_workflow(spec).encode(),
            submission_spec.SUBMISSION_FILE: handed,
            submission_spec.PAYLOAD_FILE: packed,
        }

    def _build_placement(self) -> Placement:
        named = {one.flag: one for one in self._collect_credentials()}
        blob = named.get("--blob-credential")
        return Placement(
            work=self.work,
            cache=f"{self.settings.work_dir}/cache",
            tracking_uri=environment.get_tracking_uri(self.settings),
            credentials={"blob_url": f"{environment.CREDENTIAL_FOLDER}/{blob.key}"} if blob else {},
            download_mib=self.settings.download_mib,
            cache_gib=self.settings.cache_gib,
            mounts=tuple(one.to_mount(index) for index, one in enumerate(self.sources)),
            promised=environ.make_compat_env(self.job),
            submission=environ.SUBMISSION_VARIABLE,
            left=inputs.make_input_reference(len(self.sources)) if self._restored_copies else "",
            ways=CREDENTIAL_OPTIONS,
        )

    def _build_workflow(
        self, archive_path: str, inputs: Sequence[Mapping[str, Any]], files: Sequence[Mapping[str, Any]], digest: str
    ) -> dict[str, Any]:
        return workflow.build_workflow(
            self.job,
            self.settings,
            self.run,
            command=make_task_command(archive_path, self.work),
            environment=environ.make_environment(self.job, self.settings, len(inputs), digest),
            inputs=inputs,
            checkpoint=self.carried.entry if self.carried else None,
            files=files,
        )

    def _build_submission_spec(self, *archives: submission_spec.OsmoUpload) -> submission_spec.OsmoSubmissionSpec:
        settings = self.settings
        return submission_spec.OsmoSubmissionSpec(
            run=self.run,
            cli=settings.osmo_cli,
            pool=settings.pool or "",
            server=settings.server,
            task=self.job.workload,
            gpu_platform=settings.gpu_platform,
            priority=settings.priority or "",
            exec_timeout=resources.resolve_resources(self.job.profile, settings).exec_timeout,
            mounts=resources.list_mounts(settings),
            shared_memory=settings.shared_memory or "",
            uploads=(*(one.upload for one in self.sources if one.upload), *archives),
            inputs=tuple(one.required for one in self.sources if one.required),
            credentials=tuple(
                submission_spec.OsmoCredential(name=one.name, key=one.key, flag=one.flag, what=one.content)
                for one in self._collect_credentials()
            ),
            publishes=carrying.find_publish_url(self.job, self.work),
            identity=settings.workload_identity or "",
            subscription=settings.subscription_id or "",
        )

    def _collect_credentials(self) -> tuple[environment.TaskCredential, ...]:
        return environment.collect_credentials(self.job, self.settings)


def _compute_digest(*parts: bytes) -> str:
    return hashlib.sha256(b"".join(parts)).hexdigest()[:32]
