"""Exceptions with the problems of a request, all at once. `Problem` is of the runtime: `contract/problem.py`."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from robotrain_runtime.contract.problem import LEAVE_OUT as LEAVE_OUT
from robotrain_runtime.contract.problem import Problem as Problem
from robotrain_runtime.contract.problem import Severity as Severity
from robotrain_runtime.contract.problem import Stage as Stage
from robotrain_runtime.contract.problem import Suggestion as Suggestion
from robotrain_runtime.contract.problem import format_problem as format_problem
from robotrain_runtime.contract.problem import suggest_leaving_out as suggest_leaving_out

EXIT_INTERRUPTED = 130


def suggest_choosing(*texts: str) -> Suggestion:
    """Return the suggestion to keep one of several texts of the line, of which nobody but the user knows which."""
    return Suggestion(f"{LEAVE_OUT}all but ONE: {' or '.join(texts)}")


class Rejected(Exception):
    """A request is rejected, with all its problems.

    :param transient: the same request may work later, for example if a network fails; whoever follows a run retries.
        It is so too if all its errors are transient.
    """

    def __init__(self, problems: Iterable[Problem], transient: bool = False) -> None:
        self.problems = tuple(problems)
        errors = select_errors(self.problems)
        self.transient = transient or (bool(errors) and all(problem.transient for problem in errors))
        super().__init__("; ".join(map(_summarize_problem, self.problems)))

    def __reduce__(self) -> tuple[type, tuple[tuple[Problem, ...], bool]]:
        return Rejected, (self.problems, self.transient)  # worker processes pickle it

    @property
    def exit_code(self) -> int:
        """The exit code of the earliest stage with an error."""
        return min((problem.stage for problem in select_errors(self.problems)), default=Stage.SUBMIT).exit_code


def _summarize_problem(problem: Problem) -> str:
    """Return title and suggestions in one line."""
    joined_ways = " or ".join(suggestion.text for suggestion in problem.suggestions)
    return f"{problem.title} (use {joined_ways})" if joined_ways and problem.severity == "error" else problem.title


class Unanswered(Exception):
    """It is unknown whether an engine accepted a run; the problems are what it answered."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        sentences = (f"{problem.title[:1].upper()}{problem.title[1:]}. {problem.why}" for problem in self.problems)
        super().__init__(" ".join(sentence.strip() for sentence in sentences))


class NotSubmitted(KeyboardInterrupt):
    """Ctrl-C before anything was sent to an engine."""


def select_errors(problems: Iterable[Problem]) -> list[Problem]:
    """Return the problems that are errors."""
    return [problem for problem in problems if problem.severity == "error"]


def settle_questions(problems: Iterable[Problem], confirm: Callable[[Problem], bool]) -> list[Problem]:
    """Return the problems; one that is a question is a note after a yes. Nothing is asked if others are errors."""
    asked = list(problems)
    if any(not problem.question for problem in select_errors(asked)):
        return asked
    return [
        replace(problem, severity="note", suggestions=()) if problem.question and confirm(problem) else problem
        for problem in asked
    ]


def raise_if_any(problems: Iterable[Problem]) -> None:
    """Raise Rejected with all problems if one of them is an error."""
    all_problems = list(problems)
    if select_errors(all_problems):
        raise Rejected(all_problems)


@contextlib.contextmanager
def collect_problems(problems: list[Problem]) -> Iterator[None]:
    """Add the problems of a Rejected to a list instead of raising it: all are reported at once."""
    try:
        yield
    except Rejected as rejected:
        problems += (
            replace(problem, transient=problem.transient or rejected.transient) for problem in rejected.problems
        )
