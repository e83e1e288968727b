"""Raw values as their declared types, by pydantic, which alone says whether a value is valid."""

import dataclasses
import functools
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from robotrain_runtime.contract.parameter import Parameter, get_parameters, load_pairs, load_texts, parse_pairs

from robotrain.config.values import MAX_LETTERS, Value
from robotrain.config.yaml_nodes import YamlNode
from robotrain.errors import Problem
from robotrain.messages import Messages
from robotrain.nearest_name import suggest_name
from robotrain.redaction import MAX_SENTENCE, redact, value_holds_secret

if TYPE_CHECKING:
    from pydantic import TypeAdapter

make_problem = Messages(__file__)

BOUNDS = {"gt": "greater than", "ge": "at least", "lt": "less than", "le": "at most"}


def format_scalar(value: Any) -> str:
    """Return a single value as the text that an option would have. Raise ValueError for several values."""
    if isinstance(value, Mapping | list | tuple):
        raise ValueError("it is no single value")
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(float(value)) if isinstance(value, float) else str(value)


def read_pairs(raw: Any, *, bare_names: bool = False) -> dict[str, str]:
    """Return the names with values of a mapping, or of texts NAME=VALUE. Raise ValueError.

    :param bare_names: whether a name alone has an empty value.
    """
    if isinstance(raw, Mapping):
        return {str(name): format_scalar(value) for name, value in raw.items() if value is not None}
    pairs = [str(text).partition("=") for text in raw]
    if len({name for name, _, _ in pairs}) < len(pairs) or not all(equals or bare_names for _, equals, _ in pairs):
        raise ValueError("it is not NAME=VALUE, each name once")
    return {name: value for name, _, value in pairs}


def encode(parameter: Parameter, raw: Any) -> str:
    """Return a raw value as the text that its field holds. Raise ValueError for several values where it takes one."""
    form = parameter.param.form
    if isinstance(raw, YamlNode):
        raw = raw.read_json() if form == "json" else raw.read_texts()
    if not isinstance(raw, Mapping | list | tuple):
        return format_scalar(raw)
    if form == "pairs":
        return json.dumps(read_pairs(raw, bare_names=parameter.param.bare_names), ensure_ascii=False)
    if form == "json" or (form == "texts" and not isinstance(raw, Mapping)):
        return json.dumps(raw, ensure_ascii=False, default=float)
    if form == "list" and not isinstance(raw, Mapping):
        return ",".join(map(format_scalar, raw))
    pairs = {name: value for name, value in read_pairs(raw).items() if value}
    pairs_text = ",".join(f"{name}={value}" for name, value in pairs.items())
    if form != "table" or parse_pairs(pairs_text) != pairs:
        raise ValueError("it is no single value")
    return pairs_text


@functools.cache
def _get_adapter(annotation: Any) -> "TypeAdapter[Any]":
    """Return the cached adapter of one field: that of a whole class takes ten times as long to build."""
    from pydantic import TypeAdapter

    return TypeAdapter(annotation)


class Validated(NamedTuple):
    """Values of their types, and what is wrong with them."""

    instance: Any
    """With the default for each invalid value, and None for a missing one that is required."""
    problems: list[Problem]
    invalid: frozenset[str]
    """The names of the invalid values."""


def validate_values(declared_type: type, raw_values: Mapping[str, Value]) -> Validated:
    """Return an instance of the dataclass `declared_type`, and what is wrong with its values."""
    given_values = {name: value for name, value in raw_values.items() if value.origin.layer != "default"}
    typed_values: dict[str, Any] = {}
    problems: list[Problem] = []
    for parameter in get_parameters(declared_type):
        value = given_values.get(parameter.name)
        if value is None:
            if parameter.required:
                metavar, reason = parameter.metavar, parameter.param.help
                problems.append(make_problem("value-missing", flag=parameter.flag, metavar=metavar, why=reason))
        elif problem := _check_text(parameter, value, given_values):
            problems.append(problem)
        elif is_valid(parameter, value.value):
            typed_values[parameter.name] = _get_adapter(parameter.annotation).validate_python(value.value)
        else:
            problems.append(make_invalid_value_problem(parameter, value))
    invalid_names = frozenset(given_values.keys() - typed_values)
    try:
        return Validated(declared_type(**typed_values), problems, invalid_names)
    except TypeError:  # a required value is missing
        pass
    except (ValueError, AssertionError) as error:  # values that cannot be combined
        title = redact(str(error), max_length=MAX_SENTENCE).rstrip(".") or "these values cannot be combined"
        problems.append(make_problem("value-invalid.other", title=title))
    return Validated(_make_stand_in(declared_type), problems, invalid_names)


def is_valid(parameter: Parameter, text: Any) -> bool:
    """Return whether a parameter takes a text."""
    try:
        _get_adapter(parameter.annotation).validate_python(text)
    except ValueError:  # of pydantic
        return False
    return True


def _make_stand_in(declared_type: type) -> Any:
    """Return an instance with the defaults, without `__post_init__`, so that further problems of the job are found."""
    stand_in: Any = object.__new__(declared_type)
    for field in dataclasses.fields(declared_type):
        object.__setattr__(stand_in, field.name, None if field.default is dataclasses.MISSING else field.default)
    return stand_in


def _check_text(parameter: Parameter, value: Value, given_values: Mapping[str, Value]) -> Problem | None:
    """Return the problem of a text that pydantic would accept."""
    value_text, param = str(value.value), parameter.param
    value_place = value.origin.where or value.origin.layer
    flag = parameter.flag
    if len(value_text) > MAX_LETTERS:
        title = f"{flag} is longer than {MAX_LETTERS >> 10} KiB"
    elif any(map(value_holds_secret, _list_texts(parameter, value_text))):
        takes, way = None, param.instead_of_secret
        if param.metavar and not way:
            takes, way = f"{flag} takes {param.help}.", f"{flag} {param.metavar}"
        return make_problem("secret-in-job", way, where=value_place, given=value_text, what=flag, takes=takes)
    elif any(ord(character) < 0x20 and character not in "\n\t" for character in value_text):
        title = f"{flag} contains control characters"
    elif any("\ud800" <= character <= "\udfff" for character in value_text):
        title = f"{flag} is not valid Unicode, which tracking refuses"
    elif param.open_with and value_text not in parameter.choices and param.open_with not in given_values:
        return make_invalid_value_problem(parameter, value)
    else:
        return None
    return make_problem("value-invalid.other", where=value_place, given=value_text, title=title)


def _list_texts(parameter: Parameter, text: str) -> list[str]:
    """Return the texts of a value that may be secrets. A name in pairs does not make its value one: it may say where a
    secret is found.
    """
    try:
        if parameter.param.form == "pairs":
            return list(load_pairs(text).values())
        return load_texts(text) if parameter.param.form == "texts" else [text]
    except ValueError:
        return [text]


def make_invalid_value_problem(parameter: Parameter, value: Value) -> Problem:
    """Return the problem of a value that its parameter does not accept."""
    shown_value = format_raw(parameter, value.value)
    return make_problem(
        "value-invalid.takes",
        *suggest_name(shown_value, parameter.choices, prefix=f"{parameter.flag} "),
        where=value.origin.where or value.origin.layer,
        given=shown_value,
        flag=parameter.flag,
        expected=describe_expected_value(parameter),
    )


def format_raw(parameter: Parameter, raw: Any) -> str:
    """Return a raw value as a message shows it: of names with values, which may be secrets, the names."""
    raw = raw.read_json() if isinstance(raw, YamlNode) else raw
    if parameter.param.form == "pairs":
        texts = [f"{name}=" for name in raw] if isinstance(raw, Mapping) else raw
        is_list = isinstance(texts, list | tuple)
        return ", ".join(str(text).partition("=")[0] for text in texts if "=" in str(text)) if is_list else ""
    return json.dumps(_hide_secrets(raw), ensure_ascii=False) if isinstance(raw, Mapping | list | tuple) else str(raw)


def _hide_secrets(raw: Any) -> Any:
    """Return a raw value with each of its texts redacted alone: among others, one may not look like a secret."""
    if isinstance(raw, Mapping):
        return {str(name): _hide_secrets(value) for name, value in raw.items()}
    return [*map(_hide_secrets, raw)] if isinstance(raw, list | tuple) else redact(str(raw))


def describe_expected_value(parameter: Parameter) -> str:
    """Return what the parameter accepts, in words: `a whole number greater than 0`."""
    param = parameter.param
    if parameter.choices:
        return ("one of " if len(parameter.choices) > 1 else "only ") + ", ".join(parameter.choices)
    if parameter.is_switch:
        return "yes or no"
    if param.form == "table":
        return "NAME=VALUE,NAME=VALUE, each name once"
    if param.form in ("texts", "pairs"):
        noun = "list" if param.form == "texts" else "object"
        return f"{parameter.metavar}, once for each; as one text, a JSON {noun} of texts"
    if param.pattern_help:
        return param.pattern_help
    words = {int: "a whole number", float: "a number"}.get(parameter.bare_type, "text")
    if param.pattern:
        words += f" of the form {param.pattern}"
    bounds = {phrase: getattr(param, name) for name, phrase in BOUNDS.items()}
    limits = [f"{phrase} {bound:.12g}" for phrase, bound in bounds.items() if bound is not None]
    return " ".join([words, " and ".join(limits)]).strip()


def list_fields(instance: Any) -> tuple[tuple[str, Any], ...]:
    """Return the name and value of each field, in the order of declaration."""
    return tuple((field.name, getattr(instance, field.name)) for field in dataclasses.fields(instance))
