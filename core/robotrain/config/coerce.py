"""Typed values from raw text: once, by pydantic, whatever layer the text came from."""

import dataclasses
import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from robotrain_runtime.contract.parameter import Parameter, get_parameters

from robotrain.config.request import Value
from robotrain.errors import MAX_SENTENCE, Problem, Stage, Suggestion, suggest_name
from robotrain.plugins import calls
from robotrain.redaction import holds_secret, redact

if TYPE_CHECKING:
    from pydantic import TypeAdapter

TABLE_FORM = "NAME=VALUE,NAME=VALUE"


class ValueTable(NamedTuple):
    """What a file says as a table, or a list. refusal: what to say where the setting is no such one. written: all of
    it as JSON. wrong: what is wrong with its entries, for a setting that has single values.
    """

    entries: tuple[tuple[str, Value], ...]
    refusal: Problem
    json_text: str = ""
    problems: tuple[Problem, ...] = ()


def parse_pairs(text: str | None) -> dict[str, str]:
    """Each name with its value, in the order written. Raises ValueError, which repeats nothing of the text."""
    found: dict[str, str] = {}
    for part in text.split(",") if text else ():
        name, equals, value = part.partition("=")
        if not equals or not name.strip() or name.strip() in found:
            raise ValueError(f"it is not {TABLE_FORM}, each name once")
        found[name.strip()] = value.strip()
    return found


def has_pairs(text: str) -> bool:
    """Whether `text` is names with values."""
    try:
        parse_pairs(text)
    except ValueError:
        return False
    return True


def convert_tables(values: Mapping[str, Value], declared: type, problems: list[Problem]) -> dict[str, Value]:
    """`values` with the text of each table in its place; what is wrong with one is added to `problems`."""
    known = {parameter.name: parameter for parameter in get_parameters(declared)}
    found = {}
    for name, value in values.items():
        if not isinstance(value.value, ValueTable):
            found[name] = value
        elif name in known and known[name].param.json and value.value.json_text:
            found[name] = value._replace(value=value.value.json_text)
        elif name in known:  # else there is no such setting, which is said elsewhere
            if wrong := list(_find_table_problems(value.value, known[name])):
                problems += wrong
            else:
                found[name] = value._replace(value=_format_table(value.value))
    return found


def _format_table(table: ValueTable) -> str:
    return ",".join(f"{name}={value.value}" for name, value in table.entries if value.value)


def _find_table_problems(table: ValueTable, parameter: Parameter) -> Iterator[Problem]:
    if not parameter.param.table:
        yield table.refusal
        return
    yield from table.problems
    for name, value in table.entries:
        if not name.strip() or "," in name or "=" in name:
            yield _make_table_problem(table, f"a name of {parameter.flag} is empty, or holds `,` or `=`", value, name)
        elif "," in str(value.value):
            yield _make_table_problem(table, f"a value of {parameter.flag} holds `,`", value, str(value.value))


def _make_table_problem(table: ValueTable, title: str, value: Value, given: str) -> Problem:
    return Problem(
        code=table.refusal.code,
        stage=table.refusal.stage,
        title=title,
        where=value.origin.where,
        given=redact(given),
        why=f"As text it is {TABLE_FORM}.",
    )


@functools.cache
def _get_adapter(declared: type) -> "TypeAdapter[Any]":
    """Made once: a process may check many jobs."""
    from pydantic import TypeAdapter

    return TypeAdapter(declared)


def coerce_values(declared: type, raw: Mapping[str, Value]) -> tuple[Any, list[Problem]]:
    """An instance of the dataclass `declared`, with the default in place of each value that does not fit.

    Where a value without a default is missing, None stands in every such place; the problems say so.
    """
    parameters = {parameter.name: parameter for parameter in get_parameters(declared)}
    given = {name: value.value for name, value in raw.items() if value.origin.layer != "default"}
    unfit = {name: refusal for name in given if (refusal := _check_text(parameters[name], raw[name]))}
    problems = list(unfit.values())
    given = {name: text for name, text in given.items() if name not in unfit}
    required = [parameter for parameter in parameters.values() if parameter.required]
    if missing := [parameter for parameter in required if parameter.name not in given]:
        problems += [_make_missing_problem(parameter) for parameter in missing if parameter.name not in unfit]
        return _make_stand_in(declared), problems
    made, wrong, said = _make_instance(declared, given)
    problems += [make_invalid_value_problem(parameters[name], raw[name]) for name in wrong]
    if wrong and not any(parameter.name in wrong for parameter in required):
        good = {name: value for name, value in given.items() if name not in wrong}
        made, _, said = _make_instance(declared, good)
    return made, [*problems, *said]


def _make_instance(declared: type, given: Mapping[str, Any]) -> tuple[Any, Sequence[str], Sequence[Problem]]:
    """An instance, or what stands in for one; the names whose values do not fit; what the class says of its own."""
    from pydantic import ValidationError

    try:
        with calls.redirect_output():  # `__post_init__` may be a stranger's
            return _get_adapter(declared).validate_python(given), (), ()
    except ValidationError as error:
        # values and context may hold what was typed; only the places are taken
        places = error.errors(include_input=False, include_url=False, include_context=False)
        if wrong := dict.fromkeys(str(place["loc"][0]) for place in places if place["loc"]):
            return _make_stand_in(declared), tuple(wrong), ()
        return _make_stand_in(declared), (), [_make_refusal_problem(place["msg"]) for place in places]
    except KeyboardInterrupt:
        raise
    except BaseException as cause:  # SystemExit among others
        return _make_stand_in(declared), (), [_make_failure_problem(declared, cause)]


def _make_refusal_problem(said: str) -> Problem:
    """What `__post_init__` says of values that do not go together."""
    title = redact(re.sub(r"^(?:Value|Assertion) error,? ?", "", said), max_length=MAX_SENTENCE).rstrip(".")
    return Problem(code="value-invalid", stage=Stage.RESOLVE, title=title or "these values do not go together")


def _make_failure_problem(declared: type, cause: BaseException) -> Problem:
    """A class that fails by a mistake of its own, told as its plugin's."""
    from robotrain.plugins.claims import read_claims
    from robotrain.plugins.errors import make_failure

    what = f"`{declared.__qualname__}`"
    for claim in read_claims():
        if declared.__module__.partition(".")[0] == re.split(r"[.:]", claim.point.value)[0]:
            return make_failure(claim, cause, what).make_problem()
    said = redact(str(cause), max_length=MAX_SENTENCE)
    title = f"{what} of {declared.__module__} failed: {type(cause).__name__}: {said}"
    return Problem(code="plugin-failed", stage=Stage.RESOLVE, title=title)


def _make_stand_in(declared: type) -> Any:
    """An instance all the same, so that what else is wrong with the job is found as well: without `__post_init__`,
    which may not bear what is missing.
    """
    instance: Any = object.__new__(declared)
    for field in dataclasses.fields(declared):
        value = None if field.default is dataclasses.MISSING else field.default
        if field.default_factory is not dataclasses.MISSING:
            value = field.default_factory()
        object.__setattr__(instance, field.name, value)
    return instance


def _check_text(parameter: Parameter, value: Value) -> Problem | None:
    """What pydantic does not ask of a text."""
    text = str(value.value)
    if _is_unusable(text):
        return _make_unusable_problem(parameter, value)
    return make_invalid_value_problem(parameter, value) if parameter.param.table and not has_pairs(text) else None


def _is_unusable(text: str) -> bool:
    return holds_secret(text) or any(ord(letter) < 0x20 and letter not in "\n\t" for letter in text)


def _make_unusable_problem(parameter: Parameter, value: Value) -> Problem:
    """A text that must not be kept (a job is written into plans and records), or cannot be passed on."""
    secret = holds_secret(str(value.value))
    return Problem(
        code="secret-in-job" if secret else "value-invalid",
        stage=Stage.RESOLVE,
        title=f"{parameter.flag} {'holds what looks like a secret' if secret else 'holds control characters'}",
        where=value.origin.where or value.origin.layer,
        given=redact(str(value.value)),
        why=f"A job is written into plans and records in the clear. {_describe_parameter(parameter)}".strip()
        if secret
        else "",
        suggestions=(Suggestion(f"{parameter.flag} {parameter.metavar}"),)
        if secret and parameter.param.metavar
        else (),
    )


def _describe_parameter(parameter: Parameter) -> str:
    """What it takes, as help says it."""
    return f"{parameter.flag} takes {parameter.param.help}." if parameter.param.metavar else ""


def _make_missing_problem(parameter: Parameter) -> Problem:
    return Problem(
        code="value-missing",
        stage=Stage.RESOLVE,
        title=f"{parameter.flag} is needed",
        why=parameter.param.help,
        suggestions=(Suggestion(f"{parameter.flag} {parameter.metavar}"),),
    )


def make_invalid_value_problem(parameter: Parameter, value: Value) -> Problem:
    """A value that its parameter does not take."""
    return Problem(
        code="value-invalid",
        stage=Stage.RESOLVE,
        title=f"{parameter.flag} takes {describe_expected_value(parameter)}",
        where=value.origin.where or value.origin.layer,
        given=redact(str(value.value)),
        suggestions=suggest_name(str(value.value), parameter.choices, prefix=f"{parameter.flag} ")
        or _suggest_fraction(parameter, value),
    )


def _suggest_fraction(parameter: Parameter, value: Value) -> tuple[Suggestion, ...]:
    """A part of one that was given in percent."""
    found = re.fullmatch(r"\s*([0-9]{1,3}(?:\.[0-9]+)?)\s*%?\s*", str(value.value))
    if not found or parameter.bare_type is not float or parameter.param.le != 1 or not 1 < float(found[1]) <= 100:
        return ()
    return (Suggestion(f"{parameter.flag} {float(found[1]) / 100:g}", f"{found[1]} %"),)


def describe_expected_value(parameter: Parameter) -> str:
    """What the parameter takes, in words: `a whole number greater than 0`."""
    if parameter.choices:
        return "one of " + ", ".join(parameter.choices)
    if parameter.is_switch:
        return "yes or no"
    if parameter.param.table:
        return f"{TABLE_FORM}, each name once"
    if parameter.param.pattern_help:
        return parameter.param.pattern_help
    words = {int: "a whole number", float: "a number"}.get(parameter.bare_type, "text")
    if parameter.param.pattern:
        words += f" of the form {parameter.param.pattern}"
    bounds = {"gt": "greater than", "ge": "not below", "lt": "less than", "le": "not above"}
    said = [
        f"{text} {bound:.12g}" for name, text in bounds.items() if (bound := getattr(parameter.param, name)) is not None
    ]
    return " ".join([words, " and ".join(said)]).strip()


def list_fields(instance: Any) -> tuple[tuple[str, Any], ...]:
    """Name and value of each field, in the order declared."""
    return tuple((field.name, getattr(instance, field.name)) for field in dataclasses.fields(instance))
