"""The values of a trial: those that the engine of a sweep chose are arguments `NAME=VALUE` of the runtime."""

import dataclasses
import math
from collections.abc import Mapping, Sequence

from robotrain_runtime.contract.document import Dimension, JobDocument, Scalar

TOLERANCE = 1e-6
"""How far a number may be from an end or a choice, relative to it: engines compute with logarithms."""


def set_trial_values(document: JobDocument, arguments: Sequence[str]) -> JobDocument:
    """Return the document of one trial. Raise ValueError unless each parameter of its space has one valid value.

    It needs no argument where the space has a single choice.
    """
    assignments = [value_text.partition("=") for value_text in arguments]
    parameter_names = [name for name, _, _ in assignments]
    for name in parameter_names:
        if name not in document.space:
            raise ValueError(f"{name} is no parameter that varies: {', '.join(document.space) or 'none does'}")
    single = {name: dimension.choices[0] for name, dimension in document.space.items() if len(dimension.choices) == 1}
    for name in document.space:
        if parameter_names.count(name) != 1 and not (name in single and name not in parameter_names):
            raise ValueError(f"{name} needs one value, and has {parameter_names.count(name)}")
    trial_values = single | {
        name: _parse_value(name, document.space[name], value_text) for name, _, value_text in assignments
    }
    trial_values = {
        name: str(trial_value) if isinstance(document.parameters.get(name), str) else trial_value
        for name, trial_value in trial_values.items()
    }
    return dataclasses.replace(document, parameters={**document.parameters, **trial_values})


def get_trial_values(document: JobDocument) -> Mapping[str, Scalar]:
    """Return the values of the trial that a document is for; empty for any other job."""
    return {name: document.parameters[name] for name in document.space}


def _parse_value(name: str, dimension: Dimension, text: str) -> Scalar:
    if dimension.choices:
        is_same = text.__eq__ if text in dimension.choices else lambda choice: _is_same(choice, text)
        choice = next(filter(is_same, dimension.choices), None)
        if choice is None:
            raise ValueError(f"{name}={text} is none of {', '.join(map(str, dimension.choices))}")
        return choice
    number = _parse_number(text)
    slack = TOLERANCE * max(abs(dimension.low), abs(dimension.high))
    if number is None or not dimension.low - slack <= number <= dimension.high + slack:
        raise ValueError(f"{name}={text} is not between {dimension.low:g} and {dimension.high:g}")
    number = min(max(number, dimension.low), dimension.high)
    if not dimension.integer:
        return number
    if abs(number - round(number)) > TOLERANCE:
        raise ValueError(f"{name}={text} is not a whole number")
    return round(number)


def _is_same(choice: Scalar, text: str) -> bool:
    if isinstance(choice, bool):
        return text.lower() in (("true", "1") if choice else ("false", "0"))
    expected_number = _parse_number(choice) if isinstance(choice, str) else choice
    if expected_number is None:
        return text == choice
    number = _parse_number(text)  # an engine may have read `1e-4` as a number, and written another text for it
    return number is not None and math.isclose(number, expected_number, rel_tol=TOLERANCE)


def _parse_number(number_text: str) -> float | None:
    try:
        number = float(number_text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
