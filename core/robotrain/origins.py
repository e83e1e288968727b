"""Each value of a resolved job with where it came from and what it overrode, as data fit to be shown and kept."""

from collections.abc import Iterator
from typing import Any

from robotrain.coerce import scalars
from robotrain.redaction import redact
from robotrain.resolve import Resolution


def rows(resolution: Resolution) -> Iterator[dict[str, Any]]:
    """Sources, parameters, settings and trainer arguments, in this order: name, value, origin, overrode."""
    for one in resolution.inputs.chosen:
        lost = [text for text in resolution.inputs.overrode if text.role == one.role]
        losers = [{"value": redact(text.text), "origin": str(text.origin)} for text in lost]
        yield _row(one.role, f"{one.source.kind} {one.source}", one.origin, losers)
    settled = dict(resolution.job.parameters) | dict(scalars(resolution.settings))
    for name, value in {**resolution.parameters, **resolution.platform_settings}.items():
        losers = [{"value": redact(str(loser.value)), "origin": str(loser.origin)} for loser in value.overrode]
        shown = settled[name]
        yield _row(name, redact(shown) if isinstance(shown, str) else shown, value.origin, losers)
    losers = [{"value": redact(lost.value), "origin": str(lost.origin)} for lost in resolution.replaced_args]
    for argument in resolution.trainer_args:
        yield _row("trainer_args", redact(argument.value), argument.origin, losers)
        losers = []  # all of the file's were replaced by all of these: said once


def _row(name: str, value: Any, origin: Any, losers: list[dict[str, Any]]) -> dict[str, Any]:
    return {"name": name, "value": value, "origin": str(origin), "overrode": losers}
