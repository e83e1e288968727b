"""Assertions of problems by code and place, of a whole report or of a list. Their sentences may improve."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import pytest
from robotrain.errors import Rejected
from robotrain_runtime.contract.problem import Problem, ProblemError

BLOCK = re.compile(r"^(?:error|warning|note): .*?\[([\w-]+)\]$(?:\n  .*)*", re.MULTILINE)


def check_problems(problems: str | Iterable[object], *expected: str) -> None:
    """Assert that a report, or a list of problems, has these, each "CODE" or "CODE PLACE", and no other error; more
    notes and warnings may be there. PLACE is how the second line of a problem's report begins.
    """
    shown = problems if isinstance(problems, str) else "\n".join(map(str, problems))
    blocks = [(match[1], match[0]) for match in BLOCK.finditer(shown)]
    lines = [(" ".join([code, *block.split("\n  ")[1:2]]), block) for code, block in blocks]
    missing = [problem for problem in expected if not any(is_meant(problem, line) for line, _ in lines)]
    errors = [line for line, block in lines if block.startswith("error")]
    other = [line for line in errors if not any(is_meant(problem, line) for problem in expected)]
    assert (missing, other) == ([], []), shown


@contextmanager
def check_rejected(*expected: str) -> Iterator[None]:
    """Assert that what follows is rejected with these problems, each "CODE" or "CODE PLACE", and no other error."""
    with pytest.raises(Rejected) as rejected:
        yield
    check_problems(rejected.value.problems, *expected)


def check_refusals(raised: Exception | Iterable[object], *expected: str) -> None:
    """Assert what an error or findings of the machine of a job say, each "KIND" or "KIND PLACE". The kind is the code
    of a finding or the class of an error; the place of an error is its fault: "os-error network".
    """
    refusals = [raised] if isinstance(raised, Exception) else raised
    check_problems("\n".join(map(format_refusal, refusals)), *expected)


def format_refusal(refusal: object) -> str:
    """Return an error or a finding in the form of a problem's report."""
    if isinstance(refusal, Problem):
        lines = (f"{refusal.where} {refusal.given}".strip(), refusal.why, *map(str, refusal.suggestions))
        return "\n  ".join([f"error: {refusal.title}  [{refusal.code}]", *filter(None, lines)])
    name = "OSError" if isinstance(refusal, ProblemError) else type(refusal).__name__
    kind = re.sub("(?<=[a-z])(?=[A-Z])|(?<=OS)(?=E)", "-", name).lower()
    first, *more = str(getattr(refusal, "sentence", refusal)).splitlines()
    suggestion = getattr(refusal, "suggestion", "")
    lines = (getattr(refusal, "fault", ""), *more, getattr(refusal, "way", ""), suggestion and f"use   {suggestion}")
    return "\n  ".join([f"error: {first}  [{kind}]", *filter(None, lines)])


def is_meant(expected: str, line: str) -> bool:
    """Return whether "CODE PLACE" names the problem of a line, its code and the second line of its report."""
    return f"{line} ".startswith(expected if " " in expected else f"{expected} ")
