"""From raw text to typed values: once, by pydantic, whatever layer the text came from."""

import dataclasses
import functools
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from robotrain_runtime.parameter import Parameter, parameters_of

from robotrain import aside, tables
from robotrain.nearest import offer
from robotrain.problem import SENTENCE, Instead, Problem, Stage
from robotrain.provenance import Value
from robotrain.redaction import holds_secret, redact

if TYPE_CHECKING:
    from pydantic import TypeAdapter


@functools.cache
def _adapter(declared: type) -> "TypeAdapter[Any]":
    """Made once: a process may check many jobs."""
    from pydantic import TypeAdapter

    return TypeAdapter(declared)


def coerce(declared: type, raw: Mapping[str, Value]) -> tuple[Any, list[Problem]]:
    """An instance of the dataclass `declared`, with the default in place of each value that does not fit.

    Where a value without a default is missing, None stands in every such place; the problems say so.
    """
    parameters = {parameter.name: parameter for parameter in parameters_of(declared)}
    given = {name: value.value for name, value in raw.items() if value.origin.layer != "default"}
    unfit = {name: refusal for name in given if (refusal := _refused(parameters[name], raw[name]))}
    problems = list(unfit.values())
    given = {name: text for name, text in given.items() if name not in unfit}
    required = [parameter for parameter in parameters.values() if parameter.required]
    if missing := [parameter for parameter in required if parameter.name not in given]:
        problems += [_missing(parameter) for parameter in missing if parameter.name not in unfit]
        return _stand_in(declared), problems
    made, wrong, said = _made(declared, given)
    problems += [misfit(parameters[name], raw[name]) for name in wrong]
    if wrong and not any(parameter.name in wrong for parameter in required):
        good = {name: value for name, value in given.items() if name not in wrong}
        made, _, said = _made(declared, good)
    return made, [*problems, *said]


def _made(declared: type, given: Mapping[str, Any]) -> tuple[Any, Sequence[str], Sequence[Problem]]:
    """An instance, or what stands in for one; the names whose values do not fit; what the class says of its own."""
    from pydantic import ValidationError

    try:
        with aside.here():  # `__post_init__` may be a stranger's
            return _adapter(declared).validate_python(given), (), ()
    except ValidationError as error:
        # values and context may hold what was typed; only the places are taken
        places = error.errors(include_input=False, include_url=False, include_context=False)
        if wrong := dict.fromkeys(str(place["loc"][0]) for place in places if place["loc"]):
            return _stand_in(declared), tuple(wrong), ()
        return _stand_in(declared), (), [_refusal(place["msg"]) for place in places]
    except KeyboardInterrupt:
        raise
    except BaseException as cause:  # SystemExit among others
        return _stand_in(declared), (), [_failure(declared, cause)]


def _refusal(said: str) -> Problem:
    """What `__post_init__` says of values that do not go together."""
    title = redact(re.sub(r"^(?:Value|Assertion) error,? ?", "", said), longest=SENTENCE).rstrip(".")
    return Problem(code="value-invalid", stage=Stage.RESOLVE, title=title or "these values do not go together")


def _failure(declared: type, cause: BaseException) -> Problem:
    """A class that fails by a mistake of its own, told as its plugin's."""
    from robotrain.claims import read_claims
    from robotrain.loading.failure import failed

    what = f"`{declared.__qualname__}`"
    for claim in read_claims():
        if declared.__module__.partition(".")[0] == re.split(r"[.:]", claim.point.value)[0]:
            return failed(claim, cause, what).problem()
    said = redact(str(cause), longest=SENTENCE)
    title = f"{what} of {declared.__module__} failed: {type(cause).__name__}: {said}"
    return Problem(code="plugin-failed", stage=Stage.RESOLVE, title=title)


def _stand_in(declared: type) -> Any:
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


def _refused(parameter: Parameter, value: Value) -> Problem | None:
    """What pydantic does not ask of a text."""
    text = str(value.value)
    if _unfit(text):
        return _unfit_problem(parameter, value)
    return misfit(parameter, value) if parameter.param.table and not tables.well_formed(text) else None


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
        why=f"A job is written into plans and records in the clear. {_meant(parameter)}".strip() if secret else "",
        instead=(Instead(f"{parameter.flag} {parameter.metavar}"),) if secret and parameter.param.metavar else (),
    )


def _meant(parameter: Parameter) -> str:
    """What it takes, as help says it."""
    return f"{parameter.flag} takes {parameter.param.help}." if parameter.param.metavar else ""


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
        instead=offer(str(value.value), parameter.choices, before=f"{parameter.flag} ")
        or _of_percent(parameter, value),
    )


def _of_percent(parameter: Parameter, value: Value) -> tuple[Instead, ...]:
    """A part of one that was given in percent."""
    found = re.fullmatch(r"\s*([0-9]{1,3}(?:\.[0-9]+)?)\s*%?\s*", str(value.value))
    if not found or parameter.bare is not float or parameter.param.le != 1 or not 1 < float(found[1]) <= 100:
        return ()
    return (Instead(f"{parameter.flag} {float(found[1]) / 100:g}", f"{found[1]} %"),)


def expected(parameter: Parameter) -> str:
    """What the parameter takes, in words: `a whole number greater than 0`."""
    if parameter.choices:
        return "one of " + ", ".join(parameter.choices)
    if parameter.switch:
        return "yes or no"
    if parameter.param.table:
        return f"{tables.FORM}, each name once"
    if parameter.param.form:
        return parameter.param.form
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
