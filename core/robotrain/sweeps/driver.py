"""The driver of a sweep: a pipeline driver that also records the scores of trials."""

from robotrain.model.run import RunRecord, Status
from robotrain.pipelines.driver import PipelineDriver
from robotrain.pipelines.progress import StepState
from robotrain.plugins.manager import Plugins
from robotrain.store import run_log
from robotrain.sweeps.results import select_scores
from robotrain.sweeps.space import parse_sweep


class SweepDriver(PipelineDriver):
    """The driver of one sweep."""

    def __init__(self, run: str, plugins: Plugins) -> None:
        super().__init__(run, plugins)
        self._sweep = parse_sweep(self._jobs.plan.sweep)

    def _end_run(self, record: RunRecord, state: StepState, status: Status) -> None:
        if status.state == "succeeded":
            progress, _ = run_log.read_run_log(record, self._platform, on_error=lambda error: None)
            state.scores, state.has_policy = select_scores(self._sweep, progress), progress.may_have_policy
        super()._end_run(record, state, status)
