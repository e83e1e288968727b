"""A pipeline continued, or run again, from its stored plan."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from robotrain.errors import Problem, Rejected, Stage, Suggestion
from robotrain.model.platform import NoSettings
from robotrain.pipelines import driven_platform, progress
from robotrain.pipelines.driven_platform import DrivenPlatform
from robotrain.pipelines.plan import PIPELINE_FILE, PipelinePlan, parse_pipeline, render_pipeline
from robotrain.store import records
from robotrain.submission.prepare import PreparedJob
from robotrain.submission.resubmit import read_plan_to_repeat

if TYPE_CHECKING:
    from robotrain.model.plan import RenderedPlan
    from robotrain.model.run import RunRecord
    from robotrain.plugins.manager import Plugins


@dataclass(frozen=True, kw_only=True)
class RepeatedPipeline(PreparedJob):
    """A pipeline as it was submitted before, with the steps that need not run again."""

    plan: PipelinePlan
    payloads: Mapping[str, bytes] = field(repr=False)

    def render(self, attempt: int) -> RenderedPlan:
        """Return the plan of an attempt."""
        plan = dataclasses.replace(self.plan, run=self.job.run_name(attempt))
        return render_pipeline(self.job, plan, self.payloads, self.values)


def repeat_pipeline(record: RunRecord, plugins: Plugins) -> RepeatedPipeline:
    """Return the unchanged pipeline of a run, all steps of which run again. Raise Rejected."""
    stored = read_plan_to_repeat(record.run)
    plan = dataclasses.replace(parse_pipeline(stored.plan.files[PIPELINE_FILE]), resumes="", finished={})
    return RepeatedPipeline(
        job=stored.plan.job,
        platform=DrivenPlatform(plugins.platform(record.platform), plugins),
        settings=NoSettings(),
        kinds=plugins.source_kinds(),
        container_plugins={},
        values=stored.values,
        produces=stored.produces,
        platforms=plugins.platforms,
        plan=plan,
        payloads={path: content for path, content in stored.plan.files.items() if path != PIPELINE_FILE},
    )


def continue_pipeline(record: RunRecord, plugins: Plugins, dry_run: bool = False) -> RepeatedPipeline | None:
    """Start a new driver of a pipeline that has not ended, and return None; of one that has, return what is left to do.

    Raise Rejected if it runs, or every step has succeeded.

    :param dry_run: start no driver.
    """
    found = progress.read_progress(record.run)
    if progress.is_driven(record.run):
        ways = (
            Suggestion(f"robotrain wait {record.run}", "waits until it ends"),
            Suggestion(f"robotrain cancel {record.run}", "stops it"),
        )
        raise Rejected([_make_problem("run-goes-on", f"{record.run} is still running", *ways)])
    if found is not None and not found.finished:
        if dry_run:
            return None
        folder = records.get_run_folder(record.run)
        for name in (progress.CANCEL_FILE, records.FINAL_STATUS_FILE):  # an end that was seen is none any more
            (folder / name).unlink(missing_ok=True)
        driven_platform.start_driver(record.run, plugins)
        return None
    finished = _list_finished(found)
    repeated = repeat_pipeline(record, plugins)
    if len(finished) == len(repeated.plan.steps):
        way = Suggestion(f"robotrain resubmit {record.run}", "runs all steps again")
        raise Rejected([_make_problem("pipeline-complete", f"every step of {record.run} has succeeded", way)])
    plan = dataclasses.replace(repeated.plan, resumes=record.run, finished=finished)
    return dataclasses.replace(repeated, plan=plan)


def _list_finished(found: progress.PipelineProgress | None) -> dict[str, dict[str, Any]]:
    """Return the steps that succeeded; their runs must still have records."""
    steps = found.steps if found else {}
    return {
        name: asdict(step)
        for name, step in steps.items()
        if step.state == "succeeded" and (not step.run or records.has_record(step.run))
    }


def _make_problem(code: str, title: str, *suggestions: Suggestion) -> Problem:
    return Problem(code=code, stage=Stage.USAGE, title=title, suggestions=suggestions)
