"""A resolved job written as a job file: all given values with their origins, without defaults."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.parameter import Parameter, get_parameters, load_pairs, load_texts

from robotrain.config.own_parameters import get_declared
from robotrain.config.resolve import Resolution
from robotrain.config.validate import list_fields
from robotrain.config.values import DEFAULT_LAYERS, Origin, Value
from robotrain.errors import Rejected
from robotrain.messages import Messages
from robotrain.model.job import ARGUMENT_KEYS
from robotrain.redaction import redact
from robotrain.store import files

make_problem = Messages(__file__)


def format_job_file(resolution: Resolution, platform: str) -> str:
    """Return the text of a job file for the same job, with the platform's settings but not the platform.

    Parameters that name programs are left out, with a comment: a file may not choose them.
    """
    job = resolution.job
    chosen_inputs = [job_input for job_input in resolution.inputs.chosen if not job_input.implied]
    sources = ["sources:"] if chosen_inputs else []
    for role in dict.fromkeys(job_input.role for job_input in chosen_inputs):
        sources.append(f"  {role}:")
        for job_input in (job_input for job_input in chosen_inputs if job_input.role == role):
            source_text = f"{format_scalar(job_input.job_source.kind)}: {format_scalar(job_input.job_source.uri)}"
            sources.append(f"    - {source_text}{_format_origin(job_input.origin)}")
    arguments = [
        f"  - {format_scalar(argument.value)}{_format_origin(argument.origin)}" for argument in resolution.trainer_args
    ]
    settings_type: type = type(resolution.settings)
    of_platform = get_parameters(settings_type)
    of_workload = get_parameters(get_declared(resolution.workload.parameters))
    own_parameters = get_parameters(resolution.workload.parameters)[len(of_workload) :]
    fields = dict(list_fields(resolution.settings))
    settings = list(_format_table(format_scalar(platform), of_platform, resolution.platform_settings, fields, "  "))
    values = dict(job.parameters)
    comment_lines = [
        f"# A file cannot hold {parameter.flag}: add it to the command,"
        f" {parameter.flag} {format_scalar(values[parameter.name])}"
        for parameter in of_workload
        if _is_line_only(parameter, values[parameter.name])
        and _is_given(resolution.parameters[parameter.name], values[parameter.name])
    ]
    comment_lines += [
        f"# A file cannot hold {flag}: add it to the command." for flag in list_unsaved_patches(resolution)
    ]
    blocks = [
        [f"# {job.workload}-{job.digest[:8]}, values that are not given have their defaults.", *comment_lines],
        [f"workload: {format_scalar(job.workload)}"],
        sources,
        list(_format_table("parameters", of_workload, resolution.parameters, values)),
        list(_format_table("params", own_parameters, resolution.parameters, values)),
        [f"{ARGUMENT_KEYS[bool(resolution.workload.own_command)]}:", *arguments] if arguments else [],
        ["platforms:", *settings] if settings else [],
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def save_job_file(resolution: Resolution | None, platform: str, name: str) -> None:
    """Write the job file atomically. Raise Rejected if the file exists with another content, OSError."""
    assert resolution is not None, "only a resolved job can be saved"
    path = Path(name)
    file_bytes = format_job_file(resolution, platform).encode()
    if os.path.lexists(path):
        if path.is_file() and path.read_bytes() == file_bytes:
            return
        raise Rejected([make_problem("file-in-use", given=name)])
    files.write_atomically(path.absolute(), file_bytes)


def list_unsaved_patches(resolution: Resolution | None) -> list[str]:
    """Return the options of the platform that name a patch, which a file cannot hold."""
    assert resolution is not None, "only a resolved job can be saved"
    settings_type: type = type(resolution.settings)
    fields = dict(list_fields(resolution.settings))
    return [
        parameter.flag
        for parameter in get_parameters(settings_type)
        if parameter.param.form == "patch" and fields[parameter.name]
    ]


def _format_table(
    name: str, declared: Iterable[Parameter], values: Mapping[str, Value], resolved: Mapping[str, Any], indent: str = ""
) -> Iterator[str]:
    written_parameters = [
        parameter
        for parameter in declared
        if not _is_line_only(parameter, resolved[parameter.name])
        and _is_given(values[parameter.name], resolved[parameter.name])
    ]
    if written_parameters:
        yield f"{indent}{name}:"
    for parameter in written_parameters:
        pair_texts = load_pairs(resolved[parameter.name]) if parameter.param.form == "pairs" else {}
        texts = load_texts(resolved[parameter.name]) if parameter.param.form == "texts" else []
        scalar_text = "" if pair_texts or texts else f" {format_scalar(resolved[parameter.name])}"
        yield f"{indent}  {parameter.name}:{scalar_text}{_format_origin(values[parameter.name].origin)}"
        yield from (f"{indent}    {format_scalar(key)}: {format_scalar(text)}" for key, text in pair_texts.items())
        yield from (f"{indent}    - {format_scalar(text)}" for text in texts)


def _is_line_only(parameter: Parameter, value: Any) -> bool:
    """Return whether no file may have a value: it names a program or code, or is given on the line only."""
    form = parameter.param.program_texts
    return (
        parameter.param.names == "program"
        or parameter.param.form == "patch"
        or bool(form and any(re.fullmatch(form, item_text) for item_text in load_texts(value)))
    )


def _is_given(value: Value, resolved: Any) -> bool:
    return resolved is not None and value.origin.layer not in DEFAULT_LAYERS


def _format_origin(origin: Origin) -> str:
    return f"  # {redact(str(origin))}"


def format_scalar(value: Any) -> str:
    """Return a value as YAML that is read back as the same text, quoted only if needed."""
    import yaml

    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return repr(value)
    style = '"' if len(f"{value}.".splitlines()) > 1 else None  # escapes every kind of line end
    yaml_text = yaml.safe_dump(value, default_style=style, width=float("inf"), allow_unicode=True)
    return str(yaml_text).removesuffix("...\n").rstrip("\n")
