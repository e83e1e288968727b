"""Parameters of the user's own: `params:` of a job file and `--param NAME=VALUE`, for a workload that takes them.

The workload of a job with some has a parameter more for each, so that whatever knows a workload's parameters knows
them too: `--set`, sweeps, `explain`, `diff`, records.
"""

import dataclasses
import functools
import keyword
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any

from robotrain_runtime.contract.parameter import Param, get_parameters
from robotrain_runtime.contract.secret_rules import looks_like_secret

from robotrain.config.request import Request
from robotrain.config.values import PARAM_FLAG, SECRET_WAY, Layer, Origin, Value, prefix_names
from robotrain.errors import Problem
from robotrain.messages import Messages
from robotrain.model.job import ARGUMENT_KEYS
from robotrain.model.platform import Platform
from robotrain.model.workload import Workload
from robotrain.nearest_name import is_misspelling
from robotrain.redaction import redact, value_holds_secret

make_problem = Messages(__file__)

NAME_PATTERN = r"[A-Za-z][A-Za-z0-9_]*"
MEANINGFUL_NAMES = ("job_name", "num_gpus", "num_nodes", "publish_url", "register_checkpoint")
"""Parameters that platforms act on, whichever workload has them."""
BASE_ATTRIBUTE = "robotrain_declared"
"""Where a class with a user's own parameters has the one that its workload declares."""


def extend_workload(workload: Workload, parameter_names: Iterable[str], platform: Platform | None) -> Workload:
    """Return the workload with a parameter more for each of these names that can be one of its user's own."""
    declared_type = get_declared(workload.parameters)
    own_names = list_own_names(workload.parameters)
    base = dataclasses.replace(workload, parameters=declared_type)
    allowed_names = [
        name
        for name in dict.fromkeys(parameter_names)
        if name not in own_names and not explain_refusal(name, base, platform)
    ]
    if not allowed_names or not workload.own_command:
        return workload
    return dataclasses.replace(base, parameters=_extend_class(declared_type, (*own_names, *allowed_names)))


def extend_for_sweep(workload: Workload, request: Request, varied_names: Iterable[str], platform: Platform) -> Workload:
    """Return the workload with the own parameters of a request, and with the names of values that vary which nothing
    else has, unless one is nearly the name of something else.
    """
    extended_workload = extend_for_request(workload, request, platform)
    tables = (extended_workload.parameters, platform.settings)
    known_names = [parameter.name for declared_type in tables for parameter in get_parameters(declared_type)]
    new_names = [
        name for name in varied_names if not any(is_misspelling(name, known_name) for known_name in known_names)
    ]
    return extend_workload(extended_workload, new_names, platform)


def extend_for_request(workload: Workload, request: Request, platform: Platform) -> Workload:
    """Return the workload with the own parameters of a request, those of its job file first."""
    given_names = [name for layer in reversed(request.layers) for name in layer.select("params")]
    return extend_workload(workload, given_names, platform)


def get_declared(parameters: type) -> type:
    """Return the class of parameters that a workload declares, without those of its user's own."""
    declared_type: type = getattr(parameters, BASE_ATTRIBUTE, parameters)
    return declared_type


def list_own_names(parameters: type) -> list[str]:
    """Return the names that a class of parameters has beside those that its workload declares."""
    declared_type = get_declared(parameters)
    if declared_type is parameters:
        return []
    base_names = {parameter.name for parameter in get_parameters(declared_type)}
    return [parameter.name for parameter in get_parameters(parameters) if parameter.name not in base_names]


def parse_params(param_texts: Iterable[str]) -> tuple[dict[str, Value], list[Problem]]:
    """Return the values of `--param NAME=VALUE` by name, and the problems of malformed and repeated ones."""
    values: dict[str, Value] = {}
    problems = []
    for text in param_texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip() or name in values:
            shown_text = "" if looks_like_secret(text) else text
            problems.append(make_problem("value-invalid.param", where=PARAM_FLAG, given=shown_text))
        else:
            values[name] = Value(value, Origin("flag", f"{PARAM_FLAG} {name}"))
    return values, problems


def apply_params(
    request: Request, workload: Workload, platform: Platform
) -> tuple[Request, Workload, Sequence[Problem]]:
    """Return the request and the workload with own parameters as parameters like the others, and the problems."""
    extended_workload = extend_for_request(workload, request, platform)
    own_names = list_own_names(extended_workload.parameters)

    def apply(layer: Layer) -> Layer:
        own_params = {name: value for name, value in layer.select("params").items() if name in own_names}
        return layer._replace(values={**prefix_names("parameters", own_params), **layer.values})

    return request.change_layers(apply), extended_workload, tuple(_find_problems(request, workload, platform))


def _find_problems(request: Request, workload: Workload, platform: Platform) -> Iterator[Problem]:
    """Yield the problems of a workload that takes none, of names that cannot be, and of values that are secrets."""
    base = dataclasses.replace(workload, parameters=get_declared(workload.parameters))
    for params in (layer.select("params") for layer in reversed(request.layers)):
        if params and not workload.own_command:
            value_place = next(iter(params.values())).origin.where
            yield make_problem(
                "own-parameter-invalid.workload", where=value_place, given=", ".join(params), name=workload.name
            )
            continue
        for name, value in params.items():
            value_place = value.origin.where
            if reason := explain_refusal(name, base, platform):
                fixed = re.sub(r"\W", "_", name, flags=re.ASCII).strip("_") or "name"
                fixed = fixed if re.fullmatch(NAME_PATTERN, fixed) and fixed != name else f"my_{fixed}"
                yield make_problem(
                    "own-parameter-invalid.name",
                    where=value_place,
                    given=name,
                    name=redact(name),
                    why=reason,
                    fixed=fixed,
                )
            elif value_holds_secret(f"{name}={value.value}") and not value_holds_secret(str(value.value)):
                given_text = f"{name}={value.value}"
                yield make_problem(
                    "secret-in-job", SECRET_WAY, where=value_place, given=given_text, what=f"{PARAM_FLAG} {name}"
                )


def explain_refusal(name: str, workload: Workload, platform: Platform | None) -> str:
    """Return why a name cannot be that of an own parameter, as a sentence; empty if it can.

    :param workload: as it is declared.
    """
    if not re.fullmatch(NAME_PATTERN, name) or keyword.iskeyword(name):
        return "A name has letters, digits and `_`, begins with a letter, and is no word of Python."
    if any(parameter.name == name for parameter in get_parameters(workload.parameters)):
        return f"{workload.name} has a parameter {name}."
    if platform and any(parameter.name == name for parameter in get_parameters(platform.settings)):
        return f"{platform.name} has a setting {name}."
    if name in workload.roles:
        return f"{workload.name} has an input {name}."
    reserved = workload.own_command.reserved_names if workload.own_command else ()
    taken_names = (*reserved, *MEANINGFUL_NAMES, *ARGUMENT_KEYS, BASE_ATTRIBUTE)
    return f"{name} has a meaning of its own." if name in taken_names or hasattr(workload.parameters, name) else ""


@functools.cache
def _extend_class(declared: type, names: tuple[str, ...]) -> type:
    fields: list[tuple[str, Any, Any]] = []
    for name in names:
        param = Param(
            help="a parameter of your own",
            flag=f"{PARAM_FLAG} {name}",
            allow_empty=True,
            takes_none=True,
            instead_of_secret=SECRET_WAY,
        )
        fields.append((name, Annotated[str | None, param], dataclasses.field(default=None)))
    get_parameters(declared)  # completes a class whose fields are made when something asks for them
    extended_class = dataclasses.make_dataclass(declared.__name__, fields, bases=(declared,), frozen=True, kw_only=True)
    extended_class.__module__, extended_class.__qualname__ = declared.__module__, declared.__qualname__
    setattr(extended_class, BASE_ATTRIBUTE, declared)
    return extended_class
