"""The Python API of pipelines: `pipeline`, with a `PipelineRun` for each submitted pipeline."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from robotrain import api
from robotrain.api_call import CALL, add_values, load_platform
from robotrain.config.request import Request
from robotrain.config.selection import read_surroundings
from robotrain.errors import Problem, Rejected, raise_if_any
from robotrain.messages import Messages
from robotrain.model.platform_features import PipelineRuns
from robotrain.model.run import StepStatus
from robotrain.model.workload import Workload
from robotrain.pipelines.pipeline_file import RequestContext, change_step, request_from_file
from robotrain.pipelines.prepare import PreparedPipeline, pin_pipeline, prepare_pipeline
from robotrain.pipelines.resume import continue_pipeline
from robotrain.pipelines.steps import PipelineRequest, StepRequest
from robotrain.plugins import manager, site
from robotrain.plugins.manager import Plugins
from robotrain.redaction import redact
from robotrain.submission import submitter
from robotrain.submission.run_labels import NO_LABELS, RunLabels, make_labels

make_problem = Messages(__file__)


class PipelineRun(api.Run):
    """A submitted pipeline: a run whose steps are runs too."""

    def steps(self) -> dict[str, StepStatus]:
        """Return the status of each step by its name, in the plan's order."""
        return {
            step.name: step
            for step in self._platform.get_engine_for(PipelineRuns).list_steps(self._submitted_record.reference)
        }

    def step(self, name: str) -> api.Run:
        """Return the run of a step. Raise Rejected if there is no such step, or it has no run yet."""
        step = self.steps().get(name)
        if step is None or not step.run:
            state = f"is {step.state} and has no run" if step else "does not exist"
            raise Rejected([make_problem("step-without-run.call", name=name, pipeline=self.name, state=state)])
        return api.Run(step.run, self._plugins)

    def resume(self, new: bool = False) -> "PipelineRun":
        """Continue the pipeline, and return it, or the new run that has only the steps that are not done.

        Raise Rejected if it still runs, or every step has succeeded.

        :param new: start a new run even if one that continues it is running.
        """
        repeated_pipeline = continue_pipeline(self._submitted_record, self._plugins)
        if repeated_pipeline is None:
            return PipelineRun(self.name, self._plugins)
        return _submit(repeated_pipeline, self._plugins, new, problems=())


def pipeline(
    file: str | Path,
    *,
    platform: str = "",
    profile: str = "",
    values: Mapping[str, Mapping[str, Any]] | None = None,
    new: bool = False,
    name: str = "",
    note: str = "",
    pin: bool = True,
) -> PipelineRun:
    """Check every step of a pipeline file and submit it; the same call while it has not ended returns it.

    Raise Rejected with all problems.

    :param values: by step, values as `submit` takes them, which override those of the file.
    :param new: start a new run even if the same pipeline is running, or an interrupted submit of it exists.
    :param pin: whether to resolve branches and tags to commits.
    :param name: what to call the run, as `--name` does; default: the name of the pipeline.
    """
    labels = make_labels(name, note)
    plugins = manager.get_plugins()
    surroundings = read_surroundings(platform, profile, *CALL)
    loaded_platform = load_platform(surroundings, plugins)
    context = RequestContext(platform=loaded_platform, plugins=plugins, surroundings=surroundings)
    request = _change_steps(request_from_file(Path(file), context), values or {}, context)
    prepared = prepare_pipeline(request, loaded_platform, plugins, purpose="submit")
    pinned_pipeline, problems = pin_pipeline(prepared, pin)
    raise_if_any(problems)
    return _submit(pinned_pipeline, plugins, new, (*pinned_pipeline.warnings, *problems), labels)


def _change_steps(
    request: PipelineRequest, values: Mapping[str, Mapping[str, Any]], context: RequestContext
) -> PipelineRequest:
    """Return the pipeline with values for its steps, by their names. Raise Rejected for one of another form."""
    step_names = [step.name for step in request.steps]
    problems = [
        make_problem(
            "step-unknown.call", given=name, name=redact(name), names=", ".join(map(redact, step_names)) or "none"
        )
        for name in values
        if name not in step_names
    ]
    platform, plugins = context.platform, context.plugins

    def change(step: StepRequest, workload: Workload) -> tuple[Request, list[Problem]]:
        return add_values(step.request, values[step.name], workload, platform, plugins.source_kinds(), f"{step.name}.")

    steps = [change_step(step, change, plugins, problems) if step.name in values else step for step in request.steps]
    return replace(request, steps=tuple(steps), problems=(*request.problems, *problems))


def _submit(
    prepared: PreparedPipeline,
    plugins: Plugins,
    new: bool,
    problems: tuple[Problem, ...],
    labels: RunLabels = NO_LABELS,
) -> PipelineRun:
    warnings = list(problems)
    record, is_new, _ = submitter.submit_job(
        prepared, warnings.extend, lambda run: None, plugins, new=new, pinning=False, labels=labels
    )
    warnings += site.notify_run_changed(plugins, record) if is_new else []
    return PipelineRun(record.run, plugins, warnings, just_submitted=is_new)
