"""Names in files of values that nothing has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from robotrain_runtime.contract.parameter import get_parameters

from robotrain.config.names import Names
from robotrain.config.request import Request
from robotrain.config.values import Layer, Value
from robotrain.errors import Problem
from robotrain.messages import Messages
from robotrain.model.platform import Platform
from robotrain.model.workload import Workload
from robotrain.nearest_name import suggest_name
from robotrain.plugins.manager import Plugins
from robotrain.redaction import redact
from robotrain.store.files import PROJECT_FILE

if TYPE_CHECKING:
    from robotrain.config.project_file import Project

make_problem = Messages(__file__)


def find_unknown_keys(request: Request, workload: Workload, platform: Platform) -> Iterator[Problem]:
    """Yield a problem for each name of a file that the workload or the platform does not declare."""
    project = request.surroundings.project
    of_project = project.list_layers(workload.name, platform.name) if project else ()
    layers = [*request.files, *(layer for layer in of_project if not layer.is_shared)]
    key_names = Names(workload, platform)
    owners = (f"workload {workload.name}", f"platform {platform.name}")
    for (table, declared_type), owner in zip(key_names.tables.items(), owners, strict=True):
        valid_names = [parameter.name for parameter in get_parameters(declared_type)]
        is_own = table == "parameters" and workload.own_command
        for name, value in (pair for layer in layers for pair in layer.select(table).items()):
            if name not in valid_names:
                reason = "Parameters of your own stand below `params:`." if is_own else ""
                ways = suggest_name(key_names.find_short(name, table) or name, valid_names)
                where, name = value.origin.where, redact(name)
                yield make_problem("file-unknown-key.setting", *ways, where=where, owner=owner, name=name, why=reason)


def find_unknown_tables(files: Iterable[Layer], project: Project | None, plugins: Plugins) -> Iterator[Problem]:
    """Yield problems of tables for platforms and workloads that are not installed, and of parameters that no workload
    has.

    :param files: what describes jobs.
    """
    levels = project.levels if project else ()
    tables: dict[tuple[str, str, str], Value | None] = {}
    for file in files:
        for key, value in file.select("platforms").items():
            tables.setdefault(("the job file", "platform", key.partition(".")[0]), value)
    for level in levels:
        for family, named_tables in (("workload", level.workloads), ("platform", level.platforms)):
            for name, values in named_tables.items():
                tables.setdefault((PROJECT_FILE, family, name), next(iter(values.values()), None))
    for (what, family, name), first_value in tables.items():
        if name not in (installed := plugins.list_names(family)):
            where, ways = first_value.origin.where if first_value else "", suggest_name(name, installed)
            yield make_problem("file-strange-table", *ways, where=where, what=what, family=family, name=redact(name))
    shared_parameters = {name: value for level in levels for name, value in level.parameters.items()}
    workloads = plugins.workloads().values() if shared_parameters else ()
    valid_names = [parameter.name for workload in workloads for parameter in get_parameters(workload.parameters)]
    for name, setting in shared_parameters.items():
        if name not in valid_names:
            ways = suggest_name(name, valid_names)
            where = setting.origin.where
            yield make_problem("file-unknown-key.parameter", *ways, where=where, name=redact(name))
