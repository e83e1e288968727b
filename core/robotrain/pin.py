"""Pinning: what the names of a job that may move mean now. The one step before sending that may ask a network.

A pin is no part of the job's digest, so the same job keeps its name; it travels in the document beside the source.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from robotrain_runtime import document

from robotrain.job import Job
from robotrain.problem import Instead, Problem, Stage, raise_if_any
from robotrain.redaction import redact
from robotrain.source import Absent, Pinning, Source, SourceError, SourceKind, Unseen

if TYPE_CHECKING:
    from robotrain.capabilities import Capabilities

Kinds = Mapping[str, SourceKind]
Described = Mapping[str, Sequence[str]]
"""By role, the paths of the few files that describe a source: one that has none of them is of no use."""
NOTHING: Described = MappingProxyType({})
AT_ONCE = 8
NAMED = 3
"""Sources that one warning about many of them names."""


def pinned(job: Job, kinds: Kinds, described: Described = NOTHING) -> tuple[Job, list[Problem]]:
    """The job with every source pinned whose kind can be, and what is wrong; a source that has a pin keeps it."""
    found = _each(job, lambda source: _pin(source, kinds, described.get(source.role, ())))
    sources = tuple(pin if isinstance(pin, document.Source) else source for source, pin in found)
    problems = [pin for _, pin in found if isinstance(pin, Problem)]
    return dataclasses.replace(job, sources=sources), _together(problems)


def settled(job: Job, kinds: Kinds) -> Job:
    """The same. Raises Rejected with every source whose meaning could not be found out."""
    found, unknown = pinned(job, kinds)
    raise_if_any(dataclasses.replace(problem, severity="error") for problem in unknown)  # pins were asked for
    return found


def described(can: "Capabilities", halves: Mapping[str, str]) -> Described:
    """What the workload's half says that describes its sources; nothing where the platform works on this machine, and
    looks at the data itself.
    """
    module = next((module for what, module in halves.items() if what.startswith("workload.")), "")
    if not module or can.feature("runs_here"):
        return NOTHING
    import importlib

    try:
        return dict(getattr(importlib.import_module(module), "DESCRIBED", NOTHING))
    except Exception:  # it is written for another machine
        return NOTHING


def gone(job: Job, kinds: Kinds, held: Callable[[], Collection[document.Source]] = tuple) -> list[Problem]:
    """The pins of `job` that cannot be had any more, each with its reason. held: asked only where there are some, and
    says which sources the platform has as they were pinned: nobody misses those.
    """
    found = [(source, problem) for source, problem in _each(job, lambda source: _gone(source, kinds)) if problem]
    there = held() if found else ()
    return _together([problem for source, problem in found if isinstance(problem, Problem) and source not in there])


def without(job: Job) -> Job:
    """The job with no pin: every name means what it means when the run gets there."""
    return dataclasses.replace(job, sources=tuple(dataclasses.replace(source, pin="") for source in job.sources))


def _each(
    job: Job, ask: Callable[[document.Source], document.Source | Problem | None]
) -> list[tuple[document.Source, document.Source | Problem | None]]:
    """Every source with the answer it gets. Several are asked at once, in threads that do not hold up Ctrl-C."""
    if len(job.sources) < 2:
        return [(source, ask(source)) for source in job.sources]
    import queue
    import threading

    open_questions: queue.SimpleQueue[int] = queue.SimpleQueue()
    answers: dict[int, document.Source | Problem | None] = {}

    def work() -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                index = open_questions.get_nowait()
                answers[index] = ask(job.sources[index])

    for index in range(len(job.sources)):
        open_questions.put(index)
    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(AT_ONCE, len(job.sources)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [(source, answers[index]) for index, source in enumerate(job.sources)]


def _pin(source: document.Source, kinds: Kinds, described: Sequence[str]) -> document.Source | Problem:
    pinning = kinds[source.kind].pinning if source.kind in kinds else None
    if source.pin or pinning is None:
        return source
    try:
        pin = pinning.now(typed(source, kinds), source.role)
    except Unseen as unseen:
        title = f"{source.uri} is not pinned: it is taken as it is when the run gets there"
        return _problem("not-pinned", title, source, unseen.why, severity="warning")
    except Absent as absent:
        return _problem("source-missing", f"{source.uri} is not there", source, absent.why, *_offered(absent))
    except Exception as error:  # whatever a kind raises
        ways = _offered(error) if isinstance(error, SourceError) else ()
        title = f"what {source.uri} means now could not be found out"
        return _problem("pin-unknown", title, source, _why(error), *ways, _NO_PIN)
    if described and not set(described) - set(_lacking(source, kinds, pinning, described)):
        title = f"{source.uri} is no {source.role} that can be used: it has no {' and no '.join(described)}"
        why = f"The job would end there: name a {source.role} that holds it."
        return _problem("source-undescribed", title, source, why)
    return dataclasses.replace(source, pin=pin)


def _lacking(source: document.Source, kinds: Kinds, pinning: Pinning, paths: Sequence[str]) -> Sequence[str]:
    try:
        return pinning.lacks(typed(source, kinds), source.role, paths)
    except Exception:  # it was there a moment ago: the run will tell
        return ()


def _offered(error: SourceError) -> tuple[Instead, ...]:
    return (Instead(error.instead),) if error.instead else ()


def _gone(source: document.Source, kinds: Kinds) -> Problem | None:
    pinning = kinds[source.kind].pinning if source.kind in kinds else None
    if not source.pin or pinning is None:
        return None
    try:
        why = pinning.gone(typed(source, kinds), source.role, source.pin)
    except Unseen as unseen:
        title = f"whether {source.uri} is still what it was could not be found out: the run will tell"
        return _problem("pin-unseen", title, source, unseen.why, severity="warning")
    except Exception as error:  # whatever a kind raises
        title = f"whether {source.uri} is still there could not be found out"
        return _problem("pin-unknown", title, source, _why(error), _AS_IT_IS)
    if not why:
        return None
    ways = (_REPIN,) if _is_there(source, kinds, pinning) else ()
    return _problem("pin-gone", f"what {source.uri} was when it was sent is gone", source, why, *ways)


def _is_there(source: document.Source, kinds: Kinds, pinning: Pinning) -> bool:
    """Whether there is anything that it could be pinned to now; so where that is not told."""
    try:
        return bool(pinning.now(typed(source, kinds), source.role))
    except Absent:
        return False
    except Exception:
        return True


_NO_PIN = Instead("--no-pin", "take it as it is when the run gets there")
_REPIN = Instead("--repin", "take it as it is now")
_AS_IT_IS = Instead("--repin --no-pin", "take it as it is when the run gets there")


def typed(source: document.Source, kinds: Kinds) -> Source:
    """The source as its kind knows it, from its printed form."""
    return kinds[source.kind].parse(source.uri, Path("/"))


_MANY = {
    "not-pinned": "{} sources are not pinned: they are taken as they are when the run gets there",
    "pin-unseen": "whether {} sources are still what they were could not be found out: the run will tell",
}


def _together(problems: list[Problem]) -> list[Problem]:
    """The same, warnings that differ in their source alone as one."""
    alike: dict[object, list[Problem]] = {}
    for index, problem in enumerate(problems):
        many = problem.code in _MANY
        alike.setdefault((problem.code, problem.where, problem.why) if many else index, []).append(problem)
    return [_one_of(found) for found in alike.values()]


def _one_of(alike: list[Problem]) -> Problem:
    if len(alike) == 1:
        return alike[0]
    given = ", ".join(problem.given for problem in alike[:NAMED])
    more = f" and {len(alike) - NAMED} more" if len(alike) > NAMED else ""
    title = _MANY[alike[0].code].format(len(alike))
    return dataclasses.replace(alike[0], title=title, given=f"{given}{more}")


def _why(error: Exception) -> str:
    return error.why if isinstance(error, SourceError) else f"{redact(f'{type(error).__name__}: {error}')}."


def _problem(
    code: str,
    title: str,
    source: document.Source,
    why: str,
    *instead: Instead,
    severity: Literal["error", "warning"] = "error",
) -> Problem:
    return Problem(
        code=code,
        stage=Stage.PREFLIGHT,
        title=title,
        where=source.role,
        given=f"{source.uri} at {source.pin}" if source.pin else source.uri,
        why=why,
        instead=tuple(instead),
        severity=severity,
    )
