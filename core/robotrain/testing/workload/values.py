"""Values of a parameter that are not its default: such as are taken, and such as are not."""

from collections.abc import Iterator

from robotrain_runtime.parameter import Parameter

from robotrain.coerce import coerce
from robotrain.provenance import Origin, Value

WORDS = ("another", "/another", "another/name", "another@example.com", "https://another.example/place", "2")
"""Texts that differ from most defaults, for parameters with a form of their own."""


def others(declared: type, parameter: Parameter) -> Iterator[str]:
    """Texts for other values than the default, which the parameter takes."""
    for text in _candidates(parameter):
        given = {parameter.name: Value(text, Origin("flag", parameter.flag))}
        typed, problems = coerce(declared, given)
        about = [problem for problem in problems if problem.where == parameter.flag]
        if not about and getattr(typed, parameter.name) != parameter.default:
            yield text


def outside(parameter: Parameter) -> Iterator[str]:
    """Texts that the parameter must refuse: beyond its bounds, or no number, or none of its choices."""
    bounds, whole = parameter.param, parameter.bare is int
    if parameter.bare in (int, float):
        yield "many"
        for bound, beyond in ((bounds.gt, 0), (bounds.lt, 0), (bounds.ge, -1), (bounds.le, 1)):
            if bound is not None:
                yield str(int(bound + beyond)) if whole else str(bound + beyond)
    if parameter.choices:
        yield "none-of-these"


def _candidates(parameter: Parameter) -> Iterator[str]:
    if parameter.switch:
        yield "false" if parameter.default else "true"
    elif parameter.choices:
        yield from (choice for choice in parameter.choices if choice != parameter.default)
    elif parameter.bare in (int, float):
        near = parameter.default if parameter.default is not None else 0
        yield from (f"{value:.12g}" for value in (near + 1, near / 2, near - 1, near * 2, 0, 1, 2))
        yield from (str(int(near) + step) for step in (1, -1, 2))
    else:
        yield from WORDS
