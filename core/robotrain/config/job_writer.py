"""A resolved job written as a job file: all given values, without defaults."""

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.parameter import Parameter, get_parameters, load_pairs, load_texts

from robotrain.config.own_parameters import get_declared
from robotrain.config.resolve import Resolution
from robotrain.config.validate import list_fields
from robotrain.config.values import DEFAULT_LAYERS, Value
from robotrain.errors import Rejected
from robotrain.messages import Messages
from robotrain.model.job import ARGUMENT_KEYS
from robotrain.store import files

make_problem = Messages(__file__)


def format_job_file(resolution: Resolution, platform: str) -> str:
    """Return the text of a job file for the same job, with the platform's settings but not the platform.

    Values that no file may choose are left out, with a comment: programs and patches.
    """
    job, workload = resolution.job, resolution.workload
    of_workload = get_parameters(get_declared(workload.parameters))
    own_parameters = get_parameters(workload.parameters)[len(of_workload) :]
    settings_type: type = type(resolution.settings)
    values, settings = dict(job.parameters), dict(list_fields(resolution.settings))
    platform_values = _collect_values(get_parameters(settings_type), resolution.platform_settings, settings)
    sources: dict[str, list[dict[str, str]]] = {}
    for job_input in resolution.inputs.chosen:
        if not job_input.implied:
            source = job_input.job_source
            sources.setdefault(job_input.role, []).append({source.kind: source.uri})
    document = {
        "workload": job.workload,
        "sources": sources,
        "parameters": _collect_values(of_workload, resolution.parameters, values),
        "params": _collect_values(own_parameters, resolution.parameters, values),
        ARGUMENT_KEYS[bool(workload.own_command)]: [argument.value for argument in resolution.trainer_args],
        "platforms": {platform: platform_values} if platform_values else {},
    }
    comments = [f"# {job.workload}-{job.digest[:8]}, values that are not given have their defaults."]
    comments += [
        f"# A file cannot hold {parameter.flag}: add it to the command,"
        f" {parameter.flag} {dump_yaml(values[parameter.name])}"
        for parameter in of_workload
        if _is_line_only(parameter, values[parameter.name])
        and _is_given(resolution.parameters[parameter.name], values[parameter.name])
    ]
    comments += [f"# A file cannot hold {flag}: add it to the command." for flag in list_unsaved_patches(resolution)]
    blocks = ["\n".join(comments), *(dump_yaml({key: part}) for key, part in document.items() if part)]
    return "\n\n".join(blocks) + "\n"


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


def _collect_values(
    declared: Iterable[Parameter], values: Mapping[str, Value], resolved: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the given values by name, in the form that a file has them in."""
    parsers = {"pairs": load_pairs, "texts": load_texts}
    return {
        parameter.name: parsers.get(parameter.param.form, lambda value: value)(resolved[parameter.name])
        for parameter in declared
        if not _is_line_only(parameter, resolved[parameter.name])
        and _is_given(values[parameter.name], resolved[parameter.name])
    }


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


def dump_yaml(value: Any) -> str:
    """Return a value as YAML that is read back as the same, quoted only if needed; a text stands on one line."""
    import yaml

    class OneLineDumper(yaml.SafeDumper):
        def represent_text(self, text: str) -> yaml.Node:
            style = '"' if len(f"{text}.".splitlines()) > 1 else None  # escapes every kind of line end
            return self.represent_scalar("tag:yaml.org,2002:str", text, style)

    OneLineDumper.add_representer(str, OneLineDumper.represent_text)
    yaml_text = yaml.dump(value, Dumper=OneLineDumper, sort_keys=False, width=float("inf"), allow_unicode=True)
    return str(yaml_text).removesuffix("...\n").rstrip("\n")
