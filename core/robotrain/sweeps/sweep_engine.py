"""A sweep as one run of its platform, driven by this machine or by the platform's engine."""

import contextlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from robotrain_runtime.contract import event
from robotrain_runtime.contract.event import Registered
from robotrain_runtime.contract.parameter import get_parameters

from robotrain.errors import Rejected
from robotrain.messages import Messages
from robotrain.model.job import Job
from robotrain.model.pipeline import SweepSpec
from robotrain.model.plan import Payload, RenderedPlan
from robotrain.model.platform import Platform
from robotrain.model.platform_features import SweepPlans
from robotrain.model.progress import Progress
from robotrain.model.reference import Reference
from robotrain.model.run import Status, StepStatus
from robotrain.pipelines.driven_engine import DrivenEngine
from robotrain.pipelines.native_engine import BEGUN_STATES, NativeEngine
from robotrain.pipelines.pipeline_engine import REFERENCE_KEY
from robotrain.pipelines.plan import PipelinePlan, render_pipeline
from robotrain.pipelines.progress import (
    PipelineProgress,
    StepState,
    read_progress,
    write_progress,
)
from robotrain.store import records
from robotrain.submission.prepare import PreparedJob
from robotrain.sweeps.results import read_results, select_scores
from robotrain.sweeps.space import SweepPlan, SweepRequest, parse_sweep

make_problem = Messages(__file__)

SAFE_TEXT = r"[A-Za-z0-9_./:@%+=-]+"
"""Values that mean nothing else to a shell: engines write them into a command."""


def find_request_obstacle(request: SweepRequest, platform: Platform, metrics: Sequence[tuple[str, str]]) -> str:
    """Return why no engine can run a sweep as it was asked for, as the end of a sentence; empty if one may."""
    if not platform.capabilities.feature("native_sweep"):
        return f"{platform.name} has no engine for sweeps"
    if request.points:
        return "a list of points is no search space"
    if request.sampler == "tpe":
        return "it has no sampler tpe"
    if not metrics:
        return f"{request.workload.name} reports no metric that trials can be compared by"
    parameter_names = {parameter.name for parameter in get_parameters(request.workload.parameters)}
    other_names = [axis.name for axis in request.axes if axis.name not in parameter_names]
    return f"{other_names[0]} is no parameter of {request.workload.name}" if other_names else ""


def make_spec(sweep: SweepPlan, jobs: Sequence[PreparedJob], trials: Sequence[str], at_most: int | None) -> SweepSpec:
    """Return a sweep for its platform; before it is submitted, the payload is empty."""
    return SweepSpec(
        jobs=tuple(job.job for job in jobs),
        settings=jobs[0].settings,
        payload=jobs[0].payload or Payload(b""),
        container_plugins=jobs[0].container_plugins,
        trials=tuple(trials),
        space=sweep.space,
        sampler="random" if sweep.sampler == "random" else "grid",
        sampler_seed=sweep.sampler_seed,
        at_most=at_most,
        metric=sweep.metrics[0][0],
        better=sweep.metrics[0][1],  # type: ignore[arg-type] # one of the two
    )


def find_obstacle(sweep: SweepSpec, platform: Platform) -> str:
    """Return why the engine cannot run a checked sweep, as the end of a sentence; empty if it can."""
    for name, dimension in sweep.space.items():
        for value in dimension.choices:
            if value is None or not re.fullmatch(SAFE_TEXT, str(value)):
                return f"a value of {name} is not of letters, digits and ./:@%+=- only"
    first_parameters = dict(sweep.jobs[0].parameters)
    for job in sweep.jobs[1:]:
        parameters = dict(job.parameters)
        changed_names = [
            name
            for name in first_parameters
            if parameters.get(name) != first_parameters[name] and name not in sweep.space
        ]
        if changed_names:
            return f"{changed_names[0]} changes with the values"
        if (job.sources, job.trainer_args) != (sweep.jobs[0].sources, sweep.jobs[0].trainer_args):
            return "the sources change with the values"
    return platform.get_plans_for(SweepPlans).find_sweep_obstacle(sweep)


def _find_best_trial(run: str) -> str:
    """Return the name of the best trial so far. Raise Rejected if none has succeeded with a score."""
    results = read_results(run)
    if results is None or results.best is None:
        raise Rejected([make_problem("step-output-missing")])
    if not results.best.has_policy:
        raise Rejected([make_problem("checkpoint-missing", run=run, trial=results.best.name)])
    return results.best.name


class SweepEngine(DrivenEngine):
    """The platform of a sweep whose trials a driver of this machine starts."""

    def register(self, reference: Reference, name: str, step: int | None) -> Registered:
        """Register the policy of the best trial so far. Raise Rejected."""
        best = _find_best_trial(reference[REFERENCE_KEY])
        best_step = next(sent_step for sent_step in self.list_sent(reference) if sent_step.name == best)
        return self.step_platform.engine.register(best_step.reference, name, step)


class NativeSweepEngine(NativeEngine):
    """The platform of a sweep that its engine runs.

    What is known of its trials is kept where the driver of a sweep keeps it, so that no log is read twice.
    """

    def render_steps(
        self,
        job: Job,
        plan: PipelinePlan,
        payloads: Mapping[str, bytes],
        jobs: Mapping[str, PreparedJob],
        values: Sequence[Mapping[str, Any]],
    ) -> RenderedPlan:
        """Return the plan of the sweep. Raise Rejected."""
        sweep, first_job = parse_sweep(plan.sweep), jobs[plan.steps[0].name]
        shared_rows = [
            row for row in values if row["name"].partition(".")[2] not in sweep.space
        ]  # no trial's, before it begins
        described_plan = render_pipeline(job, plan, payloads, shared_rows)
        spec = make_spec(sweep, [first_job], [step.name for step in plan.steps], plan.at_most)
        return self._describe_native(
            described_plan, self.step_platform.get_plans_for(SweepPlans).render_sweep(spec, job, plan.run)
        )

    def status(self, reference: Reference) -> Status:
        """Return the status of the whole."""
        return self.query_pipeline(reference)[0]

    def _record_ended_steps(self, reference: Reference, succeeded: Sequence[str]) -> None:
        """Record nothing: what is known of ended trials is kept anyway."""

    def register(self, reference: Reference, name: str, step: int | None) -> Registered:
        """Register the policy of the best trial so far. Raise Rejected."""
        self.list_steps(reference)
        best = _find_best_trial(reference[REFERENCE_KEY])
        return self.step_platform.engine.register(self.refer_to_step(reference, best), name, step)

    def _complete_steps(self, reference: Reference, listed: Iterable[StepStatus]) -> list[StepStatus]:
        steps = super()._complete_steps(reference, listed)
        run = reference[REFERENCE_KEY]
        pipeline_progress = read_progress(run) or PipelineProgress(steps={})
        sweep = parse_sweep(self._read_plan(reference).sweep)
        states = {step.name: self._update_trial(reference, step, pipeline_progress, sweep) for step in steps}
        with contextlib.suppress(OSError):  # read again the next time
            write_progress(run, PipelineProgress(steps=states, folder=pipeline_progress.folder))
        return steps

    def _update_trial(
        self, reference: Reference, step: StepStatus, pipeline_progress: PipelineProgress, sweep: SweepPlan
    ) -> StepState:
        """Return the state of a trial; its log is read until its values are known, and at its end for its scores."""
        earlier_state = pipeline_progress.steps.get(step.name, StepState())
        state = StepState(
            state=step.state,
            run=step.run,
            reason=step.reason,
            started=step.started,
            ended=step.ended,
            values=earlier_state.values,
            scores=earlier_state.scores,
            has_policy=earlier_state.has_policy,
        )
        if step.state in BEGUN_STATES and not (state.values and earlier_state.finished == state.finished):
            with contextlib.suppress(Rejected, OSError):  # the state is known without the log
                self._read_trial_log(reference, step.name, state, sweep)
        return state

    def _read_trial_log(self, reference: Reference, name: str, state: StepState, sweep: SweepPlan) -> None:
        progress = Progress(records.read_record(reference[REFERENCE_KEY]).metrics)
        for line in self.step_platform.engine.logs(self.refer_to_step(reference, name), follow=False):
            if not (event_record := event.parse_event(line)):
                continue
            progress.add_event(event_record)
            params = event_record.event.params if isinstance(event_record.event, event.Track) else {}
            if not state.values and sweep.space.keys() <= params.keys():
                state.values = {axis_name: params[axis_name] for axis_name in sweep.space}
        state.scores, state.has_policy = select_scores(sweep, progress), progress.may_have_policy
