"""What to write instead of a key at the top of a job file that has its place elsewhere, or is misspelt."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from robotrain.config.names import Names
from robotrain.config.yaml_nodes import YamlNode, convert_to_json
from robotrain.errors import Suggestion
from robotrain.model.source import LOCAL_KIND, SourceKind
from robotrain.model.workload import Workload
from robotrain.nearest_name import find_nearest_name, is_misspelling
from robotrain.plugins.failures import PluginError
from robotrain.plugins.manager import Plugins
from robotrain.redaction import can_repeat

CHOSEN_FLAGS = {"platform": "--platform", "profile": "--profile"}
"""Keys that no job file has, because the line says it."""
COMMAND_KEYS, COMMAND_KEY = ("command", "cmd", "script"), "run"
"""What other tools call the command of a program, and its key."""
PLAIN = re.compile(r"[A-Za-z0-9][\w./+-]*")
"""A text that YAML reads as it is."""


def suggest_place(key: str, value: YamlNode, workload_name: str, folder: Path, plugins: Plugins) -> Suggestion | None:
    """Return what to write for a key that is no key of a job file; None if nothing is near.

    :param workload_name: the workload that the file names; empty for none.
    """
    workload = None
    with suppress(PluginError):  # reported where the job is read
        workload = plugins.workload(workload_name or plugins.default_workload())
    kinds = plugins.source_kinds()
    if not can_repeat(convert_to_json(value)):
        return None
    place_by_name = _list_places(workload, plugins)
    name = key.replace("-", "_").lower()
    if name not in place_by_name:
        similar_names = [candidate for candidate in place_by_name if is_misspelling(name, candidate)]
        name = find_nearest_name(name, similar_names) or ""
    place = place_by_name.get(name, "")
    if not place or value.null:
        return None
    if place.startswith("--"):
        return Suggestion(f"{place} {shlex.quote(value.text)}") if value.kind == "scalar" and value.text else None
    if place == COMMAND_KEY:
        return _suggest_command(value)
    table, _, name = place.rpartition(".")
    text = _format_source(name, value, folder, kinds) if table == "sources" else f"{name}: {_format_value(value)}"
    tables = table.split(".")
    return Suggestion(f"{': {'.join(tables)}: {{{text}{'}' * len(tables)}")


def find_project_table(name: str, plugins: Plugins) -> str:
    """Return the table of robotrain.toml for a key that stands at its top: that of the platform or workload of that
    name, or the one for values of that name; empty if there is none.
    """
    for family, table in (("platform", "platforms"), ("workload", "workloads")):
        if name in plugins.list_names(family):
            return f"{table}.{name}"
    workload_names = (Names(workload, None) for workload in plugins.workloads().values())
    platform_names = (Names(None, platform) for platform in plugins.platforms().values())
    full_names = {
        full_name
        for names in (*workload_names, *platform_names)
        for full_name, parameter in names.parameters.items()
        if parameter.name == name
    }
    tables = {full_name.rpartition(".")[0] for full_name in full_names}
    if len(tables) > 1:
        return "" if "parameters" in tables else "platforms.PLATFORM"
    return next(iter(tables), "")


def _list_places(workload: Workload | None, plugins: Plugins) -> dict[str, str]:
    """Return where a value stands, by the names that people give it: its own and those of its options."""
    places = dict.fromkeys(COMMAND_KEYS, COMMAND_KEY) if workload and workload.own_command else {}
    platforms = plugins.platforms().values()
    for names in (*(Names(None, platform) for platform in platforms), Names(workload, None)):  # the last one wins
        for full_name, parameter in names.parameters.items():
            spellings = (flag.lstrip("-").replace("-", "_") for flag in parameter.flags if flag.startswith("--"))
            places |= dict.fromkeys((parameter.name, *spellings), full_name)
    places |= {role: f"sources.{role}" for role in (workload.roles if workload else ())}
    return {**places, **CHOSEN_FLAGS}


def _format_source(role: str, value: YamlNode, folder: Path, kinds: Mapping[str, SourceKind]) -> str:
    """Return a source of a role."""
    if value.kind != "scalar":
        return f"{role}: {convert_to_json(value)}"
    kind = find_source_kind(role, value.text, folder, kinds) or LOCAL_KIND
    return f"{role}: {{{kind}: {json.dumps(value.text, ensure_ascii=False)}}}"


def find_source_kind(role: str, text: str, folder: Path, kinds: Mapping[str, SourceKind]) -> str:
    """Return the kind of the source that an address is; empty if none recognizes it.

    :param folder: what a relative path counts from.
    """
    path = folder / os.path.expanduser(text)
    if path.exists() and LOCAL_KIND in kinds:
        return LOCAL_KIND
    recognizing = (name for name, kind in kinds.items() if role in kind.roles and kind.recognizes_as(role, text))
    return next(recognizing, "")


def _format_value(value: YamlNode) -> str:
    is_plain = value.kind == "scalar" and value.plain and PLAIN.fullmatch(value.text)
    return value.text if is_plain else convert_to_json(value)


def _suggest_command(value: YamlNode) -> Suggestion | None:
    """Return the list of a command that was written as one text, or under another key."""
    if value.kind == "sequence":
        return Suggestion(f"{COMMAND_KEY}: {convert_to_json(value)}")
    try:
        words = shlex.split(value.text) if value.kind == "scalar" else []
    except ValueError:
        return None
    return Suggestion(f"{COMMAND_KEY}: {json.dumps(words, ensure_ascii=False)}") if words else None
