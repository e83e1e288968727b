"""Render a job to a plan: the workflow, and the archive of the payload.

The archive is compressed as one file because many small files compress badly alone. In the workflow it is base64, which
contains no template syntax and nothing that OSMO takes for a secret; OSMO decodes it.
"""

import bz2
import functools
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from robotrain.cluster.spec import drop_empty, make_python_search, make_start_program
from robotrain.cluster.spec_patch import load_patch, merge_patch
from robotrain.errors import Rejected
from robotrain.messages import Messages
from robotrain.model import plan
from robotrain.model.job import PUBLISH_PARAMETER, Job
from robotrain.model.plan import Payload
from robotrain.store import code_folder
from robotrain.store.files import load_or_compute
from robotrain_runtime.contract.document import DOCUMENT_FILE, JobSource, Mount, Placement, format_document
from robotrain_runtime.contract.parameter import load_pairs
from robotrain_sources.role_flags import CODE

from robotrain_osmo.settings import OsmoSettings
from robotrain_osmo.spec import environment, resources, submission_spec, workflow
from robotrain_osmo.spec import inputs as spec_inputs
from robotrain_osmo.spec.compact_source import compact_module
from robotrain_osmo.spec.inputs import CheckpointCopy
from robotrain_osmo.spec.resources import MOUNT_SHARED_MEMORY, SHARED_MEMORY_FOLDER
from robotrain_osmo.spec.submission_spec import (
    PAYLOAD_FILE,
    SUBMISSION,
    SUBMISSION_FILE,
    WORKFLOW_FILE,
    WORKFLOW_ID,
    OsmoSubmissionSpec,
    OsmoUpload,
)

make_problem = Messages(__file__)

PAYLOAD_MEMBER = "payload"
"""Folder of the payload in the archive."""


def pack_documents(payload: Payload, documents: Mapping[str, bytes]) -> bytes:
    """Return the archive of a payload, job documents and other files, by their names in it: a tar file in bzip2.

    It is two bzip2 streams, which readers take for one: the first is the same for all jobs of a workload.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar_archive:
        for name, document in documents.items():
            _add_member(tar_archive, name, document)
    return _compress_payload(payload) + bz2.compress(buffer.getvalue())


ARCHIVE_FORMAT = 7
"""Changes with what is made of a payload: archives are cached."""


@functools.lru_cache(maxsize=32)
def _compress_payload(payload: Payload) -> bytes:
    """Return the first part of the archive; cached on disk, because it takes half a second."""

    def compress() -> bytes:
        buffer = io.BytesIO()
        tar_archive = tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115 - closing would write an end mark
        with zipfile.ZipFile(io.BytesIO(payload.archive)) as archive:
            for name in _order_names(archive.namelist()):
                _add_member(tar_archive, f"{PAYLOAD_MEMBER}/{name}", compact_module(name, archive.read(name)))
        return bz2.compress(buffer.getvalue())

    return load_or_compute(f"osmo-archive-{ARCHIVE_FORMAT}-{payload.digest}", compress)


def _order_names(module_names: Iterable[str]) -> list[str]:
    """Return the names so that what is alike is compressed together: bzip2 takes 900 kB at a time.

    The files of one kind follow each other, and the largest package, of the workloads, comes first.
    """
    by_package = sorted(sorted(module_names), key=lambda name: name.partition("/")[0], reverse=True)
    return sorted(by_package, key=lambda name: name.rpartition(".")[2])


def _add_member(tar_archive: tarfile.TarFile, path: str, member_bytes: bytes) -> None:
    member = tarfile.TarInfo(path)  # no time and no owner: the bytes depend on the content only
    member.size = len(member_bytes)
    member.mode = 0o644
    tar_archive.addfile(member, io.BytesIO(member_bytes))


UNPACK_LINES = (
    "archive, folder, *options = sys.argv[1:]",
    "os.makedirs(folder, exist_ok=True)",
    'with tarfile.open(os.path.expandvars(archive), mode="r:bz2") as packed:',
    '    packed.extractall(folder, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))',
)


def make_task_command(
    archive: str, folder: str, document: str = DOCUMENT_FILE, interpreters: Sequence[str] = ()
) -> list[str]:
    """Return the command of the task, which unpacks the archive into the run's folder and starts the runtime.

    :param archive: the path of the archive; it may start with a variable `${NAME}`.
    :param document: the name of the job document in it.
    :param interpreters: those of the workload's container.
    """
    program = make_start_program("tarfile", *UNPACK_LINES, document=document)
    search = make_python_search(interpreters).rstrip("\n")
    return ["/bin/sh", "-c", search, "robotrain", "-I", "-c", program.rstrip("\n"), archive, folder]


ARCHIVE_PATH = "/opt/robotrain/job.tar.bz2"
"""Path of the archive in the container."""
ARCHIVE_FILE = {"path": ARCHIVE_PATH, "base64": True, "contents": workflow.ARCHIVE_PLACEHOLDER}
"""The archive as a file of a task, before it is in the workflow."""
CREDENTIAL_OPTIONS = {
    "huggingface": "--hf-credential NAME",
    "blob_url": "--blob-credential NAME",
    "wandb": "--wandb-credential NAME",
}


def render_plan(
    job: Job, settings: OsmoSettings, run: str, payload: Payload, container_plugins: Mapping[str, str]
) -> plan.Plan:
    """Return the plan: workflow, submission spec and job document. Raise Rejected if the workflow is too large."""
    settings = resources.fill_settings(job, settings)
    code = find_inline_code(job, settings)
    builder = TaskBuilder(job, settings, run, code=code)
    document = builder.build_document(container_plugins)
    archive = pack_documents(payload, {DOCUMENT_FILE: document, **builder.read_code()})
    files = builder.build_files(archive)
    size = len(files[WORKFLOW_FILE])
    expanded = workflow.compute_expanded_size(size, archive, job.training_nodes)
    is_accepted = workflow.is_accepted_size(size, expanded)
    is_small = is_accepted and size <= workflow.LARGE_WORKFLOW_BYTES
    if code and settings.delivery == "auto" and not is_small and settings.storage_account:
        return render_plan(job, replace(settings, delivery="dataset"), run, payload, container_plugins)
    if not code and not is_small and settings.storage_account:
        files = builder.build_files(archive, uploaded=True)
    elif not is_accepted:
        raise Rejected([workflow.make_too_large_problem(size, code.uri if code else "", expanded)])
    return plan.Plan(
        platform="osmo",
        run=run,
        job=job,
        spec=WORKFLOW_FILE,
        files=files | {DOCUMENT_FILE: document},
        shown=(WORKFLOW_FILE, DOCUMENT_FILE),
    )


CODE_MEMBER = "code"
"""Folder of the user's code in the archive, and so in the run's folder."""


def find_inline_code(job: Job, settings: OsmoSettings) -> JobSource | None:
    """Return the folder of code that may travel in the workflow; None if there is none on this machine."""
    code_folders = (
        source
        for source in job.sources
        if (source.role, source.kind) == ("code", "local_path") and Path(source.uri).is_dir()
    )
    is_uploaded = settings.delivery == "dataset" or settings.code_dataset
    return None if is_uploaded else next(code_folders, None)


@dataclass(frozen=True)
class TaskBuilder:
    """Builder of the parts of a plan for one job: its document, its inputs, and the files of a plan of one task."""

    job: Job
    settings: OsmoSettings
    run: str
    submission: str = WORKFLOW_ID
    """The id of the submission: that of the workflow, and in a pipeline also of the step."""
    step_inputs: tuple[Mapping[str, Any], ...] = ()
    """Inputs of other tasks."""
    code: JobSource | None = None
    """The folder of code that is part of the archive."""

    def read_code(self) -> dict[str, bytes]:
        """Return the files of the code by their names in the archive; none if it is uploaded. Raise Rejected."""
        if self.code is None:
            return {}

        try:
            folder = Path(self.code.uri)
            if self.code.pin:
                folder = code_folder.stage_folder(folder, self.code.pin)
            code_files = code_folder.scan_folder(folder, is_staged=bool(self.code.pin))
            return {
                f"{CODE_MEMBER}/{path}": Path(real_path).read_bytes() for path, real_path in code_files.files.items()
            }
        except OSError as error:
            code_uri = self.code.uri
            raise Rejected(
                [
                    make_problem(
                        "upload-unreadable",
                        where=CODE.flag,
                        given=code_uri,
                        filename=error.filename,
                        strerror=error.strerror,
                    )
                ]
            ) from None

    @property
    def work(self) -> str:
        """The run's folder in the container."""
        return f"{self.settings.work_dir}/{self.run}"

    @functools.cached_property
    def task_inputs(self) -> tuple[spec_inputs.TaskInput, ...]:
        """Sources of the job that OSMO downloads."""
        return tuple(spec_inputs.collect_inputs(self.job, self.settings, self.run, self.code))

    @functools.cached_property
    def checkpoint_copy(self) -> CheckpointCopy | None:
        """Checkpoints or results that OSMO copies to storage."""
        return spec_inputs.find_checkpoint_copy(self.job, self.work, self.submission)

    @property
    def published_dataset(self) -> str:
        """The OSMO dataset that the task writes, or "". See `find_published_dataset`."""
        return spec_inputs.find_published_dataset(self.settings, self.submission)

    @property
    def inputs(self) -> list[Mapping[str, Any]]:
        """Inputs of the task: the sources, those of other tasks, then the copy of an earlier attempt."""
        copies = [{"url": str(copy.url)} for copy in self._restored_copies]
        return [*(task_input.entry for task_input in self.task_inputs), *self.step_inputs, *copies]

    @property
    def _restored_copies(self) -> list[CheckpointCopy]:
        """Copies that OSMO downloads when the task restarts."""
        return [self.checkpoint_copy] if self.checkpoint_copy and self.checkpoint_copy.restored else []

    def build_document(self, container_plugins: Mapping[str, str]) -> bytes:
        """Return the job document."""
        return format_document(
            plan.make_job_document(
                self.job,
                run=self.run,
                platform="osmo",
                container_plugins=container_plugins,
                placement=self.build_placement(),
                platform_managed=(PUBLISH_PARAMETER,) if self.checkpoint_copy else (),
            )
        ).encode()

    def build_files(self, archive: bytes, uploaded: bool = False) -> dict[str, bytes]:
        """Return the workflow and the submission spec.

        The archive is in the workflow; if it is `uploaded`, it is a file of its own and the task's last input.
        """
        uploads = [spec_inputs.make_archive_upload(archive, self.settings)] if uploaded else []
        submission = SUBMISSION.dump(self.build_submission_spec(*uploads))
        inputs = [*self.inputs, *({"url": upload.url} for upload in uploads)]
        path = f"{spec_inputs.make_input_reference(len(self.inputs))}/{PAYLOAD_FILE}" if uploaded else ARCHIVE_PATH
        mark = compute_digest(archive, submission)
        task = self.build_task(
            self.job.workload,
            make_task_command(path, self.work, interpreters=self.job.profile.container.interpreters),
            environment.make_environment(self.job, self.settings, len(inputs), mark),
            inputs,
            [] if uploaded else [ARCHIVE_FILE],
        )
        resources_by_name = {workflow.RESOURCE_NAME: workflow.build_resource(self.settings)}
        nodes = self.job.training_nodes
        workflow_body = workflow.assemble_workflow(self.run, self.settings, resources_by_name, [task], [nodes])
        spec = merge_patch(workflow_body, load_patch(self.settings.spec_patch))
        dump = workflow.dump_workflow if uploaded or nodes == 1 else workflow.dump_with_shared_files
        workflow_bytes = dump(spec, b"" if uploaded else archive).encode()
        return {
            WORKFLOW_FILE: workflow_bytes,
            SUBMISSION_FILE: submission,
            **({PAYLOAD_FILE: archive} if uploaded else {}),
        }

    def build_placement(self) -> Placement:
        """Return the placement of the job."""
        mounts = [item.to_mount(index) for index, item in enumerate(self.task_inputs)]
        if self.code:
            folder, origin = f"{self.work}/{CODE_MEMBER}", "the code in the workflow"
            mounts.insert(0, Mount(role=self.code.role, uri=self.code.uri, folder=folder, origin=origin))
        has_nodes = self.job.training_nodes > 1
        credentials = {item.flag: item for item in environment.collect_credentials(self.job, self.settings)}
        blob_credential = credentials.get("--blob-credential")
        files = {"blob_url": f"{environment.BLOB_CREDENTIAL_FOLDER}/{blob_credential.key}"} if blob_credential else {}
        return Placement(
            work=self.work,
            cache=f"{self.settings.work_dir}/cache",
            tracking_uri=environment.get_tracking_uri(self.settings),
            credentials=files,
            secrets={
                name: f"${{{environment.SECRET_VARIABLE.format(name)}}}" for name in load_pairs(self.settings.secrets)
            },
            download_mib=self.settings.download_mib,
            cache_gib=self.settings.cache_gib,
            mounts=tuple(mounts),
            promised=environment.make_compat_env(self.job),
            submission=environment.SUBMISSION_VARIABLE,
            handover=environment.OUTPUT_REFERENCE if self.published_dataset else "",
            left=spec_inputs.make_input_reference(len(self.inputs) - 1) if self._restored_copies else "",
            ways=CREDENTIAL_OPTIONS,
            cores_option="--cpu N",
            volatile=self.job.publishes_to_hub,
            node_rank=environment.NODE_RANK_VARIABLE if has_nodes else "",
            node_address=f"${{{environment.NODE_ADDRESS_VARIABLE}}}" if has_nodes else "",
        )

    def build_task(
        self,
        name: str,
        command: Sequence[str],
        variables: Mapping[str, str],
        inputs: Sequence[Mapping[str, Any]],
        files: Sequence[Mapping[str, Any]],
        resource: str = "",
    ) -> dict[str, Any]:
        """Return a task without empty fields. Files come last: people do not read them."""
        credentials = environment.collect_credentials(self.job, self.settings)
        dataset = self.published_dataset
        task = {
            "name": name,
            "image": self.settings.image,
            "command": list(command),
            "inputs": [dict(task_input) for task_input in inputs],
            "outputs": [{"url": dataset} if "://" in dataset else {"dataset": {"name": dataset}}] if dataset else [],
            "environment": {**variables, **({environment.OUTPUT_VARIABLE: "{{output}}"} if dataset else {})},
            "credentials": environment.make_credential_references(credentials),
            "volumeMounts": [SHARED_MEMORY_FOLDER] if self.settings.shared_memory == MOUNT_SHARED_MEMORY else [],
            "exitActions": {"RESCHEDULE": ",".join(map(str, workflow.RETRY_EXIT_CODES))},
            "checkpoint": [self.checkpoint_copy.entry] if self.checkpoint_copy else [],
            "resource": resource,
            "files": [dict(file) for file in files],
        }
        return drop_empty(task)

    def build_submission_spec(self, *archives: OsmoUpload) -> OsmoSubmissionSpec:
        """Return the submission spec. `archives`: the job's archive, if it is uploaded."""
        return submission_spec.make_submission_spec(
            self.settings,
            self.run,
            self.job.workload,
            uploads=(*(task_input.upload for task_input in self.task_inputs if task_input.upload), *archives),
            inputs=tuple(task_input.required for task_input in self.task_inputs if task_input.required),
            credentials=environment.collect_credentials(self.job, self.settings),
            nodes=self.job.training_nodes if self.job.training_nodes > 1 else 0,
            publishes=spec_inputs.find_publish_url(self.job, self.checkpoint_copy),
            dataset=self.published_dataset,
            spec_patch=self.settings.spec_patch or "",
        )


def compute_digest(*parts: bytes) -> str:
    """Return the mark of a plan: a digest of everything that is sent."""
    return hashlib.sha256(b"".join(parts)).hexdigest()[:32]
