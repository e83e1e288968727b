"""The layers of a request, one above the other: for each parameter the first that says something wins."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robotrain_runtime.parameter import Parameter, parameters_of

from robotrain import tables
from robotrain.asked import Asked
from robotrain.provenance import DEFAULT, PLATFORM, Origin, Value

if TYPE_CHECKING:
    from robotrain.layers import NameLayer
    from robotrain.platforms import Platform
    from robotrain.problem import Problem
    from robotrain.request import Request

Layer = Callable[[Parameter], Value | None]
"""What one layer says of a parameter."""
Said = Mapping[str, Value]


class Stack:
    """The layers of one request. problems: what is wrong with them, once the values were asked for."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._wrong: list[Problem] = []
        self._asked = None if request.settled else Asked(request.terraform)

    def values(
        self, declared: type, by_flag: Said, in_file: Said, in_project: Sequence[Said], weakest: Sequence[Layer] = ()
    ) -> dict[str, Value]:
        """The winning value of each parameter of `declared`, with those it overrode.

        weakest: layers below all that can be asked; what was overrode is told of them, never of those that are asked,
        which are asked only when nothing was said above.
        """
        texts = [tables.as_texts(said, declared, self._wrong) for said in (by_flag, in_file, *in_project)]
        layers, parameters = list(self._layers(*texts)), list(parameters_of(declared))
        said = {one.name: values for one in parameters if (values := list(_said(one, layers)))}
        asked = self._asked.values(parameters, said) if self._asked else {}
        found = {}
        for one in parameters:
            strong = said.get(one.name) or ([asked[one.name]] if one.name in asked else [])
            values = [*strong, *_said(one, weakest), Value(one.default, DEFAULT)]
            found[one.name] = Value(values[0].value, values[0].origin, tuple(values[1:]))
        return found

    def problems(self) -> Iterator[Problem]:
        """Tables where one value should be, and what kept a layer from answering."""
        yield from self._wrong
        if self._asked:
            yield from self._asked.problems()

    def _layers(self, by_flag: Said, in_file: Said, *in_project: Said) -> Iterator[Layer]:
        """Every layer that was said, the strongest first; a relative path in one starts from where it was said."""
        request = self._request
        yield _fields(by_flag, request.folder)
        if request.file:
            yield _fields(in_file, request.file.folder)
        yield from (_names(layer, request.folder) for layer in request.names)
        if request.project:
            yield from (_fields(table, request.project.folder) for table in in_project)


def of_platform(platform: Platform, settings: Any) -> list[Layer]:
    """What a platform gives parameters by itself, where it does."""
    asked = getattr(platform, "defaults", None)
    given = dict(asked(settings)) if asked else {}
    values = {name: Value(one.value, Origin(PLATFORM, f"{platform.name}: {one.why}")) for name, one in given.items()}
    return [lambda parameter: values.get(parameter.name)]


def _said(parameter: Parameter, layers: Sequence[Layer]) -> Iterator[Value]:
    """What each of `layers` says; an empty text counts as nothing."""
    for layer in layers:
        value = layer(parameter)
        if value and value.value != "":
            yield value


def _fields(values: Said, folder: Path) -> Layer:
    return lambda parameter: _anchored(parameter, values.get(parameter.name), folder)


def _names(layer: NameLayer, folder: Path) -> Layer:
    return lambda parameter: _anchored(parameter, layer.first(parameter.env), folder)


def _anchored(parameter: Parameter, value: Value | None, folder: Path) -> Value | None:
    if value is None or not parameter.param.path or not value.value:
        return value
    return Value(os.path.join(folder, os.path.expanduser(str(value.value))), value.origin)
