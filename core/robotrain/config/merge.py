"""The layers of settings: flags, files, environment, Terraform, lookups. The first value wins."""

import json
import os
import pkgutil
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.parameter import UNSET, Parameter, get_parameters, load_texts

from robotrain.config import pairs
from robotrain.config.patch_file import LINE_LAYERS, read_patch
from robotrain.config.request import Request
from robotrain.config.sources import read_variable_sources
from robotrain.config.terraform import TERRAFORM_LAYER
from robotrain.config.validate import encode, make_invalid_value_problem, read_pairs
from robotrain.config.values import (
    DEFAULT_ORIGIN,
    FOLDER_LAYERS,
    PLATFORM_LAYER,
    PROJECT_LAYERS,
    Layer,
    Origin,
    Value,
)
from robotrain.config.yaml_nodes import YamlNode
from robotrain.errors import Problem, Suggestion
from robotrain.messages import Messages
from robotrain.model.platform import Platform
from robotrain.model.source import SourceKind
from robotrain.model.workload import Workload
from robotrain.redaction import redact

make_problem = Messages(__file__)

LOOKUP_LAYER = "looked up"


def _find_unused_values(
    parameters: Sequence[Parameter], needed_by_name: Mapping[str, Sequence[str]], values: Mapping[str, Value]
) -> Iterator[Problem]:
    """Yield one note for all found values that lack another parameter."""
    by_name = {parameter.name: parameter for parameter in parameters}
    needed_names = dict.fromkeys(name for names in needed_by_name.values() for name in names)
    if needed := [by_name[name] for name in needed_names if name in by_name]:
        yield make_problem(
            "found-in-part",
            " ".join(f"{parameter.flag} {parameter.metavar}" for parameter in needed),
            where=str(values[next(iter(needed_by_name))].origin),
            flags=", ".join(by_name[name].flag for name in needed_by_name),
            missing=", ".join(parameter.flag for parameter in needed),
        )


def _make_untrusted_problem(parameter: Parameter, value: Value, code: str) -> Problem:
    """Return the problem of a program that a project's file names, or of one of its texts that names code."""
    return make_problem(
        "setting-not-trusted.code" if code else "setting-not-trusted.program",
        where=value.origin.where,
        given=code or str(value.value),
        flag=parameter.flag,
        layer=value.origin.layer,
        wanted=redact(code) if code else parameter.metavar,
        variable=parameter.env[0],
        metavar=parameter.metavar,
    )


def _complete_texts(parameter: Parameter, value: Value, folder: Path) -> tuple[Value, str]:
    """Return a value with texts as JSON, paths absolute, and the first text that names code to run; empty for none."""
    try:
        texts = load_texts(value.value)
    except ValueError:  # reported where values are converted
        return value, ""
    forms = parameter.param.program_texts, parameter.param.path_texts
    is_program, is_path = (re.compile(form or "(?!)") for form in forms)
    code = next(filter(is_program.fullmatch, texts), "")
    full_texts = [
        os.path.join(folder, os.path.expanduser(value_text)) if is_path.fullmatch(value_text) else value_text
        for value_text in texts
    ]
    return value._replace(value=json.dumps(full_texts, ensure_ascii=False)), code


def find_destinations(values: Mapping[str, Value], declared_type: type) -> Iterator[tuple[str, Value]]:
    """Yield flag and value of each destination (an account, an address) that a project's file set."""
    for parameter in get_parameters(declared_type):
        value = values.get(parameter.name) if parameter.param.destination else None
        if value and value.value and value.origin.layer in FOLDER_LAYERS:
            yield parameter.flag, value


GivenValues = Mapping[str, Value]
"""The values of a layer by the names of their parameters."""


class LayerStack:
    """The layers of one request."""

    def __init__(self, request: Request, layers: Sequence[Layer]) -> None:
        self._request, self._layers = request, layers
        self._problems: list[Problem] = []
        self.unset: set[str] = set()
        """The names of the values that are unset on purpose."""
        self.unread: set[str] = set()
        """The names of those of which a layer has one that cannot be read."""

    def merge_values(self, declared: type, table: str, weakest: Sequence[GivenValues] = ()) -> dict[str, Value]:
        """Return the winning value of each parameter of `declared`, with the values it overrode.

        :param table: where the values stand in a job file.
        :param weakest: layers below Terraform outputs and lookups, which are used only if no layer above has a value.
        """
        parameters = get_parameters(declared)
        collected_values = ((p.name, list(self._collect_given(p, f"{table}.{p.name}"))) for p in parameters)
        values_by_name = {name: layer_values for name, layer_values in collected_values if layer_values}
        self._leave_out_opposites(parameters, table, values_by_name)
        unset = [
            p.name for p in parameters if p.name in values_by_name and p.is_unset_by(values_by_name[p.name][0].value)
        ]
        unset_values = {name: values_by_name.pop(name) for name in unset}
        self.unset.update(unset)
        unset_free = [parameter for parameter in parameters if parameter.name not in unset_values]
        joint = [] if self._request.complete else [parameter for parameter in unset_free if parameter.param.is_joint]
        decided = self._keep_one_place(joint, values_by_name)
        fallbacks = self._find_fallbacks(unset_free, values_by_name, decided)
        self._settle_joint_values(joint, values_by_name, fallbacks)
        merged = {}
        for parameter in parameters:
            name = parameter.name
            layer_values = values_by_name.get(name, [])
            replaced_values = unset_values.get(name, [])
            if name in fallbacks and (not layer_values or parameter.param.form == "pairs"):
                layer_values = [*layer_values, fallbacks[name]]
            weakest_values = [layer[name] for layer in weakest if name in layer and layer[name].value != ""]
            if parameter.param.form == "pairs":
                layer_values = pairs.merge_values(layer_values)
                replaced_values = pairs.merge_values(replaced_values)
            layer_values = [*layer_values, *weakest_values, Value(parameter.default, DEFAULT_ORIGIN)]
            merged[name] = layer_values[0]._replace(overrode=(*replaced_values, *layer_values[1:]))
        return merged

    def _leave_out_opposites(
        self, parameters: Sequence[Parameter], table: str, values_by_name: dict[str, list[Value]]
    ) -> None:
        """Of a switch and the parameter that it is the opposite of, leave out what the weaker layer says."""

        def find_layer(name: str) -> int:
            key, origin = f"{table}.{name}", values_by_name[name][0].origin
            values = (layer.values.get(key) for layer in self._layers)
            return next(rank for rank, value in enumerate(values) if value and value.origin == origin)

        for switch in parameters:
            opposite = switch.param.opposite_of
            if switch.name not in values_by_name or opposite not in values_by_name:
                continue
            if str(values_by_name[switch.name][0].value).lower() == "true":
                is_stronger = find_layer(switch.name) <= find_layer(opposite)
                del values_by_name[opposite if is_stronger else switch.name]

    def problems(self) -> Iterator[Problem]:
        """Yield invalid tables and failures of the layers; complete after `merge_values`."""
        yield from self._problems
        if self._request.terraform and not self._request.complete:
            yield from self._request.terraform.problems()

    def _keep_one_place(self, joint: Sequence[Parameter], values_by_name: dict[str, list[Value]]) -> set[str]:
        """Keep joint values of one place and of the line; return the names for which Terraform is not asked then.

        The strongest place with a value that cannot be looked up decides. What can be may stand elsewhere.
        """
        leading = [parameter.name for parameter in joint if not parameter.param.lookup]
        places = {value.origin.layer for name in leading for value in values_by_name.get(name, ())}
        order = [value.origin.layer for layer in self._layers for value in layer.values.values()]
        place = next((place for place in order if place in places.difference(LINE_LAYERS)), "")
        for parameter in joint if place else ():
            layer_values = values_by_name.pop(parameter.name, [])
            own = [value for value in layer_values if value.origin.layer in (*LINE_LAYERS, place)]
            kept = own or (layer_values if parameter.param.lookup else [])
            if kept:
                values_by_name[parameter.name] = kept
            if layer_values and layer_values[0] not in kept:
                self._report_other_place(parameter, layer_values[0], place, kept)
        return {parameter.name for parameter in joint} if place else set()

    def _report_other_place(self, parameter: Parameter, value: Value, place: str, kept: Sequence[Value]) -> None:
        """Report the strongest value of a joint name, which does not count: an error if the place has another one."""
        if kept and kept[0].value == value.value:
            return
        message = "found-in-part.other" if kept else "found-in-part.elsewhere"
        flag, way = parameter.flag, Suggestion(f"{parameter.flag} {parameter.metavar}", "decides")
        problem = make_problem(message, way, where=str(value.origin), given=str(value.value), flag=flag, place=place)
        self._problems.append(problem)

    def _settle_joint_values(
        self, joint: Sequence[Parameter], values_by_name: dict[str, list[Value]], fallbacks: Mapping[str, Value]
    ) -> None:
        """Let Terraform's own value win where its other joint ones count, unless the line gives one; note that then."""
        terraform = self._request.terraform
        has_outputs = any(p.name in fallbacks and fallbacks[p.name].origin.layer == TERRAFORM_LAYER for p in joint)
        typed, others = list[str](), dict[str, str]()
        for parameter in joint:
            layer_values = values_by_name.get(parameter.name)
            value = layer_values[0] if layer_values else fallbacks.get(parameter.name)
            if value and value.origin.layer in LINE_LAYERS:
                typed.append(parameter.flag)
                continue
            output_value = terraform.find_value(parameter, True) if terraform and has_outputs else None
            if layer_values and value and output_value:
                values_by_name[parameter.name] = [output_value]
                self._report_other_place(parameter, value, TERRAFORM_LAYER, [output_value])
                value = output_value
            if value and value.origin.layer != LOOKUP_LAYER:
                others[parameter.flag] = value.origin.layer
        if typed and others:
            flags, other_flags, places = (", ".join(dict.fromkeys(names)) for names in (typed, others, others.values()))
            self._problems.append(make_problem("found-in-part.typed", flags=flags, others=other_flags, place=places))

    def _find_fallbacks(
        self, parameters: Sequence[Parameter], set_names: Collection[str], decided: Collection[str]
    ) -> dict[str, Value]:
        """Return, by name, Terraform outputs and lookups for parameters not in `set_names`; lookups for pairs.

        :param decided: the names for which Terraform is not asked.
        """
        if self._request.complete:
            return {}
        unset_parameters = [
            parameter for parameter in parameters if parameter.name not in set_names or parameter.param.form == "pairs"
        ]
        outputs = {p.name: output for p in unset_parameters if (output := p.param.terraform) and p.name not in decided}
        optional = {name for name, output in outputs.items() if output.is_optional or output.optional_with in set_names}
        fallbacks, layer = {}, self._request.terraform
        for parameter in sorted(unset_parameters, key=lambda parameter: parameter.name in optional):
            name = parameter.name
            terraform = layer.find_value(parameter, name in optional) if layer and name in outputs else None
            if value := terraform or self._look_up(parameter):
                fallbacks[name] = value
        needed = {  # by the names of found values, what else they need
            name: [needed for needed in output.needed_with if needed not in set_names and needed not in fallbacks]
            for name, output in outputs.items()
            if name in fallbacks
        }
        incomplete_needs = {name: needed_names for name, needed_names in needed.items() if needed_names}
        required_by_name = {name: needed for name, needed in incomplete_needs.items() if name not in optional}
        self._problems += _find_unused_values(parameters, required_by_name, fallbacks)
        return {name: value for name, value in fallbacks.items() if name not in incomplete_needs}

    def _look_up(self, parameter: Parameter) -> Value | None:
        """Return the value that the parameter's lookup function finds, with its place; it is called once a request."""
        name, lookups = parameter.param.lookup, self._request.lookups
        if not name or lookups is None:
            return None
        if name not in lookups:
            try:
                lookup_value, lookup_place = pkgutil.resolve_name(name)() or ("", "")
                origin = Origin(LOOKUP_LAYER, redact(str(lookup_place)))
                lookups[name] = Value(str(lookup_value), origin) if lookup_value != "" else None
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # SystemExit too
                lookups[name] = error
        lookup_result = lookups[name]
        if not isinstance(lookup_result, BaseException):
            return lookup_result
        self._problems.append(
            make_problem(
                "lookup-failed",
                where=name,
                flag=parameter.flag,
                error=f"{type(lookup_result).__name__}: {redact(str(lookup_result))}",
                metavar=parameter.metavar,
            )
        )
        return None

    def _collect_given(self, parameter: Parameter, key: str) -> Iterator[Value]:
        """Yield the values of the layers with absolute paths; an empty text counts as none.

        A program that a project's file names is a problem instead, and so is a table that the parameter does not take.
        """
        for layer in self._layers:
            value = layer.values.get(key)
            if value and parameter.name in self._request.left_out and value.origin.layer in PROJECT_LAYERS:
                continue
            if value and parameter.param.form == "patch" and value.value not in ("", UNSET):
                patch_value = read_patch(parameter, value)
                if isinstance(patch_value, Problem):
                    self._problems.append(patch_value)
                    self.unread.add(parameter.name)
                else:
                    yield patch_value
                continue
            value = self._encode(parameter, value) if value and value.value is not None else None
            if not value or (value.value == "" and not parameter.param.allow_empty):
                continue
            if parameter.is_unset_by(value.value):
                yield value
                continue
            folder = value.base or Path.cwd()
            if parameter.param.path and value.value:
                value = Value(os.path.join(folder, os.path.expanduser(str(value.value))), value.origin)
            code = ""
            if parameter.param.form == "texts":
                value, code = _complete_texts(parameter, value, folder)
            is_code = bool(code) or (parameter.param.names == "program" and bool(value.value))
            if is_code and value.origin.layer in FOLDER_LAYERS:
                self._problems.append(_make_untrusted_problem(parameter, value, code))
                self.unread.add(parameter.name)
            else:
                yield value

    def _encode(self, parameter: Parameter, value: Value) -> Value | None:
        """Return a value as its field has it, but names of pairs as they are, which layers merge; None for one that the
        parameter does not take, which is reported.
        """
        raw = value.value.read_texts() if isinstance(value.value, YamlNode) else value.value
        try:
            if parameter.param.form == "pairs" and isinstance(raw, Mapping | list | tuple):
                return value._replace(value=read_pairs(raw, bare_names=parameter.param.bare_names))
            return value._replace(value=encode(parameter, value.value))
        except ValueError:
            self._problems.append(make_invalid_value_problem(parameter, value))
            self.unread.add(parameter.name)
            return None


def list_layers(
    request: Request, workload: Workload, platform: Platform, kinds: Mapping[str, SourceKind], config: Layer | None
) -> Iterator[Layer]:
    """Yield the layers of a job, the strongest first.

    :param config: what the workload's own configuration file says, just below the job file.
    """
    yield from (*request.layers, *((config,) if config else ()))
    tables = {"parameters": workload.parameters, f"platforms.{platform.name}": platform.settings}
    for variables in request.surroundings.variables:
        yield Layer(sources=tuple(read_variable_sources(variables, workload.roles, kinds)))
    yield from request.surroundings.list_layers(workload.name, platform.name, tables)


def make_platform_layer(platform: Platform, settings: Any) -> GivenValues:
    """Return the platform's own defaults for parameters."""
    return {
        name: Value(default.value, Origin(PLATFORM_LAYER, f"{platform.name}: {default.why}"))
        for name, default in platform.plans.defaults(settings).items()
    }
