"""Folders of this machine that a job which runs here names: those that it reads exist, the others can be created."""

from __future__ import annotations

import dataclasses
import importlib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.parameter import get_parameters
from robotrain_runtime.contract.problem import make_data_problem

from robotrain.config.resolve import Resolution
from robotrain.errors import Problem, Stage
from robotrain.messages import Messages
from robotrain.model.job import Job
from robotrain.model.platform import Platform
from robotrain.model.source import LOCAL_KIND, SourceKind
from robotrain.model.workload import Workload
from robotrain.store import files

make_problem = Messages(__file__)

RUNS_SETTING = "runs_dir"
UNREACHABLE = "source-unreachable"


def find_folder_problems(
    job: Job, workload: Workload, platform: Platform, settings: Any, kinds: Mapping[str, SourceKind]
) -> Iterator[Problem]:
    """Yield what is wrong with the folders of a job that is refused anyway; preflight finds it in any other."""
    if not platform.capabilities.feature("runs_here"):
        return
    from robotrain_runtime.contract.container_plugin import ContainerContext  # costs start-up

    missing_sources = (source for source in job.sources if source.kind == LOCAL_KIND and not os.path.exists(source.uri))
    for source in missing_sources:
        plugin = importlib.import_module(kinds[LOCAL_KIND].container_plugin)
        for problem in plugin.preflight(source, ContainerContext(cache=files.get_cache_folder())):
            yield make_data_problem(problem, code=UNREACHABLE, given=source.uri)
    for parameter in get_parameters(platform.settings):
        if parameter.name == RUNS_SETTING and (folder := getattr(settings, RUNS_SETTING)):
            yield from _check_new_folder(parameter.flag, folder)
    yield from find_output_problems(job, workload, platform)


def place_missing_folders(problems: Iterable[Problem], resolution: Resolution | None) -> list[Problem]:
    """Return problems, those of a folder that does not exist with where it was given: the request is wrong."""
    chosen_inputs = resolution.inputs.chosen if resolution else ()
    origins = {
        chosen_input.job_source.uri: chosen_input.origin.where
        for chosen_input in chosen_inputs
        if chosen_input.job_source.kind == LOCAL_KIND
    }
    placed_problems = list[Problem]()
    for problem in problems:
        is_missing = problem.code == UNREACHABLE and problem.given in origins and not os.path.exists(problem.given)
        origin = origins.get(problem.given, "")
        placed_problems.append(dataclasses.replace(problem, where=origin, stage=Stage.USAGE) if is_missing else problem)
    return placed_problems


def find_output_problems(job: Job, workload: Workload | None, platform: Platform) -> Iterator[Problem]:
    """Yield why the folder of the run that a parameter names cannot be created on this machine, which will run it."""
    parameter_values = dict(job.parameters)
    if workload and platform.capabilities.feature("runs_here"):
        for parameter in get_parameters(workload.parameters):
            folder = str(parameter_values.get(parameter.name) or "") if parameter.param.own_folder else ""
            if os.path.isabs(folder):
                yield from _check_new_folder(parameter.flag, folder)


def _check_new_folder(flag: str, folder: str) -> Iterator[Problem]:
    if not os.path.exists(folder) and (reason := files.explain_uncreatable(Path(folder))):
        yield make_problem("run-folder-refused", where=flag, given=folder, why=reason)
