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
MAX_NAMED_SOURCES = 3
"""How many sources a problem of several names."""
FAILURES = (SourceError, Rejected, OSError)
"""What a question to a source may raise."""


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
    return [problem for source, problem in lost_sources if source not in uploaded]


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
    if source.pin or pinning is None:
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
        # without pins, nobody would know of a source that is implied
        ways = (*suggestions, *copies, _SUGGEST_DOCTOR, *([] if source.implied else [_SUGGEST_NO_PIN]))
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


UNSEEN = "pin-unseen"
_DOUBTS = (UNSEEN, "source-unreachable")
"""What is said of data that cannot be read from here."""


def deduplicate_problems(problems: Iterable[Problem]) -> list[Problem]:
    """Return the problems, each once, without warnings that repeat an error, and without doubts about the data of one.

    Those that differ only in their source are one, which names the first few.
    """
    distinct_problems = list({(p.severity, p.message, p.title, p.given, p.why): p for p in problems}.values())
    errors = select_errors(distinct_problems)
    titles = {(p.message, p.title) for p in errors}
    failed_sources = {p.source for p in errors if p.source and p.message not in _DOUBTS}
    groups: dict[object, list[Problem]] = {}
    for index, problem in enumerate(distinct_problems):
        is_settled = problem.message in _DOUBTS and (problem.source or problem.given) in failed_sources
        if not is_settled and (problem in errors or (problem.message, problem.title) not in titles):
            key = (problem.severity, problem.message, problem.where, problem.why, problem.suggestions)
            groups.setdefault(key if problem.source else index, []).append(problem)
    return [_merge_sources(*group) for group in groups.values()]


def _merge_sources(problem: Problem, *others: Problem) -> Problem:
    """Return the problem of several sources."""
    if not others:
        return problem
    named_sources = [problem.given, *(other.given for other in others)]
    unnamed_count = len(named_sources) - MAX_NAMED_SOURCES
    names = ", ".join(named_sources[:MAX_NAMED_SOURCES]) + (f" and {unnamed_count} more" if unnamed_count > 0 else "")
    return dataclasses.replace(problem, given=names, source="")


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
