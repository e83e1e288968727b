"""The plans of Slurm: a job is a batch script, which becomes the program of the node.

Pure, except for where the user's folders are.
"""
# ruff: noqa: D102 (the base classes say what each method does)

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from robotrain.errors import Problem
from robotrain.model.job import Job
from robotrain.model.pipeline import PipelineStep
from robotrain.model.platform import PlatformDefault
from robotrain.model.source import LOCAL_KIND, REMOTE_KIND
from robotrain.run_folder import settings_rules
from robotrain.run_folder.scheduler_parts import SchedulerPlans
from robotrain.run_folder.scheduler_plan import SchedulerJob
from robotrain.run_folder.scheduler_settings import fill_settings
from robotrain_runtime.contract.document import JobSource, Mount, collect_fields
from robotrain_sources.local_path import kind as local_path

from robotrain_slurm.settings import SlurmSettings
from robotrain_slurm.spec import options, uploads
from robotrain_slurm.spec.check_job import check_continuation, check_job
from robotrain_slurm.spec.container import make_container
from robotrain_slurm.spec.options import Option
from robotrain_slurm.spec.placed_settings import place_settings, place_sources
from robotrain_slurm.spec.script import BATCH_MODULE, make_script, read_prologue
from robotrain_slurm.spec.submission_spec import (
    OUTPUT_FILE,
    SCRIPT_FILE,
    SUBMISSION,
    BatchValues,
    format_comment,
    get_script,
)

FOLDER_READER = local_path.KIND.container_plugin
"""What reads a folder of the cluster: for the job it is one of its machine."""
PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
EXPORT = f"PATH={PATH},LANG=C.UTF-8,HOME,USER,LOGNAME"
"""The environment of a job. sbatch takes the last three from who submits, so that a plan is the same for everyone."""


class SlurmPlans(SchedulerPlans):
    """The plans of Slurm."""

    output_file = OUTPUT_FILE
    start_file = SCRIPT_FILE
    tells_end = True
    python_search = ("this node or image", "use --module NAME for one, or another --image with --container")
    run_settings: Mapping[str, str] = {
        **SchedulerPlans.run_settings,
        **{"continuation": "--continuation", "stage": "--stage", "login": "--login"},
    }

    def derive_defaults(self, job: Job, settings: SlurmSettings) -> Mapping[str, PlatformDefault]:
        return options.derive_defaults(job, settings)

    def check(self, job: Job, settings: SlurmSettings) -> Iterable[Problem]:
        yield from check_job(job, settings)
        yield from settings_rules.check_settings(job, settings, "Slurm", ("SLURM_", "SBATCH_"))

    def container_plugins(self, job: Job, settings: SlurmSettings) -> Mapping[str, str]:
        reader = {f"source.{LOCAL_KIND}": FOLDER_READER}
        has_remote = any(source.kind == REMOTE_KIND for source in job.sources)
        return {"platform.slurm": BATCH_MODULE, **(reader if has_remote else {})}

    def is_remote_folder(self, source: JobSource, settings: SlurmSettings) -> bool:
        """Return whether a source is a folder of the cluster, which this machine reaches by ssh."""
        return source.kind == REMOTE_KIND

    def make_submit_words(self, job: Job, settings: SlurmSettings, scheduler_job: SchedulerJob) -> Sequence[str]:
        return ("--parsable", scheduler_job.program[-1])

    def make_start_script(self, job: Job, settings: SlurmSettings, scheduler_job: SchedulerJob) -> str:
        script_options = [
            *list_script_options(job, settings, scheduler_job),
            ("comment", format_comment(scheduler_job)),
        ]
        return make_script(script_options, read_prologue(settings), "../../" if scheduler_job.step else "")

    def make_own_values(
        self, job: Job, settings: SlurmSettings, scheduler_job: SchedulerJob, document: bytes
    ) -> Mapping[str, Any]:
        batch_values = BatchValues(
            container=make_container(job, settings, scheduler_job.root, document),
            continuation=settings.continuation,
            stop_seconds=options.choose_stop_seconds(job, settings),
            is_staged=settings.stage,
            is_surely_shared=settings.storage == "shared",
        )
        fields: Mapping[str, Any] = collect_fields(batch_values)
        return fields

    def make_node_launcher(self, job: Job, settings: SlurmSettings) -> Sequence[str]:
        count = job.training_nodes
        other_options = options.collect_other_options(settings)
        cores = (
            () if options.CORES_OPTION in other_options else (f"--cpus-per-task={fill_settings(job, settings).cpus}",)
        )
        return (
            "srun",
            f"--nodes={count}",
            f"--ntasks={count}",
            "--ntasks-per-node=1",
            *cores,  # srun does not take them over from its job
            "--kill-on-bad-exit=1",
            "--export=ALL",  # else only what the batch script lists
        )

    def place(self, job: Job, settings: SlurmSettings) -> tuple[Job, SlurmSettings]:
        sources = place_sources(job.sources, settings.login or "")
        return replace(job, sources=sources), place_settings(settings)

    def list_mounts(self, job: Job, settings: SlurmSettings, cache: str, run: str) -> Iterable[Mount]:
        return uploads.list_mounts(job.sources, settings, cache, run)

    def check_steps(self, steps: Sequence[PipelineStep]) -> Iterator[Problem]:
        yield from check_continuation(steps)
        yield from super().check_steps(steps)

    def choose_shown(self, jobs: Sequence[SchedulerJob]) -> tuple[str, Sequence[str]]:
        first_job = jobs[0]
        has_container = first_job.own["container"].tool and not first_job.step
        shown_paths = [*map(get_script, jobs), *(job.document for job in jobs)]
        return SUBMISSION.name if first_job.step else SCRIPT_FILE, [
            *shown_paths,
            *([SUBMISSION.name] if has_container else []),
        ]


def list_script_options(job: Job, settings: SlurmSettings, scheduler_job: SchedulerJob) -> Iterable[Option]:
    """Return all options of the script but the comment."""
    yield "job-name", scheduler_job.name
    yield from options.list_options(job, settings)
    yield "nodes", str(job.training_nodes)
    yield "ntasks", str(job.training_nodes)
    if job.training_nodes > 1:
        yield "ntasks-per-node", "1"
    yield "chdir", scheduler_job.folder
    yield "output", os.path.join(scheduler_job.folder.replace("%", "%%"), scheduler_job.output)
    yield "open-mode", "append"
    yield "export", EXPORT
    yield "signal", f"B:TERM@{options.choose_stop_seconds(job, settings)}"
    yield "no-requeue" if settings.continuation == "never" else "requeue", None
