"""The driver of a sweep: a pipeline driver that also records the scores of trials and calls the sampler."""

import dataclasses

from robotrain.errors import raise_if_any
from robotrain.model.run import RunRecord, Status
from robotrain.pipelines.driver import PipelineDriver
from robotrain.pipelines.plan import PlannedStep
from robotrain.pipelines.progress import StepState
from robotrain.plugins.manager import Plugins
from robotrain.store import progress_cache
from robotrain.submission.prepare import PreparedJob
from robotrain.sweeps import tpe
from robotrain.sweeps.results import select_scores
from robotrain.sweeps.space import fit_values, parse_sweep


class SweepDriver(PipelineDriver):
    """The driver of one sweep."""

    def __init__(self, run: str, plugins: Plugins) -> None:
        super().__init__(run, plugins)
        self._sweep = parse_sweep(self._jobs.plan.sweep)

    def _complete_job(self, step: PlannedStep, state: StepState) -> PreparedJob:
        """Return the job of a trial; values that a sampler chooses are written down before anything is sent."""
        if not self._sweep.space:
            return super()._complete_job(step, state)
        if not state.values:
            state.values = tpe.choose_values(self._sweep, list(self._progress.steps.values()))
            self._save()
        trial_values = fit_values(state.values, step.parameters)
        step = dataclasses.replace(step, parameters={**step.parameters, **trial_values})
        job = super()._complete_job(step, state)
        workload = self._plugins.workload(step.workload)
        raise_if_any([*workload.check(job.job), *self._platform.plans.check(job.job, job.settings)])
        row_by_name = {name: {"value": value, "origin": "sampler"} for name, value in trial_values.items()}
        return dataclasses.replace(job, values=tuple({**row, **row_by_name.get(row["name"], {})} for row in job.values))

    def _end_run(self, record: RunRecord, state: StepState, status: Status) -> None:
        if status.state == "succeeded":
            progress, _ = progress_cache.read_run_log(record, self._platform, on_error=lambda error: None)
            state.scores, state.has_policy = select_scores(self._sweep, progress), progress.may_have_policy
        super()._end_run(record, state, status)
