"""Sources that a job implies: nobody gives them, the container plugin of its workload names them."""

import dataclasses
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.document import JobDocument, JobSource, Placement

from robotrain.config.resolve import Resolution
from robotrain.config.sources import Input, parse_source
from robotrain.config.values import IMPLIED_ORIGIN, SourceText
from robotrain.errors import Problem
from robotrain.messages import Messages
from robotrain.model.job import Job
from robotrain.model.plan import make_job_document
from robotrain.model.platform import Platform
from robotrain.model.source import SourceKind
from robotrain.model.workload import Workload
from robotrain.redaction import redact
from robotrain.submission.container_plugins import collect_container_plugins, load_workload_container

make_problem = Messages(__file__)

ROOT = Path("/")


def make_description_document(job: Job, platform: str, container_plugins: Mapping[str, str]) -> JobDocument:
    """Return the job's document for a machine whose folders and environment are unknown."""
    return make_job_document(
        job,
        run="",
        platform=platform,
        container_plugins=container_plugins,
        placement=Placement(work="", cache="", environment=""),
    )


def add_known_sources(
    resolution: Resolution, workload: Workload, platform: Platform, kinds: Mapping[str, SourceKind]
) -> tuple[Resolution, list[Problem]]:
    """Return the job with the sources that it implies by what is on this machine, and what is wrong with them."""
    job = resolution.job
    modules = collect_container_plugins(job, workload, kinds, platform, resolution.settings)
    local_sources = [
        source for source in job.sources if not platform.plans.is_remote_folder(source, resolution.settings)
    ]
    folders = ((source, Path(source.uri)) for source in local_sources)
    description_folders = {source: folder for source, folder in folders if folder.is_absolute() and folder.is_dir()}
    implied_inputs, problems = list_implied_inputs(job, workload, description_folders, platform, kinds, modules)
    inputs = dataclasses.replace(resolution.inputs, chosen=(*resolution.inputs.chosen, *implied_inputs))
    job = dataclasses.replace(
        job, sources=(*job.sources, *(implied_input.job_source for implied_input in implied_inputs))
    )
    return dataclasses.replace(resolution, job=job, inputs=inputs), problems


def list_implied_inputs(
    job: Job,
    workload: Workload,
    description_folders: Mapping[JobSource, Path],
    platform: Platform,
    kinds: Mapping[str, SourceKind],
    container_plugins: Mapping[str, str],
    named_uris: Collection[str] = (),
) -> tuple[list[Input], list[Problem]]:
    """Return the sources that a job implies, and what is wrong with them; those that it has already do not count.

    :param description_folders: the folders with the files that describe the job's sources.
    :param named_uris: the URIs of sources that the user names for other steps.
    """
    explicit_job = dataclasses.replace(job, sources=tuple(source for source in job.sources if not source.implied))
    find_sources = workload.implied_sources
    if find_sources is None:
        plugin = load_workload_container(container_plugins)
        if plugin is None:
            return [], []
        find_sources = plugin.implied_sources
    document = make_description_document(explicit_job, platform.name, container_plugins)
    try:
        source_texts = [
            (role, text)
            for role, role_texts in find_sources(document, description_folders).items()
            for text in role_texts
        ]
    except Exception as error:  # whatever a plugin raises: the run will miss what it needs
        return [], [
            make_problem(
                "implied-sources-unknown.unknown",
                workload=job.workload,
                failure=redact(f"{type(error).__name__}: {error}"),
            )
        ]
    keys = {source.key for source in explicit_job.sources}
    inputs: dict[JobSource, Input] = {}
    problems: list[Problem] = []
    for role, text in source_texts:
        parsed_input = _parse_text(role, text, platform, kinds, named_uris)
        if isinstance(parsed_input, Problem):
            problems.append(parsed_input)
        elif parsed_input.job_source.key not in keys:
            inputs.setdefault(parsed_input.job_source, parsed_input)
    return list(inputs.values()), problems


def _parse_text(
    role: str, text: str, platform: Platform, kinds: Mapping[str, SourceKind], named: Collection[str]
) -> Input | Problem:
    kind_names = [name for name, kind in kinds.items() if role in kind.roles]
    fitting_kinds = tuple(name for name in kind_names if kinds[name].recognizes(text)) or tuple(kind_names)
    if not fitting_kinds:
        return make_problem("source-not-accepted", given=text, role=role)
    source_text = SourceText(role, fitting_kinds, text, IMPLIED_ORIGIN, ROOT)
    source = parse_source(source_text, kinds, platform.capabilities)
    if isinstance(source, Problem):
        return source
    is_new_folder = Path(str(source)).is_absolute() and str(source) not in named
    if is_new_folder and not platform.capabilities.feature("runs_here"):
        folder, flag = str(source), kinds[source.kind].roles[role].flag  # a file, perhaps of somebody else, names it
        return make_problem("implied-folder", where=role, given=folder, flag=flag, path=folder)
    return Input(role=role, source=source, origin=IMPLIED_ORIGIN, text=source_text, implied=True)


def list_implied_rows(job: Job) -> Iterator[dict[str, Any]]:
    """Yield the implied sources of a job as `explain` and the records of runs show them."""
    for source in job.sources:
        if source.implied:
            value = f"{source.kind} {source.uri}"
            yield {"name": source.role, "value": value, "origin": str(IMPLIED_ORIGIN), "overrode": []}
