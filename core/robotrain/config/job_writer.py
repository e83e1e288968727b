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
    declared = get_parameters(get_declared(workload.parameters))
    own_parameters = get_parameters(workload.parameters)[len(declared) :]
    settings_type: type = type(resolution.settings)
    resolved = dict(job.parameters)
    settings = dict(list_fields(resolution.settings))
    comments = [f"# {job.workload}-{job.digest[:8]}, values that are not given have their defaults."]
    values = _collect_values(declared, resolution.parameters, resolved, comments)
    own_values = _collect_values(own_parameters, resolution.parameters, resolved, comments)
    platform_values = _collect_values(get_parameters(settings_type), resolution.platform_settings, settings, comments)
    sources: dict[str, list[dict[str, str]]] = {}
    for job_input in resolution.inputs.chosen:
        if not job_input.implied:
            source = job_input.job_source
            sources.setdefault(job_input.role, []).append({source.kind: source.uri})
    document = {
        "workload": job.workload,
        "sources": sources,
        "parameters": values,
        "params": own_values,
        ARGUMENT_KEYS[bool(workload.own_command)]: [argument.value for argument in resolution.trainer_args],
        "platforms": {platform: platform_values} if platform_values else {},
    }
    return join_blocks(comments, document)


def join_blocks(comments: Iterable[str], document: Mapping[str, Any]) -> str:
    """Return the text of a job file: comments, then each key that has a value."""
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
    patches = (parameter for parameter in get_parameters(settings_type) if parameter.param.form == "patch")
    return [parameter.flag for parameter in patches if getattr(resolution.settings, parameter.name)]


def _collect_values(
    declared: Iterable[Parameter], values: Mapping[str, Value], resolved: Mapping[str, Any], comments: list[str]
) -> dict[str, Any]:
    """Return the given values by name, in the form that a file has them in; for those that none may have, a comment."""
    parsers = {"pairs": load_pairs, "texts": load_texts}
    collected = {}
    for parameter in declared:
        name, form, value = parameter.name, parameter.param.form, resolved[parameter.name]
        if value is None or values[name].origin.layer in DEFAULT_LAYERS:
            continue
        code = parameter.param.program_texts
        has_code = bool(code) and any(re.fullmatch(code, text) for text in load_texts(value))
        if form == "patch":
            comments.append(f"# A file cannot hold {parameter.flag}: add it to the command.")
        elif has_code or parameter.param.names == "program":
            option = f"{parameter.flag} {dump_yaml(value)}"
            comments.append(f"# A file cannot hold {parameter.flag}: add it to the command, {option}")
        else:
            collected[name] = parsers[form](value) if form in parsers else value
    return collected


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
