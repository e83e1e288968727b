"""Findings: why a run would fail, and what the user can do about it.

Container plugins report a finding, or its sentence alone where nothing is to be typed.
"""

from __future__ import annotations

from typing import NamedTuple

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
    replaces: str = ""
    """Options of the line, separated by spaces, that are left out with it: those of other names than the text has."""

    def __str__(self) -> str:
        return f"{self.text}   {self.remark}" if self.remark else self.text


def suggest_leaving_out(*options: str, remark: str = "") -> Suggestion:
    """Return the suggestion of a line without some options."""
    return Suggestion(f"{LEAVE_OUT}{' and '.join(options)}", remark, " ".join(options))


class Finding(NamedTuple):
    """A reason why the run would fail."""

    code: str
    title: str
    """A sentence without a full stop."""
    where: str = ""
    """The option or variable that it concerns."""
    given: str = ""
    """Its value."""
    why: str = ""
    """A sentence."""
    ways: tuple[Suggestion, ...] = ()
    """What helps, best first."""
    fault: Fault = "configuration"

    def __str__(self) -> str:
        return ": ".join([self.title, *map(str, self.ways[:1])])


def make_finding(sentence: Finding | str, *ways: Suggestion | str, code: str = "", given: str = "") -> Finding:
    """Return the finding of a container plugin, with what is given here. Empty ways are left out."""
    if isinstance(sentence, str):
        sentence = Finding(code="data-unusable", title=sentence.rstrip("."), fault="data")
    made = make_ways(*ways) or sentence.ways
    return sentence._replace(code=code or sentence.code, given=given or sentence.given, ways=made)


def make_ways(*ways: Suggestion | str) -> tuple[Suggestion, ...]:
    """Return ways of which some are given by their text alone. Empty ones are left out."""
    made = (way if isinstance(way, Suggestion) else Suggestion(way) for way in ways)
    return tuple(way for way in made if way.text)


class FindingError(OSError):
    """Something cannot be used. The message is the finding in one line."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(str(finding))
        self.finding = finding


def get_finding(error: Exception) -> Finding:
    """Return what an error says."""
    return error.finding if isinstance(error, FindingError) else make_finding(str(error))
