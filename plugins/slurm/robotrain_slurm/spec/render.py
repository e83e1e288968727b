"""Render a job to the plan of a batch job. Pure, except for where the user's folders are."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from robotrain.model import plan
from robotrain.model.job import Job
from robotrain.model.plan import Payload, Plan
from robotrain.run_folder.code_copy import list_code_folders
from robotrain.run_folder.placement import make_placement
from robotrain.run_folder.scheduler_plan import make_token
from robotrain.run_folder.scheduler_settings import fill_settings
from robotrain_runtime.contract.document import JobSource, Mount, Placement, format_document, parse_document

from robotrain_slurm.settings import SlurmSettings
from robotrain_slurm.spec import script
from robotrain_slurm.spec.container import make_container
from robotrain_slurm.spec.options import (
    CORES_OPTION,
    Option,
    choose_stop_seconds,
    collect_other_options,
    list_options,
)
from robotrain_slurm.spec.placed_settings import place_settings, place_sources
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
    login, settings = settings.login or "", place_settings(settings)
    folder = os.path.join(settings.runs_dir, run)
    sources = place_sources(job.sources, login)
    document = render_document(job, settings, run, folder, container_plugins, sources=sources)
    options, prologue = list_script_options(job, settings, run, folder), read_prologue(settings)
    container = make_container(job, settings, folder, document)
    token = make_token(options, prologue, document, payload.digest, container)
    comment = make_comment(run, token)
    search = script.make_python_search(job.profile.container.interpreters)
    batch_job = BatchJob(name=run, script=SCRIPT_FILE, comment=comment, folder=folder, container=container)
    spec = make_spec(settings, run, folder, (batch_job,), choose_stop_seconds(job, settings), login)
    files = {SUBMISSION_FILE: SUBMISSION.dump(spec), DOCUMENT_FILE: document, SEARCH_FILE: search.encode()}
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
    settings: SlurmSettings, run: str, folder: str, jobs: tuple[BatchJob, ...], stop_seconds: int, login: str
) -> SlurmSpec:
    """Return how a run of these batch jobs is submitted. `stop_seconds`: how long each has to save a checkpoint."""
    return SlurmSpec(
        run=run,
        folder=folder,
        jobs=jobs,
        is_surely_shared=settings.storage == "shared",
        continuation=settings.continuation,
        stop_seconds=stop_seconds,
        staged=settings.stage,
        login=login,
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
    :param parts: other fields of the document, such as `registers`; `sources` as the nodes see them.
    """
    placement = place_job(job, settings, folder, code_folder)
    document = plan.make_job_document(
        job,
        run=run,
        platform="slurm",
        container_plugins=container_plugins,
        placement=replace(placement, mounts=(*placement.mounts, *mounts), handover=handover),
    )
    return format_document(replace(document, **parts)).encode()


def place_job(job: Job, settings: SlurmSettings, folder: str, code_folder: str) -> Placement:
    """Return where a job works, and what it finds there."""
    cache, tracking_uri = settings.cache_dir, settings.tracking_uri
    return replace(
        make_placement(job, settings, folder, cache=cache, tracking_uri=tracking_uri, code_folder=code_folder),
        node_launcher=make_node_launcher(job, settings),
    )


def make_node_launcher(job: Job, settings: SlurmSettings) -> tuple[str, ...]:
    """Return the command that starts a program on each node of a job; empty for one node."""
    if (count := job.training_nodes) == 1:
        return ()
    cores = fill_settings(job, settings).cpus  # srun does not take them over from its job
    return (
        "srun",
        f"--nodes={count}",
        f"--ntasks={count}",
        "--ntasks-per-node=1",
        *((f"--cpus-per-task={cores}",) if CORES_OPTION not in collect_other_options(settings) else ()),
        "--kill-on-bad-exit=1",
        "--export=ALL",  # else only what the batch script lists
    )


def list_code_copies(files: Mapping[str, bytes], jobs: Iterable[BatchJob]) -> Iterator[tuple[JobSource, str]]:
    """Yield the folders of code on this machine that a run has a copy of, each with the folder of the copy."""
    for job in jobs:
        document = parse_document(files[job.documents[0]].decode())  # trials share the code
        sources = {source.uri: source for source in list_code_folders(document.sources)}
        yield from ((sources[one.uri], one.folder) for one in document.placement.mounts if one.uri in sources)


def make_comment(name: str, token: str) -> str:
    """Return the comment by which a job is found in Slurm again."""
    return f"robotrain:{name}:{token}"


def list_script_options(job: Job, settings: SlurmSettings, name: str, folder: str) -> list[Option]:
    """Return all options of the script but the comment."""
    return [
        ("job-name", name),
        *list_options(job, settings),
        ("nodes", str(job.training_nodes)),
        ("ntasks", str(job.training_nodes)),
        *([("ntasks-per-node", "1")] if job.training_nodes > 1 else []),
        ("chdir", folder),
        ("output", os.path.join(folder, OUTPUT_FILE).replace("%", "%%")),
        ("open-mode", "append"),
        ("export", EXPORT),
        ("signal", f"B:TERM@{choose_stop_seconds(job, settings)}"),
        ("no-requeue" if settings.continuation == "never" else "requeue", None),
    ]
