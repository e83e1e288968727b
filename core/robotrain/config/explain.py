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
    for job_input in resolution.inputs.chosen:
        overridden_values = [
            Value(text.text, text.origin) for text in resolution.inputs.overrode if text.role == job_input.role
        ]
        rows.append(
            (job_input.role, f"{job_input.source.kind} {job_input.source}", job_input.origin, overridden_values, {})
        )
    resolved_values = dict(resolution.job.parameters) | dict(list_fields(resolution.settings))
    declared_types = (resolution.workload.parameters, type(resolution.settings))
    pair_names = {
        parameter.name
        for declared_type in declared_types
        for parameter in get_parameters(declared_type)
        if parameter.param.form == "pairs"
    }
    default_marks = {
        parameter.name: parameter.param.trainer_default
        for declared_type in declared_types
        for parameter in get_parameters(declared_type)
    }
    for name, value in {**resolution.parameters, **resolution.platform_settings}.items():
        resolved_value = resolved_values[name]
        is_given = value.origin != DEFAULT_ORIGIN  # what a plugin declares is no secret
        text = (
            _redact_value(resolved_value, name in pair_names)
            if is_given and isinstance(resolved_value, str)
            else resolved_value
        )
        is_marked = default_marks[name] and resolved_value is not None and not is_given
        rows.append(
            (name, text, value.origin, value.overrode, {TRAINER_DEFAULT: default_marks[name]} if is_marked else {})
        )
    for argument, option_facts in list_argument_rows(resolution.trainer_args, workload):
        rows.append(("trainer_args", redact(argument.value), argument.origin, argument.overrode, option_facts))
    return [
        {
            "name": name,
            "value": value,
            "origin": str(origin),
            "overrode": [
                {
                    "value": _format_overridden(overridden_value.value, name in pair_names),
                    "origin": str(overridden_value.origin),
                }
                for overridden_value in overridden_values
            ],
            **option_facts,
        }
        for name, value, origin, overridden_values, option_facts in rows
    ]


def _format_overridden(raw_value: Any, is_pairs: bool) -> str | None:
    """Return a raw value as it is shown; None for none."""
    if raw_value is None or isinstance(raw_value, bool):
        return None if raw_value is None else str(raw_value).lower()
    return _redact_value(str(raw_value), is_pairs)


def _redact_value(value_text: str, is_pairs: bool) -> str:
    """Return a value as it is shown; of one with pairs, what the names say of their values does not count."""
    if not is_pairs:
        return redact(value_text)
    return hide_secret_values(value_text)
