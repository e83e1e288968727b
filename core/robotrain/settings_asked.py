"""Settings that only a network tells, such as as whom jobs sign in on a machine: asked where a job is pinned."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

import dataclasses
import threading
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from robotrain.problem import Instead, Problem, Rejected, Stage
from robotrain.provenance import PLATFORM, Origin, Value
from robotrain.redaction import redact

if TYPE_CHECKING:
    from robotrain.api import Prepared
    from robotrain.platforms import Default


def asked(prepared: Prepared) -> tuple[Prepared, list[Problem]]:
    """The job with the settings that its platform was asked for, and why some were not told. What somebody said
    stays; what the platform has against its own answers is told as its `check` tells it.
    """
    platform, settings = prepared.platform, prepared.settings
    ask = getattr(platform, "asked", None)
    if ask is None:
        return prepared, []
    try:
        answers = dict(ask(prepared.job, settings))
    except Rejected as rejected:
        return prepared, list(rejected.problems)
    except Exception as error:  # whatever a platform raises
        return prepared, [_failed(platform.name, error)]
    open_ones = {field.name for field in dataclasses.fields(settings) if getattr(settings, field.name) is None}
    return _with(prepared, {name: one for name, one in answers.items() if name in open_ones})


def told(values: Iterable[Mapping[str, Any]], platform: str) -> set[str]:
    """The names that a platform gave values itself, among the kept values of a run."""
    given = str(Origin(PLATFORM, f"{platform}: "))
    return {str(row["name"]) for row in values if str(row["origin"]).startswith(given)}


def _with(prepared: Prepared, answers: Mapping[str, Default]) -> tuple[Prepared, list[Problem]]:
    if not answers:
        return prepared, []
    from robotrain.coerce import coerce, scalars

    platform, settings = prepared.platform, prepared.settings
    raw = {name: Value(one.value, Origin(PLATFORM, f"{platform.name}: {one.why}")) for name, one in answers.items()}
    here = {name: Value(value, Origin("here")) for name, value in scalars(settings) if value is not None}
    typed, wrong = coerce(type(settings), here | raw)
    if wrong:
        return prepared, wrong
    changes = {name: getattr(typed, name) for name in raw}
    origins = {name: str(value.origin) for name, value in raw.items()}
    changed = prepared.with_settings(dataclasses.replace(settings, **changes), changes, origins)
    known = [*platform.check(prepared.job, settings)]
    return changed, [one for one in platform.check(changed.job, changed.settings) if one not in known]


class Asking:
    """`asked`, going on beside whatever else is asked; it does not hold up Ctrl-C."""

    def __init__(self, prepared: Prepared) -> None:
        self._answer: tuple[Prepared, list[Problem]] = (prepared, [])
        self._thread = threading.Thread(target=self._ask, daemon=True)
        if hasattr(prepared.platform, "asked"):
            self._thread.start()

    def answer(self) -> tuple[Prepared, list[Problem]]:
        """What `asked` answers, waited for."""
        if self._thread.ident is not None:
            self._thread.join()
        return self._answer

    def _ask(self) -> None:
        self._answer = asked(self._answer[0])


def _failed(platform: str, error: Exception) -> Problem:
    return Problem(
        code="platform-silent",
        stage=Stage.PREFLIGHT,
        severity="warning",
        title=f"what only {platform} tells of itself could not be asked",
        why=f"{redact(f'{type(error).__name__}: {error}')}.",
        instead=(Instead("--no-pin", "sends it without asking"),),
    )
