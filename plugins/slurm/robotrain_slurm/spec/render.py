"""Render a job to the plan of a batch job. Pure, except for where the user's folders are."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from robotrain.model import plan
from robotrain.model.job import Job
from robotrain.model.plan import Payload, Plan
from robotrain.run_folder.code_copy import list_code_folders
from robotrain.run_folder.placement import make_placement
from robotrain.run_folder.scheduler_plan import make_token
from robotrain.run_folder.scheduler_settings import fill_settings
from robotrain_runtime.contract.document import JobSource, Mount, format_document, parse_document

from robotrain_slurm.settings import SlurmSettings
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
from robotrain_slurm.spec.script import BATCH_MODULE, make_python_search, make_script
from robotrain_slurm.spec.submission_spec import (
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
CONTAINER_PLUGINS = {"platform.slurm": BATCH_MODULE}


def find_container_plugins(job: Job, settings: SlurmSettings) -> Mapping[str, str]:
    """Return the program of the node, which is packed with the runtime."""
    return CONTAINER_PLUGINS


@dataclass(frozen=True, kw_only=True)
class RenderedBatch:
    """A batch job with all that is sent of it."""

    batch: BatchJob
    """Without its comment."""
    job: Job
    settings: SlurmSettings
    options: Sequence[Option]
    """All of its script but the comment."""
    documents: Sequence[bytes]
    """As `batch.documents` has their paths."""


def render_plan(
    job: Job, settings: SlurmSettings, run: str, payload: Payload, container_plugins: Mapping[str, str]
) -> Plan:
    """Return the plan: the batch script, the job document and the payload."""
    login, settings = settings.login or "", place_settings(settings)
    folder = os.path.join(settings.runs_dir, run)
    sources = place_sources(job.sources, login)
    document = render_document(job, settings, run, folder, container_plugins, sources=sources)
    container = make_container(job, settings, folder, document)
    rendered = RenderedBatch(
        batch=BatchJob(name=run, script=SCRIPT_FILE, folder=folder, container=container),
        job=job,
        settings=settings,
        options=list_script_options(job, settings, run, folder),
        documents=[document],
    )
    return make_plan([rendered], job, run, folder, payload, login)


def make_plan(rendered: Sequence[RenderedBatch], job: Job, run: str, folder: str, payload: Payload, login: str) -> Plan:
    """Return the plan of a run of these batch jobs, which share the payload.

    :param job: the job that stands for all of them.
    :param folder: the run folder.
    """
    settings, prologues = rendered[0].settings, [read_prologue(one.settings) for one in rendered]
    token = make_token([(one.batch, one.options, one.documents) for one in rendered], prologues, payload.digest)
    jobs = tuple(replace(one.batch, comment=f"robotrain:{one.batch.name}:{token}") for one in rendered)
    submission = SlurmSpec(
        run=run,
        folder=folder,
        jobs=jobs,
        is_surely_shared=settings.storage == "shared",
        continuation=settings.continuation,
        stop_seconds=min(choose_stop_seconds(one.job, one.settings) for one in rendered),
        staged=settings.stage,
        login=login,
    )
    scripts, documents = dict[str, bytes](), dict[str, bytes]()
    for one, sent, prologue in zip(rendered, jobs, prologues, strict=True):
        root = "../.." if sent.step else "."
        scripts[sent.script] = make_script([*one.options, ("comment", sent.comment)], prologue, root).encode()
        documents |= zip(sent.documents, one.documents, strict=True)
    interpreters = dict.fromkeys(name for one in rendered for name in one.job.profile.container.interpreters)
    first = jobs[0]
    return Plan(
        platform="slurm",
        run=run,
        job=job,
        spec=SUBMISSION_FILE if first.step else SCRIPT_FILE,
        files={
            **scripts,
            SUBMISSION_FILE: SUBMISSION.dump(submission),
            **documents,
            SEARCH_FILE: make_python_search(interpreters).encode(),
            PAYLOAD_FILE: payload.archive,
        },
        shown=(
            *scripts,
            *(one for sent in jobs for one in sent.documents[:1]),
            *((SUBMISSION_FILE,) if first.container.tool and not (first.step or first.trials) else ()),
        ),
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
    cache, tracking_uri = settings.cache_dir, settings.tracking_uri
    placement = make_placement(job, settings, folder, cache=cache, tracking_uri=tracking_uri, code_folder=code_folder)
    launcher = make_node_launcher(job, settings)
    document = plan.make_job_document(
        job,
        run=run,
        platform="slurm",
        container_plugins=container_plugins,
        placement=replace(placement, mounts=(*placement.mounts, *mounts), handover=handover, node_launcher=launcher),
    )
    return format_document(replace(document, **parts)).encode()


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
