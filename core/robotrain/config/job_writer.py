"""A resolved job written as a job file: all given values with their origins, without defaults."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.parameter import get_parameters

from robotrain.config.coerce import list_fields
from robotrain.config.provenance import DEFAULT_LAYERS, Origin, Value
from robotrain.config.resolve import Resolution
from robotrain.errors import Rejected, Suggestion, make_usage_problem
from robotrain.redaction import redact
from robotrain.store import files


def format_job_file(resolution: Resolution, platform: str) -> str:
    """Return the text of a job file for the same job, with the platform's settings but not the platform.

    Parameters that name programs are left out, with a comment: a file may not choose them.
    """
    job, chosen = resolution.job, [item for item in resolution.inputs.chosen if not item.implied]
    sources = ["sources:"] if chosen else []
    for role in dict.fromkeys(item.role for item in chosen):
        sources.append(f"  {role}:")
        for item in (item for item in chosen if item.role == role):
            text = f"{format_scalar(item.job_source.kind)}: {format_scalar(item.job_source.uri)}"
            sources.append(f"    - {text}{_format_origin(item.origin)}")
    arguments = [f"  - {format_scalar(one.value)}{_format_origin(one.origin)}" for one in resolution.trainer_args]
    declared: type = type(resolution.settings)
    programs = {parameter.name for parameter in get_parameters(declared) if parameter.param.program}
    allowed = {name: value for name, value in resolution.platform_settings.items() if name not in programs}
    fields = dict(list_fields(resolution.settings))
    settings = list(_format_table(format_scalar(platform), allowed, fields, indent="  "))
    given = {name: value for name, value in resolution.parameters.items() if name not in resolution.programs}
    values = dict(job.parameters)
    left_out = [
        f"# A file cannot hold {flag}: add it to the command, {flag} {format_scalar(values[name])}"
        for name, flag in resolution.programs.items()
        if values[name] is not None and resolution.parameters[name].origin.layer not in DEFAULT_LAYERS
    ]
    blocks = [
        [f"# {job.workload}-{job.digest[:8]}, values that are not given have their defaults.", *left_out],
        [f"workload: {format_scalar(job.workload)}"],
        sources,
        list(_format_table("parameters", given, values)),
        ["trainer_args:", *arguments] if arguments else [],
        ["platforms:", *settings] if settings else [],
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def save_job_file(resolution: Resolution | None, platform: str, name: str) -> None:
    """Write the job file atomically. Raise Rejected if the file exists with another content, OSError."""
    assert resolution is not None, "only a resolved job can be saved"
    path, content = Path(name), format_job_file(resolution, platform).encode()
    if os.path.lexists(path):
        if path.is_file() and path.read_bytes() == content:
            return
        why, way = "Existing files are not overwritten.", Suggestion("--save-as NEW.yaml")
        raise Rejected(
            [make_usage_problem("file-in-use", "the job file already exists", "--save-as", why, name, [way])]
        )
    files.write_atomically(path.absolute(), content)


def _format_table(
    name: str, values: Mapping[str, Value], resolved: Mapping[str, Any], indent: str = ""
) -> Iterator[str]:
    given = {key: value for key, value in values.items() if value.origin.layer not in DEFAULT_LAYERS}
    given = {key: value for key, value in given.items() if resolved[key] is not None}
    if given:
        yield f"{indent}{name}:"
    for key, value in given.items():
        yield f"{indent}  {key}: {format_scalar(resolved[key])}{_format_origin(value.origin)}"


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
