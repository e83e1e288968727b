"""The values of a resolved job with their origins, as `explain`, plans and records have them."""

from collections.abc import Sequence
from typing import Any

from robotrain_runtime.contract.parameter import get_parameters

from robotrain.config.pairs import hide_secret_values
from robotrain.config.resolve import Resolution
from robotrain.config.trainer_args import list_argument_rows
from robotrain.config.validate import list_fields
from robotrain.config.values import DEFAULT_ORIGIN, Origin, Value
from robotrain.model.job import TRAINER_DEFAULT
from robotrain.model.workload import Workload
from robotrain.redaction import redact


def list_resolved_values(resolution: Resolution, workload: Workload) -> list[dict[str, Any]]:
    """Return sources, parameters, settings and trainer arguments as name, value, origin and overridden values.

    The first argument of an option has its name as `option`; it is empty for an argument that belongs to none. What the
    trainer does by itself, where a default is not its own, is `trainer_default`.
    """
    rows: list[tuple[str, Any, Origin, Sequence[Value], dict[str, str]]] = []
    for chosen in resolution.inputs.chosen:
        overrode = [Value(text.text, text.origin) for text in resolution.inputs.overrode if text.role == chosen.role]
        rows.append((chosen.role, f"{chosen.source.kind} {chosen.source}", chosen.origin, overrode, {}))
    resolved = dict(resolution.job.parameters) | dict(list_fields(resolution.settings))
    declared = (resolution.workload.parameters, type(resolution.settings))
    pairs = {
        parameter.name for group in declared for parameter in get_parameters(group) if parameter.param.form == "pairs"
    }
    marked = {
        parameter.name: parameter.param.trainer_default for group in declared for parameter in get_parameters(group)
    }
    for name, value in {**resolution.parameters, **resolution.platform_settings}.items():
        shown = resolved[name]
        is_given = value.origin != DEFAULT_ORIGIN  # what a plugin declares is no secret
        text = _redact_value(shown, name in pairs) if is_given and isinstance(shown, str) else shown
        is_marked = marked[name] and shown is not None and not is_given
        rows.append((name, text, value.origin, value.overrode, {TRAINER_DEFAULT: marked[name]} if is_marked else {}))
    for argument, named in list_argument_rows(resolution.trainer_args, workload):
        rows.append(("trainer_args", redact(argument.value), argument.origin, argument.overrode, named))
    return [
        {
            "name": name,
            "value": value,
            "origin": str(origin),
            "overrode": [
                {"value": _format_overridden(lost.value, name in pairs), "origin": str(lost.origin)}
                for lost in overrode
            ],
            **named,
        }
        for name, value, origin, overrode, named in rows
    ]


def _format_overridden(value: Any, is_pairs: bool) -> str | None:
    """Return a raw value as it is shown; None for none."""
    if value is None or isinstance(value, bool):
        return None if value is None else str(value).lower()
    return _redact_value(str(value), is_pairs)


def _redact_value(text: str, is_pairs: bool) -> str:
    """Return a value as it is shown; of one with pairs, what the names say of their values does not count."""
    if not is_pairs:
        return redact(text)
    return hide_secret_values(text)
