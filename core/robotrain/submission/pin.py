"""Pins of sources: the network is asked for their current content before submission.

A pin is not part of the job's digest, so the name of a run does not depend on it; the job document holds it.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TypedDict, TypeVar

from robotrain_runtime.contract import document
from robotrain_runtime.contract.deadline import DeadlineFuture

from robotrain.config.values import IMPLIED_ORIGIN
from robotrain.errors import Problem, Rejected, Suggestion, raise_if_any, select_errors
from robotrain.messages import Messages
from robotrain.model.job import Job
from robotrain.model.source import (
    LOCAL_KIND,
    Pinning,
    Source,
    SourceError,
    SourceKind,
    SourceNotFound,
    SourceUnreachable,
)
from robotrain.redaction import holds_secret, redact

make_problem = Messages(__file__)

SourceKinds = Mapping[str, SourceKind]
PinByPlatform = Callable[[document.JobSource], str]
IsRemoteFolder = Callable[[document.JobSource], bool]
MAX_THREADS = 8
Asked = TypeVar("Asked")
Answer = TypeVar("Answer")
FAILURES = (SourceError, Rejected, OSError)
"""What a question to a source may raise."""
MAX_NAMED_SOURCES = 3
"""How many sources a merged warning names."""


def fetch_sources(job: Job, kinds: SourceKinds) -> Job:
    """Return the job with folders of this machine in place of sources that are fetched here. Raise Rejected."""
    fetched_sources: list[document.JobSource] = []
    problems: list[Problem] = []
    for source in job.sources:
        kind = kinds.get(source.kind)
        if kind is None or kind.fetch_here is None:
            fetched_sources.append(source)
            continue
        try:
            folder = kind.fetch_here(parse_source(source, kinds))
            fetched_sources.append(dataclasses.replace(source, kind=LOCAL_KIND, uri=str(folder)))
        except FAILURES as error:
            ways = _list_suggestions(error) if isinstance(error, SourceError) else ()
            message = "source-missing" if isinstance(error, SourceNotFound) else "source-not-fetched"
            reason = explain_error(error, source.kind)
            problems.append(make_problem(message, *ways, **_locate(source), uri=source.uri, why=reason))
    raise_if_any(problems)
    return dataclasses.replace(job, sources=tuple(fetched_sources))


def find_lost_pins(
    job: Job,
    kinds: SourceKinds,
    list_uploaded: Callable[[], Collection[document.JobSource]] = tuple,
    is_remote_folder: IsRemoteFolder = lambda source: False,
) -> list[Problem]:
    """Return problems for the pins of `job` that are no longer available; of a remote folder, its run says so.

    :param list_uploaded: return the sources that the platform already has; called only if pins are lost.
    """
    sources = [source for source in job.sources if not is_remote_folder(source)]
    lost_problems = query_in_parallel(lambda source: _find_lost_pin(source, kinds), sources)
    lost_sources = [(source, problem) for source, problem in zip(sources, lost_problems, strict=True) if problem]
    uploaded = list_uploaded() if lost_sources else ()
    return merge_warnings([problem for source, problem in lost_sources if source not in uploaded])


def query_in_parallel(query: Callable[[Asked], Answer], questions: Sequence[Asked]) -> list[Answer]:
    """Return the answers. Several are asked for in threads that do not delay Ctrl-C."""
    if len(questions) < 2:
        return [query(question) for question in questions]
    answers: list[Answer] = []
    for start in range(0, len(questions), MAX_THREADS):
        futures = [DeadlineFuture(partial(query, question)) for question in questions[start : start + MAX_THREADS]]
        answers += [future.result() for future in futures]
    return answers


def pin_source(
    source: document.JobSource, kinds: SourceKinds, describing_files: Sequence[str], pin_by_platform: PinByPlatform
) -> tuple[document.JobSource, Problem | None]:
    """Return the source, pinned if it can be, and what is wrong; an existing pin stays.

    :param describing_files: the files that describe a source of its role: one without any of them is unusable.
    """
    kind = kinds.get(source.kind)
    pinning = kind.pinning if kind else None
    if kind and kind.pinned_by_platform(source.uri):
        pinning = Pinning(lambda *_: pin_by_platform(source), lambda *_: "")
    if source.pin or pinning is None or source.grows_until:
        return source, None
    try:
        pin = pinning.resolve(parse_source(source, kinds), source.role)
        if holds_secret(pin):
            raise SourceError("Its pin contains what looks like a secret.")
    except SourceUnreachable as error:
        ways = _list_suggestions(error)
        if error.pin:
            return dataclasses.replace(source, pin=error.pin), _make_unseen_problem(source, error.why, *ways)
        return source, make_problem("not-pinned", *ways, **_locate(source), uri=source.uri, why=error.why)
    except SourceNotFound as error:
        ways = _list_suggestions(error) or tuple(_suggest_copies(source, kinds) if source.implied else ())
        return source, make_problem("source-missing", *ways, **_locate(source), uri=source.uri, why=error.why)
    except FAILURES as error:
        suggestions = _list_suggestions(error) if isinstance(error, SourceError) else ()
        copies = _suggest_copies(source, kinds) if source.implied else ()
        ways = (*suggestions, *copies, _SUGGEST_DOCTOR, _SUGGEST_NO_PIN)
        reason = explain_error(error, source.kind)
        return source, make_problem("pin-unknown", *ways, **_locate(source), uri=source.uri, why=reason)
    missing_files: Sequence[str] = ()
    with contextlib.suppress(*FAILURES):  # the source exists: the run will report it
        missing_files = (
            pinning.find_missing(parse_source(source, kinds), source.role, describing_files) if describing_files else ()
        )
    if describing_files and not set(describing_files) - set(missing_files):
        lacking_files = " or ".join(filter(None, (", ".join(describing_files[:-1]), describing_files[-1])))
        location = _locate(source)
        return source, make_problem(
            "source-undescribed", **location, uri=source.uri, role=source.role, lacks=lacking_files
        )
    tags: Sequence[str] = ()
    with contextlib.suppress(*FAILURES):  # a record that no run needs
        tags = pinning.read_tags(parse_source(source, kinds), source.role, pin) if pin else ()
    tags = (*source.tags, *(tag for tag in tags if not holds_secret(tag)))
    return dataclasses.replace(source, pin=pin, tags=tags), None


def _list_suggestions(error: SourceError) -> tuple[Suggestion, ...]:
    return (Suggestion(error.suggestion),) if error.suggestion else ()


def _suggest_copies(source: document.JobSource, kinds: SourceKinds) -> Iterator[Suggestion]:
    """Yield the options that take a copy of a source, which nobody gave, from another place."""
    name = source.uri.partition("@")[0]
    for kind in kinds.values():
        flag = kind.roles.get(source.role)
        if kind.name != source.kind and flag and flag.copy_form:
            yield Suggestion(f"{flag.flag} {flag.copy_form.replace('OWNER/NAME', name)}", "a copy of it")


def _find_lost_pin(source: document.JobSource, kinds: SourceKinds) -> Problem | None:
    pinning = kinds[source.kind].pinning if source.kind in kinds else None
    if not source.pin or pinning is None:
        return None
    try:
        reason = pinning.explain_lost_pin(parse_source(source, kinds), source.role, source.pin)
    except SourceUnreachable as error:
        return _make_unseen_problem(source, error.why)
    except FAILURES as error:
        reason, way = explain_error(error, source.kind), _SUGGEST_NO_PINS_AT_ALL
        return make_problem("pin-unknown.lost", way, **_locate(source), uri=source.uri, why=reason)
    if not reason:
        return None
    suggestions = (_SUGGEST_REPIN,) if _still_exists(source, kinds, pinning) else ()
    return make_problem("pin-gone", *suggestions, **_locate(source), uri=source.uri, why=reason)


def _make_unseen_problem(source: document.JobSource, reason: str, *ways: Suggestion) -> Problem:
    return make_problem("pin-unseen", *ways, **_locate(source), uri=source.uri, why=reason)


def _still_exists(source: document.JobSource, kinds: SourceKinds, pinning: Pinning) -> bool:
    """Return whether the source can be pinned again; True if unknown."""
    try:
        return bool(pinning.resolve(parse_source(source, kinds), source.role))
    except SourceNotFound:
        return False
    except FAILURES:
        return True


_SUGGEST_NO_PIN = Suggestion("--no-pin", "uses the content at the time of the run")
_SUGGEST_REPIN = Suggestion("--repin", "uses the current content")
_SUGGEST_NO_PINS_AT_ALL = Suggestion("--repin --no-pin", "uses the content at the time of the run")
_SUGGEST_DOCTOR = Suggestion("robotrain doctor --online", "checks what this machine can reach")


def parse_source(source: document.JobSource, kinds: SourceKinds) -> Source:
    """Return the typed source of a job's source."""
    return kinds[source.kind].parse(source.uri, Path("/"))


_UNKNOWN = "pin-unknown"
UNSEEN = "pin-unseen"
_UNREACHABLE = "source-unreachable"
"""Data that preflight cannot read: a warning if only the job may be able to."""
_WARNING_TITLES = {
    "not-pinned": "{} sources are not pinned: the run uses their content at that time",
    UNSEEN: "cannot check from here that {} sources are unchanged: the run will check them",
}
_FAILURE_TITLES = {_UNKNOWN: "cannot resolve the revisions of {} sources"}


def merge_warnings(problems: Iterable[Problem]) -> list[Problem]:
    """Return the problems, with warnings that differ only in their source merged."""
    return _merge_alike(problems, _WARNING_TITLES, lambda problem: (problem.where, problem.why))


def merge_failures(problems: Iterable[Problem]) -> list[Problem]:
    """Return the problems; sources that cannot be resolved for the same reason are one problem."""
    return _merge_alike(problems, _FAILURE_TITLES, lambda problem: (problem.why, problem.suggestions))


def _merge_alike(
    problems: Iterable[Problem], titles: Mapping[str, str], get_key: Callable[[Problem], object]
) -> list[Problem]:
    """Return the problems, with those of a code that has a title merged if their keys are equal."""
    problems_by_key: dict[object, list[Problem]] = {}
    for index, problem in enumerate(problems):
        key = (problem.code, get_key(problem)) if problem.code in titles else index
        problems_by_key.setdefault(key, []).append(problem)
    merged_problems = []
    for group in problems_by_key.values():
        merged_problem, unnamed_count = group[0], len(group) - MAX_NAMED_SOURCES
        if len(group) > 1:
            title = titles[merged_problem.code].format(len(group))
            locations = ", ".join(dict.fromkeys(problem.where for problem in group))
            joined_values = ", ".join(problem.given for problem in group[:MAX_NAMED_SOURCES])
            joined_values += f" and {unnamed_count} more" if unnamed_count > 0 else ""
            merged_problem = dataclasses.replace(
                merged_problem, title=title, where=locations, given=joined_values, source=""
            )
        merged_problems.append(merged_problem)
    return merged_problems


def deduplicate_problems(problems: Iterable[Problem]) -> list[Problem]:
    """Return the problems, each once, without warnings that repeat an error or doubt data that an error is about.

    A source that neither the pin nor the platform's preflight can read is one problem, for which `--no-pin` is no way.
    """
    distinct_problems = list({(p.severity, p.message, p.title, p.given, p.why): p for p in problems}.values())
    errors = select_errors(distinct_problems)
    titles = {(p.message, p.title) for p in errors}
    failed_sources = {_get_source(p) for p in errors}
    distinct_problems = [
        p
        for p in distinct_problems
        if p.severity == "error"
        or not (
            (p.message, p.title) in titles or (p.message in (_UNREACHABLE, UNSEEN) and _get_source(p) in failed_sources)
        )
    ]
    unpinned_sources = {_get_source(p) for p in distinct_problems if p.code == _UNKNOWN}
    unread_sources = unpinned_sources & {_get_source(p) for p in distinct_problems if p.message == _UNREACHABLE}
    return [
        drop_no_pin(p) if p.code == _UNKNOWN and _get_source(p) in unread_sources else p
        for p in distinct_problems
        if p.message != _UNREACHABLE or _get_source(p) not in unread_sources
    ]


def _get_source(problem: Problem) -> str:
    return problem.source or problem.given


def drop_no_pin(problem: Problem) -> Problem:
    """Return the problem without `--no-pin` among its suggestions: it would not help."""
    ways = tuple(way for way in problem.suggestions if way not in (_SUGGEST_NO_PIN, _SUGGEST_NO_PINS_AT_ALL))
    return dataclasses.replace(problem, suggestions=ways or (_SUGGEST_DOCTOR,))


def explain_error(error: BaseException, kind: str = "") -> str:
    """Return an error of a source kind as a sentence, without secrets; one that is no SourceError names the kind."""
    if isinstance(error, SourceError):
        return error.why
    error_text = redact(f"{type(error).__name__}: {error}".rstrip(": "))
    return f"The source kind {kind} failed: {error_text}." if kind else f"{error_text}."


class _SourceFacts(TypedDict):
    """What the problem of a source says of it."""

    where: str
    given: str
    address: str


def _locate(source: document.JobSource) -> _SourceFacts:
    role_text = f"{source.role} ({IMPLIED_ORIGIN})" if source.implied else source.role
    pinned_uri = f"{source.uri} at {source.pin}" if source.pin else source.uri
    return {"where": role_text, "given": pinned_uri, "address": source.uri}
