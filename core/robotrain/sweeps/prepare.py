"""Preparation of a sweep: one job with the values of each trial, checked as a pipeline. No side effects."""

import dataclasses
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from robotrain_runtime.contract.parameter import get_parameters

from robotrain.config.assignments import apply_assignments
from robotrain.config.own_parameters import extend_for_sweep, list_own_names
from robotrain.config.request import Request
from robotrain.config.values import PARAM_FLAG
from robotrain.errors import (
    Problem,
    Rejected,
    Suggestion,
    raise_if_any,
    suggest_leaving_out,
)
from robotrain.messages import Messages
from robotrain.model.job import Job
from robotrain.model.platform import Platform
from robotrain.model.workload import Workload
from robotrain.model.workload_profile import Metric
from robotrain.nearest_name import suggest_name
from robotrain.pipelines.prepare import PreparedPipeline, prepare_pipeline
from robotrain.pipelines.steps import PipelineRequest, StepRequest
from robotrain.plugins.manager import Plugins
from robotrain.redaction import redact
from robotrain.sweeps.space import (
    OVER_FLAG,
    Point,
    SweepPlan,
    SweepRequest,
    combine_axes,
    draw_points,
    dump_sweep,
    format_point,
    is_whole,
    make_over_problem,
)

make_problem = Messages(__file__)

NAME = "sweep"
BETTER = ("higher", "lower")


def prepare_sweep(request: SweepRequest, platform: Platform, plugins: Plugins) -> PreparedPipeline:
    """Resolve and check every trial. Raise Rejected with the problems of all of them, each once."""
    return _SweepPreparer(request, platform, plugins).prepare()


class _SweepPreparer:
    """The preparation of one sweep."""

    def __init__(self, request: SweepRequest, platform: Platform, plugins: Plugins) -> None:
        varied = [axis.name for axis in request.axes]
        workload = extend_for_sweep(request.workload, request.job, varied, platform)
        self.request, self.platform, self.plugins = dataclasses.replace(request, workload=workload), platform, plugins
        self.kinds = plugins.source_kinds()

    def prepare(self) -> PreparedPipeline:
        """Return the checked sweep."""
        request = self.request
        problems = list(request.problems)
        metrics = _choose_metrics(request, problems)
        points = self._list_points(problems)
        trials = {f"trial-{number:0{len(str(len(points)))}}": point for number, point in enumerate(points, 1)}
        requests = [self._make_request(point, problems) for point in points]
        steps = [
            StepRequest(name=name, where=name, request=point_request, workload=request.workload.name)
            for name, point_request in zip(trials, requests, strict=True)
        ]
        patterns = [] if request.metric else _list_usual_metrics(request.workload)
        plan = SweepPlan(
            over=tuple(axis.name for axis in request.axes),
            metrics=metrics,
            points=trials,
            patterns=tuple((metric.name, metric.direction) for metric in patterns),
        )
        pipeline = PipelineRequest(
            name=NAME,
            steps=tuple(steps),
            at_most=request.at_most or (1 if self.platform.capabilities.feature("runs_here") else None),
            problems=tuple(problems),
            sweep=dump_sweep(plan),
        )
        try:
            prepared = prepare_pipeline(pipeline, self.platform, self.plugins, purpose="submit")
        except Rejected as rejected:
            raise Rejected(dict.fromkeys(_name_points(rejected.problems, trials))) from None
        raise_if_any(_check_folders(prepared, request.workload))
        logged_metrics = self._select_logged(metrics, [step.job.job for step in prepared.steps], problems)
        raise_if_any(problems)
        plan = dataclasses.replace(plan, metrics=logged_metrics or metrics)
        return _name_model(dataclasses.replace(prepared, sweep=dump_sweep(plan)), plan)

    def _select_logged(
        self, metrics: tuple[tuple[str, str], ...], jobs: Sequence[Job], problems: list[Problem]
    ) -> tuple[tuple[str, str], ...]:
        """Return the metrics that every job reports; that a named one is none of these is a problem."""
        workload = self.request.workload
        logged_metrics = tuple(pair for pair in metrics if all(workload.logs_metric(job, pair[0]) for job in jobs))
        if not self.request.metric or logged_metrics == metrics:
            return logged_metrics
        name, flag = metrics[0][0], self.request.metric_flag
        declared_names = [metric.name for metric in workload.profile.metrics if metric.better and not metric.pattern]
        logged_names = [
            metric_name for metric_name in declared_names if all(workload.logs_metric(job, metric_name) for job in jobs)
        ]
        ways = tuple(Suggestion(f"{flag} {metric_name}") for metric_name in logged_names[:1])
        problems.append(
            make_problem(
                "sweep-metric-unknown.not-every-trial",
                *ways,
                where=flag,
                given=name,
                name=name,
                known=", ".join(logged_names) or "no metric that compares them",
            )
        )
        return metrics

    def _list_points(self, problems: list[Problem]) -> list[Point]:
        """Return the combinations of all trials."""
        request = self.request
        if request.sampler == "random":
            return draw_points(request.axes, request.samples, request.sampler_seed, self._find_integers())
        ranges = [axis for axis in request.axes if axis.is_range]
        for axis in ranges:
            ways = (f"{OVER_FLAG} {axis.name}={axis.scale}:{axis.low}..{axis.high} --sampler random --samples 20",)
            title = f"{axis.name} is a range: a sampler has to draw values of it"
            problems.append(make_over_problem(title, ways=ways))
        if ranges:
            raise Rejected(problems)
        return combine_axes(request.axes)

    def _find_integers(self) -> set[str]:
        """Return the names whose values are whole numbers."""
        tables = (self.request.workload.parameters, self.platform.settings)
        parameters = (parameter for parameters_class in tables for parameter in get_parameters(parameters_class))
        own_names = list_own_names(self.request.workload.parameters)  # texts: the ends of a range say what they are
        integer_axes = {axis.name for axis in self.request.axes if is_whole(axis.low) and is_whole(axis.high)}
        return {parameter.name for parameter in parameters if parameter.bare_type is int} | {*own_names} & integer_axes

    def _make_request(self, point: Point, problems: list[Problem]) -> Request:
        assignments = [f"{name}={value}" for name, value in point.items()]
        request, new_problems = apply_assignments(
            self.request.job, assignments, self.request.workload, self.platform, self.kinds, flag=OVER_FLAG
        )
        problems += (problem for problem in new_problems if problem not in problems)
        return request


def _choose_metrics(request: SweepRequest, problems: list[Problem]) -> tuple[tuple[str, str], ...]:
    """Return the metrics that compare the trials: the given one, or else those of the workload, the main one first."""
    metric_by_name = {
        metric.name: metric for metric in request.workload.profile.metrics if metric.better and not metric.pattern
    }
    if request.metric:
        name, better = _parse_metric(request)
        if better:
            return ((name, better),)
        message = "sweep-metric-unknown.not-reported"
        ways = suggest_name(name, metric_by_name, f"{request.metric_flag} ")
        if request.workload.own_command and not ways:
            message = "sweep-metric-unknown.no-direction"
            ways = tuple(Suggestion(f"{request.metric_flag} {redact(name)}:{word}") for word in BETTER)
        metric_flag = request.metric_flag
        metrics = ", ".join(metric_by_name) or "none"
        workload = request.workload.name
        problems.append(make_problem(message, *ways, where=metric_flag, workload=workload, name=name, known=metrics))
        return ()
    main_metrics = [
        metric
        for metric in metric_by_name.values()
        if metric.headline or metric.kind in ("validation", "loss", "curve")
    ]
    ranked_metrics = sorted(main_metrics, key=lambda metric: metric.kind != "validation")
    return tuple((metric.name, metric.better) for metric in ranked_metrics)


USUAL_KINDS = ("validation", "curve", "loss")
"""The kinds of metrics of any name that compare trials, in this order."""


def _list_usual_metrics(workload: Workload) -> list[Metric]:
    """Return the metrics of any name that compare trials which report none of the workload's own."""
    patterns = [
        metric
        for metric in workload.profile.metrics
        if metric.pattern and metric.direction and metric.kind in USUAL_KINDS
    ]
    return sorted(patterns, key=lambda metric: USUAL_KINDS.index(metric.kind))


def list_usual_labels(workload: Workload) -> list[str]:
    """Return what the metrics are called that compare trials which report none of the workload's own."""
    return list(dict.fromkeys(metric.title for metric in _list_usual_metrics(workload)))


def _parse_metric(request: SweepRequest) -> tuple[str, str]:
    """Return the name of the given metric, and which value is better; empty if nobody knows.

    A program of the user's own may report any metric: the workload knows some by a pattern, of others its user says it.
    """
    better_by_metric = {metric.name: metric.better for metric in request.workload.profile.metrics if not metric.pattern}
    if better_by_metric.get(request.metric) or not request.workload.own_command:
        return request.metric, better_by_metric.get(request.metric, "")
    name, _, word = request.metric.rpartition(":")
    if name and word in BETTER:
        return name, word
    patterns = [metric for metric in request.workload.profile.metrics if metric.pattern and metric.better]
    directions = (metric.better for metric in patterns if re.fullmatch(metric.name, request.metric))
    return request.metric, next(directions, "")


def _name_points(problems: Iterable[Problem], points: Mapping[str, Point]) -> Iterator[Problem]:
    """Yield problems with the values of their trial instead of its name; only the option for that of a value."""
    for problem in problems:
        match = re.match(r"(?:step )?(trial-\d+)(?:: |$)", problem.where)
        if match is None or match[1] not in points:
            yield problem
            continue
        point, position = points[match[1]], problem.where[match.end() :]
        parameter_name = position.removeprefix(f"{PARAM_FLAG} ")
        position = f"{OVER_FLAG} {parameter_name}" if parameter_name in point else position
        is_of_value = position.startswith(OVER_FLAG)
        location = position if is_of_value else ": ".join(filter(None, (format_point(point), position)))
        ways = [_vary_value(way, point) for way in problem.suggestions]
        yield dataclasses.replace(problem, where=location, suggestions=tuple(ways))


def _vary_value(way: Suggestion, point: Point) -> Suggestion:
    """Return a suggestion; one that gives the value of a trial to another name as one to vary that name."""
    name, _, value = way.text.removeprefix(f"{PARAM_FLAG} ").partition("=")
    is_of_trial = way.text.startswith(f"{PARAM_FLAG} ") and value in point.values()
    return way._replace(text=f"{OVER_FLAG} {name}=VALUE,VALUE") if is_of_trial else way


def _check_folders(prepared: PreparedPipeline, workload: Workload) -> Iterator[Problem]:
    """Yield a problem for each folder that is one run's own, if several trials have the same absolute one."""
    jobs = [dict(step.job.job.parameters) for step in prepared.steps]
    for parameter in get_parameters(workload.parameters):
        folders = [str(job[parameter.name]) for job in jobs if job.get(parameter.name)]
        shared_folder = next(
            (folder for folder in folders if folders.count(folder) > 1 and os.path.isabs(folder)), None
        )
        if parameter.param.own_folder and shared_folder:
            way = suggest_leaving_out(parameter.flag, remark="each trial has a folder of its own")
            yield make_problem("sweep-folder-shared", way, where=parameter.flag, given=shared_folder)


def _name_model(prepared: PreparedPipeline, plan: SweepPlan) -> PreparedPipeline:
    """Return the sweep with the model that its job names; no trial registers a version of it."""
    unregistered = [warning for warning in prepared.warnings if warning.code == "step-registers-nothing"]
    if not unregistered:
        return prepared
    model = unregistered[0].given
    kept_warnings = [warning for warning in prepared.warnings if warning.code != "step-registers-nothing"]
    note = make_problem("sweep-registers-nothing", model=model)
    sweep = dump_sweep(dataclasses.replace(plan, model=model))
    return dataclasses.replace(prepared, sweep=sweep, warnings=(*kept_warnings, note))


def list_point_rows(prepared: PreparedPipeline) -> Sequence[tuple[str, ...]]:
    """Return the trials with their values as a table, with its head."""
    over, points = prepared.sweep["over"], prepared.sweep["points"]
    head = ("TRIAL", *(name.upper() for name in over))
    return [head, *((name, *(str(point[axis_name]) for axis_name in over)) for name, point in points.items())]
