"""Pinning: what only a network knows before submission: revisions of sources, settings of a platform.

A pin is no part of the job's digest, so the same job keeps its name; it travels in the document beside the source.
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from robotrain_runtime.contract import document

from robotrain.config.request import PLATFORM_LAYER, Origin, Value
from robotrain.errors import Problem, Rejected, Stage, Suggestion, raise_if_any
from robotrain.model.job import Job
from robotrain.model.source import Pinning, Source, SourceError, SourceKind, SourceNotFound, SourceUnreachable
from robotrain.redaction import redact

if TYPE_CHECKING:
    from robotrain.model.capabilities import Capabilities
    from robotrain.model.platform import PlatformDefault
    from robotrain.submission.prepare import PreparedJob

SourceKinds = Mapping[str, SourceKind]
DescribingFiles = Mapping[str, Sequence[str]]
"""By role, the paths of the few files that describe a source: one that has none of them is of no use."""
NO_DESCRIBING_FILES: DescribingFiles = MappingProxyType({})
MAX_THREADS = 8
MAX_NAMED_SOURCES = 3
"""Sources that one warning about many of them names."""


def pin_job(
    job: Job, kinds: SourceKinds, describing_files: DescribingFiles = NO_DESCRIBING_FILES
) -> tuple[Job, list[Problem]]:
    """The job with every source pinned whose kind can be, and what is wrong; a source that has a pin keeps it."""
    found = _map_sources(job, lambda source: _pin_source(source, kinds, describing_files.get(source.role, ())))
    sources = tuple(pin if isinstance(pin, document.JobSource) else source for source, pin in found)
    problems = [pin for _, pin in found if isinstance(pin, Problem)]
    return dataclasses.replace(job, sources=sources), _merge_warnings(problems)


def pin_job_strictly(job: Job, kinds: SourceKinds) -> Job:
    """The same. Raises Rejected with every source whose meaning could not be found out."""
    found, unknown = pin_job(job, kinds)
    raise_if_any(dataclasses.replace(problem, severity="error") for problem in unknown)  # pins were asked for
    return found


def find_describing_files(can: Capabilities, halves: Mapping[str, str]) -> DescribingFiles:
    """What the workload's half says that describes its sources; nothing where the platform works on this machine, and
    looks at the data itself.
    """
    module = next((module for what, module in halves.items() if what.startswith("workload.")), "")
    if not module or can.feature("runs_here"):
        return NO_DESCRIBING_FILES
    import importlib

    try:
        return dict(getattr(importlib.import_module(module), "DESCRIBED", NO_DESCRIBING_FILES))
    except Exception:  # it is written for another machine
        return NO_DESCRIBING_FILES


def find_lost_pins(
    job: Job, kinds: SourceKinds, list_uploaded: Callable[[], Collection[document.JobSource]] = tuple
) -> list[Problem]:
    """The pins of `job` that cannot be had any more, each with its reason. held: asked only where there are some, and
    says which sources the platform has as they were pinned: nobody misses those.
    """
    found = [
        (source, problem)
        for source, problem in _map_sources(job, lambda source: _find_lost_pin(source, kinds))
        if problem
    ]
    there = list_uploaded() if found else ()
    return _merge_warnings(
        [problem for source, problem in found if isinstance(problem, Problem) and source not in there]
    )


def remove_pins(job: Job) -> Job:
    """The job with no pin: every name means what it means when the run gets there."""
    return dataclasses.replace(job, sources=tuple(dataclasses.replace(source, pin="") for source in job.sources))


def _map_sources(
    job: Job, ask: Callable[[document.JobSource], document.JobSource | Problem | None]
) -> list[tuple[document.JobSource, document.JobSource | Problem | None]]:
    """Every source with the answer it gets. Several are asked at once, in threads that do not hold up Ctrl-C."""
    if len(job.sources) < 2:
        return [(source, ask(source)) for source in job.sources]
    import queue
    import threading

    open_questions: queue.SimpleQueue[int] = queue.SimpleQueue()
    answers: dict[int, document.JobSource | Problem | None] = {}

    def work() -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                index = open_questions.get_nowait()
                answers[index] = ask(job.sources[index])

    for index in range(len(job.sources)):
        open_questions.put(index)
    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(MAX_THREADS, len(job.sources)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [(source, answers[index]) for index, source in enumerate(job.sources)]


def _pin_source(
    source: document.JobSource, kinds: SourceKinds, described: Sequence[str]
) -> document.JobSource | Problem:
    pinning = kinds[source.kind].pinning if source.kind in kinds else None
    if source.pin or pinning is None:
        return source
    try:
        pin = pinning.resolve(parse_source(source, kinds), source.role)
    except SourceUnreachable as unseen:
        title = f"{source.uri} is not pinned: it is taken as it is when the run gets there"
        return _make_problem("not-pinned", title, source, unseen.why, severity="warning")
    except SourceNotFound as absent:
        return _make_problem(
            "source-missing", f"{source.uri} is not there", source, absent.why, *_list_suggestions(absent)
        )
    except Exception as error:  # whatever a kind raises
        ways = _list_suggestions(error) if isinstance(error, SourceError) else ()
        title = f"what {source.uri} means now could not be found out"
        return _make_problem("pin-unknown", title, source, _explain_error(error), *ways, _SUGGEST_NO_PIN)
    if described and not set(described) - set(_find_missing_files(source, kinds, pinning, described)):
        title = f"{source.uri} is no {source.role} that can be used: it has no {' and no '.join(described)}"
        why = f"The job would end there: name a {source.role} that holds it."
        return _make_problem("source-undescribed", title, source, why)
    return dataclasses.replace(source, pin=pin)


def _find_missing_files(
    source: document.JobSource, kinds: SourceKinds, pinning: Pinning, paths: Sequence[str]
) -> Sequence[str]:
    try:
        return pinning.find_missing(parse_source(source, kinds), source.role, paths)
    except Exception:  # it was there a moment ago: the run will tell
        return ()


def _list_suggestions(error: SourceError) -> tuple[Suggestion, ...]:
    return (Suggestion(error.suggestion),) if error.suggestion else ()


def _find_lost_pin(source: document.JobSource, kinds: SourceKinds) -> Problem | None:
    pinning = kinds[source.kind].pinning if source.kind in kinds else None
    if not source.pin or pinning is None:
        return None
    try:
        why = pinning.find_loss(parse_source(source, kinds), source.role, source.pin)
    except SourceUnreachable as unseen:
        title = f"whether {source.uri} is still what it was could not be found out: the run will tell"
        return _make_problem("pin-unseen", title, source, unseen.why, severity="warning")
    except Exception as error:  # whatever a kind raises
        title = f"whether {source.uri} is still there could not be found out"
        return _make_problem("pin-unknown", title, source, _explain_error(error), _SUGGEST_NO_PINS_AT_ALL)
    if not why:
        return None
    ways = (_SUGGEST_REPIN,) if _still_exists(source, kinds, pinning) else ()
    return _make_problem("pin-gone", f"what {source.uri} was when it was sent is gone", source, why, *ways)


def _still_exists(source: document.JobSource, kinds: SourceKinds, pinning: Pinning) -> bool:
    """Whether there is anything that it could be pinned to now; so where that is not told."""
    try:
        return bool(pinning.resolve(parse_source(source, kinds), source.role))
    except SourceNotFound:
        return False
    except Exception:
        return True


_SUGGEST_NO_PIN = Suggestion("--no-pin", "take it as it is when the run gets there")
_SUGGEST_REPIN = Suggestion("--repin", "take it as it is now")
_SUGGEST_NO_PINS_AT_ALL = Suggestion("--repin --no-pin", "take it as it is when the run gets there")


def parse_source(source: document.JobSource, kinds: SourceKinds) -> Source:
    """The source as its kind knows it, from its printed form."""
    return kinds[source.kind].parse(source.uri, Path("/"))


_MERGED_TITLES = {
    "not-pinned": "{} sources are not pinned: they are taken as they are when the run gets there",
    "pin-unseen": "whether {} sources are still what they were could not be found out: the run will tell",
}


def _merge_warnings(problems: list[Problem]) -> list[Problem]:
    """The same, warnings that differ in their source alone as one."""
    alike: dict[object, list[Problem]] = {}
    for index, problem in enumerate(problems):
        many = problem.code in _MERGED_TITLES
        alike.setdefault((problem.code, problem.where, problem.why) if many else index, []).append(problem)
    return [_merge_problems(found) for found in alike.values()]


def _merge_problems(alike: list[Problem]) -> Problem:
    if len(alike) == 1:
        return alike[0]
    given = ", ".join(problem.given for problem in alike[:MAX_NAMED_SOURCES])
    more = f" and {len(alike) - MAX_NAMED_SOURCES} more" if len(alike) > MAX_NAMED_SOURCES else ""
    title = _MERGED_TITLES[alike[0].code].format(len(alike))
    return dataclasses.replace(alike[0], title=title, given=f"{given}{more}")


def _explain_error(error: Exception) -> str:
    return error.why if isinstance(error, SourceError) else f"{redact(f'{type(error).__name__}: {error}')}."


def _make_problem(
    code: str,
    title: str,
    source: document.JobSource,
    why: str,
    *instead: Suggestion,
    severity: Literal["error", "warning"] = "error",
) -> Problem:
    return Problem(
        code=code,
        stage=Stage.PREFLIGHT,
        title=title,
        where=source.role,
        given=f"{source.uri} at {source.pin}" if source.pin else source.uri,
        why=why,
        suggestions=tuple(instead),
        severity=severity,
    )


def query_platform_settings(prepared: PreparedJob) -> tuple[PreparedJob, list[Problem]]:
    """The job with the settings that its platform was asked for, and why some were not told. What somebody said
    stays; what the platform has against its own answers is told as its `check` tells it.
    """
    platform, settings = prepared.platform, prepared.settings
    try:
        answers = dict(platform.query_settings(prepared.job, settings))
    except Rejected as rejected:
        return prepared, list(rejected.problems)
    except Exception as error:  # whatever a platform raises
        return prepared, [_make_query_problem(platform.name, error)]
    open_ones = {field.name for field in dataclasses.fields(settings) if getattr(settings, field.name) is None}
    return _apply_answers(prepared, {name: one for name, one in answers.items() if name in open_ones})


def list_platform_given_names(values: Iterable[Mapping[str, Any]], platform: str) -> set[str]:
    """The names that a platform gave values itself, among the kept values of a run."""
    given = str(Origin(PLATFORM_LAYER, f"{platform}: "))
    return {str(row["name"]) for row in values if str(row["origin"]).startswith(given)}


def _apply_answers(prepared: PreparedJob, answers: Mapping[str, PlatformDefault]) -> tuple[PreparedJob, list[Problem]]:
    if not answers:
        return prepared, []
    from robotrain.config.coerce import coerce_values, list_fields

    platform, settings = prepared.platform, prepared.settings
    raw = {
        name: Value(one.value, Origin(PLATFORM_LAYER, f"{platform.name}: {one.why}")) for name, one in answers.items()
    }
    here = {name: Value(value, Origin("here")) for name, value in list_fields(settings) if value is not None}
    typed, wrong = coerce_values(type(settings), here | raw)
    if wrong:
        return prepared, wrong
    changes = {name: getattr(typed, name) for name in raw}
    origins = {name: str(value.origin) for name, value in raw.items()}
    changed = prepared.with_settings(dataclasses.replace(settings, **changes), changes, origins)
    known = [*platform.check(prepared.job, settings)]
    return changed, [one for one in platform.check(changed.job, changed.settings) if one not in known]


class PlatformSettingsQuery:
    """`asked`, going on beside whatever else is asked; it does not hold up Ctrl-C."""

    def __init__(self, prepared: PreparedJob) -> None:
        self._answer: tuple[PreparedJob, list[Problem]] = (prepared, [])
        self._thread = threading.Thread(target=self._run_query, daemon=True)
        self._thread.start()

    def wait_for_answer(self) -> tuple[PreparedJob, list[Problem]]:
        """What `asked` answers, waited for."""
        self._thread.join()
        return self._answer

    def _run_query(self) -> None:
        self._answer = query_platform_settings(self._answer[0])


def _make_query_problem(platform: str, error: Exception) -> Problem:
    return Problem(
        code="platform-silent",
        stage=Stage.PREFLIGHT,
        severity="warning",
        title=f"what only {platform} tells of itself could not be asked",
        why=f"{redact(f'{type(error).__name__}: {error}')}.",
        suggestions=(Suggestion("--no-pin", "sends it without asking"),),
    )
