"""What workloads say about a published policy: the job that repeats it, as a job file. Standard library only."""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from robotrain_runtime.contract.document import JobDocument, JobSource, Scalar
from robotrain_runtime.contract.parameter import get_parameters, load_texts

LEFT_OUT = frozenset({"publish_url", "output_dir", "keep", "resume"})
"""Parameters that say where a run writes to, not what it does."""
FOLDER = "FOLDER"
"""Stands for a folder of the machine that trained."""
PATH = re.compile(r'(?:^|(?<=[="\[@]))\s*(?:/|file:)[^"\]]*')
"""A path in a text: at its begin, as the value of an option, and in a list."""
INNER_PATH = re.compile(r"""(?<=[\s'{(,])(?:/|file:)[^\s'",\]})]+|(?<=:)/(?!/)[^\s'",\]})]*""")
"""One further in: after a space, a quote, a comma or a colon, not one of an address."""


def format_job(document: JobDocument, parameters_class: type) -> str:
    """Return a section's text: the job as a file, without paths of the machine, and the command that submits it.

    :param parameters_class: the class with the workload's parameters; those with their default are left out.
    """
    lines = [f"workload: {document.workload}"]
    if document.sources:
        lines += ["sources:", *_format_sources([source for source in document.sources if not source.implied])]
    parameters = list(_list_given(document, parameters_class))
    if parameters:
        lines += ["parameters:", *(f"  {name}: {_format_scalar(value)}" for name, value in parameters)]
    if document.trainer_args:
        lines += [
            "trainer_args:",
            *(f"  - {_format_scalar(_hide_paths(argument))}" for argument in document.trainer_args),
        ]
    command = f"robotrain submit job.yaml --platform {document.platform}"
    return "\n".join((f"With this `job.yaml`: `{command}`", "", "```yaml", *lines, "```"))


def format_source(source: JobSource) -> str:
    """Return a source for people: its address and what it was pinned to, without a path of the machine."""
    pin = f" at `{source.pin}`" if source.pin else ""
    return f"`{_hide_source(source)}` ({source.kind.replace('_', ' ')}){pin}"


def list_hub_names(sources: Iterable[JobSource], *roles: str) -> list[str]:
    """Return the ids of the sources of some roles that are on the Hugging Face Hub, without their revisions."""
    repository_names = (
        source.uri.partition("@")[0] for source in sources if source.kind == "huggingface" and source.role in roles
    )
    return list(dict.fromkeys(repository_names))


def _format_sources(sources: Iterable[JobSource]) -> Iterator[str]:
    sources_by_role: dict[str, list[JobSource]] = {}
    for source in sources:
        sources_by_role.setdefault(source.role, []).append(source)
    for role, role_sources in sources_by_role.items():
        yield f"  {role}:"
        for source in role_sources:
            pin = f"  # it was {source.pin}" if source.pin else ""
            yield f"    - {source.kind}: {_format_scalar(_hide_source(source))}{pin}"


def _hide_source(source: JobSource) -> str:
    return FOLDER if source.uri.startswith("/") else source.uri


def _list_given(document: JobDocument, parameters_class: type) -> Iterator[tuple[str, Scalar | list[str]]]:
    parameters = {parameter.name: parameter for parameter in get_parameters(parameters_class)}
    for name, value in document.parameters.items():
        parameter = parameters.get(name)
        if value is None or name in LEFT_OUT or value == (parameter and parameter.default):
            continue
        if parameter and parameter.param.form == "texts":
            yield name, [_hide_paths(text) for text in load_texts(value)]
        elif not (isinstance(value, str) and PATH.match(value)):
            yield name, value


def _hide_paths(text: str) -> str:
    """Return an argument or a package without paths of the machine; of a wheel the name of the file stays."""
    text_without_paths = PATH.sub(
        lambda match: f"{FOLDER}/{Path(match[0]).name}" if match[0].endswith(".whl") else FOLDER, text
    )
    return INNER_PATH.sub(FOLDER, text_without_paths)


def _format_scalar(value: Scalar | list[str]) -> str:
    """Return a value as YAML, of which JSON is a part."""
    return json.dumps(value, ensure_ascii=False)
