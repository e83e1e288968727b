"""The first files of a project, which `robotrain init` writes: job.yaml and robotrain.toml."""

import json
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence

from robotrain_runtime.contract.document import Scalar
from robotrain_runtime.contract.parameter import get_parameters

from robotrain.config.job_writer import dump_yaml
from robotrain.model.job import ARGUMENT_KEYS
from robotrain.model.platform import Platform, PlatformDefault
from robotrain.model.source import SourceKind
from robotrain.model.workload import FoundInput, Workload
from robotrain.store.written_files import SCHEMA_LINE

MAX_WIDTH = 120
OWN_PARAMETERS = """\
# Parameters of your own, each {NAME} in the command:
# params:
#   NAME: VALUE"""


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
    head = f"""\
{SCHEMA_LINE.format(schema)}
# What runs. Values that are not given have their defaults.
#   {submit_line}

workload: {workload.name} # {workload.summary}"""
    sources, values = _format_sources(workload, inputs, kinds), _format_parameters(workload, parameters)
    own = OWN_PARAMETERS if workload.own_command else ""
    arguments = next((job_input.arguments for job_input in inputs if job_input.arguments), ())
    return _join_blocks(head, "\n".join(sources), "\n".join(values), own, _format_arguments(workload, arguments))


def _format_arguments(workload: Workload, arguments: Sequence[str]) -> str:
    """Return the arguments of the program, or what they look like, as comments."""
    key = ARGUMENT_KEYS[bool(workload.own_command)]
    if arguments:
        return "\n".join((f"{key}:", *(f"  - {dump_yaml(word)}" for word in arguments)))
    if workload.own_command:
        return f"# What starts {workload.program}:\n# {key}:\n#   - PROGRAM"
    return f"# Options for {workload.program}, passed to it unchanged:\n# {key}:\n#   - --NAME=VALUE"


def _join_blocks(*blocks: str) -> str:
    return "\n\n".join(filter(None, blocks)) + "\n"


def _format_sources(workload: Workload, inputs: Iterable[FoundInput], kinds: Mapping[str, SourceKind]) -> Iterator[str]:
    """Yield the sources; a role for which nothing was found shows what it takes."""
    inputs_by_role = {name: [job_input for job_input in inputs if job_input.role == name] for name in workload.roles}
    roles = {
        name: role for name, role in workload.roles.items() if inputs_by_role[name] or role.required or role.typical
    }
    if roles:
        yield "sources:" if any(inputs_by_role.values()) else "# sources:"
    for name, role in roles.items():
        if not inputs_by_role[name]:
            yield f"  # {name}:{' # required' if role.required else ''}"
            yield from (f"  #   - {kind.name}: {kind.form}" for kind in kinds.values() if name in kind.roles)
            continue
        yield f"  {name}:"
        for number, job_input in enumerate(inputs_by_role[name]):
            remark = f" # {job_input.summary}" if job_input.summary else ""
            yield f"    {'# ' if number else ''}- {job_input.kind}: {dump_yaml(job_input.text)}{remark}"


def _format_parameters(workload: Workload, values: Mapping[str, Scalar | None]) -> Iterator[str]:
    """Yield the parameters with their help; one without a value is a comment with its default."""
    parameters = {parameter.name: parameter for parameter in get_parameters(workload.parameters)}
    required = {parameter.name: None for parameter in parameters.values() if parameter.required}
    rows = [(parameters[name], value) for name, value in {**required, **values}.items() if name in parameters]
    if rows:
        yield "parameters:" if any(value is not None for _, value in rows) else "# parameters:"
    for parameter, value in rows:
        shown_value = parameter.default if value is None else value
        value_text = parameter.metavar if shown_value is None else dump_yaml(shown_value)
        yield from _comment(parameter.param.help, "  ")
        yield f"  {'# ' if value is None else ''}{parameter.name}: {value_text}"


def _comment(text: str, indent: str = "") -> list[str]:
    """Return a comment, to stand above what it is about."""
    start = f"{indent}# "
    return textwrap.wrap(text, MAX_WIDTH, initial_indent=start, subsequent_indent=start, break_on_hyphens=False)


def format_project_file(
    chosen_platform: str,
    platforms_by_name: Mapping[str, Platform],
    settings: Mapping[str, Mapping[str, PlatformDefault]],
) -> str:
    """Return robotrain.toml with the settings found for each platform; those without a value are comments.

    :param chosen_platform: the platform of the project; empty for none.
    """
    blocks = [
        f"""\
# Values for all jobs of this project. Flags, job files and environment variables win over them.

# The default of --platform: {", ".join(platforms_by_name)}
{"" if chosen_platform else "# "}platform = {_quote(chosen_platform or "NAME")}"""
    ]
    for name, defaults in settings.items():
        parameters = {parameter.name: parameter for parameter in get_parameters(platforms_by_name[name].settings)}
        table = [f"[platforms.{name if re.fullmatch(r'[A-Za-z0-9_-]+', name) else _quote(name)}]"]
        for key, setting in defaults.items():
            table += _comment(setting.why or parameters[key].param.help)
            table.append(f"{'' if setting.value else '# '}{key} = {_quote(setting.value or parameters[key].metavar)}")
        blocks.append("\n".join([*_comment(platforms_by_name[name].summary), *table]))
    return _join_blocks(*blocks)


def _quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def replace_example_paths(file_bytes: bytes, name: str, folder: str) -> bytes:
    """Return a file of an example with the commands in it for the folder that it is copied to."""
    return re.sub(
        rb"examples/(?:[a-z]+/)?" + re.escape(f"{name}/".encode()), lambda _: f"{folder}/".encode(), file_bytes
    )
