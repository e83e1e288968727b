"""The run of another machine that holds a run's name at the engine, which gives each name once: it is joined.

That of a step is not: the same pipeline is refused while it runs elsewhere.
"""

import dataclasses
from typing import Any

from robotrain.errors import Problem, Rejected, Suggestion
from robotrain.messages import Messages
from robotrain.model.job import PIPELINE_KEY
from robotrain.model.platform import Platform
from robotrain.model.platform_features import SharedRuns
from robotrain.model.run import RunGone, RunRecord
from robotrain.plugins.manager import Plugins
from robotrain.submission.adoption import AdoptableRun, read_found_run, record_found_run
from robotrain.submission.prepare import PreparedJob

make_problem = Messages(__file__)


def find_name_holder(refusal: Rejected, platform: Platform) -> str:
    """Return how the platform names the run because of which it refuses a plan; empty if that is not the reason."""
    holder_names = (problem.taken_by for problem in refusal.problems if problem.taken_by)
    return next(holder_names, "") if platform.capabilities.feature("adopt") else ""


def read_name_holder(
    holder_name: str, refusal: Rejected, platform: Platform, settings: Any, plugins: Plugins, *, can_be_new: bool
) -> AdoptableRun:
    """Return the run that holds the name. Raise the refusal, with the reason, if this machine cannot record that run.

    :param settings: those of the platform, as the user typed them.
    :param can_be_new: whether suggestions can offer `--new`.
    """
    try:
        submitted_run = platform.get_engine_for(SharedRuns).find_submitted(holder_name, settings)
        if submitted_run is None:
            raise RunGone(f"{platform.name} has no run {holder_name}")
        return read_found_run(holder_name, submitted_run, platform, plugins, settings)
    except Rejected as rejected:
        way = Suggestion("--new", "starts a run of another name")
        if not can_be_new:
            way = Suggestion("robotrain render JOB.yaml --attempt N --to FOLDER", "renders the job under another name")
        problems = list(refusal.problems)
        for index, problem in enumerate(problems):
            if problem.taken_by:
                reason = f"{problem.why} It cannot be recorded here: {rejected.problems[0].title}.".strip()
                ways = (*problem.suggestions, way)
                problems[index] = dataclasses.replace(problem, why=reason, suggestions=ways)
        raise Rejected(problems, transient=rejected.transient) from rejected


def record_name_holder(holder_name: str, holder: AdoptableRun) -> tuple[RunRecord, list[Problem]]:
    """Return the record of the run that holds the name, made here if it is not recorded yet, with notes on that.

    Raise Rejected. This process holds the lock of the job.
    """
    adoption = record_found_run(holder, is_locked=True)
    if not adoption.is_new:
        return adoption.record, []
    return adoption.record, [
        make_problem("run-sent-elsewhere", given=holder_name, run=adoption.record.run),
        *adoption.notes,
    ]


def describe_step_holder(
    holder_name: str, refusal: Rejected, key: str, prepared: PreparedJob, plugins: Plugins
) -> Problem:
    """Return the problem of a run that holds the name of a step: an error while the same pipeline runs elsewhere.

    For anything else the step takes another name, of which the user is warned. Raise the refusal if the platform does
    not answer now.

    :param key: what the pipeline has on every machine.
    :param prepared: the job of the step.
    """
    platform = prepared.platform
    try:
        holder = read_name_holder(holder_name, refusal, platform, prepared.settings, plugins, can_be_new=True)
        status = platform.engine.status(holder.reference)
    except RunGone:
        return make_problem("step-sent-elsewhere.ended", given=holder_name)
    except Rejected as rejected:
        if rejected.transient:
            raise
        return make_problem("step-sent-elsewhere", given=holder_name)
    if status.finished:
        return make_problem("step-sent-elsewhere.ended", given=holder_name)
    is_same = key and holder.document.record.get(PIPELINE_KEY) == key
    return make_problem("pipeline-sent-elsewhere" if is_same else "step-sent-elsewhere", given=holder_name)
