"""A resolved job written as a job file: all given values with their origins, without defaults."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.parameter import get_parameters

from robotrain.config.coerce import list_fields
from robotrain.config.provenance import DEFAULT_LAYERS, Origin, Value
from robotrain.config.resolve import Resolution
from robotrain.config.sources import Input
from robotrain.errors import Problem, Rejected, Stage, Suggestion, make_problem
from robotrain.redaction import redact
from robotrain.store import files


def format_job_file(resolution: Resolution, platform: str) -> str:
    """Return the text of a job file for the same job, with the platform's settings but not the platform."""
    job = resolution.job
    blocks = [
        [f"# {job.workload}-{job.digest[:8]}, values that are not given have their defaults."],
        [f"workload: {format_scalar(job.workload)}"],
        list(_format_sources(resolution.inputs.chosen)),
        list(_format_table("parameters", resolution.parameters, dict(job.parameters))),
        list(_format_arguments(resolution.trainer_args)),
        list(_format_settings(platform, _remove_programs(resolution), dict(list_fields(resolution.settings)))),
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def save_job_file(resolution: Resolution | None, platform: str, name: str) -> None:
    """Write the job file atomically. Raise Rejected if the file exists with another content, OSError."""
    assert resolution is not None, "only a resolved job can be saved"
    path, content = Path(name), format_job_file(resolution, platform).encode()
    if os.path.lexists(path):
        if path.is_file() and path.read_bytes() == content:
            return
        raise Rejected([_make_in_use_problem(name)])
    files.write_atomically(path.absolute(), content)


def _format_sources(chosen: tuple[Input, ...]) -> Iterator[str]:
    if chosen:
        yield "sources:"
    for role in dict.fromkeys(item.role for item in chosen):
        yield f"  {role}:"
        for item in chosen:
            if item.role == role:
                source = item.job_source
                yield f"    - {format_scalar(source.kind)}: {format_scalar(source.uri)}{_format_origin(item.origin)}"


def _format_table(
    name: str, values: Mapping[str, Value], resolved: Mapping[str, Any], indent: str = ""
) -> Iterator[str]:
    given = {key: value for key, value in values.items() if value.origin.layer not in DEFAULT_LAYERS}
    given = {key: value for key, value in given.items() if resolved[key] is not None}
    if given:
        yield f"{indent}{name}:"
    for key, value in given.items():
        yield f"{indent}  {key}: {format_scalar(resolved[key])}{_format_origin(value.origin)}"


def _format_settings(platform: str, values: Mapping[str, Value], resolved: Mapping[str, Any]) -> Iterator[str]:
    if table := list(_format_table(format_scalar(platform), values, resolved, indent="  ")):
        yield "platforms:"
        yield from table


def _remove_programs(resolution: Resolution) -> dict[str, Value]:
    """Return the platform's settings without those that a job file may not give: they name a program to run."""
    declared: type = type(resolution.settings)
    programs = {parameter.name for parameter in get_parameters(declared) if parameter.param.program}
    return {name: value for name, value in resolution.platform_settings.items() if name not in programs}


def _format_arguments(arguments: tuple[Value, ...]) -> Iterator[str]:
    if arguments:
        yield "trainer_args:"
    for argument in arguments:
        yield f"  - {format_scalar(argument.value)}{_format_origin(argument.origin)}"


def _format_origin(origin: Origin) -> str:
    """Return an origin as a comment."""
    return f"  # {redact(str(origin))}"


def format_scalar(value: Any) -> str:
    """Return a value as YAML that is read back as the same text, quoted only if needed."""
    import yaml

    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return repr(value)
    style = '"' if len(f"{value}.".splitlines()) > 1 else None  # escapes every kind of line end
    text = yaml.safe_dump(value, default_style=style, width=float("inf"), allow_unicode=True)
    return str(text).removesuffix("...\n").rstrip("\n")


def _make_in_use_problem(name: str) -> Problem:
    title = "the job file already exists"
    why = "Existing files are not overwritten."
    return make_problem(
        "file-in-use", title, "--save-as", name, why, Suggestion("--save-as NEW.yaml"), stage=Stage.USAGE
    )
