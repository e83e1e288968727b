"""The plans of a scheduler: of one job, and of a pipeline whose jobs wait for each other. Pure."""

import json
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from robotrain_runtime.contract.document import DOCUMENT_FILE, Mount, format_document

from robotrain.cluster.spec import make_python_search
from robotrain.errors import Problem, raise_if_any
from robotrain.messages import Messages
from robotrain.model.job import Job
from robotrain.model.pipeline import PipelineStep
from robotrain.model.plan import Payload, Plan, make_job_document
from robotrain.model.platform import PlatformPlans
from robotrain.model.platform_features import PipelinePlans
from robotrain.model.preview import RunPlace
from robotrain.model.reference import Reference
from robotrain.run_folder import file_names
from robotrain.run_folder.placement import make_placement
from robotrain.run_folder.scheduler_plan import (
    PAYLOAD_FILE,
    SEARCH_FILE,
    START_FILE,
    STEPS_FOLDER,
    SchedulerJob,
    SchedulerSpec,
    format_become_python,
    make_spec_file,
    make_token,
)
from robotrain.run_folder.scheduler_settings import fill_settings
from robotrain.run_folder.settings import NO_TRACKING

make_problem = Messages(__file__)

MAX_STARTS = 5
"""How often a scheduler may start a job again without a new checkpoint: some restart one for ever."""
TOO_OFTEN = f"the job was started {MAX_STARTS} times without a new checkpoint: it may need a longer time limit (--time)"
START_SCRIPT = """\
# The first process of the job: it becomes the runtime, which gets the signals of the scheduler.
cd "$(dirname "$0")" || exit 1
saved=$(grep -c '"event": "checkpoint"' {events} 2>/dev/null)
echo "saved $saved" >>starts
if [ "$(grep -cx "saved $saved" starts)" -gt {most} ]; then
  echo "error: {reason}" >&2
  printf '%s\n' '{outcome}' >{file}.part && mv {file}.part {file}
  exit 1
fi
{become}
"""


class _RenderedJob(NamedTuple):
    """A job with all that is sent of it."""

    job: Job
    settings: Any
    """Without gaps."""
    scheduler_job: SchedulerJob
    """Without its token and words."""
    document: bytes


class SchedulerPlans(PlatformPlans, PipelinePlans):
    """The plans of a scheduler: what it describes of itself, and what follows from that."""

    job_variable: str
    """The environment variable with the name of a job, where it runs."""
    output_file = ""
    """In the run folder: what a job prints before its log begins."""
    start_file = START_FILE
    """In the run folder: the script that `make_start_script` returns."""
    tells_end = False
    """Whether its own program tells the webhook how a run ended, as `Placement.tells_end`."""
    python_search = ("this node", "install one, or ask for one")
    """Where no Python was found, and what to do, for the message of a job without one."""
    run_settings: Mapping[str, str] = {"runs_dir": "--runs-dir"}
    """Settings that all steps of a pipeline share, with their options."""

    def describe_run(self, job: Job, settings: Any, run: str) -> RunPlace:
        """Return where a run works; pure."""
        host = getattr(settings, "login", None)
        limit = fill_settings(job, settings).time
        folder = os.path.join(f"{host}:{settings.runs_dir}" if host else settings.runs_dir, run)
        return RunPlace(str(limit), folder, tracking=settings.tracking_uri or NO_TRACKING)

    def make_submit_words(self, job: Job, settings: Any, scheduler_job: SchedulerJob) -> Sequence[str]:
        """Return the words after the submit command that start `scheduler_job.program`, marked with its token. Pure.

        :param settings: with what the workload needs in place of those that are not set.
        """
        raise NotImplementedError

    def make_start_script(self, job: Job, settings: Any, scheduler_job: SchedulerJob) -> str:
        """Return the script that the program of a job is: it becomes the runtime in the job's folder. Pure."""
        top = "../../" if scheduler_job.step else ""
        name = f"${{{self.job_variable}}}"
        runtime = ("-m robotrain_runtime run", DOCUMENT_FILE, f'--once "{name}"', f"--log {file_names.LOG_FILE}")
        become_words = format_become_python(top + SEARCH_FILE, top + file_names.PAYLOAD_FOLDER, *runtime, "</dev/null")
        outcome_json = json.dumps({"state": "failed", "exit_code": 1, "reason": TOO_OFTEN})
        guard = {"most": MAX_STARTS, "reason": TOO_OFTEN, "outcome": outcome_json, "file": file_names.OUTCOME_FILE}
        return START_SCRIPT.format(become=become_words, events=file_names.EVENTS_FILE, **guard)

    def make_own_values(
        self, job: Job, settings: Any, scheduler_job: SchedulerJob, document: bytes
    ) -> Mapping[str, Any]:
        """Return what only this platform has of a job, for `scheduler_job.own`. Pure.

        :param document: its job document.
        """
        return {}

    def make_node_launcher(self, job: Job, settings: Any) -> Sequence[str]:
        """Return the command that starts a program once on each of the job's several nodes, as `srun` does. Pure.

        The program and its arguments are the words after it. It runs in the job, on the first node, and starts the
        program there, too; ranks are no matter of its own. The program gets its environment, `ROBOTRAIN_NODES` in it,
        and its folder, and what it prints is printed. A SIGUSR1 is passed on to the program on each node, which saves
        and ends: that is how a run is stopped. Where the scheduler sends SIGTERM to every process of a job, the
        programs may get it as well, and the launcher goes on until they have ended. It ends when all have ended, with
        another exit code than 0 where one failed.
        """
        return ()

    def list_mounts(self, job: Job, settings: Any, cache: str, run: str) -> Iterable[Mount]:
        """Return what a job reads that its submit brings to its cluster, beside the code. Pure.

        :param settings: as the user gave them.
        :param cache: the folder of cached data there.
        :param run: the run that it is a part of.
        """
        return ()

    def choose_shown(self, jobs: Sequence[SchedulerJob]) -> tuple[str, Sequence[str]]:
        """Return the file of a plan that is its native spec, and those that `render` shows."""
        spec = make_spec_file(self.platform.name).name
        return spec, (spec, *(job.document for job in jobs))

    def place(self, job: Job, settings: Any) -> tuple[Job, Any]:
        """Return a job and its settings with all folders as its nodes see them. Raise Rejected."""
        return job, settings

    def check_steps(self, steps: Sequence[PipelineStep]) -> Iterator[Problem]:
        """Check what the steps of a pipeline cannot do as jobs that wait for each other."""
        for name, flag in self.run_settings.items():
            step_by_value = {getattr(step.settings, name): step.name for step in steps}
            if len(step_by_value) > 1:
                values_text, (first_step, second_step, *_) = ", ".join(map(str, step_by_value)), step_by_value.values()
                yield make_problem("steps-differ", where=flag, given=values_text, first=first_step, second=second_step)

    def render(self, job: Job, settings: Any, run: str, payload: Payload, container_plugins: Mapping[str, str]) -> Plan:
        """Return the plan: how the job is sent, its document, the payload and the start script."""
        placed_job, placed_settings = self.place(job, settings)
        folder = os.path.join(placed_settings.runs_dir, run)
        mounts = self.list_mounts(job, settings, placed_settings.cache_dir, run)
        document = self._render_document(
            placed_job, placed_settings, run, folder, container_plugins, job.digest, mounts=mounts
        )
        scheduler_job = SchedulerJob(name=run, folder=folder)
        return self._make_plan(
            [self._make_part(placed_job, placed_settings, scheduler_job, document)], job, run, payload, settings
        )

    def render_pipeline(
        self, steps: Sequence[PipelineStep], job: Job, run: str, finished: Mapping[str, Reference]
    ) -> Plan:
        """Return the plan of a pipeline: a job for each step, in a folder of its own, `steps/NAME`.

        A step hands over through it. All steps have the same payload, at the top. Raise Rejected.
        """
        raise_if_any(list(self.check_steps(steps)))
        placed_steps = [self.place(step.job, step.settings) for step in steps]
        root = os.path.join(placed_steps[0][1].runs_dir, run)
        handovers = {name: _get_handover(reference["folder"], name) for name, reference in finished.items()}
        handovers |= {step.name: _get_handover(root, step.name) for step in steps}
        step_names = {step.name for step in steps}
        parts = [
            self._render_step(
                replace(step, job=placed_job, settings=settings),
                *(run, root, handovers, step_names),
                step.job.digest,
                [*self.list_mounts(step.job, step.settings, settings.cache_dir, run)],
            )
            for step, (placed_job, settings) in zip(steps, placed_steps, strict=True)
        ]
        return self._make_plan(parts, job, run, Payload.merge(step.payload for step in steps), steps[0].settings)

    def _render_step(
        self,
        step: PipelineStep,
        run: str,
        root: str,
        handovers: Mapping[str, str],
        names: Collection[str],
        digest: str,
        brought: Sequence[Mount],
    ) -> _RenderedJob:
        """Return a step.

        :param handovers: by step, the folder of its output.
        :param names: the steps of this run, without those that an earlier one finished.
        :param digest: that of its job as it was given.
        :param brought: what its submit brings.
        """
        name = f"{run}-{step.name}"
        folder = os.path.join(root, STEPS_FOLDER, step.name)
        document = self._render_document(
            step.job,
            step.settings,
            name,
            folder,
            step.container_plugins,
            digest,
            mounts=[*brought, *(replace(mount, origin=f"step {mount.uri}") for mount in step.list_mounts(handovers))],
            handover=handovers[step.name] if step.hands_over else "",
        )
        needs = tuple(need for need in step.needs if need in names)
        scheduler_job = SchedulerJob(name=name, folder=folder, step=step.name, needs=needs)
        return self._make_part(step.job, step.settings, scheduler_job, document)

    def _render_document(
        self,
        job: Job,
        settings: Any,
        run: str,
        folder: str,
        container_plugins: Mapping[str, str],
        digest: str,
        *,
        mounts: Iterable[Mount] = (),
        handover: str = "",
    ) -> bytes:
        """Return the job document of a job that works in `folder`.

        :param digest: that of the job as it was given: its folders may have other addresses on its nodes.
        :param mounts: what it reads beside the code: what the submit brings, and outputs of earlier steps.
        :param handover: the folder that later steps read; empty for none.
        """
        cache, uri = settings.cache_dir, settings.tracking_uri
        placement = make_placement(job, settings, folder, cache=cache, tracking_uri=uri)
        launcher = tuple(self.make_node_launcher(job, settings)) if job.training_nodes > 1 else ()
        document = make_job_document(
            job,
            run=run,
            platform=self.platform.name,
            container_plugins=container_plugins,
            placement=replace(
                placement,
                mounts=(*placement.mounts, *mounts),
                handover=handover,
                cores_option="--cpus N",
                node_launcher=launcher,
                tells_end=self.tells_end,
            ),
        )
        return format_document(replace(document, job=digest)).encode()

    def _make_part(self, job: Job, settings: Any, scheduler_job: SchedulerJob, document: bytes) -> _RenderedJob:
        """Return a job with the program that starts it."""
        filled_settings = fill_settings(job, settings)
        program = ("/bin/sh", os.path.join(scheduler_job.folder, self.start_file))
        scheduler_job = replace(scheduler_job, program=program, output=self.output_file)
        own = self.make_own_values(job, filled_settings, scheduler_job, document)
        return _RenderedJob(job, filled_settings, replace(scheduler_job, own=own), document)

    def _make_plan(self, parts: Sequence[_RenderedJob], job: Job, run: str, payload: Payload, settings: Any) -> Plan:
        """Return the plan of a run of these jobs.

        :param job: the job that stands for all of them.
        :param settings: those of the run, as the user gave them.
        """
        interpreters = dict.fromkeys(name for part in parts for name in part.job.profile.container.interpreters)
        search = make_python_search([*interpreters], *self.python_search)
        unmarked_jobs, scripts = self._render_jobs(parts, "")
        token = make_token(unmarked_jobs, scripts, [part.document for part in parts], search, payload.digest)
        jobs, scripts = self._render_jobs(parts, token)
        login = getattr(settings, "login", "") or ""
        spec = SchedulerSpec(run=run, folder=jobs[0].root, jobs=tuple(jobs), login=login)
        spec_file = make_spec_file(self.platform.name)
        documents = {part.scheduler_job.document: part.document for part in parts}
        files = {
            **scripts,
            spec_file.name: spec_file.dump(spec),
            **documents,
            SEARCH_FILE: search.encode(),
            PAYLOAD_FILE: payload.archive,
        }
        name, shown_files = self.choose_shown(jobs)
        return Plan(platform=self.platform.name, run=run, job=job, spec=name, files=files, shown=tuple(shown_files))

    def _render_jobs(self, parts: Sequence[_RenderedJob], token: str) -> tuple[list[SchedulerJob], dict[str, bytes]]:
        """Return the jobs as they are sent, marked with a token, and their scripts by the path in the plan."""
        scheduler_jobs = list[SchedulerJob]()
        scripts = dict[str, bytes]()
        for job, settings, unmarked_job, _ in parts:
            marked_job = replace(unmarked_job, token=token)
            scheduler_jobs.append(replace(marked_job, words=tuple(self.make_submit_words(job, settings, marked_job))))
            script = self.make_start_script(job, settings, marked_job)
            scripts[os.path.join(unmarked_job.path, self.start_file)] = script.encode()
        return scheduler_jobs, scripts


def _get_handover(root: str, name: str) -> str:
    return os.path.join(root, STEPS_FOLDER, name, file_names.HANDOVER_FOLDER)
