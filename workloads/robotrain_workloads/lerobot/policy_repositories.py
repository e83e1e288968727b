"""The repositories of a job's policy, compared with the sources that it brings: missing ones, unread ones, code.

Standard library only.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.document import JobSource
from robotrain_runtime.contract.problem import Problems, make_data_problem

from robotrain_workloads.lerobot import adapter, backbones, file_formats, policy, remote_code
from robotrain_workloads.lerobot.backbones import (
    BACKBONE_FLAG,
    HUB_KIND,
    REPOSITORY,
    NeededRepository,
    get_repository_name,
)
from robotrain_workloads.lerobot.job import INITIAL_WEIGHTS_ROLE, LerobotJob, PolicyReads
from robotrain_workloads.lerobot.options import get_option_value
from robotrain_workloads.lerobot.trained_model import TrainedModel

OWN_PACKAGE = "lerobot."
FILES_WITHOUT_WEIGHTS = ("*.json", "*.jsonl", "*.txt", "*.jinja", "*.model", "*.tiktoken", "*.py")
"""Patterns of the files of configurations, tokenizers and processors."""


def list_implied(job: LerobotJob) -> list[str]:
    """Return the repositories that the job implies, as a user would type them, at the commits that are trusted."""
    reads, trusted = job.reads, dict[str, str]()
    if reads is None or not (reads.needed or reads.base):
        return []
    with suppress(ValueError):  # a wrong form is reported elsewhere
        trusted = job.trusted
    missing_repositories = backbones.list_missing(reads.needed, job.sources)
    revisions = {
        repository.name: trusted.get(repository.name, repository.revision) for repository in missing_repositories
    }
    repository_texts = [f"{name}@{revision}" if revision else name for name, revision in revisions.items()]
    base = adapter.format_source(reads.base) if reads.base and not job.base_source else ""
    return [*repository_texts, base] if base else repository_texts


def list_needed_files(job: LerobotJob, source: JobSource) -> tuple[str, ...]:
    """Return patterns of the files that are read of a backbone; empty for all, and of another source.

    A repository may be many gigabytes of weights, of which only the tokenizer is read. What a start's own files name
    or say is not known yet: all of that is fetched.
    """
    if source.role != backbones.BACKBONE_ROLE or backbones.is_weights(source):
        return ()
    name, is_new = get_repository_name(source), job.start_source is None
    uses = list(backbones.list_uses(job.parameters, job.arguments, name, is_new=is_new))
    return () if any(uses) or not uses else FILES_WITHOUT_WEIGHTS


def find_base(job: LerobotJob) -> tuple[adapter.Base, JobSource, Path] | None:
    """Return the base of the adapter that a job starts from, its source and its folder; None if there is none here."""
    reads = job.reads
    source = adapter.find_base_source(job.folders, reads.base, reads.names) if reads and reads.base else None
    return (
        (reads.base, source, policy.find_model_folder(job.folders[source])) if reads and reads.base and source else None
    )


def find_problems(job: LerobotJob) -> Problems:
    """Yield a sentence for each repository that is missing, or runs code that is not trusted, and for a wrong base."""
    if (reads := job.reads) is None:
        return
    model, start = job.model, job.start_source
    if reads.base and start:
        yield from _find_base_problems(job, reads.base, start)
    for repository in backbones.list_missing(reads.needed, job.sources):
        flag = f"{BACKBONE_FLAG} {repository.name}" + (f"@{repository.revision}" if repository.revision else "")
        yield make_data_problem(f"{model.kind} reads {repository.name}, which this job does not bring", flag)
    needed_repositories = _list_repositories(job, reads)
    sources = backbones.list_backbones(job.sources)
    needed_names = {repository.name for repository in needed_repositories}
    if start and start.kind == HUB_KIND and get_repository_name(start) in needed_names:
        sources.append(start)
    if needed_repositories or job.parameters.get("trust_remote_code") is not None:
        other_names = {
            repository.name
            for other_job in job.beside
            if other_job.reads
            for repository in _list_repositories(other_job, other_job.reads)
        }
        trusted = {
            name: commit for name, commit in job.trusted.items() if name in needed_names or name not in other_names
        }
        yield from remote_code.find_trust_problems(model.kind, needed_repositories, trusted, sources, are_pinned=True)


def _list_repositories(job: LerobotJob, reads: PolicyReads) -> list[NeededRepository]:
    """Return what the policy reads, and its own repository if that has code that runs."""
    start = job.start_source
    if start is None or not job.policy_folder or start.kind != HUB_KIND or start.role == INITIAL_WEIGHTS_ROLE:
        return reads.needed
    reason = find_reason(job.policy_folder, job.model, job.arguments)
    start_repository = NeededRepository(get_repository_name(start), runs_code=True, reason=reason)
    return [*reads.needed, *([start_repository] if reason else [])]


def _find_base_problems(job: LerobotJob, base: adapter.Base, start: JobSource) -> Problems:
    if (source := job.base_source) is None:
        yield adapter.explain_missing_base(start.uri, base)
    elif source in job.folders:
        folder = policy.find_model_folder(job.folders[source])
        yield from adapter.find_base_problems(base, source, folder, is_complete=job.is_complete)


def list_warnings(job: LerobotJob) -> Iterator[str]:
    """Yield a sentence for each backbone that the policy does not name, and for each whose weights a new one lacks."""
    if reads := job.reads:
        yield from _list_unnamed_backbones(job, reads)
        yield from _list_folder_warnings(job)
    if job.start_source is not None or not job.model.facts.repositories:
        return
    for name, options in backbones.list_unread_weights(job.parameters, job.arguments).items():
        words = " ".join(job.model.format_option(option, json.dumps(value)) for option, value in options.items())
        yield f"a new {job.model.kind} has random weights in the place of those of {name}, unless you add -- {words}"


def _list_unnamed_backbones(job: LerobotJob, reads: PolicyReads) -> Iterator[str]:
    """Yield a sentence for each given backbone that nothing known reads: another backbone's own files may name it."""
    for source in backbones.list_backbones(job.sources):
        name = get_repository_name(source)
        readers = [job, *job.beside]
        is_read = any(
            (reader.reads and name in reader.reads.names) or source == reader.base_source for reader in readers
        )
        if not source.implied and not is_read:
            reads_text = f"it reads {', '.join(reads.names)}" if reads.names else "it reads no other repository"
            yield f"the policy does not name the backbone {name}: {job.model.kind}, {reads_text}"


def _list_folder_warnings(job: LerobotJob) -> Iterator[str]:
    """Yield a sentence for each folder that the policy's configuration names in place of a repository."""
    model = job.model
    for option in dict.fromkeys(
        name for repository in model.facts.repositories.values() for name in repository.options
    ):
        folder = str(job.start.settings.get(option) or "")
        is_given = job.options.get(model.format_flag(option)) is not None
        if not is_given and is_folder(folder) and not Path(folder).is_dir():
            way = f"-- {model.format_option(option, 'OWNER/NAME')}"
            yield f"{model.kind} reads the folder {folder} of the job's machine, as its files say, unless you add {way}"


def find_reason(folder: Path, model: TrainedModel, options: Sequence[str]) -> str:
    """Return what of a policy's files may run any code; empty for nothing.

    :param folder: that of the policy's files, or of those that are here.
    :param model: the policy's type.
    :param options: those after `--`, which count instead of the policy's own.
    """
    reasons = [*_find_setting_reasons(folder, model, options)]
    for name in policy.PROCESSOR_FILES:
        reasons += [f"its {name} names {reason}" for reason in _find_processor_reasons(folder / name)]
    return next(iter(reasons), "")


def _find_setting_reasons(folder: Path, model: TrainedModel, options: Sequence[str]) -> Iterator[str]:
    code_options = [
        option for repository in model.facts.repositories.values() if repository.code for option in repository.options
    ]
    with suppress(OSError, ValueError):
        settings = policy.load_policy_settings(folder)
        for option in code_options:
            is_given = get_option_value(options, f"--{model.prefix}.{option}") is not None
            if not is_given and is_folder(settings.get(option)):
                yield f"its {policy.CONFIG_FILE} names the folder {settings[option]}"


def _find_processor_reasons(path: Path) -> Iterator[str]:
    steps: Any = None
    with suppress(OSError, ValueError):
        steps = file_formats.read_json_object(path).get("steps")
    for step in steps if isinstance(steps, list) else ():
        if not isinstance(step, Mapping):
            continue
        class_name = str(step.get("class") or "")
        config = step.get("config")
        if "registry_name" not in step and not class_name.startswith(OWN_PACKAGE):
            yield f"the class {class_name}"
        for key, value in (config if isinstance(config, Mapping) else {}).items():
            if policy.PROCESSOR_KEY.fullmatch(key) and is_folder(value):
                yield f"the folder {value}"


def is_folder(value: object) -> bool:
    """Return whether a name is not one of the Hub, but that of a folder."""
    if not isinstance(value, str) or not value or REPOSITORY.fullmatch(value):
        return False
    return "/" in value or value.startswith(".") or Path(value).is_dir()
