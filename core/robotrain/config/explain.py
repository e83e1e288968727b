"""The values of a resolved job with their origins, as `explain`, plans and records have them."""

from collections.abc import Iterable, Mapping
from typing import Any

from robotrain_runtime.contract.parameter import get_parameters

from robotrain.config.own_parameters import list_own_names
from robotrain.config.pairs import hide_secret_values
from robotrain.config.resolve import Resolution
from robotrain.config.trainer_args import list_argument_rows
from robotrain.config.validate import list_fields
from robotrain.config.values import DEFAULT_ORIGIN, Origin, Value
from robotrain.model.job import OWN_PARAMETER, TRAINER_DEFAULT
from robotrain.model.workload import Workload
from robotrain.redaction import redact


def list_resolved_values(resolution: Resolution, workload: Workload) -> list[dict[str, Any]]:
    """Return sources, parameters, settings and trainer arguments as name, value, origin and overridden values.

    The first argument of an option has its name as `option`; it is empty for an argument that belongs to none. What the
    trainer does by itself, where a default is not its own, is `trainer_default`. A parameter of the user is `own`.
    """
    rows = list[dict[str, Any]]()

    def add_row(
        name: str, value: Any, origin: Origin, overrode: Iterable[Value], is_pairs: bool, facts: Mapping[str, Any]
    ) -> None:
        earlier = [{"value": _format_raw(value.value, is_pairs), "origin": str(value.origin)} for value in overrode]
        rows.append({"name": name, "value": value, "origin": str(origin), "overrode": earlier, **facts})

    for chosen in resolution.inputs.chosen:
        replaced = [Value(text.text, text.origin) for text in resolution.inputs.overrode if text.role == chosen.role]
        add_row(chosen.role, f"{chosen.source.kind} {chosen.source}", chosen.origin, replaced, False, {})
    resolved_values = dict(resolution.job.parameters) | dict(list_fields(resolution.settings))
    declared_types = (resolution.workload.parameters, type(resolution.settings))
    own_names = {*list_own_names(resolution.workload.parameters)}
    params = {parameter.name: parameter.param for declared in declared_types for parameter in get_parameters(declared)}
    for name, value in {**resolution.parameters, **resolution.platform_settings}.items():
        shown, mark, is_pairs = resolved_values[name], params[name].trainer_default, params[name].form == "pairs"
        is_given = value.origin != DEFAULT_ORIGIN  # what a plugin declares is no secret
        facts: dict[str, Any] = {TRAINER_DEFAULT: mark} if mark and shown is not None and not is_given else {}
        facts |= {OWN_PARAMETER: True} if name in own_names else {}
        if is_given and isinstance(shown, str):
            shown = _format_raw(shown, is_pairs)
        add_row(name, shown, value.origin, value.overrode, is_pairs, facts)
    for argument, option in list_argument_rows(resolution.trainer_args, workload):
        add_row("trainer_args", redact(argument.value), argument.origin, argument.overrode, False, option)
    return rows


def _format_raw(raw: Any, is_pairs: bool) -> str | None:
    """Return a raw value as it is shown; None for none. What names of pairs say of their values does not count."""
    if raw is None or isinstance(raw, bool):
        return None if raw is None else str(raw).lower()
    return hide_secret_values(str(raw)) if is_pairs else redact(str(raw))
