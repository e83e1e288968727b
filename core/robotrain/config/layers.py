"""The layers settings come from: flags, files, environment, Terraform, lookups. The first value wins."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robotrain_runtime.contract.parameter import Parameter, get_parameters

from robotrain.config import coerce
from robotrain.config.request import DEFAULT_ORIGIN, PLATFORM_LAYER, Origin, Value
from robotrain.errors import Problem, Stage, Suggestion
from robotrain.redaction import redact
from robotrain.store.files import DOTENV_FILES

if TYPE_CHECKING:
    from robotrain.config.request import Request
    from robotrain.config.terraform import TerraformLayer
    from robotrain.model.platform import Platform


@dataclass(frozen=True, slots=True)
class VariableLayer:
    """Values by environment name: the process environment, or a parsed `.env` file."""

    layer: str
    values: Mapping[str, Value]
    problems: tuple[Problem, ...] = ()

    def find_first(self, names: tuple[str, ...]) -> Value | None:
        """The first of `names` that has a non-empty value."""
        return next((self.values[name] for name in names if name in self.values), None)


def read_environment(environ: Mapping[str, str] | None = None) -> VariableLayer:
    """The process environment; an empty value counts as unset."""
    given = os.environ if environ is None else environ
    return VariableLayer(
        "environment", {name: Value(value, Origin("environment", name)) for name, value in given.items() if value}
    )


def read_dotenv_files(folder: Path) -> Iterator[VariableLayer]:
    """`.env.local` and `.env` of `folder`, those that exist. They are parsed, never executed."""
    for name in DOTENV_FILES:
        if (folder / name).is_file():
            yield read_dotenv(folder / name)


def read_dotenv(path: Path) -> VariableLayer:
    """One file; `${NAME}` stands for a variable of the environment or of an earlier line."""
    from dotenv.parser import parse_stream
    from dotenv.variables import parse_variables

    values: dict[str, Value] = {}
    problems: list[Problem] = []
    known: dict[str, Any] = dict(os.environ)
    try:
        with path.open(encoding="utf-8") as stream:
            bindings = list(parse_stream(stream))
    except (OSError, UnicodeDecodeError) as error:
        return VariableLayer(path.name, {}, (_make_unreadable_problem(path, error),))
    for binding in bindings:
        where = f"{path.name}:{_get_line(binding.original)}"
        if binding.error:
            problems.append(_make_malformed_problem(where))
        elif binding.key and binding.value:
            text = "".join(atom.resolve(known) for atom in parse_variables(binding.value))
            known[binding.key] = os.environ.get(binding.key) or text
            values[binding.key] = Value(text, Origin(path.name, where))
    return VariableLayer(path.name, {name: value for name, value in values.items() if value.value}, tuple(problems))


def _get_line(original: Any) -> int:
    """Where the assignment itself stands: the parser counts the empty lines before it to it."""
    text = str(original.string)
    return int(original.line) + text[: len(text) - len(text.lstrip())].count("\n")


def _make_malformed_problem(where: str) -> Problem:
    return Problem(
        code="env-file-malformed",
        stage=Stage.PARSE,
        title="a line of the .env file is not NAME=value",
        where=where,
        why="The file is read as data, it is never executed: no commands, no shell syntax.",
    )


def _make_unreadable_problem(path: Path, error: Exception) -> Problem:
    reason = "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else str(error)
    return Problem(
        code="env-file-unreadable", stage=Stage.PARSE, title=f"{path.name} cannot be read", where=path.name, why=reason
    )


LOOKUP_LAYER = "looked up"


class LookupLayer:
    """The functions that parameters name, as a layer; what they fail with is kept among the problems."""

    def __init__(self) -> None:
        self._failed: list[Problem] = []

    def __call__(self, parameter: Parameter) -> Value | None:
        """What the parameter's function answers with, and where it found it."""
        if not parameter.param.lookup:
            return None
        try:
            answer = _import_function(parameter.param.lookup)()
            if answer is None:
                return None
            value, where = answer
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit too, and what ends a task
            self._failed.append(_make_lookup_problem(parameter, error))
            return None
        return Value(str(value), Origin(LOOKUP_LAYER, redact(str(where)))) if value != "" else None

    def problems(self) -> Iterator[Problem]:
        """What functions failed with."""
        yield from self._failed


def _import_function(name: str) -> Any:
    module, _, function = name.partition(":")
    return getattr(importlib.import_module(module), function)


def _make_lookup_problem(parameter: Parameter, error: BaseException) -> Problem:
    return Problem(
        code="lookup-failed",
        stage=Stage.RESOLVE,
        severity="warning",
        title=f"{parameter.flag} could not be looked up on this machine",
        where=parameter.param.lookup,
        why=f"{type(error).__name__}: {redact(str(error))}",
        suggestions=(Suggestion(f"{parameter.flag} {parameter.metavar}"),),
    )


class FallbackResolver:
    """Both, for one request; neither is asked before a value is missing. terraform: None where it is not asked."""

    def __init__(self, terraform: TerraformLayer | None) -> None:
        self._terraform = terraform
        self._lookups = LookupLayer()
        self._alone: list[Problem] = []

    def find_values(self, parameters: Sequence[Parameter], given: Collection[str]) -> dict[str, Value]:
        """What they answer for the parameters of a declaration that are not among those `said`, by name."""
        missing = [one for one in parameters if one.name not in given]
        beside = {one.name for one in missing if one.param.terraform_optional or one.param.optional_with in given}
        found = {}
        for one in sorted(missing, key=lambda one: one.name in beside):
            if value := self._read_terraform(one, one.name in beside) or self._lookups(one):
                found[one.name] = value
        alone = {
            one.name: rest
            for one in missing
            if one.name in found and (rest := _find_missing_fields(one, {*given, *found}))
        }
        self._alone += _find_unused_values(
            parameters, {name: rest for name, rest in alone.items() if name not in beside}, found
        )
        return {name: value for name, value in found.items() if name not in alone}

    def _read_terraform(self, parameter: Parameter, beside: bool) -> Value | None:
        if self._terraform is None:
            return None
        return self._terraform.find_if_read(parameter) if beside else self._terraform(parameter)

    def problems(self) -> Iterator[Problem]:
        """What kept a layer from answering, and answers that do not count."""
        yield from self._terraform.problems() if self._terraform else ()
        yield from self._lookups.problems()
        yield from self._alone


def _find_missing_fields(parameter: Parameter, known: Collection[str]) -> tuple[str, ...]:
    """The fields without which what was found for a parameter counts for nothing."""
    return tuple(name for name in parameter.param.needed_with if name not in known)


def _find_unused_values(
    parameters: Sequence[Parameter], alone: Mapping[str, tuple[str, ...]], found: Mapping[str, Value]
) -> Iterator[Problem]:
    """One note for all of them."""
    named = {one.name: one for one in parameters}
    lacking = list(dict.fromkeys(name for rest in alone.values() for name in rest if name in named))
    if not lacking:
        return
    flags, missing = ", ".join(named[name].flag for name in alone), ", ".join(named[name].flag for name in lacking)
    yield Problem(
        code="found-in-part",
        stage=Stage.RESOLVE,
        severity="note",
        title=f"what was found for {flags} does not count: nobody says {missing}",
        where=str(found[next(iter(alone))].origin),
        suggestions=(Suggestion(" ".join(f"{named[name].flag} {named[name].metavar}" for name in lacking)),),
    )


Layer = Callable[[Parameter], Value | None]
"""What one layer says of a parameter."""
GivenValues = Mapping[str, Value]


class LayerStack:
    """The layers of one request. problems: what is wrong with them, once the values were asked for."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._problems: list[Problem] = []
        self._fallbacks = None if request.complete else FallbackResolver(request.terraform)

    def resolve_values(
        self,
        declared: type,
        by_flag: GivenValues,
        in_file: GivenValues,
        in_project: Sequence[GivenValues],
        weakest: Sequence[Layer] = (),
    ) -> dict[str, Value]:
        """The winning value of each parameter of `declared`, with those it overrode.

        weakest: layers below all that can be asked; what was overrode is told of them, never of those that are asked,
        which are asked only when nothing was said above.
        """
        texts = [coerce.convert_tables(said, declared, self._problems) for said in (by_flag, in_file, *in_project)]
        layers, parameters = list(self._list_layers(*texts)), list(get_parameters(declared))
        said = {one.name: values for one in parameters if (values := list(_collect_given(one, layers)))}
        asked = self._fallbacks.find_values(parameters, said) if self._fallbacks else {}
        found = {}
        for one in parameters:
            strong = said.get(one.name) or ([asked[one.name]] if one.name in asked else [])
            values = [*strong, *_collect_given(one, weakest), Value(one.default, DEFAULT_ORIGIN)]
            found[one.name] = Value(values[0].value, values[0].origin, tuple(values[1:]))
        return found

    def problems(self) -> Iterator[Problem]:
        """Tables where one value should be, and what kept a layer from answering."""
        yield from self._problems
        if self._fallbacks:
            yield from self._fallbacks.problems()

    def _list_layers(self, by_flag: GivenValues, in_file: GivenValues, *in_project: GivenValues) -> Iterator[Layer]:
        """Every layer that was said, the strongest first; a relative path in one starts from where it was said."""
        request = self._request
        yield _make_field_layer(by_flag, request.folder)
        if request.file:
            yield _make_field_layer(in_file, request.file.folder)
        yield from (_make_variable_layer(layer, request.folder) for layer in request.variables)
        if request.project:
            yield from (_make_field_layer(table, request.project.folder) for table in in_project)


def make_platform_layer(platform: Platform, settings: Any) -> list[Layer]:
    """What a platform gives parameters by itself, where it does."""
    values = {
        name: Value(default.value, Origin(PLATFORM_LAYER, f"{platform.name}: {default.why}"))
        for name, default in platform.defaults(settings).items()
    }
    return [lambda parameter: values.get(parameter.name)]


def _collect_given(parameter: Parameter, layers: Sequence[Layer]) -> Iterator[Value]:
    """What each of `layers` says; an empty text counts as nothing."""
    for layer in layers:
        value = layer(parameter)
        if value and value.value != "":
            yield value


def _make_field_layer(values: GivenValues, folder: Path) -> Layer:
    return lambda parameter: _anchor_path(parameter, values.get(parameter.name), folder)


def _make_variable_layer(layer: VariableLayer, folder: Path) -> Layer:
    return lambda parameter: _anchor_path(parameter, layer.find_first(parameter.env), folder)


def _anchor_path(parameter: Parameter, value: Value | None, folder: Path) -> Value | None:
    if value is None or not parameter.param.path or not value.value:
        return value
    return Value(os.path.join(folder, os.path.expanduser(str(value.value))), value.origin)
