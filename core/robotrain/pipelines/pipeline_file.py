"""pipeline.yaml: the file form of a pipeline. A step is a job file, or a job written in place."""

import functools
import json
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from robotrain_runtime.contract.step_output import STEP_KIND

from robotrain.config import assignments
from robotrain.config.job_file import JOB_KEYS, JobReader, read_job_file
from robotrain.config.request import Request
from robotrain.config.selection import Surroundings
from robotrain.config.terraform import TerraformLayer
from robotrain.config.trainer_args import read_after_dashes
from robotrain.config.unknown_keys import find_unknown_tables
from robotrain.config.values import SET_FLAG, Layer, Value
from robotrain.config.yaml_nodes import YamlNode
from robotrain.errors import Problem, Rejected, Suggestion, select_errors
from robotrain.messages import Messages
from robotrain.model.job import TRAINER_ARGS
from robotrain.model.platform import Platform
from robotrain.model.workload import Workload
from robotrain.nearest_name import suggest_name
from robotrain.pipelines.steps import PipelineRequest, StepRequest
from robotrain.plugins.manager import Plugins
from robotrain.redaction import can_repeat, hide_secret_arguments, redact

make_problem = Messages(__file__)

PIPELINE_KEYS = ("name", "at_most", "steps")
FROM_KEY, AFTER_KEY, JOB_KEY = "from", "after", "job"
STEP_KEYS = (JOB_KEY, *JOB_KEYS, AFTER_KEY)
DEFAULT_NAME = "pipeline"


@dataclass(frozen=True, kw_only=True)
class RequestContext:
    """What the steps of a pipeline share: its platform, the environment and the project file."""

    platform: Platform
    plugins: Plugins
    surroundings: Surroundings
    lookups: dict[str, Value | BaseException | None] = field(default_factory=dict)
    """What lookup functions found, each called at most once."""

    @functools.cached_property
    def terraform(self) -> TerraformLayer:
        """The values of Terraform, read at most once."""
        return TerraformLayer(self.surroundings)


def request_from_file(
    path: Path, context: RequestContext, sets: Sequence[str] = (), trainer_args: Sequence[str] = ()
) -> PipelineRequest:
    """Return the pipeline of a file with its problems.

    :param sets: changes of its steps, as STEP.KEY=VALUE.
    :param trainer_args: options for the program of its training step.
    """
    request = _PipelineReader(path, context).read_pipeline()
    problems = list(request.problems)
    files = [file for step in request.steps for file in step.request.files]
    problems += find_unknown_tables(files, context.surroundings.project, context.plugins)
    steps = change_steps(request.steps, sets, context.platform, context.plugins, problems)
    if trainer_args:
        steps, mistakes = _add_trainer_args(steps, trainer_args, context)
        all_problems = [*request.problems, *(problem for file in files for problem in file.problems)]
        workloads = {step.workload for step in request.steps}
        are_known = workloads <= {*context.plugins.list_names("workload")}
        problems += mistakes if are_known and not select_errors(all_problems) else []
    return replace(request, steps=tuple(steps), problems=tuple(problems))


def _add_trainer_args(
    steps: Sequence[StepRequest], trainer_args: Sequence[str], context: RequestContext
) -> tuple[list[StepRequest], list[Problem]]:
    """Return the steps with options for the trainer in the one that trains; none or several are a problem."""
    training = [step.name for step in steps if _trains(step.workload, context.plugins)]
    if len(training) == 1:
        return [
            replace(step, request=replace(step.request, after_dashes=read_after_dashes(trainer_args)))
            if step.name in training
            else step
            for step in steps
        ], []
    arguments_json = json.dumps([redact(argument) for argument in hide_secret_arguments(list(trainer_args))])
    step_names = training or [step.name for step in steps]
    ways = [
        Suggestion(
            f"{SET_FLAG} {shlex.quote(f'{redact(name)}.{TRAINER_ARGS}={arguments_json}')}",
            "in place of those in its job file",
        )
        for name in step_names
    ]
    message = "step-ambiguous.several-train" if training else "step-ambiguous.none-trains"
    return list(steps), [make_problem(message, *ways, steps=", ".join(map(redact, training)))]


def _trains(name: str, plugins: Plugins) -> bool:
    """Return whether a workload trains; an unknown one is reported with its step."""
    try:
        return plugins.workload(name).produces == "checkpoints"
    except Rejected:
        return False


class _PipelineReader(JobReader):
    """Reader of a pipeline file. A job file that several steps use is read once."""

    def __init__(self, path: Path, context: RequestContext) -> None:
        super().__init__(path, "pipeline")
        self.context = context
        self.files: dict[Path, Layer] = {}

    def read_pipeline(self) -> PipelineRequest:
        """Return the pipeline of the file."""
        top = dict(self.read_top(PIPELINE_KEYS))
        name = self.read_text(top["name"], "name") if "name" in top and not top["name"].null else DEFAULT_NAME
        at_most = self.read_limit(top["at_most"]) if "at_most" in top else None
        steps = tuple(self.read_steps(top["steps"])) if "steps" in top else ()
        return PipelineRequest(name=name, steps=steps, at_most=at_most, problems=tuple(self.problems))

    def read_limit(self, node: YamlNode) -> int | None:
        """Return a whole number greater than 0; None for anything else, which is a problem unless it is null."""
        if node.kind == "scalar" and node.text.isdecimal() and int(node.text) > 0:
            return int(node.text)
        if not node.null:
            self.add_problem(node, "at_most must be a whole number greater than 0")
        return None

    def read_steps(self, node: YamlNode) -> Iterator[StepRequest]:
        """Yield the steps in their order; a repeated name is a problem of the check, not of the file."""
        if node.kind != "mapping":
            if not node.null:
                self.add_problem(node, "steps must be a mapping of names to steps")
            return
        for key, step_node in node.pairs:
            if key.kind == "scalar":
                yield self.read_step(key.text, key.line, step_node)
            else:
                self.add_problem(key, "the name of a step must be plain text")

    def read_step(self, name: str, line: int, node: YamlNode) -> StepRequest:
        """Return a step."""
        subject = f"step {redact(name)}"
        node_by_key = dict(self.read_mapping(node, subject, STEP_KEYS))
        after_steps = (
            tuple(self.read_names(node_by_key[AFTER_KEY], f"{subject}.{AFTER_KEY}")) if AFTER_KEY in node_by_key else ()
        )
        files = tuple(self.read_step_job(node_by_key, subject))
        context = self.context
        workload = context.surroundings.find_workload(files)
        return StepRequest(
            name=name,
            where=self.format_place(line),
            request=Request(
                files=files,
                surroundings=context.surroundings,
                terraform=context.terraform,
                lookups=context.lookups,
                step=name,
            ),
            workload=str(workload.value) if workload else context.plugins.default_workload(),
            after=after_steps,
        )

    def read_names(self, node: YamlNode, what: str) -> Iterator[str]:
        """Yield one name, or those of a list."""
        for name_node in node.items if node.kind == "sequence" else [node]:
            if not name_node.null:
                yield self.read_text(name_node, what)

    def read_step_job(self, node_by_key: dict[str, YamlNode], subject: str) -> Iterator[Layer]:
        """Yield what the step itself says, and its job file."""
        inline = self.make_job(node_by_key)
        sources = [
            source._replace(kinds=(STEP_KIND,)) if FROM_KEY in source.kinds else source for source in inline.sources
        ]
        yield inline._replace(sources=tuple(sources), problems=())
        if JOB_KEY not in node_by_key:
            return
        path = self.folder / self.read_text(node_by_key[JOB_KEY], f"{subject}.{JOB_KEY}")
        if path not in self.files:
            self.files[path] = read_job_file(path)
        yield self.files[path]


def change_steps(
    steps: Sequence[StepRequest], sets: Sequence[str], platform: Platform, plugins: Plugins, problems: list[Problem]
) -> list[StepRequest]:
    """Return the steps with the values of `STEP.KEY=VALUE` texts; what is wrong with these is added to `problems`."""
    step_names, changes_by_step = [step.name for step in steps], dict[str, list[str]]()
    for assignment in sets:
        name, dot, change = assignment.partition(".")
        if dot and name in step_names:
            changes_by_step.setdefault(name, []).append(change)
            continue
        key = assignment.partition("=")[0]
        message = "value-invalid.key-of-step" if not dot and key in step_names else "value-invalid.no-step"
        change_suffix = (
            f".{redact(change)}"
            if "=" in change and can_repeat(change)
            else f".{redact(change.partition('=')[0])}=VALUE"
        )
        nearest = suggest_name(name, step_names, f"{SET_FLAG} ") if dot else ()
        ways = tuple(Suggestion(suggestion.text + shlex.quote(change_suffix)) for suggestion in nearest)
        steps_known = ", ".join(map(redact, step_names))
        problems.append(make_problem(message, *ways, where=SET_FLAG, key=redact(key), names=steps_known))

    def apply(step: StepRequest, workload: Workload) -> tuple[Request, list[Problem]]:
        kinds = plugins.source_kinds()
        return assignments.apply_assignments(
            step.request, changes_by_step[step.name], workload, platform, kinds, f"{step.name}."
        )

    return [change_step(step, apply, plugins, problems) if step.name in changes_by_step else step for step in steps]


Change = Callable[[StepRequest, Workload], tuple[Request, list[Problem]]]
"""Returns the request of a step with other values, and what is wrong with these."""


def change_step(step: StepRequest, change: Change, plugins: Plugins, problems: list[Problem]) -> StepRequest:
    """Return a step with other values; what is wrong with these is added to `problems`."""
    try:
        workload = plugins.workload(step.workload)
    except Rejected:  # reported with the step
        return step
    request, mistakes = change(step, workload)
    problems += mistakes
    return replace(step, request=request)
