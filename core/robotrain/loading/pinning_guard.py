"""The pinning of a stranger's source kind: in time, with nothing on stdout, and with answers that can be sent."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

import dataclasses
import functools
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from robotrain import limited
from robotrain.loading.failure import failed
from robotrain.loading.guard import suitable
from robotrain.source import SourceError

if TYPE_CHECKING:
    from robotrain.claims import Claim
    from robotrain.source import Pinning

Question = Callable[..., Any]


def guarded_pinning(pinning: Pinning | None, claim: Claim) -> Pinning | None:
    """The same pinning; what it should not raise, or takes too long over, is told as its plugin's failure.

    Raises TypeError for what is none.
    """
    from robotrain.source import Pinning

    if pinning is None:
        return None
    if not isinstance(pinning, Pinning):
        raise TypeError(f"its `pinning` is a {type(pinning).__name__}, and a robotrain.source.Pinning is due")
    return dataclasses.replace(
        pinning,
        now=functools.partial(_asked, claim, "now", pinning.now, _pin),
        gone=functools.partial(_asked, claim, "gone", pinning.gone, _text),
        lacks=functools.partial(_asked, claim, "lacks", pinning.lacks, _paths),
    )


def _asked(claim: Claim, name: str, question: Question, answer: Question, *given: Any) -> Any:
    """Raises SourceError."""
    what = f"pinning ({name})"
    look = functools.partial(_answered, question, answer, given)
    try:
        return limited.alone(look, f"{what} of {claim} ({claim.distribution})", limited.ASKED_FOR)
    except (SourceError, KeyboardInterrupt):
        raise
    except BaseException as cause:  # SystemExit, and what ends a task
        failure = failed(claim, cause, what)
        raise SourceError(f"{failure}.", failure.ways[-1].text) from cause


def _answered(question: Question, answer: Question, given: tuple[Any, ...]) -> Any:
    return answer(question(*given))


def _pin(answer: Any) -> str:
    from robotrain.redaction import holds_secret

    pin = _text(answer)
    if holds_secret(pin) or not pin.isprintable():
        raise ValueError("its pin holds what looks like a secret, or is not one line of text")
    return pin


def _text(answer: Any) -> str:
    return str(suitable(answer, str, "a text"))


def _paths(answer: Any) -> list[str]:
    due = "an iterable of paths"
    if isinstance(answer, (str, bytes)):
        raise TypeError(f"the answer is a {type(answer).__name__}, and {due} is due")
    return [_text(path) for path in suitable(answer, Iterable, due)]
