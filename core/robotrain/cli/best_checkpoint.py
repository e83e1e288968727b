"""The checkpoint of a run with the best score, for `register --best` and `outputs --checkpoint best`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from robotrain_runtime.comparison.best_checkpoint import find_best
from robotrain_runtime.contract.event import Scored

from robotrain.cli.arguments import open_step
from robotrain.cli.command_factory import get_plugins
from robotrain.cli.next_commands import make_evaluation_command
from robotrain.cli.output import print_message
from robotrain.errors import Rejected, Suggestion
from robotrain.messages import Messages
from robotrain.model.checkpoint_table import describe_best, list_headlines
from robotrain.model.platform import Platform
from robotrain.model.platform_features import PipelineRuns
from robotrain.model.progress import Progress
from robotrain.model.run import RunRecord
from robotrain.pipelines.pipeline_engine import PipelineEngine
from robotrain.pipelines.train_eval import POLICY_ROLE, find_evaluation
from robotrain.plugins.manager import Plugins
from robotrain.report.collect import find_evaluations
from robotrain.store import records, run_log

if TYPE_CHECKING:
    import typer

make_problem = Messages(__file__)


class BestScore(NamedTuple):
    """The best score of the checkpoints of a run."""

    scored_run: RunRecord
    """The run with the scores."""
    progress: Progress
    """What that run reported."""
    scored: Scored

    def format_choice(self) -> str:
        """Return which checkpoint it chooses, as a sentence."""
        reason = f"by the scores of {self.scored_run.run}: {describe_best(self.progress.scored)}"
        return f"the best checkpoint is that of step {self.scored.step}, {reason}"


def find_best_score(record: RunRecord, plugins: Plugins, flag: str, otherwise: Suggestion) -> BestScore:
    """Return the best score of a run: a pipeline, a training or an evaluation. The newest evaluation of several
    checkpoints counts. Raise Rejected without scores.

    :param flag: the option that asks for it.
    :param otherwise: what chooses a checkpoint without scores.
    """
    for scored_run, progress in list_scored_runs(record, plugins):
        if best := find_best(progress.scored, list_headlines(scored_run.metrics)):
            return BestScore(scored_run, progress, best)
    raise Rejected([_make_missing_problem(record, plugins, flag, otherwise)])


def choose_best_checkpoint(
    ctx: typer.Context, record: RunRecord, platform: Platform
) -> tuple[RunRecord, Platform, int | None]:
    """Say which checkpoint of a pipeline, a training or an evaluation is the best, and return the run that has it, and
    its step; None for the policy that an evaluation kept.

    Raise Rejected without scores, and for a pipeline with several trainings, whose scores are told apart by step alone.

    The newest evaluation of several checkpoints kept the best one, unless it was stopped: then it is the checkpoint of
    the training.
    """
    plugins = get_plugins(ctx)
    step_names = require_one_training(record, platform, "--step", "registers its last checkpoint")
    otherwise = Suggestion(f"robotrain register {record.run} --step N", "registers the checkpoint of a step")
    best_score = find_best_score(record, plugins, "--best", otherwise)
    print_message(best_score.format_choice())
    scored_run, best, evaluated = best_score.scored_run, best_score.scored, best_score.progress.evaluated
    if evaluated and evaluated.policy and evaluated.step == best.step:
        return scored_run, plugins.platform_of(scored_run), None
    if step_names:  # as its training saved it
        return *open_step(ctx, record.run, step_names[0]), best.step
    if record.makes == "checkpoints":
        return record, platform, best.step
    raise Rejected([make_problem("scores-missing.best-not-kept", run=record.run, step=best.step)])


def _find_training_steps(record: RunRecord, platform: Platform) -> list[str]:
    """Return the steps of a pipeline that have begun and save checkpoints."""
    engine = platform.engine
    sent_steps = engine.list_sent(record.reference) if isinstance(engine, PipelineEngine) else []
    return [step.name for step in sent_steps if step.produces == "checkpoints"]


def require_one_training(record: RunRecord, platform: Platform, option: str = "", remark: str = "") -> list[str]:
    """Return the step of a pipeline that trains, if it has one. Raise Rejected if several do.

    :param option: the option that names one of them, and `remark` what it does; else one is named by its run.
    """
    steps = _find_training_steps(record, platform)
    if len(steps) > 1:
        reason = ""
        ways = [Suggestion(f"{option} {name}", remark) for name in steps]
        if not option:
            runs = {
                step_status.name: step_status.run
                for step_status in platform.get_engine_for(PipelineRuns).list_steps(record.reference)
            }
            run_names = [f"{record.run}-{name}" if record.native else runs.get(name) or name for name in steps]
            reason, ways = f"Name the run of one: {', '.join(run_names)}.", []
        raise Rejected([make_problem("step-ambiguous", *ways, run=record.run, why=reason)])
    return steps


def list_scored_runs(record: RunRecord, plugins: Plugins) -> Iterator[tuple[RunRecord, Progress]]:
    """Yield the runs that may have scores of a run's checkpoints: it, its pipeline, and its newest evaluations."""
    progress, _ = run_log.read_run_log(record, plugins.platform_of(record))
    yield record, progress
    yield from list_evaluating_runs(record, progress, plugins)


def list_evaluating_runs(
    record: RunRecord, progress: Progress, plugins: Plugins
) -> Iterator[tuple[RunRecord, Progress]]:
    """Yield the other runs that may have scores of a run's checkpoints. `progress`: what the run reported."""
    if owner := records.find_record(record.pipeline) if record.pipeline else None:
        yield owner, run_log.read_run_log(owner, plugins.platform_of(owner))[0]
    if record.makes == "checkpoints" or record.steps:
        outputs = tuple(plugins.platform_of(record).engine.outputs(record.reference))
        for related_run in find_evaluations(record, progress, outputs, plugins):
            evaluation_record = records.read_record(related_run.run)
            yield (
                evaluation_record,
                run_log.read_run_log(evaluation_record, plugins.platform_of(evaluation_record))[0],
            )


def _make_missing_problem(record: RunRecord, plugins: Plugins, flag: str, otherwise: Suggestion) -> Any:
    ways = [otherwise]
    evaluation = find_evaluation(record.workload, plugins)
    parameter = evaluation.roles[POLICY_ROLE].takes_all if evaluation else ""
    if parameter and (command := make_evaluation_command(record)):
        evaluates_all = f"--{parameter.replace('_', '-')} all"
        ways.insert(0, Suggestion(f"{command} {evaluates_all}", "scores each checkpoint"))
    return make_problem("scores-missing.no-score", *ways, where=flag, run=record.run)
