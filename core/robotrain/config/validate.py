"""Conversion of raw texts to typed values by pydantic."""

import dataclasses
import functools
import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from robotrain_runtime.contract.parameter import Parameter, get_parameters, load_pairs, load_texts

from robotrain.config.values import MAX_LETTERS, Value
from robotrain.errors import Problem, Suggestion
from robotrain.messages import Messages
from robotrain.nearest_name import suggest_name
from robotrain.redaction import MAX_SENTENCE, redact, value_holds_secret

if TYPE_CHECKING:
    from pydantic import TypeAdapter

make_problem = Messages(__file__)

TABLE_FORM = "NAME=VALUE,NAME=VALUE"
OPEN_WORD = re.compile(r"[A-Za-z_][\w.-]{0,99}", re.ASCII)
"""A value of a parameter with choices that is none of them (`Param.open_with`)."""


class ValueTable(NamedTuple):
    """A table or list in a file."""

    entries: tuple[tuple[str, Value], ...]
    refusal: Problem
    """The problem if the setting does not accept tables."""
    json_text: str = ""
    problems: tuple[Problem, ...] = ()
    """Problems of the entries."""


def parse_pairs(pairs_text: str | None) -> dict[str, str]:
    """Return names with values, in the order of the text. Raise ValueError, which does not repeat the text."""
    pairs: dict[str, str] = {}
    for part in pairs_text.split(",") if pairs_text else ():
        name, equals, value = part.partition("=")
        if not equals or not name.strip() or name.strip() in pairs:
            raise ValueError(f"it is not {TABLE_FORM}, each name once")
        pairs[name.strip()] = value.strip()
    return pairs


def has_pairs(pairs_text: str) -> bool:
    """Return whether `pairs_text` has the form of names with values."""
    try:
        parse_pairs(pairs_text)
    except ValueError:
        return False
    return True


def convert_table(parameter: Parameter, value: Value, problems: list[Problem]) -> Value | None:
    """Return a table or list as text, but one of pairs as it is, which layers merge; None if the parameter takes none,
    which is added to `problems`.
    """
    table: ValueTable = value.value
    if parameter.param.form in ("json", "texts") and table.json_text:
        return value._replace(value=table.json_text)
    if parameter.param.form == "list" and table.json_text.startswith("["):
        return value._replace(value=",".join(map(str, json.loads(table.json_text))))
    if table_problems := list(_find_table_problems(table, parameter)):
        problems += table_problems
        return None
    pair_texts = (f"{key}={cell.value}" for key, cell in table.entries if cell.value)
    return value if parameter.param.form == "pairs" else value._replace(value=",".join(pair_texts))


def _find_table_problems(table: ValueTable, parameter: Parameter) -> Iterator[Problem]:
    is_text = parameter.param.form == "table"
    if not is_text and parameter.param.form != "pairs":
        yield table.refusal
        return
    yield from table.problems
    for name, value in table.entries:
        if not name.strip() or (is_text and "," in name) or "=" in name:
            letters = "`,` or `=`" if is_text else "`=`"
            yield _make_table_problem(table, f"a name of {parameter.flag} is empty or contains {letters}", value, name)
        elif is_text and "," in str(value.value):
            yield _make_table_problem(table, f"a value of {parameter.flag} contains `,`", value, str(value.value))


def _make_table_problem(table: ValueTable, title: str, value: Value, text: str) -> Problem:
    message = "file-wrong.pair" if table.refusal.code == "file-wrong" else "value-invalid.pair"
    return make_problem(message, where=value.origin.where, given=text, title=title, form=TABLE_FORM)


@functools.cache
def _get_adapter(declared: type) -> "TypeAdapter[Any]":
    """Return the cached adapter: a process may check many jobs."""
    from pydantic import TypeAdapter

    return TypeAdapter(declared)


class Validated(NamedTuple):
    """Values of their types, and what is wrong with them."""

    instance: Any
    """With the default for each invalid value, and None for a missing one that is required."""
    problems: list[Problem]
    invalid: frozenset[str]
    """The names of the invalid values."""


def validate_values(declared_type: type, raw_values: Mapping[str, Value]) -> Validated:
    """Return an instance of the dataclass `declared_type`, and what is wrong with its values."""
    parameters = {parameter.name: parameter for parameter in get_parameters(declared_type)}
    texts_by_name = {name: value.value for name, value in raw_values.items() if value.origin.layer != "default"}
    refusals_by_name = {
        name: refusal for name in texts_by_name if (refusal := _check_text(parameters[name], raw_values[name]))
    }
    problems = list(refusals_by_name.values())
    texts_by_name = {name: value_text for name, value_text in texts_by_name.items() if name not in refusals_by_name}
    required_parameters = [parameter for parameter in parameters.values() if parameter.required]
    if missing_parameters := [parameter for parameter in required_parameters if parameter.name not in texts_by_name]:
        for parameter in missing_parameters:
            if parameter.name not in refusals_by_name:
                missing_problem = make_problem(
                    "value-missing", flag=parameter.flag, metavar=parameter.metavar, why=parameter.param.help
                )
                problems.append(missing_problem)
        return Validated(_make_stand_in(declared_type), problems, frozenset(refusals_by_name))
    opened_values = {
        name: value_text
        for name, value_text in texts_by_name.items()
        if _is_opened(parameters[name], value_text, texts_by_name)
    }
    texts_by_name = {name: value_text for name, value_text in texts_by_name.items() if name not in opened_values}
    instance, invalid, class_problems = _make_instance(declared_type, texts_by_name)
    problems += [
        make_invalid_value_problem(parameters[name], raw_values[name], parameters.get(parameters[name].param.open_with))
        for name in invalid
    ]
    if invalid and not any(parameter.name in invalid for parameter in required_parameters):
        valid_values = {name: value for name, value in texts_by_name.items() if name not in invalid}
        instance, _, class_problems = _make_instance(declared_type, valid_values)
    for name, value_text in opened_values.items():
        object.__setattr__(instance, name, value_text)
    return Validated(instance, [*problems, *class_problems], frozenset((*refusals_by_name, *invalid)))


def _is_opened(parameter: Parameter, value_text: object, texts_by_name: Mapping[str, Any]) -> bool:
    """Return whether a text is a value beside choices, since what may bring it is given too, or beside numbers."""
    if value_text in parameter.param.words:
        return True
    is_other = bool(parameter.param.open_with) and value_text not in parameter.choices
    return (
        is_other and bool(texts_by_name.get(parameter.param.open_with)) and bool(OPEN_WORD.fullmatch(str(value_text)))
    )


def _make_instance(
    declared_type: type, texts_by_name: Mapping[str, Any]
) -> tuple[Any, Sequence[str], Sequence[Problem]]:
    """Return an instance or a stand-in, the names of invalid values, and the problems of `__post_init__`."""
    if (instance := convert_plain_values(declared_type, texts_by_name)) is not None:
        return instance, (), ()
    from pydantic import ValidationError

    try:
        return _get_adapter(declared_type).validate_python(texts_by_name), (), ()
    except ValidationError as error:
        # the input and context may contain secrets: only the places are used
        error_details = error.errors(include_input=False, include_url=False, include_context=False)
        if invalid_names := dict.fromkeys(str(detail["loc"][0]) for detail in error_details if detail["loc"]):
            return _make_stand_in(declared_type), tuple(invalid_names), ()
        messages = [re.sub(r"^(?:Value|Assertion) error,? ?", "", detail["msg"]) for detail in error_details]
        titles = [redact(message, max_length=MAX_SENTENCE).rstrip(".") for message in messages]
        refusal_titles = (title or "these values cannot be combined" for title in titles)
        problems = [make_problem("value-invalid.other", title=title) for title in refusal_titles]
        return _make_stand_in(declared_type), (), problems


INT_PATTERN = r"[+-]?[0-9]{1,15}"
FLOAT_PATTERN = r"[+-]?[0-9]{1,15}(\.[0-9]{1,15})?([eE][+-]?[0-9]{1,2})?"


def convert_plain_values(declared_type: type, texts_by_name: Mapping[str, Any]) -> Any:
    """Return an instance if every value is plainly valid; None where pydantic, half of a start-up, has to decide."""
    parameters = {parameter.name: parameter for parameter in get_parameters(declared_type)}
    values = {}
    for name, text in texts_by_name.items():
        if (value := _convert_plain_value(parameters[name], text)) is None:
            return None
        values[name] = value
    if hasattr(declared_type, "__pydantic_config__"):
        return None
    try:
        return declared_type(**values)
    except (ValueError, AssertionError):  # pydantic calls it again and reports it
        return None


def _convert_plain_value(parameter: Parameter, text: Any) -> Any:
    """Return the value of a text that needs no judgement, else None."""
    kind, param = parameter.bare_type, parameter.param
    if parameter.custom or not isinstance(text, str) or not text.isascii():
        return None
    if parameter.choices:
        return text if text in parameter.choices else None
    if kind is bool:
        return {"true": True, "false": False}.get(text)
    if kind is str:
        if (pattern := param.whole_pattern) is None:
            return text
        is_plain = "\n" not in text and "(?" not in pattern.replace("(?:", "")  # the same in pydantic's engine
        return text if is_plain and re.search(pattern, text) else None
    if kind not in (int, float) or not re.fullmatch(INT_PATTERN if kind is int else FLOAT_PATTERN, text):
        return None
    number = kind(text)
    is_within = (
        (param.gt is None or number > param.gt)
        and (param.ge is None or number >= param.ge)
        and (param.lt is None or number < param.lt)
        and (param.le is None or number <= param.le)
    )
    return number if is_within else None


def is_kind_of_value(parameter: Parameter, text: str) -> bool:
    """Return whether a text is of the kind that a parameter takes: a number, a choice, a text. Bounds do not count."""
    if parameter.choices:
        return text in parameter.choices or text.lower() in dict(parameter.param.foreign_values)
    if parameter.bare_type in (int, float):
        return text in parameter.param.words or bool(
            re.fullmatch(r"[+-]?[0-9][0-9_.]*([eE][+-]?[0-9]+|[kKmM%])?", text)
        )
    return True


def is_refused_number(parameter: Parameter, text: str) -> bool:
    """Return whether a parameter that takes a number refuses a text: it is none, or is out of bounds."""
    if parameter.bare_type not in (int, float) or parameter.choices or text in parameter.param.words:
        return False
    is_plain = bool(re.fullmatch(FLOAT_PATTERN, text))
    return not is_kind_of_value(parameter, text) or (is_plain and _convert_plain_value(parameter, text) is None)


def _make_stand_in(declared_type: type) -> Any:
    """Return an instance without calling `__post_init__`, so that further problems of the job can be found."""
    instance: Any = object.__new__(declared_type)
    for field in dataclasses.fields(declared_type):
        object.__setattr__(instance, field.name, None if field.default is dataclasses.MISSING else field.default)
    return instance


def _check_text(parameter: Parameter, value: Value) -> Problem | None:
    """Return the problem of a text that pydantic would accept."""
    value_text = str(value.value)
    value_place = value.origin.where or value.origin.layer
    if len(value_text) > MAX_LETTERS:
        message = "value-invalid.too-long"
    elif any(map(value_holds_secret, _list_texts(parameter, value_text))):
        takes, way = "", parameter.param.instead_of_secret
        if parameter.param.metavar and not way:
            takes, way = f" {parameter.flag} takes {parameter.param.help}.", f"{parameter.flag} {parameter.metavar}"
        return make_problem(
            "secret-in-job.value", way, where=value_place, given=value_text, flag=parameter.flag, takes=takes
        )
    elif any(ord(character) < 0x20 and character not in "\n\t" for character in value_text):
        message = "value-invalid.control-characters"
    elif any("\ud800" <= character <= "\udfff" for character in value_text):
        message = "value-invalid.not-unicode"
    elif not _has_form(parameter, value_text):
        return make_invalid_value_problem(parameter, value)
    else:
        return None
    return make_problem(message, where=value_place, given=value_text, flag=parameter.flag, most=MAX_LETTERS >> 10)


def _has_form(parameter: Parameter, text: str) -> bool:
    """Return whether a text has the form of several values, if the parameter takes several."""
    holds = {"table": has_pairs, "pairs": _is_object, "texts": _is_list}.get(parameter.param.form)
    return holds(text) if holds else True


def _is_object(text: str) -> bool:
    """Return whether `text` is JSON of names with values."""
    try:
        load_pairs(text)
    except ValueError:
        return False
    return True


def _is_list(text: str) -> bool:
    """Return whether `text` is one text or JSON of a list of texts."""
    try:
        load_texts(text)
    except ValueError:
        return False
    return True


def _list_texts(parameter: Parameter, text: str) -> tuple[str, ...]:
    """Return the texts of a value that may be secrets. A name in pairs does not make its value one: it may say where a
    secret is found.
    """
    if parameter.param.form == "texts" and _is_list(text):
        return tuple(load_texts(text))
    return tuple(load_pairs(text).values()) if parameter.param.form == "pairs" and _is_object(text) else (text,)


def make_invalid_value_problem(parameter: Parameter, value: Value, opener: Parameter | None = None) -> Problem:
    """Return the problem of a value that its parameter does not accept.

    :param opener: the parameter that may bring other values than its choices.
    """
    value_place = value.origin.where or value.origin.layer
    choice = dict(parameter.param.foreign_values).get(str(value.value).strip().lower())  # as other tools call it
    flag = parameter.flag if choice and choice.startswith("--") else ""
    ways = (
        ((Suggestion(choice if choice.startswith("--") else f"{parameter.flag} {choice}", "", flag),) if choice else ())
        or suggest_name(str(value.value), parameter.choices, prefix=f"{parameter.flag} ")
        or _suggest_series(parameter, value)
        or _suggest_pairs(parameter, value)
        or _suggest_fraction(parameter, value)
        or _suggest_whole_number(parameter, value)
        or _suggest_number_of_unit(parameter, value)
        or _suggest_named_form(parameter, value)
        or _suggest_single_value(parameter, value)
    )
    if opener and OPEN_WORD.fullmatch(str(value.value)):
        ways = (*ways, Suggestion(f"{opener.flag} {opener.metavar}", "a package that has it"))
    return make_problem(
        "value-invalid.takes",
        *ways,
        where=value_place,
        given=str(value.value),
        flag=parameter.flag,
        expected=describe_expected_value(parameter),
    )


def _suggest_pairs(parameter: Parameter, value: Value) -> tuple[Suggestion, ...]:
    """Return the suggestion of `NAME=VALUE` for `NAME:VALUE`, and for a mapping of JSON."""
    if parameter.param.form != "table":
        return ()
    parts = re.sub(r"[{}\"']", "", str(value.value)).split(",")
    pairs_text = ",".join(
        part.strip() if "=" in part else re.sub(r"\s*:\s*", "=", part.strip(), count=1) for part in parts
    )
    return (Suggestion(f"{parameter.flag} {shlex.quote(pairs_text)}"),) if pairs_text and has_pairs(pairs_text) else ()


def _suggest_whole_number(parameter: Parameter, value: Value) -> tuple[Suggestion, ...]:
    """Return the suggestion of a whole number for `20k`, `1.5M`, `1e3` or `20,000`."""
    number_text = str(value.value).strip()
    if parameter.bare_type is not int:
        return ()
    if re.fullmatch(r"[0-9]{1,3}(?:,[0-9]{3})+", number_text):  # 100,000
        return (Suggestion(f"{parameter.flag} {number_text.replace(',', '')}"),)
    match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)(?:([kKmM])|[eE]\+?([0-9]))", number_text)
    if not match:
        return ()
    from fractions import Fraction

    number = Fraction(match[1]) * 10 ** ({"k": 3, "m": 6}[match[2].lower()] if match[2] else int(match[3]))
    is_valid = number.denominator == 1 and _convert_plain_value(parameter, str(number)) is not None
    return (Suggestion(f"{parameter.flag} {number}"),) if is_valid else ()


def _suggest_fraction(parameter: Parameter, value: Value) -> tuple[Suggestion, ...]:
    match = re.fullmatch(r"\s*([0-9]{1,3}(?:\.[0-9]+)?)\s*%?\s*", str(value.value))
    is_share = parameter.bare_type is float and 1 in (parameter.param.le, parameter.param.lt)
    if not match or not is_share or not (1 if "%" in match[0] else 2) <= float(match[1]) <= 100:
        return ()
    return (Suggestion(f"{parameter.flag} {float(match[1]) / 100:g}", f"{match[1]} %"),)


def _suggest_single_value(parameter: Parameter, value: Value) -> tuple[Suggestion, ...]:
    """Return the suggestion for `0,0001`, a decimal comma; for `8,16`, a sweep; and for `cuda:0`, the choice `cuda`."""
    text = str(value.value).strip()
    first = text.partition(":")[0]
    if first != text and first in parameter.choices:
        return (Suggestion(f"{parameter.flag} {first}"),)
    point = text.replace(",", ".")
    if parameter.bare_type is float and text.count(",") == 1 and is_kind_of_value(parameter, point):
        return (Suggestion(f"{parameter.flag} {point}"),)
    parts = text.split(",")
    is_list = parameter.bare_type in (int, float) and len(parts) > 1
    if is_list and all(is_kind_of_value(parameter, part) for part in parts):
        line = f"robotrain sweep … --over {parameter.name}={text}"
        return (Suggestion(line, "a job for each of the values"),)
    return ()


def _suggest_series(parameter: Parameter, value: Value) -> tuple[Suggestion, ...]:
    """Return the suggestion of the series that a version is of: `2.3` for `2.3.2`."""
    series = [choice for choice in parameter.choices if str(value.value).lstrip("v").startswith(f"{choice}.")]
    return (Suggestion(f"{parameter.flag} {series[0]}"),) if series else ()


def _suggest_number_of_unit(parameter: Parameter, value: Value) -> tuple[Suggestion, ...]:
    """Return the suggestion of a bare number for one with the unit that the option is named after: `--cache-gib 50GiB`,
    `--fps 10Hz`.
    """
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]+)\s*", str(value.value))
    unit = parameter.flag.rpartition("-")[2]
    if not match or match[2].lower() not in (unit, *(("hz",) if unit == "fps" else ())):
        return ()
    return (Suggestion(f"{parameter.flag} {match[1]}"),) if is_kind_of_value(parameter, match[1]) else ()


def _suggest_named_form(parameter: Parameter, value: Value) -> tuple[Suggestion, ...]:
    """Return the suggestion of the word that a value is nearly, of those in the description of a pattern."""
    words = re.findall(r"[a-z]+(?:-[a-z]+)+", parameter.param.pattern_help)
    fitting_words = [word for word in words if parameter.param.pattern and re.fullmatch(parameter.param.pattern, word)]
    return suggest_name(str(value.value), fitting_words, prefix=f"{parameter.flag} ")


def describe_expected_value(parameter: Parameter) -> str:
    """Return what the parameter accepts, in words: `a whole number greater than 0`."""
    if parameter.choices:
        return ("one of " if len(parameter.choices) > 1 else "only ") + ", ".join(parameter.choices)
    if parameter.is_switch:
        return "yes or no"
    if parameter.param.form == "table":
        return f"{TABLE_FORM}, each name once"
    if parameter.param.form == "texts":
        return f"{parameter.metavar}, once for each; as one text, a JSON list of texts"
    if parameter.param.form == "pairs":
        return f"{parameter.metavar}, once for each name; as one text, a JSON object of texts"
    if parameter.param.pattern_help:
        return parameter.param.pattern_help
    words = {int: "a whole number", float: "a number"}.get(parameter.bare_type, "text")
    if parameter.param.pattern:
        words += f" of the form {parameter.param.pattern}"
    words_of_bounds = {"gt": "greater than", "ge": "at least", "lt": "less than", "le": "at most"}
    bounds = [(bound_phrase, getattr(parameter.param, name)) for name, bound_phrase in words_of_bounds.items()]
    limits = " and ".join(f"{bound_phrase} {bound:.12g}" for bound_phrase, bound in bounds if bound is not None)
    other_words = "".join(f", or {word}" for word in parameter.param.words)
    return f"{words} {limits}".strip() + other_words


def list_fields(instance: Any) -> tuple[tuple[str, Any], ...]:
    """Return the name and value of each field, in the order of declaration."""
    return tuple((field.name, getattr(instance, field.name)) for field in dataclasses.fields(instance))
