"""Render a job to the plan of a batch job. Pure, except for where the user's folders are."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from robotrain.model import plan
from robotrain.model.job import Job
from robotrain.model.plan import Payload, Plan
from robotrain.run_folder.settings import NO_TRACKING
from robotrain_runtime.contract.document import JobSource, Mount, Placement, format_document, parse_document
from robotrain_runtime.contract.parameter import load_pairs

from robotrain_slurm.settings import SlurmSettings
from robotrain_slurm.spec import node_script, script
from robotrain_slurm.spec.container import make_container
from robotrain_slurm.spec.options import Option, choose_stop_seconds, list_options
from robotrain_slurm.spec.prologue import read_prologue
from robotrain_slurm.spec.submission_spec import (
    DOCUMENT_FILE,
    PAYLOAD_FILE,
    SCRIPT_FILE,
    SEARCH_FILE,
    SUBMISSION,
    SUBMISSION_FILE,
    BatchJob,
    SlurmSpec,
)

OUTPUT_FILE = "slurm.txt"
"""In the run folder: what the batch script prints itself."""
CODE_FOLDER = "code"
"""The run's copy of the user's folder of code."""
TOKEN_LENGTH = 16
PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
EXPORT = f"PATH={PATH},LANG=C.UTF-8,HOME,USER,LOGNAME"
"""The environment of a job. sbatch takes the last three from who submits, so that a plan is the same for everyone."""
CONTAINER_PLUGINS = {"platform.slurm": script.BATCH_MODULE}


def find_container_plugins(job: Job, settings: SlurmSettings) -> Mapping[str, str]:
    """Return the program of the node, which is packed with the runtime."""
    return CONTAINER_PLUGINS


def render_plan(
    job: Job, settings: SlurmSettings, run: str, payload: Payload, container_plugins: Mapping[str, str]
) -> Plan:
    """Return the plan: the batch script, the job document and the payload."""
    folder = os.path.join(settings.runs_dir, run)
    document = render_document(job, settings, run, folder, container_plugins)
    options, prologue = list_script_options(job, settings, run, folder), read_prologue(settings)
    container = make_container(job, settings, folder, document)
    token = make_token(options, prologue, document, payload.digest, container)
    comment = make_comment(run, token)
    search = script.make_python_search(job.profile.container.interpreters)
    batch_job = BatchJob(name=run, script=SCRIPT_FILE, comment=comment, folder=folder, container=container)
    spec = make_spec(settings, run, folder, (batch_job,), choose_stop_seconds(job, settings))
    files = {SUBMISSION_FILE: SUBMISSION.dump(spec), DOCUMENT_FILE: document, SEARCH_FILE: search.encode()}
    if settings.storage == "node":
        carried = {**files, **node_script.unpack_payload(payload.archive)}
        text = node_script.make_node_script([*options, ("comment", comment)], prologue, token, search, carried)
    else:
        text = script.make_script([*options, ("comment", comment)], prologue)
    return Plan(
        platform="slurm",
        run=run,
        job=job,
        spec=SCRIPT_FILE,
        files={SCRIPT_FILE: text.encode(), **files, PAYLOAD_FILE: payload.archive},
        shown=(SCRIPT_FILE, DOCUMENT_FILE, *((SUBMISSION_FILE,) if container.tool else ())),
    )


def make_spec(
    settings: SlurmSettings, run: str, folder: str, jobs: tuple[BatchJob, ...], stop_seconds: int
) -> SlurmSpec:
    """Return how a run of these batch jobs is submitted. `stop_seconds`: how long each has to save a checkpoint."""
    return SlurmSpec(
        run=run,
        folder=folder,
        jobs=jobs,
        storage=settings.storage,
        continuation=settings.continuation,
        stop_seconds=stop_seconds,
        staged=settings.stage,
    )


def render_document(
    job: Job,
    settings: SlurmSettings,
    run: str,
    folder: str,
    container_plugins: Mapping[str, str],
    *,
    code_folder: str = "",
    mounts: Sequence[Mount] = (),
    handover: str = "",
    **parts: Any,
) -> bytes:
    """Return the job document of a job that works in `folder`.

    :param code_folder: the run's copy of the user's code, if it is not below `folder`.
    :param mounts: what it reads beside the code: outputs of earlier steps.
    :param handover: the folder that later steps read; empty for none.
    :param parts: other fields of the document, such as `registers`.
    """
    placement = make_placement(job, settings, folder, code_folder or os.path.join(folder, CODE_FOLDER))
    document = plan.make_job_document(
        job,
        run=run,
        platform="slurm",
        container_plugins=container_plugins,
        placement=replace(placement, mounts=(*placement.mounts, *mounts), handover=handover),
    )
    return format_document(replace(document, **parts)).encode()


def make_placement(job: Job, settings: SlurmSettings, folder: str, code_folder: str) -> Placement:
    """Return where a job works, and what it finds there."""
    credentials = {  # paths only
        "blob_url": settings.blob_credential_file,
        "huggingface": settings.hub_token_file,
        "git": settings.git_token_file,
    }
    return Placement(
        work=folder,
        cache=settings.cache_dir,
        tracking_uri="" if settings.tracking_uri == NO_TRACKING else settings.tracking_uri or "",
        environment=settings.environment,
        torch_backend=settings.torch_backend,
        credentials={kind: file for kind, file in credentials.items() if file},
        secrets={name: os.path.expanduser(file) for name, file in load_pairs(settings.secrets).items()},
        download_mib=settings.download_mib,
        cache_gib=settings.cache_gib,
        submission=node_script.SUBMISSION_VARIABLE if settings.storage == "node" else "",
        ways={"git": "--git-token-file FILE"} if any(source.kind == "git" for source in job.sources) else {},
        mounts=tuple(
            Mount(role="code", uri=source.uri, folder=code_folder, origin=f"the run's copy of {source.uri}")
            for source in job.sources
            if _is_code_folder(source)
        ),
    )


def _is_code_folder(source: JobSource) -> bool:
    return (source.role, source.kind) == ("code", "local_path")


def list_code_copies(files: Mapping[str, bytes], jobs: Iterable[BatchJob]) -> Iterator[tuple[JobSource, str]]:
    """Yield the folders of code on this machine that a run has a copy of, each with the folder of the copy."""
    for job in jobs:
        document = parse_document(files[job.documents[0]].decode())  # trials share the code
        sources = {source.uri: source for source in document.sources if _is_code_folder(source)}
        yield from ((sources[one.uri], one.folder) for one in document.placement.mounts if one.uri in sources)


def make_token(*sent: object) -> str:
    """Return what tells a plan from every other one of the same run: a digest of what is sent."""
    return hashlib.sha256(repr(sent).encode()).hexdigest()[:TOKEN_LENGTH]


def make_comment(name: str, token: str) -> str:
    """Return the comment by which a job is found in Slurm again."""
    return f"robotrain:{name}:{token}"


def list_script_options(job: Job, settings: SlurmSettings, name: str, folder: str) -> list[Option]:
    """Return all options of the script but the comment."""
    start, output = folder, os.path.join(folder, OUTPUT_FILE)
    if settings.storage == "node":
        start, output = node_script.START_FOLDER, os.path.join(node_script.START_FOLDER, f"{name}.txt")
    return [
        ("job-name", name),
        *list_options(job, settings),
        ("nodes", "1"),
        ("ntasks", "1"),
        ("chdir", start),
        ("output", output.replace("%", "%%")),
        ("open-mode", "append"),
        ("export", EXPORT),
        ("signal", f"B:TERM@{choose_stop_seconds(job, settings)}"),
        ("no-requeue" if settings.continuation == "never" else "requeue", None),
    ]
