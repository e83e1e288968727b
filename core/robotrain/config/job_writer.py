"""A resolved job as a job file: all that was said, with where, and nothing that is a default."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from robotrain.config.coerce import list_fields
from robotrain.config.request import DEFAULT_LAYERS, Origin, Value
from robotrain.config.resolve import Resolution
from robotrain.config.sources import Input
from robotrain.errors import Problem, Rejected, Stage, Suggestion
from robotrain.redaction import redact


def format_job_file(resolution: Resolution, platform: str) -> str:
    """The text of a job file that gives the same job again; settings of the platform are in it, the platform is not."""
    job = resolution.job
    blocks = [
        [f"# {job.workload}-{job.digest[:8]}, as it was said; what is left out has its default."],
        [f"workload: {_format_scalar(job.workload)}"],
        list(_format_sources(resolution.inputs.chosen)),
        list(_format_table("parameters", resolution.parameters, dict(job.parameters))),
        list(_format_arguments(resolution.trainer_args)),
        list(_format_settings(platform, resolution.platform_settings, dict(list_fields(resolution.settings)))),
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def save_job_file(resolution: Resolution | None, platform: str, name: str) -> None:
    """Write the job file, whole or not at all. Raises Rejected for a name that holds something else; OSError."""
    assert resolution is not None, "a job that was sent before is not resolved again"
    path, content = Path(name), format_job_file(resolution, platform).encode()
    if os.path.lexists(path):
        if path.is_file() and path.read_bytes() == content:
            return
        raise Rejected([_make_in_use_problem(name)])
    import tempfile

    handle, half = tempfile.mkstemp(dir=path.absolute().parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(half, 0o666 & ~_get_umask())
        os.replace(half, path)
    except BaseException:
        os.unlink(half)
        raise


def _get_umask() -> int:
    """The mask of new files; it can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _format_sources(chosen: tuple[Input, ...]) -> Iterator[str]:
    if chosen:
        yield "sources:"
    for role in dict.fromkeys(one.role for one in chosen):
        yield f"  {role}:"
        for one in chosen:
            if one.role == role:
                source = one.job_source
                yield f"    - {_format_scalar(source.kind)}: {_format_scalar(source.uri)}{_format_origin(one.origin)}"


def _format_table(name: str, said: Mapping[str, Value], settled: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    given = {
        key: value
        for key, value in said.items()
        if value.origin.layer not in DEFAULT_LAYERS and settled[key] is not None
    }
    if given:
        yield f"{indent}{name}:"
    for key, value in given.items():
        yield f"{indent}  {key}: {_format_scalar(settled[key])}{_format_origin(value.origin)}"


def _format_settings(platform: str, said: Mapping[str, Value], settled: Mapping[str, Any]) -> Iterator[str]:
    if table := list(_format_table(_format_scalar(platform), said, settled, indent="  ")):
        yield "platforms:"
        yield from table


def _format_arguments(arguments: tuple[Value, ...]) -> Iterator[str]:
    if arguments:
        yield "trainer_args:"
    for argument in arguments:
        yield f"  - {_format_scalar(argument.value)}{_format_origin(argument.origin)}"


def _format_origin(origin: Origin) -> str:
    """Where it was said, as a comment."""
    return f"  # {redact(str(origin))}"


def _format_scalar(value: Any) -> str:
    """A value so that its text is read back as it is; quoted only where YAML would take it for something else."""
    import yaml

    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return repr(value)
    style = '"' if len(f"{value}.".splitlines()) > 1 else None  # every kind of line end, escaped
    text = yaml.safe_dump(value, default_style=style, width=float("inf"), allow_unicode=True)
    return str(text).removesuffix("...\n").rstrip("\n")


def _make_in_use_problem(name: str) -> Problem:
    return Problem(
        code="file-in-use",
        stage=Stage.USAGE,
        title="the file for the job is there already",
        where="--save-as",
        given=redact(name),
        why="Nothing is written over: it may be the only copy.",
        suggestions=(Suggestion("--save-as NEW.yaml"),),
    )
