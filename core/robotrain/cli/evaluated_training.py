"""A job whose checkpoints are scored (`Workload.evaluated_with`): it is sent as a pipeline with its evaluation."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.parameter import UNSET, get_parameters

from robotrain.cli.command_factory import get_plugins
from robotrain.cli.options import SET_NAME, ComposedOptions, add_declared
from robotrain.config.request import Request
from robotrain.config.selection import Choice
from robotrain.config.values import JOB_FILE_LAYER, Value
from robotrain.errors import Problem, Rejected, suggest_leaving_out
from robotrain.messages import Messages
from robotrain.model.platform import Platform
from robotrain.model.workload import Workload
from robotrain.pipelines import train_eval
from robotrain.pipelines.pipeline_file import change_steps
from robotrain.pipelines.prepare import PreparedPipeline, prepare_pipeline
from robotrain.pipelines.train_eval import find_evaluation
from robotrain.plugins.manager import Plugins
from robotrain.submission.prepare import Purpose

if TYPE_CHECKING:
    import typer

make_problem = Messages(__file__)


EVALUATION_TABLE = "evaluation"
"""Where the values of the evaluation stand in the layer of a line."""
STEPS = r"(?a)[1-9]\d{0,11}"
"""Every how many steps, as the parameters of workloads take it."""


def add_evaluation_options(options: ComposedOptions, choice: Choice, plugins: Plugins) -> None:
    """Add the options of the workload that evaluates the chosen one which this one does not have."""
    if evaluation := find_evaluation(choice.workload, plugins):
        panel, owner = f"Parameters of {evaluation.name}", f"workload {evaluation.name}"
        add_declared(options, evaluation.parameters, EVALUATION_TABLE, panel, owner, free_only=True)


ReadRequest = Callable[[], tuple[Request, Workload, Platform, list[Problem]]]


def prepare_evaluated(
    ctx: typer.Context, values: dict[str, Any], read_request: ReadRequest, purpose: Purpose
) -> PreparedPipeline:
    """Return the pipeline of a job and the evaluation of its checkpoints. Raise Rejected.

    :param read_request: returns what the arguments ask for, as the command does.
    """
    plugins = get_plugins(ctx)
    sets = take_step_changes(values)
    if values.get("save_as"):
        raise Rejected([make_problem("options-conflict.save-as", suggest_leaving_out("--save-as"))])
    request, workload, platform, problems = read_request()
    evaluation = train_eval.find_evaluation(workload.name, plugins)
    if evaluation is None or not evaluation.roles[train_eval.POLICY_ROLE].takes_all:
        raise Rejected([*problems, make_missing_evaluation(workload)])
    parameters = request.line.select(EVALUATION_TABLE)
    request, in_file = _split_file(request, workload, evaluation)
    checkpoints_value = _find_value(request, workload)
    register_parameter = evaluation.profile.outputs.register_parameter
    parameters = {**in_file, **parameters}
    request, model = take_model(request, workload, parameters.pop(register_parameter, None), problems)
    pipeline_parts = train_eval.TrainEval(
        evaluation=evaluation,
        parameters=parameters,
        checkpoints=_read_selection(checkpoints_value),
        model=model,
    )
    return prepare_train_eval(request, workload, platform, pipeline_parts, sets, problems, plugins, purpose)


def prepare_train_eval(
    request: Request,
    workload: Workload,
    platform: Platform,
    parts: train_eval.TrainEval,
    sets: Sequence[str],
    problems: list[Problem],
    plugins: Plugins,
    purpose: Purpose,
) -> PreparedPipeline:
    """Return the pipeline of a training and its evaluation, with what `--set` changes of its steps. Raise Rejected."""
    pipeline = train_eval.make_train_eval(request, workload, parts, problems)
    steps = change_steps(pipeline.steps, sets, platform, plugins, problems)
    pipeline = replace(pipeline, steps=tuple(steps), problems=tuple(problems))
    prepared = prepare_pipeline(pipeline, platform, plugins, purpose=purpose)
    return replace(prepared, warnings=(*prepared.warnings, *train_eval.describe_fine_tuning(request)))


def take_step_changes(values: dict[str, Any]) -> list[str]:
    """Return what `--set STEP.KEY=VALUE` gives; the other texts stay."""
    assignments = values.get(SET_NAME) or ()
    step_names = (train_eval.TRAIN, train_eval.EVALUATE)
    step_assignments = [assignment for assignment in assignments if assignment.partition(".")[0] in step_names]
    values[SET_NAME] = [assignment for assignment in assignments if assignment not in step_assignments]
    return step_assignments


def make_missing_evaluation(workload: Workload) -> Problem:
    """Return the problem of a workload whose checkpoints no installed workload scores."""
    flag = format_flag(workload)
    return make_problem("evaluation-missing", suggest_leaving_out(flag), where=flag, name=workload.name)


def make_misplaced_evaluation(workload: Workload, rows: Sequence[Mapping[str, Any]]) -> Problem:
    """Return the problem of a value that neither the command line nor a job file gives: other layers are read later.

    :param rows: the values of the job, with their origins.
    """
    flag = format_flag(workload)
    row = next(row for row in rows if row["name"] == workload.evaluated_with)
    return make_problem(
        "value-invalid.option-only",
        where=flag,
        name=workload.evaluated_with,
        origin=row["origin"],
        value=row["value"],
    )


def find_unsent_evaluation(request: Request, workload: Workload, submission_noun: str) -> list[Problem]:
    """Return a problem if a request asks for scores that what is submitted cannot have.

    :param submission_noun: what is submitted, with its article: `a sweep`.
    """
    if not (value := _find_value(request, workload)):
        return []
    flag = value.origin.where or format_flag(workload)
    return [make_problem("options-conflict.evaluation", suggest_leaving_out(flag), where=flag, what=submission_noun)]


def format_flag(workload: Workload) -> str:
    """Return the option that asks for the scores of checkpoints."""
    return f"--{workload.evaluated_with.replace('_', '-')}"


def take_model(
    request: Request, workload: Workload, named: Value | None, problems: list[Problem]
) -> tuple[Request, Value | None]:
    """Return the request without the training's own registration, and the model to register; None for none.

    The evaluation registers the best checkpoint once it is known.

    :param named: the model that the evaluation's own parameter names.
    """
    key = f"parameters.{workload.profile.outputs.register_parameter}"
    by_training = request.find(key)
    model = named or by_training
    if by_training and key in request.line.values:
        if named and named.origin.layer != JOB_FILE_LAYER and named.value != by_training.value:
            problems.append(make_problem("options-conflict.two-models", first=named.value, second=by_training.value))
        model = by_training
    return request.change_layers(lambda layer: layer.without([key])), model if model and model.value else None


def _find_value(request: Request, workload: Workload) -> Value | None:
    """Return the value that asks for the scores of checkpoints; None without one."""
    value = request.find(f"parameters.{workload.evaluated_with}")
    return None if value and value.value == UNSET else value


def _read_selection(checkpoints_value: Value | None) -> str:
    """Return which checkpoints are scored; of an invalid value, which is a problem of the training, all."""
    selection = str(checkpoints_value.value).strip() if checkpoints_value else ""
    return selection if re.fullmatch(STEPS, selection) else checkpoint.ALL


def _split_file(request: Request, workload: Workload, evaluation: Workload) -> tuple[Request, dict[str, Value]]:
    """Return the request without the values of its job file that only the evaluation has, and those values."""
    training_names = {parameter.name for parameter in get_parameters(workload.parameters)}
    evaluation_names = {parameter.name for parameter in get_parameters(evaluation.parameters)} - training_names
    evaluation_values = {
        name: file_value
        for file in request.files
        for name, file_value in file.select("parameters").items()
        if name in evaluation_names
    }
    keys = [f"parameters.{name}" for name in evaluation_names]
    return replace(request, files=tuple(file.without(keys) for file in request.files)), evaluation_values
