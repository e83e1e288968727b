"""A call from Python as a request: each value by its option's name, as text, as if it had been typed."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

from robotrain_runtime.parameter import parameters_of

from robotrain import api, job_file
from robotrain import project as projects
from robotrain.layers import NameLayer, dotenv_layers, environment
from robotrain.nearest import offer
from robotrain.platforms import Platform
from robotrain.plugins import Plugins
from robotrain.problem import Instead, Problem, Rejected, Stage
from robotrain.project import Project
from robotrain.provenance import Origin, Value, own_name
from robotrain.redaction import redact
from robotrain.request import Request, SourceText
from robotrain.resolve import field_of
from robotrain.source import SourceKind
from robotrain.tables import Table
from robotrain.terraform import Terraform
from robotrain.workload import Workload

PLATFORM, PROFILE = own_name("platform"), own_name("profile")


class Call(NamedTuple):
    """What was given. job: a job file. values: parameters, settings and sources by their options' names."""

    job: str | Path | None
    platform: str
    workload: str
    profile: str
    trainer_args: Iterable[str] | None
    values: Mapping[str, Any]


def prepare(call: Call, plugins: Plugins) -> api.Prepared:
    """Resolve and check what was given. Raises Rejected with every problem."""
    file = job_file.read(Path(call.job)) if call.job is not None else None
    names = (environment(), *dotenv_layers(Path.cwd()))
    project = projects.chosen(Path.cwd(), _said(call.profile, "profile", PROFILE, names))
    named = call.workload or (file.workload if file else "") or _value(project.workload if project else None)
    workload = plugins.workload(named or plugins.default_workload())
    platform = plugins.platform(_platform(call, names, project, plugins))
    known = dict(_known(workload, platform, plugins.source_kinds()))
    request = Request(
        parameters=dict(_declared(call.values, workload.parameters)),
        settings=dict(_declared(call.values, platform.settings)),
        sources=tuple(_sources(call.values, known)),
        trainer_args=_listed(call.trainer_args),
        file=file,
        names=names,
        project=project,
        terraform=Terraform(names, project, Path.cwd()),
    )
    wrong = [_unknown(name, known, workload, platform) for name in call.values if name not in known]
    wrong += job_file.strange(file, plugins.names("platform")) if file else []
    wrong += projects.strange(project, plugins) if project else []
    wrong += [] if named else plugins.default_problems()
    return api.prepare(request, workload, platform, plugins, tuple(wrong))


def _platform(call: Call, names: Iterable[NameLayer], project: Project | None, plugins: Plugins) -> str:
    """The platform's name, from the strongest layer that says one. Raises Rejected when none does."""
    said = _said(call.platform, "platform", PLATFORM, names) or (project.platform if project else None)
    if said is not None:
        return str(said.value)
    ways = tuple(Instead(f"platform={name!r}") for name in plugins.names("platform"))
    problem = Problem(code="platform-missing", stage=Stage.USAGE, title="no platform was chosen", instead=ways)
    raise Rejected([problem])


def _said(given: str, argument: str, name: str, names: Iterable[NameLayer]) -> Value | None:
    if given:
        return Value(given, Origin("call", argument))
    return next((value for layer in names if (value := layer.first((name,)))), None)


def _listed(arguments: Iterable[str] | None) -> tuple[str, ...] | None:
    """The trainer's arguments. Raises Rejected for one text, whose letters would be taken for them."""
    if not isinstance(arguments, str):
        return None if arguments is None else tuple(arguments)
    way = Instead("trainer_args=['--NAME=VALUE']")
    title = "trainer_args takes a list of texts"
    raise Rejected([Problem(code="value-invalid", stage=Stage.USAGE, title=title, instead=(way,))])


def _value(value: Value | None) -> str:
    return str(value.value) if value else ""


def _known(
    workload: Workload, platform: Platform, kinds: Mapping[str, SourceKind]
) -> Iterator[tuple[str, tuple[str, str, tuple[str, ...]] | None]]:
    """Every name that can be given; for a source its role, its flag and the kinds that share it."""
    for declared in (workload.parameters, platform.settings):
        yield from ((parameter.name, None) for parameter in parameters_of(declared))
    for role in workload.roles:
        flags = dict.fromkeys(kind.roles[role].flag for kind in kinds.values() if role in kind.roles)
        for flag in flags:
            sharing = [name for name, kind in kinds.items() if role in kind.roles and kind.roles[role].flag == flag]
            yield flag.strip("-").replace("-", "_"), (role, flag, tuple(sharing))


def _declared(values: Mapping[str, Any], declared: type) -> Iterator[tuple[str, Value]]:
    for parameter in parameters_of(declared):
        if values.get(parameter.name) is not None:
            given = values[parameter.name]
            if parameter.param.json and isinstance(given, Mapping | list | tuple):
                given = json.dumps(given)
            yield parameter.name, _value_of(parameter.name, given)


def _value_of(name: str, given: Any) -> Value:
    said = Origin("call", name)
    if not isinstance(given, Mapping):
        return Value(_text(given), said)
    refusal = Problem(code="value-invalid", stage=Stage.USAGE, title=f"{name} takes one value, not a table", where=name)
    return Value(
        Table(tuple((str(key), Value(_text(one), said)) for key, one in given.items() if one is not None), refusal),
        said,
    )


def _sources(values: Mapping[str, Any], known: Mapping[str, Any]) -> Iterator[SourceText]:
    for name, given in values.items():
        if not known.get(name) or given is None:
            continue
        role, _, kinds = known[name]
        for text in [given] if isinstance(given, str | PathLike) else given:
            yield SourceText(role=role, kinds=kinds, text=str(text), origin=Origin("call", name), base=Path.cwd())


def _text(value: Any) -> str:
    """A value as it would be typed."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(float(value)) if isinstance(value, float) else str(value)


def _unknown(name: str, known: Mapping[str, Any], workload: Workload, platform: Platform) -> Problem:
    shown = redact(re.sub(r"[^\w-]", "?", name))
    title = f"{workload.name} on {platform.name} takes no {shown!r}"
    fields = (field_of(name, declared) for declared in (workload.parameters, platform.settings))
    meant = next((field for field in fields if field), name)
    return Problem(code="value-unknown", stage=Stage.USAGE, title=title, instead=offer(meant, known))
