"""Problems: what is wrong with a job, and what the user can do about it. Both sides of the container report them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal, NamedTuple

from robotrain_runtime.contract.redaction import redact, redact_sentence

TYPE_CHECKING = False  # every command imports this module: events would cost start-up
if TYPE_CHECKING:
    from robotrain_runtime.contract.event import Fault

LEAVE_OUT = "leave out "
"""What the text of a suggestion begins with that adds nothing to a line."""


class Suggestion(NamedTuple):
    """What the user can do: a text to type, and a remark."""

    text: str
    """A whole line that begins with `robotrain`; options, each in the place of that of its name, else added; a word in
    the place of the given one; or `leave out --flag`. What the user has to choose stands there in capitals.
    """
    remark: str = ""

    def __str__(self) -> str:
        return f"{self.text}   {self.remark}" if self.remark else self.text


def suggest_leaving_out(*options: str, remark: str = "") -> Suggestion:
    """Return the suggestion of a line without some options."""
    return Suggestion(f"{LEAVE_OUT}{' and '.join(options)}", remark)


class Stage(IntEnum):
    """The stage of a job in which a problem was found, in order."""

    USAGE = 0
    PARSE = 1
    RESOLVE = 2
    CHECK = 3
    PREFLIGHT = 4
    SUBMIT = 5
    RUN = 6

    @property
    def exit_code(self) -> int:
        """2 invalid request, 3 not supported by the platform, 4 preflight failed, 1 submit failed, 5 run failed."""
        return {Stage.CHECK: 3, Stage.PREFLIGHT: 4, Stage.SUBMIT: 1, Stage.RUN: 5}.get(self, 2)


Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What is wrong, and what helps. `str()` is its report as `robotrain` prints it.

    The machine of the job gives what stands before `stage`; the rest is of a request that a user typed.
    """

    code: str
    """A stable code. Given with a variant after a dot, it is without it."""
    title: str
    """A sentence without a period."""
    where: str = ""
    """The flag or variable, or file:line."""
    given: str = ""
    """The redacted text that was given there."""
    why: str = ""
    """The reason, as a sentence."""
    suggestions: tuple[Suggestion, ...] = ()
    """What the user can do, the best first."""
    severity: Severity = "error"
    fault: Fault = "configuration"
    """Whose fault it is, where a run ends by it."""
    stage: Stage = Stage.PREFLIGHT
    """By default the one in which the machine of the job finds problems."""
    absent: tuple[str, ...] = ()
    """The missing parameters and roles that it is about; it is dropped if one was given with an invalid value, and a
    warning if one was unset on purpose.
    """
    source: str = ""
    """The address of the source that it is about, if `given` says more than that."""
    transient: bool = False
    """Whether the same request may work later, for example because a network fails."""
    question: str = ""
    """Of an error: what a person is asked on a terminal, such as `copy it?`; a yes makes it a note."""
    taken_by: str = ""
    """If the engine refuses a run because another one has its name already: how the platform names that one, as
    `find_submitted` takes it. `submit` names it, and offers `adopt` and `--new`.
    """
    message: str = ""
    """The code with its variant, `CODE` or `CODE.VARIANT`: what decides by a problem decides by this, since several
    messages have one code.
    """

    def __post_init__(self) -> None:
        code = self.code.partition(".")[0]
        if self.code != self.message.partition(".")[0]:
            object.__setattr__(self, "message", self.code)
            object.__setattr__(self, "code", code)
        texts_by_field = {name: getattr(self, name) for name in ("title", "where", "given", "why")}
        redacted_texts = {
            name: redact_sentence(field_text) for name, field_text in texts_by_field.items() if field_text
        }
        ways = tuple(
            Suggestion(*(field_text and redact_sentence(field_text) for field_text in way)) for way in self.suggestions
        )
        for name, field_value in {**redacted_texts, "suggestions": ways}.items():
            object.__setattr__(self, name, field_value)

    def __str__(self) -> str:
        return format_problem(self)


MAX_ALIGNED = 60
"""The maximal length of a suggestion whose remark is aligned with others."""


Problems = Iterator[Problem | str]
"""What a comparison yields: sentences, some of them with ways out."""


def format_problem(problem: Problem, width: int = 100) -> str:
    """Return the report of a problem: title and code, place and given text, reason, suggestions."""
    head = f"{problem.severity}: {problem.title}"
    code = f"[{problem.code}]"
    report_lines = [f"{head}{code:>{max(len(code) + 2, width - len(head))}}"]
    subject = " ".join(part for part in (problem.where, problem.given) if part)
    report_lines += [f"  {line}" for part in (subject, problem.why) if part for line in part.splitlines()]
    suggestions = problem.suggestions
    column = max(
        (
            len(suggestion_text)
            for suggestion_text, remark in suggestions
            if remark and len(suggestion_text) <= MAX_ALIGNED
        ),
        default=0,
    )
    for index, (suggestion_text, remark) in enumerate(suggestions):
        aligned = f"{'':{max(0, column - len(suggestion_text))}} ({remark})" if remark else ""
        label = "or" if index else "" if suggestion_text.startswith(LEAVE_OUT) else "use"
        report_lines.append(f"  {label:<5} {suggestion_text}{aligned}")
    return "\n".join(report_lines)


def summarize_problem(problem: Problem | str) -> str:
    """Return what a container plugin says is wrong in one line: the title and the best suggestion, or its sentence."""
    return problem if isinstance(problem, str) else ": ".join([problem.title, *map(str, problem.suggestions[:1])])


def make_data_problem(
    sentence: Problem | str, *suggestions: Suggestion | str, code: str = "", given: str = ""
) -> Problem:
    """Return a problem of what the job is given, with what is given here. Empty suggestions are left out."""
    if isinstance(sentence, str):
        sentence = Problem(code="data-unusable", title=sentence.rstrip("."), fault="data")
    final_suggestions = make_suggestions(*suggestions) or sentence.suggestions
    return dataclasses.replace(
        sentence, code=code or sentence.code, given=redact(given) or sentence.given, suggestions=final_suggestions
    )


def make_suggestions(*suggestions: Suggestion | str) -> tuple[Suggestion, ...]:
    """Return suggestions of which some are given by their text alone. Empty ones are left out."""
    all_suggestions = (
        suggestion if isinstance(suggestion, Suggestion) else Suggestion(suggestion) for suggestion in suggestions
    )
    return tuple(suggestion for suggestion in all_suggestions if suggestion.text)


class ProblemError(OSError):
    """Something cannot be used. The message is the problem in one line."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(summarize_problem(problem))
        self.problem = problem


def get_problem(error: Exception) -> Problem:
    """Return what an error says."""
    return error.problem if isinstance(error, ProblemError) else make_data_problem(str(error))
