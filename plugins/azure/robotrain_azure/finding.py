"""How a rule of a platform says what it found. The code is the platform's own."""

from robotrain.problem import Instead, Problem, Stage
from robotrain.redaction import redact

Ways = tuple[Instead, ...]


def ways(*texts: str) -> Ways:
    """Things to type, best first; empty ones are left out."""
    return tuple(Instead(text) for text in texts if text)


def unfit(code: str, flag: str, given: str, what: str, why: str, instead: Ways = ()) -> Problem:
    """A value that is no such thing."""
    return Problem(
        code=code,
        stage=Stage.PARSE,
        title=f"{flag} takes {what}, and this is none",
        where=flag,
        given=redact(given),
        why=why,
        instead=instead,
    )


def missing(code: str, title: str, where: str, why: str, instead: Ways, given: str = "") -> Problem:
    """Something that nobody said, and that cannot be guessed."""
    return Problem(
        code=code, stage=Stage.RESOLVE, title=title, where=where, given=redact(given), why=why, instead=instead
    )


def cannot(code: str, title: str, where: str, why: str, instead: Ways, given: str = "") -> Problem:
    """Something that the platform, or the version of it that is there, does not do."""
    return Problem(
        code=code, stage=Stage.CHECK, title=title, where=where, given=redact(given), why=why, instead=instead
    )


def warning(code: str, title: str, where: str, why: str, instead: Ways = (), note: bool = False) -> Problem:
    """Something that goes on all the same. note: it is only good to know."""
    return Problem(
        code=code,
        stage=Stage.CHECK,
        title=title,
        where=where,
        why=why,
        instead=instead,
        severity="note" if note else "warning",
    )
