"""A workload's own configuration file, read by the module that the workload declares, as a level of its job."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robotrain_runtime.contract.parameter import get_parameters

from robotrain.config.job_file import FileSource, JobFile
from robotrain.config.provenance import CONFIG_LAYER, Origin, Value
from robotrain.errors import Problem, Rejected, Stage, make_problem
from robotrain.model.workload import ConfigValue
from robotrain.redaction import redact

if TYPE_CHECKING:
    from robotrain.model.workload import Workload


def read_workload_config(workload: Workload, given: Value, base: Path) -> JobFile:
    """Return what a configuration file says, with its problems.

    :param base: the folder that a relative path starts from.
    """
    path = base / str(given.value)
    parameters: dict[str, Value] = {}
    sources: list[FileSource] = []
    problems: list[Problem] = []
    for found in _read_values(workload, given, path):
        if isinstance(found, Problem):
            problems.append(found)
            continue
        name, value, where = found
        role, dot, kind = name.partition(".")
        text = {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)
        if dot:
            sources.append(FileSource(role=role, kind=kind, text=text, where=where, layer=CONFIG_LAYER))
        else:
            parameters[name] = Value(text, Origin(CONFIG_LAYER, where))
    known = {parameter.name for parameter in get_parameters(workload.parameters)}
    if unknown := [name for name in parameters if name not in known]:
        why = f"{workload.config_reader} gives {unknown[0]}, which is no parameter of {workload.name}."
        problems.append(_make_unread_problem(path, given, why))
    return JobFile(
        folder=path.absolute().parent, sources=tuple(sources), parameters=parameters, problems=tuple(problems)
    )


def _read_values(workload: Workload, given: Value, path: Path) -> Iterator[ConfigValue | Problem]:
    """Yield what the workload's module finds in the file, and what is wrong."""
    if not workload.config_reader:
        title = f"{workload.name} has no configuration file of its own"
        why = "Its values are parameters of the job file."
        yield make_problem("config-not-taken", title, given.origin.where, str(given.value), why, stage=Stage.USAGE)
        return
    try:
        module: Any = importlib.import_module(workload.config_reader)
        for found in module.read_config(path):
            yield found if isinstance(found, Problem) else ConfigValue(*found)
    except Rejected as rejected:
        yield from rejected.problems
    except OSError as error:
        yield _make_unread_problem(path, given, f"{error.strerror or error}.")
    except Exception as error:
        yield _make_unread_problem(path, given, f"{type(error).__name__}: {redact(str(error))}")


def _make_unread_problem(path: Path, given: Value, why: str) -> Problem:
    title = f"the configuration file {path.name} cannot be read"
    return make_problem("config-unreadable", title, given.origin.where, str(given.value), why, stage=Stage.PARSE)
