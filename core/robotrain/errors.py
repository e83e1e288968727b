"""Problems of a request as data: collected by every stage, reported all at once, with suggestions."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal, NamedTuple


class Stage(IntEnum):
    """Where in the way of a job a problem was found. The order is the order of the stages."""

    USAGE = 0
    PARSE = 1
    RESOLVE = 2
    CHECK = 3
    PREFLIGHT = 4
    SUBMIT = 5
    RUN = 6

    @property
    def exit_code(self) -> int:
        """2 the request is wrong, 3 the platform cannot do it, 4 preflight says no, 1 submit failed, 5 the run did."""
        return {Stage.CHECK: 3, Stage.PREFLIGHT: 4, Stage.SUBMIT: 1, Stage.RUN: 5}.get(self, 2)


EXIT_INTERRUPTED = 130
MAX_SENTENCE = 1000


class Suggestion(NamedTuple):
    """What to do instead: something to type, and why that would do."""

    text: str
    remark: str = ""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that is wrong, in the words of the person who gave it.

    code: stable and searchable. title: a sentence without a full stop. where: the flag, or file:line. given: what was
    given there, already redacted. why: a sentence. instead: the ways out, best first. absent: for a rule about what
    nobody gave, the parameters and roles it means: it is not told where one was given and could not be read.

    `str()` of one is its report, in lines, as `robotrain` prints it.
    """

    code: str
    stage: Stage
    title: str
    where: str = ""
    given: str = ""
    why: str = ""
    suggestions: tuple[Suggestion, ...] = ()
    severity: Literal["error", "warning", "note"] = "error"
    absent: tuple[str, ...] = ()

    def __str__(self) -> str:
        return format_problem(self)


class Rejected(Exception):
    """A request that goes no further; carries every problem that was found.

    passing: the very same may work a little later, as when a network is away; whoever follows a run waits for that.
    """

    def __init__(self, problems: Iterable[Problem], transient: bool = False) -> None:
        self.problems = tuple(problems)
        self.transient = transient
        super().__init__("; ".join(map(_summarize_problem, self.problems)))

    def __reduce__(self) -> tuple[type, tuple[tuple[Problem, ...], bool]]:
        return Rejected, (self.problems, self.transient)  # a worker process may hand it on

    @property
    def exit_code(self) -> int:
        """That of the earliest stage with an error."""
        return min((problem.stage for problem in select_errors(self.problems)), default=Stage.SUBMIT).exit_code


def _summarize_problem(problem: Problem) -> str:
    """What a call from Python says of it: what is wrong, and what to do."""
    ways = " or ".join(way.text for way in problem.suggestions)
    return f"{problem.title} (use {ways})" if ways and problem.severity == "error" else problem.title


class Unanswered(Exception):
    """Nobody knows whether an engine took a run. problems: what it said, each with its ways out."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        told = (f"{problem.title[:1].upper()}{problem.title[1:]}. {problem.why}" for problem in self.problems)
        super().__init__(" ".join(one.strip() for one in told))


class NotSubmitted(KeyboardInterrupt):
    """Ctrl-C, before an engine was asked to take anything."""


def select_errors(problems: Iterable[Problem]) -> list[Problem]:
    """Those that stop the request."""
    return [problem for problem in problems if problem.severity == "error"]


def raise_if_any(problems: Iterable[Problem]) -> None:
    """Raise Rejected with all of `problems` when one of them is an error."""
    found = list(problems)
    if select_errors(found):
        raise Rejected(found)


MAX_ALIGNED = 60
"""Characters of a way out beyond which the remarks of the others do not stand below its own."""


def format_problem(problem: Problem, width: int = 100) -> str:
    """The report of one problem, in the form of design.md section 3."""
    from robotrain.redaction import redact, redact_if_secret

    head = f"{problem.severity}: {redact(problem.title, max_length=MAX_SENTENCE)}"
    code = f"[{problem.code}]"
    lines = [f"{head}{code:>{max(len(code) + 2, width - len(head))}}"]
    given = " ".join(part for part in (redact(problem.where), redact_if_secret(problem.given)) if part)
    lines += [f"  {line}" for part in (given, redact_if_secret(problem.why)) if part for line in part.splitlines()]
    ways = [Suggestion(redact_if_secret(way.text), redact_if_secret(way.remark)) for way in problem.suggestions]
    column = max((len(way.text) for way in ways if way.remark and len(way.text) <= MAX_ALIGNED), default=0)
    for index, way in enumerate(ways):
        remark = f"{'':{max(0, column - len(way.text))}} ({way.remark})" if way.remark else ""
        lines.append(f"  {'or' if index else 'use':<5} {way.text}{remark}")
    return "\n".join(lines)


def find_nearest_name(name: str, known: Iterable[str]) -> str | None:
    """The one a person probably meant; None when nothing is near. A prefix of exactly one name counts as near."""
    from difflib import get_close_matches

    names = list(known)
    starting = [candidate for candidate in names if candidate.startswith(name) and name.strip("-")]
    if len(starting) == 1:
        return starting[0]
    return next(iter(get_close_matches(name, names, n=1, cutoff=0.6)), None)


def suggest_name(name: str, known: Iterable[str], prefix: str = "") -> tuple[Suggestion, ...]:
    """The nearest name as the way out of a problem, with what is typed `before` it; empty when nothing is near."""
    near = find_nearest_name(name, known)
    return (Suggestion(prefix + near),) if near else ()
