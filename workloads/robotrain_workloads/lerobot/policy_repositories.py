"""The repositories of a job's policy, compared with the sources that it brings: missing ones, unread ones, code.

Standard library only.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from robotrain_runtime.contract.document import JobDocument, JobSource

from robotrain_workloads.lerobot import adapter, backbones, file_formats, own_code, policy, remote_code
from robotrain_workloads.lerobot.backbones import HUB_KIND, REPOSITORY, NeededRepository, PolicyFiles
from robotrain_workloads.lerobot.options import get_option_value

INITIAL_WEIGHTS_ROLE = "init_policy"
FILES_WITHOUT_WEIGHTS = ("*.json", "*.jsonl", "*.txt", "*.jinja", "*.model", "*.tiktoken", "*.py")
"""Patterns of the files of configurations, tokenizers and processors."""


class PolicyReads(NamedTuple):
    """What the job's policy reads."""

    needed: list[NeededRepository]
    start: PolicyFiles | None
    """The policy to start from; None for a new one."""
    base: adapter.Base | None = None
    """The policy that the start belongs to, if it is an adapter."""

    @property
    def names(self) -> list[str]:
        """The names of the repositories."""
        return [one.name for one in self.needed]


def read_policy_files(folder: Path, *, with_processors: bool) -> PolicyFiles:
    """Return what a policy's files say. Raise OSError or ValueError with a sentence.

    :param with_processors: whether its processors are used; of initial weights they are not.
    """
    model = policy.find_model_folder(folder)
    settings, path = policy.load_policy_settings(model), model / policy.PROCESSOR_FILES[0]
    names = tuple(_list_processor_names(path)) if with_processors and path.is_file() else ()
    return PolicyFiles(settings=settings, processor_names=names)


def _list_processor_names(path: Path) -> Iterator[tuple[str, str]]:
    steps = file_formats.read_json_object(path).get("steps")
    for step in steps if isinstance(steps, list) else ():
        config = step.get("config") if isinstance(step, dict) else None
        for key, value in (config if isinstance(config, dict) else {}).items():
            if isinstance(value, str) and policy.PROCESSOR_KEY.fullmatch(key) and REPOSITORY.fullmatch(value):
                yield key, value


def list_implied(
    document: JobDocument, described: Mapping[JobSource, Path], start: JobSource | None
) -> dict[str, list[str]]:
    """Return the sources that the job implies. `start`: the source of its policy; None for a new one."""
    reads = _find_reads(document, described, start)
    trusted: dict[str, str] = {}
    with suppress(ValueError):  # a wrong form is reported elsewhere
        trusted = get_trusted(document)
    if reads is None:
        return {}
    implied = backbones.list_implied(document, reads.needed, trusted)
    if reads.base and not adapter.find_base_source(document.sources, reads.base, reads.names):
        texts = [text for text in (adapter.format_source(reads.base),) if text]
        return {backbones.BACKBONE_ROLE: [*implied.get(backbones.BACKBONE_ROLE, ()), *texts]}
    return implied


def list_needed_files(document: JobDocument, source: JobSource, start: JobSource | None) -> tuple[str, ...]:
    """Return patterns of the files that are read of a backbone; empty for all.

    A repository may be many gigabytes of weights, of which only the tokenizer is read. What a start's own files name
    or say is not known yet: all of that is fetched.

    :param start: the source of the job's policy; None for a new one.
    """
    name = backbones.get_repository_name(source)
    found = list(backbones.list_uses(document.parameters, document.trainer_args, name, is_new=start is None))
    return () if any(found) or not found else FILES_WITHOUT_WEIGHTS


def find_base(
    document: JobDocument, data: Mapping[JobSource, Path], start: JobSource | None
) -> tuple[adapter.Base, JobSource, Path] | None:
    """Return the base of the adapter that a job starts from, its source and its folder; None if there is none here."""
    reads = _find_reads(document, data, start)
    source = adapter.find_base_source(data, reads.base, reads.names) if reads and reads.base else None
    return (reads.base, source, policy.find_model_folder(data[source])) if reads and reads.base and source else None


def find_merged_base(document: JobDocument, data: Mapping[JobSource, Path], start: JobSource) -> JobSource | None:
    """Return the source of the base of a merge; None if no source brings it.

    :param start: the source of the adapter, or of the policy that was made of it.
    """
    reads = _find_reads(document, data, start)
    return adapter.find_base_source(document.sources, reads.base or adapter.Base(), reads.names) if reads else None


def find_problems(
    document: JobDocument,
    described: Mapping[JobSource, Path],
    start: JobSource | None,
    *,
    is_complete: bool = False,
) -> Iterator[str]:
    """Yield one sentence for each repository that is missing, or runs code that is not trusted, and for a wrong base.

    :param is_complete: whether all files of the sources are here.
    """
    reads = _find_reads(document, described, start)
    if reads is None:
        return
    if reads.base and start:
        yield from _find_base_problems(document, described, reads, start, is_complete=is_complete)
    yield from backbones.find_backbone_problems(document, reads.needed, reads.start)
    model, trusted = backbones.choose_started_model(document.parameters, reads.start), get_trusted(document)
    needed, sources = reads.needed, backbones.list_backbones(document.sources)
    if start and start.kind == HUB_KIND and start.role != INITIAL_WEIGHTS_ROLE:
        reason = own_code.find_reason(policy.find_model_folder(described[start]), model, document.trainer_args)
        own = NeededRepository(backbones.get_repository_name(start), runs_code=True, reason=reason)
        needed, sources = [*needed, *([own] if reason else [])], [*sources, start]
    yield from remote_code.find_trust_problems(model.kind, needed, trusted, sources, are_pinned=True)


def _find_base_problems(
    document: JobDocument,
    described: Mapping[JobSource, Path],
    reads: PolicyReads,
    start: JobSource,
    *,
    is_complete: bool,
) -> Iterator[str]:
    assert reads.base is not None
    source = adapter.find_base_source(document.sources, reads.base, reads.names)
    if source is None:
        yield adapter.explain_missing_base(start.uri, reads.base)
    elif source in described:
        folder = policy.find_model_folder(described[source])
        yield from adapter.find_base_problems(reads.base, source, folder, is_complete=is_complete)


def list_warnings(document: JobDocument, described: Mapping[JobSource, Path], start: JobSource | None) -> Iterator[str]:
    """Yield a sentence for each backbone that the policy does not name, and for each whose weights a new one lacks."""
    if reads := _find_reads(document, described, start):
        base = adapter.find_base_source(document.sources, reads.base, reads.names) if reads.base else None
        others = replace(document, sources=tuple(source for source in document.sources if source != base))
        yield from backbones.list_backbone_warnings(others, reads.needed, reads.start)
        yield from _list_folder_warnings(document, reads)
    if start is not None:
        return
    model = backbones.choose_started_model(document.parameters, None)
    for name, options in backbones.list_unread_weights(document.parameters, document.trainer_args).items():
        words = " ".join(model.format_option(option, json.dumps(value)) for option, value in options.items())
        yield f"a new {model.kind} has random weights in the place of those of {name}, unless you add -- {words}"


def _list_folder_warnings(document: JobDocument, reads: PolicyReads) -> Iterator[str]:
    """Yield a sentence for each folder that the policy's configuration names in place of a repository."""
    settings = reads.start.settings if reads.start else {}
    model = backbones.choose_started_model(document.parameters, reads.start)
    for option in dict.fromkeys(name for one in model.facts.repositories.values() for name in one.options):
        is_given = get_option_value(document.trainer_args, f"--{model.prefix}.{option}") is not None
        folder = str(settings.get(option) or "")
        if not is_given and own_code.is_folder(folder) and not Path(folder).is_dir():
            way = f"-- {model.format_option(option, 'OWNER/NAME')}"
            yield f"{model.kind} reads the folder {folder} of the job's machine, as its files say, unless you add {way}"


def _find_reads(
    document: JobDocument, described: Mapping[JobSource, Path], start: JobSource | None
) -> PolicyReads | None:
    """Return what the policy reads; None while it is unknown: its files are not here, or its type is a plugin's."""
    files, base = None, None
    if start is not None:
        if start not in described:
            return None
        try:
            files = read_policy_files(described[start], with_processors=start.role != INITIAL_WEIGHTS_ROLE)
            if adapter.is_adapter(files.settings):
                base = adapter.load_adapter(policy.find_model_folder(described[start])).base
        except (OSError, ValueError):  # reported elsewhere
            return None
    model = backbones.choose_started_model(document.parameters, files)
    if model.kind not in model.lerobot.types:
        return None
    return PolicyReads(backbones.list_needed(document.parameters, document.trainer_args, files), files, base)


def get_trusted(document: JobDocument) -> dict[str, str]:
    """Return the commits whose code the user trusts, by repository."""
    return remote_code.parse_trusted(document.parameters.get("trust_remote_code"))
