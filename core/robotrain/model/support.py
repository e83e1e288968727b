"""Whether something is supported, why not, and the words of a refusal."""

from typing import Literal, NamedTuple

from robotrain.errors import LEAVE_OUT, Problem, Stage, Suggestion, suggest_leaving_out

SupportLevel = Literal["yes", "not_yet", "no", "unknown"]


class Support(NamedTuple):
    """Whether something is supported; true only for `yes`. What is not declared is `unknown`."""

    level: SupportLevel
    reason: str = ""
    """A sentence for the user."""
    suggestion: str = ""
    """What the user can use instead."""

    def __bool__(self) -> bool:
        return self.level == "yes"


YES = Support("yes")
"""The support of what was tried and works."""
UNKNOWN = Support("unknown", "the platform does not say")
ANY = "*"
"""In a declaration: every name that is not listed, third-party ones included.

Of source kinds, only those that the container can fetch itself; a kind that requires a feature also needs that feature.
"""


def not_yet(reason: str, suggestion: str = "") -> Support:
    """Return the support of something that is planned."""
    return Support("not_yet", reason, suggestion)


def no(reason: str, suggestion: str = "") -> Support:
    """Return the support of something that is not planned."""
    return Support("no", reason, suggestion)


def make_refusal(
    code: str,
    phrase: str,
    support: Support,
    platform: str,
    other_platforms: tuple[Suggestion, ...] = (),
    where: str = "",
    text: str = "",
) -> Problem:
    """Return the problem of what a platform does not support; `phrase` follows its name: `does not accept X`."""
    ways = other_platforms
    if support.suggestion and support.suggestion not in {way.text for way in ways}:
        options = support.suggestion.removeprefix(LEAVE_OUT)
        suggestion = Suggestion(options) if options == support.suggestion else suggest_leaving_out(options)
        ways = (suggestion, *ways)
    return Problem(
        code=code,
        stage=Stage.CHECK,
        title=f"{platform} {phrase}{' yet' if support.level == 'not_yet' else ''}",
        where=where,
        given=text,
        why=support.reason,
        suggestions=ways,
    )
