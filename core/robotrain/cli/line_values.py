"""The values of a command line, as a layer of its job."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.parameter import UNSET, Parameter

from robotrain.cli.options import OFF_TABLE, ComposedOptions
from robotrain.config.values import Layer, Origin, SourceText, Value, prefix_names
from robotrain.errors import Problem


def read_line(values: Mapping[str, Any], order: Sequence[str], options: ComposedOptions) -> tuple[Layer, list[Problem]]:
    """Return what the options of a job give, and the problems of `--param`.

    :param values: of all options, by their names.
    :param order: the names of the options as they were typed.
    """
    line_values = dict(read_declared(values, options))
    problems = list[Problem]()
    if param_texts := _drop_flags(values.get("param"), options):
        from robotrain.config import own_parameters  # costs start-up

        params, problems = own_parameters.parse_params(param_texts)
        line_values |= prefix_names("params", params)
    if values.get("config"):
        line_values["config"] = Value(values["config"], Origin("flag", "--config"))
    return Layer(line_values, tuple(_read_sources(values, order, options))), problems


def read_declared(values: Mapping[str, Any], options: ComposedOptions) -> Iterator[tuple[str, Value]]:
    """Yield the values of declared options, as raw text by their names in a job file."""
    for name, parameter in options.declared.items():
        if values.get(f"{OFF_TABLE}.{name}"):
            yield name, Value(parameter.param.off_value, Origin("flag", parameter.param.off))
        value, flag = values.get(name), parameter.flag
        if value is False:
            flag = f"--no-{flag[2:]}"
        if (raw_value := _make_raw(parameter, value, options)) is not None:
            yield name, Value(raw_value, Origin("flag", flag))


def _make_raw(parameter: Parameter, value: Any, options: ComposedOptions) -> Any:
    """Return the raw value of an option: a text or a list of them; None if it is not given."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if parameter.param.form not in ("pairs", "texts"):
        return None if is_flag(value, options) else value
    if value and list(value) == [UNSET] and parameter.can_be_unset:
        return UNSET
    return _drop_flags(value, options) or None


def _read_sources(values: Mapping[str, Any], order: Sequence[str], options: ComposedOptions) -> Iterator[SourceText]:
    """Yield the sources in the order typed, across different flags."""
    queues = {name: iter(values.get(name) or ()) for name in options.sources}
    for name in order:
        option = options.sources.get(name)
        source_text = next(queues[name], None) if option else None
        if option and source_text is not None:  # else its value is another option
            origin = Origin("flag", option.flag.flag)
            yield SourceText(option.role, option.kinds, source_text, origin, Path.cwd())


def _drop_flags(texts: Iterable[str] | None, options: ComposedOptions) -> list[str]:
    return [text for text in texts or () if not is_flag(text, options)]


def is_flag(text: object, options: ComposedOptions) -> bool:
    """Whether a value is in fact a flag, because the value was forgotten. A quoted text of several words is none."""
    if not isinstance(text, str):
        return False
    name = text.partition("=")[0]
    return text in options.flags or (name.startswith("--") and len(name.split()) == 1)
