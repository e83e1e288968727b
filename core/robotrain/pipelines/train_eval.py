"""The pipeline of a training and the evaluation of its policy, from values instead of a file."""

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from robotrain_runtime.contract.parameter import get_parameters
from robotrain_runtime.contract.step_output import STEP_KIND

from robotrain.config.request import Request
from robotrain.config.resolve import OFF_VALUES
from robotrain.config.values import PIPELINE_LAYER, Layer, Origin, SourceText, Value, prefix_names
from robotrain.errors import Problem, suggest_leaving_out
from robotrain.messages import Messages
from robotrain.model.job import HUB_SCHEME, NAME_PARAMETER, PUBLISH_PARAMETER
from robotrain.model.workload import Workload
from robotrain.pipelines.step_checks import RUN_NAME_PATTERN
from robotrain.pipelines.steps import PipelineRequest, StepRequest
from robotrain.plugins.manager import Plugins

make_problem = Messages(__file__)

TRAIN, EVALUATE = "train", "evaluate"
NAME = "train-eval"
ORIGIN = Origin(PIPELINE_LAYER, NAME)
NAME_KEY, PUBLISH_KEY = f"parameters.{NAME_PARAMETER}", f"parameters.{PUBLISH_PARAMETER}"
DATASET_ROLE, POLICY_ROLE, BACKBONE_ROLE = "dataset", "policy", "backbone"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainEval:
    """What the pipeline does after the training."""

    evaluation: Workload | None
    """The workload of the evaluation; None to leave it out."""
    parameters: Mapping[str, Value]
    """The values of the evaluation."""
    checkpoints: str = ""
    """The checkpoints to evaluate, as `Role.takes_all` names them; empty for the newest alone."""
    model: Value | None = None
    """The model that the last step registers a version of; None for none."""
    settings: Mapping[str, Mapping[str, Value]] = dataclasses.field(default_factory=dict)
    """By step: settings of the platform that only it has, by their names in a job file."""


def find_evaluation(training: str, plugins: Plugins) -> Workload | None:
    """Return the workload that evaluates policies of a training, the first by name; None without any."""
    return next((workload for workload in plugins.workloads().values() if training in workload.evaluates), None)


def make_train_eval(
    training: Request, workload: Workload, train_eval: TrainEval, problems: list[Problem]
) -> PipelineRequest:
    """Return the pipeline of a request for a training."""
    name_value = _find_value(training, workload, NAME_KEY)
    job_name = str(name_value.value) if name_value and name_value.value else NAME
    origin = name_value.origin if name_value else ORIGIN
    evaluation = train_eval.evaluation
    register_key = f"parameters.{(evaluation or workload).profile.outputs.register_parameter}"
    registered = {register_key: train_eval.model} if train_eval.model else {}
    training_values = {**_name_job(job_name, TRAIN, origin), **train_eval.settings.get(TRAIN, {})}
    training_values |= {} if evaluation else registered
    line_layer = training.line._replace(values={**training.line.values, **training_values})
    train = dataclasses.replace(training, line=line_layer, name=_name_run(training.name, TRAIN))
    steps = [StepRequest(name=TRAIN, request=train, workload=workload.name)]
    if evaluation is not None:
        own_values = {**_name_job(job_name, EVALUATE, origin), **registered}
        request = _request_evaluation(training, workload, train_eval, own_values)
        steps.append(StepRequest(name=EVALUATE, request=request, workload=evaluation.name))
    name = job_name if re.fullmatch(RUN_NAME_PATTERN, job_name) else NAME
    return PipelineRequest(name=name, steps=tuple(steps), problems=tuple(problems))


def describe_fine_tuning(training: Request) -> list[Problem]:
    """Return a note about the policy that the training begins with: the pipeline does not evaluate that one."""
    return [
        make_problem("pipeline-fine-tunes", policy=source.text)
        for source in training.line.sources
        if source.role == POLICY_ROLE
    ]


def explain_missing_policy(problem: Problem, training: Request) -> Problem:
    """Return the problem of a policy that does not exist with what the user probably meant by it."""
    source_texts = [
        (source.origin.where, source.text) for source in training.line.sources if source.role == POLICY_ROLE
    ]
    flag = next((flag for flag, source_text in source_texts if source_text in f"{problem.given} {problem.title}"), "")
    if not flag or problem.severity != "error":
        return problem
    way = suggest_leaving_out(flag, remark="the pipeline evaluates the policy that it trains")
    return dataclasses.replace(problem, suggestions=(way, *problem.suggestions))


SUFFIXES = {TRAIN: "train", EVALUATE: "eval"}
"""What the names of the steps' jobs end with."""


def _find_value(training: Request, workload: Workload, key: str) -> Value | None:
    """Return a value of the training, whichever layer gives it."""
    weaker = training.surroundings.list_layers(workload.name, "", {"parameters": workload.parameters})
    return next((layer.values[key] for layer in (*training.layers, *weaker) if key in layer.values), None)


def _is_on(training: Request, workload: Workload, name: str) -> bool:
    """Return whether a switch of the training is on, by its default if nobody gives it."""
    value = _find_value(training, workload, f"parameters.{name}")
    if value is not None:
        return str(value.value).lower() not in OFF_VALUES
    return any(parameter.name == name and parameter.default for parameter in get_parameters(workload.parameters))


def _name_job(name: str, step: str, origin: Origin) -> dict[str, Value]:
    return {NAME_KEY: Value(f"{name}-{SUFFIXES[step]}", origin)}


def _name_run(label: Value | None, step: str) -> Value | None:
    return label and label._replace(value=f"{label.value}-{SUFFIXES[step]}")


def _request_evaluation(
    training: Request, workload: Workload, train_eval: TrainEval, own_values: Mapping[str, Value]
) -> Request:
    """Return the request for the evaluation: of the policy that it trains, on its data unless only it can read them."""
    assert train_eval.evaluation is not None
    evaluation_roles = train_eval.evaluation.roles
    switch = workload.roles[DATASET_ROLE].training_only_with if DATASET_ROLE in workload.roles else ""
    is_shared = not (switch and _is_on(training, workload, switch))
    roles = {*([DATASET_ROLE] * is_shared), *({BACKBONE_ROLE} & evaluation_roles.keys())}

    def is_read(source: SourceText) -> bool:
        return source.role not in evaluation_roles or evaluation_roles[source.role].reads(source.text)

    policy = SourceText(role=POLICY_ROLE, kinds=(STEP_KIND,), text=TRAIN, origin=ORIGIN, base=Path.cwd())
    useless_parameters = () if is_shared else evaluation_roles[DATASET_ROLE].described_by
    inherited_keys = [f"parameters.{name}" for name in train_eval.evaluation.inherits if name not in useless_parameters]

    def share(layer: Layer) -> Layer:
        """Return what a training and its evaluation have in common; a model repository takes no results."""
        shared_values = {
            key: value
            for key, value in layer.values.items()
            if key.startswith("platforms.")
            or (key in inherited_keys and not (key == PUBLISH_KEY and str(value.value).startswith(HUB_SCHEME)))
        }
        shared_sources = tuple(source for source in layer.sources if source.role in roles and is_read(source))
        return Layer(shared_values, shared_sources, folder=layer.folder)

    request = training.change_layers(share)
    checkpoint_values = {f"parameters.{evaluation_roles[POLICY_ROLE].takes_all}": Value(train_eval.checkpoints, ORIGIN)}
    evaluation_values = {
        **own_values,
        **(checkpoint_values if train_eval.checkpoints else {}),
        **prefix_names("parameters", train_eval.parameters),
        **train_eval.settings.get(EVALUATE, {}),
    }
    line_layer = Layer({**request.line.values, **evaluation_values}, (*request.line.sources, policy))
    return dataclasses.replace(request, line=line_layer, after_dashes=(), name=_name_run(training.name, EVALUATE))
