"""A pipeline that the engine of its platform runs on its own, as one submission (`PlatformPlans.render_pipeline`)."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from robotrain_runtime.contract.document import JobSource
from robotrain_runtime.contract.step_output import CHECKPOINTS_FOLDER, POLICY_FOLDER, RESULTS_FOLDER, STEP_KIND

from robotrain.errors import Problem, Rejected, raise_if_any
from robotrain.messages import Messages
from robotrain.model.job import Job
from robotrain.model.pipeline import PipelineStep
from robotrain.model.plan import Payload, Plan, RenderedPlan
from robotrain.model.platform import Platform
from robotrain.model.platform_features import PipelinePlans, PipelineRuns, RunAccess, SharedRuns, Uploads
from robotrain.model.reference import STEP_KEY, Reference
from robotrain.model.run import RunGone, Status, StepStatus
from robotrain.model.submitted_run import SubmittedRun
from robotrain.model.workload import Role
from robotrain.pipelines.checkpoint_handover import find_taken_checkpoints
from robotrain.pipelines.pipeline_engine import REFERENCE_KEY, PipelineEngine, SentStep, StepJob
from robotrain.pipelines.plan import (
    PIPELINE_FILE,
    PipelinePlan,
    PlannedStep,
    parse_pipeline,
    render_pipeline,
)
from robotrain.pipelines.progress import find_first_failure
from robotrain.plugins.manager import Plugins
from robotrain.store import plans, records
from robotrain.submission.plan_secrets import find_secrets_in_plan
from robotrain.submission.prepare import PreparedJob

STEP_SOURCE = {"source.step": "robotrain_runtime.data.step_source"}
"""The container plugin of what an earlier step made."""
make_problem = Messages(__file__)

BEGUN_STATES = ("running", "succeeded", "failed", "cancelled", "lost")


class NativeEngine(PipelineEngine, Uploads, SharedRuns, RunAccess):
    """The platform of a pipeline that its engine runs."""

    follow_seconds = 5.0

    def __init__(self, platform: Platform, step_platform: Platform, plugins: Plugins) -> None:
        super().__init__(platform, step_platform, plugins)
        self._plans: dict[str, PipelinePlan] = {}

    def render_steps(
        self,
        job: Job,
        plan: PipelinePlan,
        payloads: Mapping[str, bytes],
        jobs: Mapping[str, PreparedJob],
        values: Sequence[Mapping[str, Any]],
    ) -> RenderedPlan:
        """Return the plan of the steps that are not finished. Raise Rejected.

        :param payloads: the archives of its steps, by the path in the plan.
        :param jobs: the job of each step.
        """
        described_plan = render_pipeline(job, plan, payloads, values)
        steps = [step for step in plan.steps if step.name not in plan.finished]
        readers = {step_input.step for step in steps for step_input in step.inputs}
        native_steps = [self._make_step(step, jobs[step.name], step.name in readers) for step in steps]
        finished_references = {
            name: {**records.read_record(state["run"]).reference, STEP_KEY: name}
            for name, state in plan.finished.items()
            if name in readers
        }
        native_plan = self.step_platform.get_plans_for(PipelinePlans).render_pipeline(
            native_steps, job, plan.run, finished_references
        )
        return self._describe_native(described_plan, native_plan)

    def _describe_native(self, described_plan: RenderedPlan, native_plan: Plan) -> RenderedPlan:
        """Return the engine's plan, with the files that describe the steps. Raise Rejected."""
        complete_plan = dataclasses.replace(native_plan, files={**described_plan.plan.files, **native_plan.files})
        raise_if_any(find_secrets_in_plan(complete_plan))
        return dataclasses.replace(described_plan, plan=complete_plan, native=True)

    def _make_step(self, step: PlannedStep, prepared: PreparedJob, hands_over: bool) -> PipelineStep:
        job = prepared.job
        roles = self._plugins.workload(job.workload).roles
        taken_outputs = {step_input.step: _choose_folder(job, roles[step_input.role]) for step_input in step.inputs}
        return PipelineStep(
            name=step.name,
            needs=step.needs,
            job=job,
            settings=prepared.settings,
            payload=prepared.payload or Payload(b""),
            container_plugins={**prepared.container_plugins, **(STEP_SOURCE if taken_outputs else {})},
            takes=taken_outputs,
            hands_over=hands_over,
        )

    def preflight(self, plan: Plan) -> Iterable[Problem]:
        """Check what would make the plan fail."""
        return self.step_platform.engine.preflight(plan)

    def prepare(self, plan: Plan) -> Iterator[str]:
        """Upload what the plan needs."""
        return self.step_platform.get_engine_for(Uploads).prepare(plan)

    def find_uploaded(self, plan: Plan) -> Iterable[JobSource]:
        """Return the sources that the platform already has."""
        return self.step_platform.get_engine_for(Uploads).find_uploaded(plan)

    def submit(self, plan: Plan) -> Reference:
        """Send the pipeline as a whole."""
        return {**self.step_platform.engine.submit(plan), REFERENCE_KEY: plan.run}

    def find(self, plan: Plan) -> Reference | None:
        """Return the pipeline if an interrupted submit created it."""
        reference = self.step_platform.engine.find(plan)
        return None if reference is None else {**reference, REFERENCE_KEY: plan.run}

    def find_submitted(self, text: str, settings: Any) -> SubmittedRun | None:
        """Raise Rejected: of another machine's pipeline, nothing is known here but its name."""
        raise Rejected([make_problem("run-not-adopted.parts", given=text)])

    def list_runs_beside(self, plan: Plan) -> Sequence[str]:
        """Return what the engine has of the same pipeline, from another machine."""
        return self.step_platform.get_engine_for(SharedRuns).list_runs_beside(plan)

    def status(self, reference: Reference) -> Status:
        """Return the status of the whole, as `query_pipeline` does."""
        status = self.step_platform.engine.status(reference)
        return status if status.state != "succeeded" else self.query_pipeline(reference)[0]

    def list_steps(self, reference: Reference) -> Iterable[StepStatus]:
        """Return the steps in the plan's order, those that an earlier run finished included."""
        return self._complete_steps(reference, self.step_platform.get_engine_for(PipelineRuns).list_steps(reference))

    def query_pipeline(self, reference: Reference) -> tuple[Status, list[StepStatus]]:
        """Return the status of the whole, and the steps as `list_steps` does.

        The whole has succeeded only if no step failed, was cancelled or never began, whatever its engine says of it.
        """
        status, step_statuses = self.step_platform.get_engine_for(PipelineRuns).query_pipeline(reference)
        steps = self._complete_steps(reference, step_statuses)
        if status.state == "succeeded" and (failure := find_first_failure({step.name: step for step in steps})):
            status = dataclasses.replace(status, state=failure.state, reason=failure.reason, exit_code=None)
        return status, steps

    def _complete_steps(self, reference: Reference, listed: Iterable[StepStatus]) -> list[StepStatus]:
        statuses = {status.name: status for status in listed}
        plan = self._read_plan(reference)
        for name, state in plan.finished.items():
            statuses[name] = StepStatus(name=name, state="succeeded", reason=f"in {state['run']}")
        return [statuses.get(step.name, StepStatus(name=step.name, state="waiting")) for step in plan.steps]

    def list_sent(self, reference: Reference) -> list[SentStep]:
        """Return the steps that have begun, in this run or, finished, in an earlier one."""
        begun_steps = {step.name for step in self.list_steps(reference) if step.state in BEGUN_STATES}
        return [
            SentStep(name=step.name, reference=self.refer_to_step(reference, step.name), produces=step.produces)
            for step in self._read_plan(reference).steps
            if step.name in begun_steps
        ]

    def list_jobs(self, reference: Reference) -> Iterator[StepJob]:
        """Yield the jobs of all steps."""
        for step in self._read_plan(reference).steps:
            sources = tuple(source for source in step.sources if source.kind != STEP_KIND)
            yield StepJob(workload=step.workload, sources=sources)

    def refer_to_step(self, reference: Reference, name: str) -> Reference:
        """Return the reference of one step, in the run that ran it."""
        state = self._read_plan(reference).finished.get(name)
        run_reference = records.read_record(state["run"]).reference if state else reference
        return {**run_reference, STEP_KEY: name}

    def has_log(self, step: StepStatus) -> bool:
        """Return whether the step has begun."""
        return step.state in BEGUN_STATES

    def read_step_log(self, step: StepStatus, reference: Reference, follow: bool, tail: int | None) -> Iterator[str]:
        """Yield the lines of one step's log."""
        if self.has_log(step):
            yield from self.step_platform.engine.logs(self.refer_to_step(reference, step.name), follow, tail)

    def cancel(self, reference: Reference) -> None:
        """Stop the whole pipeline."""
        self.step_platform.engine.cancel(reference)

    def describe_reference(self, reference: Reference) -> Mapping[str, str]:
        """Return what the platform shows of the reference."""
        return self.step_platform.engine.describe_reference(reference)

    def find_page(self, reference: Reference) -> str:
        """Return the platform's page of the pipeline."""
        return self.step_platform.get_engine_for(RunAccess).find_page(reference)

    def remove_outputs(self, reference: Reference, dry_run: bool = False) -> int | None:
        """Remove what the ended pipeline left."""
        return self.step_platform.engine.remove_outputs(reference, dry_run)

    def _read_plan(self, reference: Reference) -> PipelinePlan:
        """Return the plan of a pipeline, which never changes. Raise RunGone if it is gone."""
        run = reference[REFERENCE_KEY]
        if run not in self._plans:
            stored_plan = plans.find_stored_plan(run)
            if stored_plan is None:
                raise RunGone(f"the plan of {run} is gone")
            self._plans[run] = parse_pipeline(stored_plan.plan.files[PIPELINE_FILE])
        return self._plans[run]


def _choose_folder(job: Job, role: Role) -> str:
    """Return the folder of an earlier step's output that a role of a job takes."""
    if role.takes != "checkpoints":
        return RESULTS_FOLDER
    return POLICY_FOLDER if find_taken_checkpoints(job, role) is None else CHECKPOINTS_FOLDER
