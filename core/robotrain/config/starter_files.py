"""The first files of a project, which `robotrain init` writes: job.yaml, pipeline.yaml and robotrain.toml."""

import json
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from robotrain_runtime.contract.document import Scalar
from robotrain_runtime.contract.parameter import get_parameters

from robotrain.config.job_writer import dump_yaml
from robotrain.config.validate import encode
from robotrain.config.values import DEFAULT_ORIGIN, Layer, Value
from robotrain.model.job import ARGUMENT_KEYS
from robotrain.model.platform import Platform, PlatformDefault
from robotrain.model.source import SourceKind
from robotrain.model.workload import FoundInput, Workload
from robotrain.store.written_files import (
    JOB_FILE,
    PIPELINE_SCHEMA_FILE,
    SCHEMA_LINE,
)

MAX_WIDTH = 120
NO_VALUE = Value(None, DEFAULT_ORIGIN)
OWN_PARAMETERS = ("# Parameters of your own, each {NAME} in the command:", "# params:", "#   NAME: VALUE")


def choose_inputs(workload: Workload, inputs: Iterable[FoundInput]) -> dict[str, FoundInput]:
    """Return the first input of each role."""
    inputs_by_role: dict[str, FoundInput] = {}
    for job_input in inputs:
        if job_input.role in workload.roles:
            inputs_by_role.setdefault(job_input.role, job_input)
    return inputs_by_role


def format_job_file(
    workload: Workload, inputs: Sequence[FoundInput], kinds: Mapping[str, SourceKind], submit_line: str, schema: str
) -> str:
    """Return a commented job file with the first input of each role; the others are comments."""
    parameters = dict(workload.template.parameters)
    for job_input in choose_inputs(workload, inputs).values():
        parameters |= job_input.parameters
    blocks = [
        [
            SCHEMA_LINE.format(schema),
            "# What runs. Values that are not given have their defaults.",
            f"#   {submit_line}",
        ],
        [f"workload: {workload.name} # {workload.summary}"],
        list(_format_sources(workload, inputs, kinds)),
        list(_format_parameters(workload, parameters)),
        [*OWN_PARAMETERS] if workload.own_command else [],
        list(
            _format_arguments(workload, next((job_input.arguments for job_input in inputs if job_input.arguments), ()))
        ),
    ]
    return _join_blocks(blocks)


def _format_arguments(workload: Workload, arguments: Sequence[str]) -> Iterator[str]:
    """Yield the arguments of the program, or what they look like, as comments."""
    key = ARGUMENT_KEYS[bool(workload.own_command)]
    if arguments:
        yield from (f"{key}:", *(f"  - {dump_yaml(word)}" for word in arguments))
        return
    if workload.own_command:
        title, example_line = f"What starts {workload.program}", "PROGRAM"
    else:
        title, example_line = f"Options for {workload.program}, passed to it unchanged", "--NAME=VALUE"
    yield from (f"# {title}:", f"# {key}:", f"#   - {example_line}")


def _join_blocks(blocks: Iterable[list[str]]) -> str:
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _format_sources(workload: Workload, inputs: Iterable[FoundInput], kinds: Mapping[str, SourceKind]) -> Iterator[str]:
    """Yield the sources; a role for which nothing was found shows what it takes."""
    inputs_by_role = {name: [job_input for job_input in inputs if job_input.role == name] for name in workload.roles}
    roles = {
        name: role for name, role in workload.roles.items() if inputs_by_role[name] or role.required or role.typical
    }
    if not roles:
        return
    yield "sources:" if any(inputs_by_role.values()) else "# sources:"
    for name, role in roles.items():
        if not inputs_by_role[name]:
            yield f"  # {name}:{' # required' if role.required else ''}"
            yield from (f"  #   - {kind.name}: {kind.form}" for kind in kinds.values() if name in kind.roles)
            continue
        yield f"  {name}:"
        for number, job_input in enumerate(inputs_by_role[name]):
            comment_mark = "# " if number else ""
            remark = f" # {job_input.summary}" if job_input.summary else ""
            yield f"    {comment_mark}- {job_input.kind}: {dump_yaml(job_input.text)}{remark}"


def _format_parameters(workload: Workload, values: Mapping[str, Scalar | None], indent: str = "") -> Iterator[str]:
    """Yield the parameters with their help; one without a value is a comment with its default."""
    parameters = {parameter.name: parameter for parameter in get_parameters(workload.parameters)}
    values_by_name = {parameter.name: None for parameter in parameters.values() if parameter.required} | dict(values)
    rows = [(parameters[name], value) for name, value in values_by_name.items() if name in parameters]
    if not rows:
        return
    yield f"{indent}parameters:" if any(value is not None for _, value in rows) else f"{indent}# parameters:"
    for parameter, value in rows:
        filled_value = parameter.default if value is None else value
        value_text = parameter.metavar if filled_value is None else dump_yaml(filled_value)
        parameter_line = f"{indent}  {'# ' if value is None else ''}{parameter.name}: {value_text}"
        yield from _add_comment(parameter_line, parameter.param.help)


def _add_comment(setting_line: str, comment_text: str) -> Iterator[str]:
    """Yield a line with its comment, which stands above it if both are too long for one."""
    commented_line = f"{setting_line} # {comment_text}" if comment_text else setting_line
    if len(commented_line) <= MAX_WIDTH:
        yield commented_line
        return
    comment_indent = f"{setting_line[: len(setting_line) - len(setting_line.lstrip())]}# "
    yield from textwrap.wrap(
        comment_text, MAX_WIDTH, initial_indent=comment_indent, subsequent_indent=comment_indent, break_on_hyphens=False
    )
    yield setting_line


def format_pipeline_file(
    training: Workload,
    job: Layer | None,
    evaluation: Workload | None,
    inputs: Sequence[FoundInput],
    name: str,
    submit_line: str,
) -> str:
    """Return a commented pipeline: the training of job.yaml, and the evaluation of its policy, which registers it.

    :param job: the training's job file, whose data the evaluation uses; None if it has just been made.
    :param inputs: those that the evaluation could use.
    """
    train = ["  train:", f"    job: {JOB_FILE} # relative to this file"]
    if evaluation is None:
        train += _format_parameters(training, {training.profile.outputs.register_parameter: name}, indent="    ")
    blocks = [
        [
            SCHEMA_LINE.format(PIPELINE_SCHEMA_FILE),
            f"# The training of {JOB_FILE}, then what uses its policy.",
            f"#   {submit_line}",
        ],
        [f"name: {name}"],
        ["steps:", *train],
    ]
    if evaluation:
        blocks.append(list(_format_evaluation(training, job, evaluation, inputs, name)))
    return _join_blocks(blocks)


def _format_evaluation(
    training: Workload,
    job: Layer | None,
    evaluation: Workload,
    inputs: Sequence[FoundInput],
    model: str,
) -> Iterator[str]:
    policy_role = next((name for name, role in evaluation.roles.items() if role.takes == training.produces), "policy")
    inputs_by_role = choose_inputs(evaluation, inputs)
    parameters = dict(evaluation.template.parameters)
    if job is not None:
        job_inputs = [FoundInput(source.role, source.kinds[0], source.text) for source in job.sources]
        inputs_by_source = {(job_input.role, job_input.kind, job_input.text): job_input for job_input in inputs}
        inputs_by_role = choose_inputs(
            evaluation, [inputs_by_source.get(job_input[:3], job_input) for job_input in job_inputs]
        )
        training_values = job.select("parameters")
        parameters |= {
            parameter.name: encode(parameter, training_values[parameter.name].value)
            for parameter in get_parameters(evaluation.parameters)
            if parameter.name in evaluation.inherits and training_values.get(parameter.name, NO_VALUE).value is not None
        }  # a list is written as its text
    inputs_by_role.pop(policy_role, None)
    for job_input in inputs_by_role.values():
        parameters |= job_input.parameters
    parameters[evaluation.profile.outputs.register_parameter] = model
    yield "  evaluate:"
    yield f"    workload: {evaluation.name} # {evaluation.summary}"
    yield "    sources:"
    yield f"      {policy_role}:"
    yield "        - from: train"
    for name, job_input in inputs_by_role.items():
        yield f"      {name}:"
        yield f"        - {job_input.kind}: {dump_yaml(job_input.text)}"
    yield from _format_parameters(evaluation, parameters, indent="    ")


def make_pipeline_name(folder: Path) -> str:
    """Return a valid name for a pipeline of the folder."""
    name = re.sub(r"[^a-z0-9]+", "-", folder.name.lower()).strip("-")[:40].strip("-")
    return name if re.match("[a-z]", name) else "train-eval"


def format_project_file(
    chosen_platform: str,
    platforms_by_name: Mapping[str, Platform],
    settings: Mapping[str, Mapping[str, PlatformDefault]],
) -> str:
    """Return robotrain.toml with the settings found for each platform; those without a value are comments.

    :param chosen_platform: the platform of the project; empty for none.
    """
    platform_names = ", ".join(platforms_by_name)
    blocks = [
        ["# Values for all jobs of this project. Flags, job files and environment variables win over them."],
        [
            f"{'' if chosen_platform else '# '}platform = {_quote(chosen_platform or 'NAME')} # the default of "
            f"--platform: {platform_names}"
        ],
    ]
    for name, defaults in settings.items():
        parameters = {parameter.name: parameter for parameter in get_parameters(platforms_by_name[name].settings)}
        key = name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _quote(name)
        table = [f"[platforms.{key}] # {platforms_by_name[name].summary}"]
        for key, setting in defaults.items():
            value_text = _quote(setting.value or parameters[key].metavar)
            setting_line = f"{'' if setting.value else '# '}{key} = {value_text}"
            table += _add_comment(setting_line, setting.why or parameters[key].param.help)
        blocks.append(table)
    return _join_blocks(blocks)


def _quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def replace_example_paths(file_bytes: bytes, name: str, folder: str) -> bytes:
    """Return a file of an example with the commands in it for the folder that it is copied to."""
    return re.sub(
        rb"examples/(?:[a-z]+/)?" + re.escape(f"{name}/".encode()), lambda _: f"{folder}/".encode(), file_bytes
    )
