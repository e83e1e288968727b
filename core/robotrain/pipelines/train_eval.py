"""The pipeline of a training, the evaluation of its policy, and its registration, from values instead of a file."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from robotrain_runtime.contract.step_output import STEP_KIND

from robotrain.config.provenance import PIPELINE_LAYER, Origin, Value
from robotrain.config.request import JobFile, Request, SourceText
from robotrain.errors import Problem, Stage, suggest_leaving_out
from robotrain.model.job import HUB_SCHEME, NAME_PARAMETER, PUBLISH_PARAMETER
from robotrain.model.workload import Workload
from robotrain.pipelines.step_checks import RUN_NAME_PATTERN
from robotrain.pipelines.steps import PipelineRequest, StepRequest
from robotrain.plugins.manager import Plugins

TRAIN, EVALUATE, REGISTER = "train", "evaluate", "register"
NAME = "train-eval"
ORIGIN = Origin(PIPELINE_LAYER, NAME)
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
    model: str = ""
    """The model to register a version of; empty for none."""
    settings: Mapping[str, Mapping[str, Value]] = dataclasses.field(default_factory=dict)
    """By step: settings of the platform that only it has."""


def find_evaluation(training: str, plugins: Plugins) -> Workload | None:
    """Return the workload that evaluates policies of a training, the first by name; None without any."""
    return next((one for one in plugins.workloads().values() if training in one.evaluates), None)


def make_train_eval(
    training: Request, workload: Workload, wanted: TrainEval, problems: list[Problem]
) -> PipelineRequest:
    """Return the pipeline of a request for a training."""
    named = _find_job_name(training)
    names = str(named.value) if named and named.value else NAME
    train = dataclasses.replace(
        training,
        parameters={**training.parameters, **_name_job(training, names, TRAIN)},
        defaults=_label_job(training, TRAIN),
        settings={**training.settings, **wanted.settings.get(TRAIN, {})},
    )
    steps = [StepRequest(name=TRAIN, request=train, workload=workload.name)]
    if wanted.evaluation is not None:
        request = _request_evaluation(training, wanted, names)
        follows = TRAIN if wanted.checkpoints else ""
        steps.append(StepRequest(name=EVALUATE, request=request, workload=wanted.evaluation.name, follows=follows))
    if wanted.model:
        settings = wanted.settings.get(REGISTER, {})
        steps.append(StepRequest(name=REGISTER, model=wanted.model, policy_from=steps[-1].name, settings=settings))
    name = names if re.fullmatch(RUN_NAME_PATTERN, names) else NAME
    return PipelineRequest(name=name, steps=tuple(steps), problems=tuple(problems))


def describe_fine_tuning(training: Request) -> list[Problem]:
    """Return a note about the policy that the training begins with: the pipeline does not evaluate that one."""
    title = "fine-tunes from {}; evaluates what it trains"
    return [
        Problem(code="pipeline-fine-tunes", stage=Stage.RESOLVE, severity="note", title=title.format(one.text))
        for one in training.sources
        if one.role == POLICY_ROLE
    ]


def explain_missing_policy(problem: Problem, training: Request) -> Problem:
    """Return the problem of a policy that does not exist with what the user probably meant by it."""
    texts = [(one.origin.where, one.text) for one in training.sources if one.role == POLICY_ROLE]
    flag = next((flag for flag, text in texts if text in f"{problem.given} {problem.title}"), "")
    if not flag or problem.severity != "error":
        return problem
    way = suggest_leaving_out(flag, remark="the pipeline evaluates the policy that it trains")
    return dataclasses.replace(problem, suggestions=(way, *problem.suggestions))


def _find_job_name(training: Request) -> Value | None:
    """Return the name that the request gives its job."""
    in_file = training.file.parameters if training.file else {}
    return training.parameters.get(NAME_PARAMETER) or in_file.get(NAME_PARAMETER)


SUFFIXES = {TRAIN: "train", EVALUATE: "eval"}
"""What the names of the steps' jobs end with."""


def _name_job(training: Request, name: str, step: str) -> dict[str, Value]:
    given = _find_job_name(training)
    return {NAME_PARAMETER: Value(f"{name}-{SUFFIXES[step]}", given.origin if given else ORIGIN)}


def _label_job(training: Request, step: str) -> dict[str, Value]:
    """Return the request's defaults with the name of the run as that of the step's job."""
    label = training.defaults.get(NAME_PARAMETER)
    named = {NAME_PARAMETER: Value(f"{label.value}-{SUFFIXES[step]}", label.origin)} if label else {}
    return {**training.defaults, **named}


def _request_evaluation(training: Request, wanted: TrainEval, name: str) -> Request:
    """Return the request for the evaluation: on the training's data, of the policy that it trains."""
    assert wanted.evaluation is not None
    declared = wanted.evaluation.roles
    roles = {DATASET_ROLE, *({BACKBONE_ROLE} & declared.keys())}

    def is_read(source: SourceText) -> bool:
        return source.role not in declared or declared[source.role].reads(source.text)

    policy = SourceText(role=POLICY_ROLE, kinds=(STEP_KIND,), text=TRAIN, origin=ORIGIN, base=training.folder)
    which = {wanted.evaluation.roles[POLICY_ROLE].takes_all: Value(wanted.checkpoints, ORIGIN)}
    shared = _share_values(training.parameters, wanted.evaluation.inherits)
    file = training.file
    if file is not None:
        in_file = _share_values(file.parameters, wanted.evaluation.inherits)
        data = tuple(one for one in file.sources if one.role in roles and is_read(one))
        file = JobFile(folder=file.folder, sources=data, parameters=in_file, platforms=file.platforms)
    return dataclasses.replace(
        training,
        parameters={
            **shared,
            **_name_job(training, name, EVALUATE),
            **(which if wanted.checkpoints else {}),
            **wanted.parameters,
        },
        params={},
        defaults=_label_job(training, EVALUATE),
        settings={**training.settings, **wanted.settings.get(EVALUATE, {})},
        sources=(*(one for one in training.sources if one.role in roles and is_read(one)), policy),
        trainer_args=None,
        assigned_args=None,
        file=file,
        config=None,
    )


def _share_values(given: Mapping[str, Value], names: Sequence[str]) -> dict[str, Value]:
    """Return the values of a training that its evaluation has too; a model repository takes no results."""
    return {
        name: given[name]
        for name in names
        if name in given and not (name == PUBLISH_PARAMETER and str(given[name].value).startswith(HUB_SCHEME))
    }
