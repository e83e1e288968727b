"""Places to write to: parameters of a workload whose address a source kind recognizes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from operator import methodcaller
from pathlib import Path
from typing import TYPE_CHECKING

from robotrain_runtime.contract.parameter import get_parameters

from robotrain.errors import Problem, Suggestion, suggest_leaving_out
from robotrain.messages import Messages
from robotrain.model.capabilities import Capabilities
from robotrain.model.job import Job
from robotrain.model.platform import ListPlatforms, Need, Platform, check_need
from robotrain.model.source import SourceError, SourceKind
from robotrain.model.workload import Workload
from robotrain.redaction import redact

if TYPE_CHECKING:
    from robotrain.config.resolve import Resolution

make_problem = Messages(__file__)

PUBLISH_ROLE = "publish"
"""The role of such a place in a platform's capabilities."""
CHECKPOINT_PARAMETER = "publish_url"
"""The parameter of every workload for the place of checkpoints."""
_ADDRESS = r"(?i)\s*(?!file:)[a-z][a-z0-9+.-]*://"
PUBLISH_FOLDER_FEATURE = "publish_folder"
"""The feature of platforms whose folders outlive the run."""


@dataclass(frozen=True)
class TargetAddress:
    """A parameter with an address, and the kind that recognizes it."""

    parameter: str
    text: str
    kind: SourceKind


def list_targets(
    job: Job, workload: Workload, kinds: Mapping[str, SourceKind], capabilities: Capabilities
) -> Iterator[TargetAddress]:
    """Yield the addresses that a kind recognizes, preferably a kind that the platform can write to; no folders."""
    parameters = dict(job.parameters)
    for name in workload.targets:
        address = str(parameters.get(name) or "")
        fitting_kinds = [
            kind for kind in kinds.values() if address and _is_writable(kind, name) and kind.recognizes_target(address)
        ]
        if fitting_kinds:
            kind = next((kind for kind in fitting_kinds if capabilities.source(PUBLISH_ROLE, kind)), fitting_kinds[0])
            yield TargetAddress(name, address, kind)


def find_address(job: Job, kinds: Mapping[str, SourceKind]) -> str:
    """Return where a job publishes its checkpoints, in its printed form; as it was given if no kind parses it."""
    address = str(dict(job.parameters).get(CHECKPOINT_PARAMETER) or "").strip()
    for kind in kinds.values():
        if address and _is_writable(kind) and kind.recognizes_target(address):
            try:
                return str(kind.parse_target(address))
            except SourceError:
                continue
    return address


def is_address(text: str) -> bool:
    """Return whether a text is an address, and not a folder."""
    return bool(re.match(_ADDRESS, text))


def list_published_copies(
    job: Job, workload: Workload, kinds: Mapping[str, SourceKind], role: str
) -> Iterator[tuple[str, str]]:
    """Yield the places of a job as sources for a role: kind and address.

    Places that the platform itself copies to are left out: only the platform knows the paths of the copies.
    """
    for name in workload.targets:
        address = str(dict(job.parameters).get(name) or "")
        for kind in kinds.values():
            is_readable = role in kind.roles and not kind.platform_managed
            if (
                address
                and is_readable
                and kind.recognizes_target(address)
                and (source := _parse_address(kind, address))
            ):
                yield kind.name, source


def _parse_address(kind: SourceKind, address: str) -> str:
    """Return the address in its printed form, corrected as the kind suggests; empty if it is invalid."""
    try:
        return str(kind.parse(address, Path("/")))
    except SourceError as error:
        return _parse_address(kind, error.suggestion) if error.suggestion not in ("", address) else ""


def check_targets(
    resolution: Resolution,
    workload: Workload,
    platform: Platform,
    kinds: Mapping[str, SourceKind],
    platforms: ListPlatforms,
) -> Iterator[Problem]:
    """Yield problems for invalid addresses, and for those that the platform cannot write to."""
    flags = {parameter.name: parameter.flag for parameter in get_parameters(workload.parameters)}
    targets_by_name = {
        target.parameter: target for target in list_targets(resolution.job, workload, kinds, platform.capabilities)
    }
    for name in workload.targets:
        address, flag = str(resolution.job[name] or ""), flags[name]
        where = resolution.parameters[name].origin.where
        if target := targets_by_name.get(name):
            problems = _find_target_problems(target, flag, where, workload)
            yield from problems or _check_support(target, flag, where, platform, platforms)
        elif is_address(address):
            yield _make_unknown_problem(address, flag, where, kinds, platform.capabilities)


def _find_target_problems(target: TargetAddress, flag: str, where: str, workload: Workload) -> list[Problem]:
    """Return what is wrong with an address, whatever the platform is."""
    kind = target.kind
    try:
        kind.parse_target(target.text)
    except SourceError as error:
        way = Suggestion(f"{flag} {error.suggestion or kind.place_form}")
        given = redact(target.text, kind.schemes)
        title, why = kind.title, error.why
        return [make_problem("source-invalid", way, where=where, given=given, flag=flag, title=title, why=why)]
    if workload.produces == "checkpoints" or not kind.target_form or kind.target_form.takes_results:
        return []
    way = suggest_leaving_out(flag)
    return [make_problem("target-takes-checkpoints", way, where=where, given=target.text, title=kind.title)]


def _check_support(
    target: TargetAddress, flag: str, where: str, platform: Platform, platforms: ListPlatforms
) -> Iterator[Problem]:
    kind = target.kind
    ways = [] if where.startswith("-") else [suggest_leaving_out(flag)]
    if platform.capabilities.feature("runs_here"):
        ways, platforms = [Suggestion(f"{flag} FOLDER"), *ways], dict  # who runs a job here means no cluster
    ask, remark = methodcaller("source", PUBLISH_ROLE, kind), f"publishes to {kind.name}"
    title, given = f"to {kind.title}", redact(target.text)
    need = Need("target-not-accepted", "publish", title, ask, remark, where, given)
    yield from check_need(need, platform, platforms, *ways)


def _is_writable(kind: SourceKind, parameter: str = CHECKPOINT_PARAMETER) -> bool:
    """Return whether the container can write there, or the platform, which copies only checkpoints."""
    return bool(kind.target) or (kind.platform_managed and parameter == CHECKPOINT_PARAMETER)


def _make_unknown_problem(
    text: str, flag: str, where: str, kinds: Mapping[str, SourceKind], capabilities: Capabilities
) -> Problem:
    writable_kinds = [kind for kind in kinds.values() if _is_writable(kind)]
    writable_kinds = [kind for kind in writable_kinds if capabilities.source(PUBLISH_ROLE, kind)] or writable_kinds
    has_folders = bool(capabilities.feature(PUBLISH_FOLDER_FEATURE))
    folder = [Suggestion(f"{flag} /FOLDER", "a folder where the storage is mounted")] if has_folders else []
    titles = [*(["folders"] if has_folders else []), *(kind.title for kind in writable_kinds)]
    ways = (*(Suggestion(f"{flag} {kind.place_form}") for kind in writable_kinds), *folder)
    return make_problem(
        "target-not-accepted.unknown", *ways, where=where, given=text, flag=flag, titles=", ".join(titles)
    )
