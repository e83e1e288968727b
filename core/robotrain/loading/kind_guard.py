"""Functions of a stranger's source kind and workload: what they should not raise stops nobody else's work."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

import dataclasses
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from robotrain import aside
from robotrain.loading.failure import failed
from robotrain.loading.guard import hear
from robotrain.loading.pinning_guard import guarded_pinning
from robotrain.source import SourceError

if TYPE_CHECKING:
    from robotrain.claims import Claim
    from robotrain.problem import Problem
    from robotrain.source import SourceKind
    from robotrain.workload import Workload


def guarded(kind: SourceKind, claim: Claim) -> SourceKind:
    """The same kind. One whose recogniser fails recognises nothing; what fails to be parsed is told as its failure."""
    return dataclasses.replace(
        kind,
        recognises=functools.partial(_recognises, kind.recognises),
        parse=functools.partial(_parsed, kind.parse, claim),
        warn=functools.partial(_warnings, kind.warn, claim),
        meant=functools.partial(_meant, kind.meant),
        pinning=guarded_pinning(kind.pinning, claim),
    )


def guarded_workload(workload: Workload, claim: Claim) -> Workload:
    """The same workload; rules that fail are told as its failure, among the problems."""
    return dataclasses.replace(workload, check=functools.partial(_problems, workload.check, claim))


def _recognises(recognises: Callable[[str], Any], text: str) -> bool:
    with aside.here():
        try:
            return bool(recognises(text))
        except KeyboardInterrupt:
            raise
        except BaseException:  # it is asked about texts that were meant for others
            return False


def _parsed(parse: Callable[..., Any], claim: Claim, *given: Any) -> Any:
    with aside.here():
        try:
            source = parse(*given)
            if not isinstance(source.kind, str):
                raise TypeError("a source has the name of its kind, `kind`")
            str(source)
        except (SourceError, KeyboardInterrupt):
            raise
        except BaseException as cause:
            raise _as_source_error(claim, cause, "parse") from cause
    return source


def _meant(meant: Callable[..., Any], text: str, source: Any) -> str:
    with aside.here():
        try:
            return str(meant(text, source))
        except KeyboardInterrupt:
            raise
        except BaseException:  # the job does not depend on it
            return ""


def _warnings(warn: Callable[[Any], Any], claim: Claim, source: Any) -> list[str]:
    with aside.here():
        try:
            return [str(one) for one in warn(source)]
        except KeyboardInterrupt:
            raise
        except BaseException as cause:
            return [str(failed(claim, cause, "warn"))]


def _problems(rules: Callable[[Any], Any], claim: Claim, job: Any) -> list[Problem]:
    found: list[Problem] = []
    hear(claim, "check", functools.partial(rules, job), found)
    return found


def _as_source_error(claim: Claim, cause: BaseException, what: str) -> SourceError:
    failure = failed(claim, cause, what)
    return SourceError(f"{failure}.", failure.ways[-1].text)
