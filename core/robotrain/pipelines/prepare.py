"""Preparation of a pipeline: every step is resolved and checked, then the whole is rendered. No side effects."""

import dataclasses
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from robotrain_runtime.contract.step_output import STEP_KIND

from robotrain.config.validate import list_fields
from robotrain.errors import Problem, Rejected, raise_if_any, select_errors
from robotrain.messages import Messages
from robotrain.model.job import Job
from robotrain.model.plan import RenderedPlan
from robotrain.model.platform import NoSettings, Platform
from robotrain.model.workload import Workload
from robotrain.model.workload_profile import PIPELINE_NOUN, SWEEP_NOUN, Metric, OutputProfile, WorkloadProfile
from robotrain.pipelines.checkpoint_handover import hand_over_checkpoints
from robotrain.pipelines.native_engine import NativeEngine
from robotrain.pipelines.pipeline_engine import PipelineEngine
from robotrain.pipelines.plan import (
    SCHEMA,
    PipelinePlan,
    PlannedStep,
    StepInput,
    StepPacker,
    list_stored_parts,
    render_pipeline,
)
from robotrain.pipelines.step_checks import (
    check_inputs,
    check_pipeline_name,
    deduplicate_problems,
    label_problems,
)
from robotrain.pipelines.steps import PipelineRequest, check_graph, make_step_kind, order_steps
from robotrain.plugins.manager import Plugins
from robotrain.submission.machine_folders import find_folder_problems
from robotrain.submission.pin import query_in_parallel
from robotrain.submission.pinned_job import pin_steps
from robotrain.submission.plan_secrets import find_secrets_in_plan
from robotrain.submission.prepare import InputStep, PreparedJob, Purpose, prepare_job
from robotrain.submission.program_lock import lock_programs
from robotrain.submission.queried_settings import fill_settings, query_settings
from robotrain.submission.same_job import JobPart, carry_same_key

make_problem = Messages(__file__)


@dataclass(frozen=True, kw_only=True)
class PreparedStep:
    """A checked step."""

    name: str
    needs: tuple[str, ...]
    inputs: tuple[StepInput, ...]
    job: PreparedJob


@dataclass(frozen=True, kw_only=True)
class PreparedPipeline(PreparedJob):
    """A checked pipeline, in the order in which its steps can run; its job stands for the whole."""

    steps: tuple[PreparedStep, ...] = ()
    at_most: int | None = None
    unpinned: bool = False
    sweep: Mapping[str, Any] = field(default_factory=dict)
    resumes: str = ""
    """The run of the pipeline that this one continues."""
    finished: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    """The steps that it finished, as in `progress.StepState`."""

    def list_input_steps(self) -> list[InputStep]:
        """Return the steps that were not sent before, of the trials of a sweep the first."""
        steps = [step for step in (self.steps[:1] if self.sweep else self.steps) if step.job.payload is None]
        read_step_names = {step_input.step for step in steps for step_input in step.inputs}
        return [InputStep(step.job, step.name, step.name in read_step_names) for step in steps]

    def list_parts(self) -> list[JobPart]:
        """Return the settings and sources of each step."""
        return [part for step in self.steps for part in step.job.list_parts()]

    def list_stored_parts(self, stored: RenderedPlan) -> list[JobPart]:
        """Return those of a run of the same pipeline."""
        return list_stored_parts(stored)

    @property
    def is_native(self) -> bool:
        """Whether the platform's engine starts the steps, not a driver of this machine."""
        return isinstance(self.platform.engine, NativeEngine)

    def render(self, attempt: int) -> RenderedPlan:
        """Return the plan of an attempt; equal pipelines give equal bytes. Raise Rejected if it contains a secret."""
        packer = StepPacker()
        plan = PipelinePlan(
            schema=SCHEMA,
            run=self.job.run_name(attempt),
            platform=self.platform.name,
            at_most=self.at_most,
            steps=tuple(_plan_step(step, packer) for step in self.steps),
            unpinned=self.unpinned,
            sweep=dict(self.sweep),
            resumes=self.resumes,
            finished=dict(self.finished),
        )
        engine = cast(PipelineEngine, self.platform.engine)
        job = carry_same_key(self.job, self.list_parts(), engine.step_platform)
        if isinstance(engine, NativeEngine):
            jobs = {step.name: packer.complete(step.job) for step in self.steps}
            return engine.render_steps(job, plan, packer.files, jobs, self.values)
        rendered_plan = render_pipeline(job, plan, packer.files, self.values)
        raise_if_any(find_secrets_in_plan(rendered_plan.plan))
        return rendered_plan


def prepare_pipeline(
    request: PipelineRequest, platform: Platform, plugins: Plugins, *, purpose: Purpose = "explain"
) -> PreparedPipeline:
    """Resolve and check every step. Raise Rejected with the problems of all steps and of all stages."""
    problems = [*request.problems, *check_pipeline_name(request.name)]
    if request.steps or not problems:  # a file that cannot be read has no steps
        problems += check_graph(request.steps, request.at_most, platform if _is_native(platform, request) else None)
    by_name = {step_request.name: step_request for step_request in request.steps}
    workloads = _find_workloads(request, plugins, problems)
    kinds = {**plugins.source_kinds(), STEP_KIND: make_step_kind(_find_made_roles(workloads.values()))}
    prepared = dict[str, PreparedJob]()
    read_steps = {step_input.step for step_request in request.steps for step_input in step_request.inputs}
    for name, workload in workloads.items():
        step_request = by_name[name]
        problems += label_problems(step_request, check_inputs(step_request, workload, workloads))
        try:
            job = prepare_job(step_request.request, workload, platform, plugins, kinds=kinds, purpose=purpose)
            problems += label_problems(step_request, job.warnings)
            is_judged = bool(request.sweep) or name in read_steps
            prepared[name], notes = _leave_unregistered(job, name) if is_judged else (job, [])
            problems += label_problems(step_request, notes)
        except Rejected as rejected:  # `check_inputs` reported what the step's inputs are not
            reported = {("source-not-accepted", step_input.step) for step_input in step_request.inputs}
            problems += label_problems(step_request, _leave_out(rejected.problems, reported))
    hand_over_checkpoints(by_name, workloads, prepared, problems)
    if purpose == "submit" and select_errors(problems):
        for name, job in prepared.items():
            folder_problems = find_folder_problems(job.job, workloads[name], platform, job.settings, kinds)
            reported = {(problem.code, problem.given) for problem in problems}
            problems += label_problems(by_name[name], _leave_out(folder_problems, reported))
    raise_if_any(deduplicate_problems(problems))
    pipeline_platform = plugins.make_pipeline_platform(platform, _is_native(platform, request), bool(request.sweep))
    order = order_steps({step_request.name: step_request.needs for step_request in request.steps})
    steps = tuple(
        PreparedStep(
            name=name,
            needs=by_name[name].needs,
            inputs=by_name[name].inputs,
            job=prepared[name],
        )
        for name in order
    )
    trial = steps[0].job if request.sweep else None
    return PreparedPipeline(
        job=_make_job(request, steps),
        platform=pipeline_platform,
        settings=NoSettings(),
        kinds=kinds,
        container_plugins={},
        warnings=tuple(deduplicate_problems(problems)),
        values=tuple(_list_values(steps)),
        default_name=f"{request.name}-{trial.default_name}"[:80] if trial else request.name,
        platforms=plugins.platforms,
        steps=steps,
        at_most=request.at_most,
        sweep=request.sweep,
    )


def _find_made_roles(workloads: Iterable[Workload]) -> dict[str, bool]:
    """Return every role of the workloads, and whether what a step makes can fill it in one of them."""
    is_made = dict[str, bool]()
    for role, role_rule in (pair for workload in workloads for pair in workload.roles.items()):
        is_made[role] = is_made.get(role, False) or role_rule.takes is not None
    return is_made


def _leave_out(problems: Iterable[Problem], reported: Collection[tuple[str, str]]) -> Iterator[Problem]:
    """Yield the problems that are not reported yet: what was wrong with what."""
    for problem in problems:
        if (problem.code, problem.given) not in reported:
            yield problem


def _find_workloads(request: PipelineRequest, plugins: Plugins, problems: list[Problem]) -> dict[str, Workload]:
    """Return the workload of each step; one that does not exist is a problem."""
    workload_by_step: dict[str, Workload] = {}
    for step_request in request.steps:
        try:
            workload_by_step[step_request.name] = plugins.workload(step_request.workload or plugins.default_workload())
        except Rejected as rejected:
            problems += label_problems(step_request, rejected.problems)
    return workload_by_step


def _is_native(platform: Platform, request: PipelineRequest) -> bool:
    return not request.sweep and bool(platform.capabilities.feature("native_dag"))


def pin_pipeline(
    prepared: PreparedPipeline, pinning: bool = True, say: Callable[[str], None] = lambda line: None
) -> tuple[PreparedPipeline, list[Problem]]:
    """Return the pipeline with the sources of all steps pinned, each once, their programs locked, and the problems.

    Settings that the platform looks up are asked for here where its engine gets all steps at once; a driver asks when
    it submits a step.

    :param pinning: whether to ask at all, now and when a driver submits a step. Programs are locked in any case.
    :param say: shows a line while that takes long.
    """
    pinned_pipeline, problems = _pin_sources(prepared, pinning)
    locked, lock_problems = lock_programs({step.name: step.job for step in pinned_pipeline.steps}, say)
    return _replace_jobs(pinned_pipeline, locked), [*problems, *_label_locks(lock_problems)]


def _label_locks(lock_problems: Iterable[tuple[str, Problem]]) -> Iterator[Problem]:
    for name, problem in lock_problems:
        yield dataclasses.replace(problem, where=": ".join(filter(None, (f"step {name}", problem.where))))


def _pin_sources(prepared: PreparedPipeline, pinning: bool) -> tuple[PreparedPipeline, list[Problem]]:
    read_step_names = {step_input.step for step in prepared.steps for step_input in step.inputs}
    inputs = [InputStep(step.job, step.name, step.name in read_step_names) for step in prepared.steps]
    jobs, problems = pin_steps(inputs, pinning)
    if pinning and prepared.is_native:
        answers = query_in_parallel(query_settings, list(jobs.values()))
        for name, answer in zip(jobs, answers, strict=True):
            jobs[name], query_problems = fill_settings(jobs[name], answer)
            problems += query_problems
    files = next((job.source_files for job in jobs.values() if job.source_files), None)
    pinned_pipeline = dataclasses.replace(_replace_jobs(prepared, jobs), source_files=files, unpinned=not pinning)
    return pinned_pipeline, deduplicate_problems(problems)


def _replace_jobs(prepared: PreparedPipeline, jobs: Mapping[str, PreparedJob]) -> PreparedPipeline:
    steps = tuple(dataclasses.replace(step, job=jobs[step.name]) for step in prepared.steps)
    return dataclasses.replace(prepared, steps=steps, values=tuple(_list_values(steps)))


def _leave_unregistered(job: PreparedJob, step: str) -> tuple[PreparedJob, list[Problem]]:
    """Return the job of a step whose policy others take, without the model that a training registers it as; a note."""
    parameter = job.job.profile.outputs.register_parameter
    model = dict(job.job.parameters).get(parameter)
    if job.produces != "checkpoints" or not model:
        return job, []
    rows = [{**row, "value": None, "origin": "pipeline"} if row["name"] == parameter else row for row in job.values]
    unregistered = dataclasses.replace(job, job=job.job.with_parameter(parameter, None), values=tuple(rows))
    return unregistered, [make_problem("step-registers-nothing", given=str(model), name=step)]


def _plan_step(step: PreparedStep, packer: StepPacker) -> PlannedStep:
    job = step.job.job
    return PlannedStep(
        name=step.name,
        needs=step.needs,
        inputs=step.inputs,
        workload=job.workload,
        parameters=dict(job.parameters),
        sources=job.sources,
        trainer_args=job.trainer_args,
        settings=dict(list_fields(step.job.settings)),
        container_plugins=dict(step.job.container_plugins),
        payload=packer.pack(step.job),
        produces=step.job.produces,
        program_lock=job.program_lock,
        program_python=job.program_python,
        program_files=job.program_files,
    )


def _make_job(request: PipelineRequest, steps: Iterable[PreparedStep]) -> Job:
    """Return the job that stands for the pipeline: its digest is that of everything its steps do."""
    step_parameters = [(step.name, json.dumps([step.job.job.digest, *step.needs])) for step in steps]
    metrics: dict[str, Metric] = {}
    for metric in (metric for step in steps for metric in step.job.job.profile.metrics):
        metrics.setdefault(metric.name, metric)
    parameters = (("at_most", request.at_most), *step_parameters)
    if request.sweep:
        parameters = (*parameters, ("sweep", json.dumps(request.sweep, sort_keys=True)))
    outputs = OutputProfile(noun=SWEEP_NOUN if request.sweep else PIPELINE_NOUN, resumable=False)
    profile = WorkloadProfile(outputs=outputs, metrics=tuple(metrics.values()))
    return Job(workload=request.name, parameters=parameters, profile=profile)


def _list_values(steps: Iterable[PreparedStep]) -> Iterator[dict[str, object]]:
    for step in steps:
        for row in step.job.values:
            yield {**row, "name": f"{step.name}.{row['name']}"}
