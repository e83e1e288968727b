"""From raw text to typed values: once, by pydantic, whatever layer the text came from."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from robotrain_runtime.parameter import Parameter, parameters_of

from robotrain.nearest import offer
from robotrain.problem import Instead, Problem, Stage
from robotrain.provenance import Value
from robotrain.redaction import holds_secret, redact


def coerce(declared: type, raw: Mapping[str, Value]) -> tuple[Any, list[Problem]]:
    """An instance of the dataclass `declared`, with the default in place of each value that does not fit.

    Where a value without a default is missing, None stands in every such place; the problems say so.
    """
    from pydantic import TypeAdapter, ValidationError

    parameters = {parameter.name: parameter for parameter in parameters_of(declared)}
    adapter: TypeAdapter[Any] = TypeAdapter(declared)
    given = {name: value.value for name, value in raw.items() if value.origin.layer != "default"}
    unfit = [name for name, text in given.items() if _unfit(str(text))]
    problems = [_unfit_problem(parameters[name], raw[name]) for name in unfit]
    given = {name: text for name, text in given.items() if name not in unfit}
    required = [parameter for parameter in parameters.values() if parameter.required]
    if missing := [parameter for parameter in required if parameter.name not in given]:
        problems += [_missing(parameter) for parameter in missing if parameter.name not in unfit]
        return _stand_in(declared, required), problems
    try:
        return adapter.validate_python(given), problems
    except ValidationError as error:
        # values and context may hold what was typed; only the places are taken
        places = error.errors(include_input=False, include_url=False, include_context=False)
    wrong = dict.fromkeys(str(place["loc"][0]) for place in places)
    problems += [misfit(parameters[name], raw[name]) for name in wrong]
    good = {name: value for name, value in given.items() if name not in wrong}
    if any(parameter.name in wrong for parameter in required):
        return _stand_in(declared, required), problems
    return adapter.validate_python(good), problems


def _stand_in(declared: type, required: Sequence[Parameter]) -> Any:
    """An instance all the same, so that what else is wrong with the job is found as well."""
    return declared(**{parameter.name: None for parameter in required})


def _unfit(text: str) -> bool:
    return holds_secret(text) or any(ord(letter) < 0x20 and letter not in "\n\t" for letter in text)


def _unfit_problem(parameter: Parameter, value: Value) -> Problem:
    """A text that must not be kept (a job is written into plans and records), or cannot be passed on."""
    secret = holds_secret(str(value.value))
    return Problem(
        code="secret-in-job" if secret else "value-invalid",
        stage=Stage.RESOLVE,
        title=f"{parameter.flag} {'holds what looks like a secret' if secret else 'holds control characters'}",
        where=value.origin.where or value.origin.layer,
        given=redact(str(value.value)),
        why="A job is written into plans and records in the clear." if secret else "",
    )


def _missing(parameter: Parameter) -> Problem:
    return Problem(
        code="value-missing",
        stage=Stage.RESOLVE,
        title=f"{parameter.flag} is needed",
        why=parameter.param.help,
        instead=(Instead(f"{parameter.flag} {parameter.metavar}"),),
    )


def misfit(parameter: Parameter, value: Value) -> Problem:
    """A value that its parameter does not take."""
    return Problem(
        code="value-invalid",
        stage=Stage.RESOLVE,
        title=f"{parameter.flag} takes {expected(parameter)}",
        where=value.origin.where or value.origin.layer,
        given=redact(str(value.value)),
        instead=offer(str(value.value), parameter.choices, before=f"{parameter.flag} "),
    )


def expected(parameter: Parameter) -> str:
    """What the parameter takes, in words: `a whole number greater than 0`."""
    if parameter.choices:
        return "one of " + ", ".join(parameter.choices)
    if parameter.switch:
        return "yes or no"
    words = {int: "a whole number", float: "a number"}.get(parameter.bare, "text")
    if parameter.param.pattern:
        words += f" of the form {parameter.param.pattern}"
    bounds = {"gt": "greater than", "ge": "not below", "lt": "less than", "le": "not above"}
    said = [
        f"{text} {bound:.12g}" for name, text in bounds.items() if (bound := getattr(parameter.param, name)) is not None
    ]
    return " ".join([words, " and ".join(said)]).strip()


def scalars(instance: Any) -> tuple[tuple[str, Any], ...]:
    """Name and value of each field, in the order declared."""
    return tuple((field.name, getattr(instance, field.name)) for field in dataclasses.fields(instance))
