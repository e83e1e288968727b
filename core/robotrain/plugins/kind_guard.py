"""Guards of source kinds and workloads of third parties: their failures are reported, not raised."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from robotrain.model.source import SourceError
from robotrain.plugins import calls
from robotrain.plugins.errors import collect_problems, make_failure, require_type

if TYPE_CHECKING:
    from robotrain.errors import Problem
    from robotrain.model.source import Pinning, SourceKind
    from robotrain.model.workload import Workload
    from robotrain.plugins.claims import Claim

PinningFunction = Callable[..., Any]


def guard_pinning(pinning: Pinning | None, claim: Claim) -> Pinning | None:
    """Return the pinning with guarded functions: failures and timeouts become SourceError. Raise TypeError."""
    from robotrain.model.source import Pinning

    if pinning is None:
        return None
    if not isinstance(pinning, Pinning):
        raise TypeError(f"its `pinning` is a {type(pinning).__name__}, and a robotrain.plugin.Pinning is due")
    return pinning._replace(
        resolve=functools.partial(_call_pinning, claim, "resolve", pinning.resolve, _require_pin),
        find_loss=functools.partial(_call_pinning, claim, "find_loss", pinning.find_loss, _require_text),
        find_missing=functools.partial(_call_pinning, claim, "find_missing", pinning.find_missing, _require_paths),
    )


def _call_pinning(claim: Claim, name: str, question: PinningFunction, answer: PinningFunction, *given: Any) -> Any:
    """Call a function of a pinning. Raise SourceError."""
    what = f"pinning ({name})"
    look = functools.partial(_call_and_validate, question, answer, given)
    try:
        return calls.call_with_timeout(look, f"{what} of {claim} ({claim.distribution})", calls.PLUGIN_SECONDS_VARIABLE)
    except (SourceError, KeyboardInterrupt):
        raise
    except BaseException as cause:  # SystemExit, and what ends a task
        failure = make_failure(claim, cause, what)
        raise SourceError(f"{failure}.", failure.suggestions[-1].text) from cause


def _call_and_validate(question: PinningFunction, answer: PinningFunction, given: tuple[Any, ...]) -> Any:
    return answer(question(*given))


def _require_pin(answer: Any) -> str:
    from robotrain.redaction import holds_secret

    pin = _require_text(answer)
    if holds_secret(pin) or not pin.isprintable():
        raise ValueError("its pin contains what looks like a secret, or is not one line of text")
    return pin


def _require_text(answer: Any) -> str:
    return str(require_type(answer, str, "a text"))


def _require_paths(answer: Any) -> list[str]:
    due = "an iterable of paths"
    if isinstance(answer, (str, bytes)):
        raise TypeError(f"the answer is a {type(answer).__name__}, and {due} is due")
    return [_require_text(path) for path in require_type(answer, Iterable, due)]


def guard_source_kind(kind: SourceKind, claim: Claim) -> SourceKind:
    """Return the kind with guarded functions: a failing recognizer recognizes nothing, a failing parser rejects."""
    return dataclasses.replace(
        kind,
        recognizes=functools.partial(_call_recognizes, kind.recognizes),
        parse=functools.partial(_call_parse, kind.parse, claim),
        warn=functools.partial(_call_warn, kind.warn, claim),
        describe_meaning=functools.partial(_call_describe_meaning, kind.describe_meaning),
        pinning=guard_pinning(kind.pinning, claim),
    )


def guard_workload(workload: Workload, claim: Claim) -> Workload:
    """Return the workload with a guarded check: its failure becomes a problem."""
    return dataclasses.replace(workload, check=functools.partial(_call_check, workload.check, claim))


def _call_recognizes(recognizes: Callable[[str], Any], text: str) -> bool:
    with calls.redirect_output():
        try:
            return bool(recognizes(text))
        except KeyboardInterrupt:
            raise
        except BaseException:  # it is asked about texts that were meant for others
            return False


def _call_parse(parse: Callable[..., Any], claim: Claim, *given: Any) -> Any:
    with calls.redirect_output():
        try:
            source = parse(*given)
            if not isinstance(source.kind, str):
                raise TypeError("a source has the name of its kind, `kind`")
            str(source)
        except (SourceError, KeyboardInterrupt):
            raise
        except BaseException as cause:
            raise _make_source_error(claim, cause, "parse") from cause
    return source


def _call_describe_meaning(meant: Callable[..., Any], text: str, source: Any) -> str:
    with calls.redirect_output():
        try:
            return str(meant(text, source))
        except KeyboardInterrupt:
            raise
        except BaseException:  # the job does not depend on it
            return ""


def _call_warn(warn: Callable[[Any], Any], claim: Claim, source: Any) -> list[str]:
    with calls.redirect_output():
        try:
            return [str(one) for one in warn(source)]
        except KeyboardInterrupt:
            raise
        except BaseException as cause:
            return [str(make_failure(claim, cause, "warn"))]


def _call_check(rules: Callable[[Any], Any], claim: Claim, job: Any) -> list[Problem]:
    found: list[Problem] = []
    collect_problems(claim, "check", functools.partial(rules, job), found)
    return found


def _make_source_error(claim: Claim, cause: BaseException, what: str) -> SourceError:
    failure = make_failure(claim, cause, what)
    return SourceError(f"{failure}.", failure.suggestions[-1].text)
