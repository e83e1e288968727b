"""Describe an installed Isaac Lab 3: `tasks.json` and `options.json` in a folder.

Run by the Python of its locked environment; takes a minute and no simulator.

    ENVIRONMENT/bin/python .ci/export_isaac.py workloads/robotrain_workloads/isaac/versions/v3_0

What the files mean: robotrain_workloads/isaac/version_data.py.
"""

import argparse
import contextlib
import importlib
import importlib.abc
import importlib.machinery
import importlib.metadata
import json
import logging
import sys
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import gymnasium
from isaaclab.app import validate_launch
from isaaclab.utils import assets

TRAINED = ("rsl_rl", "sb3", "skrl")
"""The libraries that robotrain trains with."""
LIBRARIES = (*TRAINED, "rl_games", "torchrl")
ACTIONS = ("train", "play")
BACKENDS = "isaaclab_rl.entrypoints.backends"
ENTRY_POINT, ENVIRONMENT = "_cfg_entry_point", "env_cfg_entry_point"
ROOT = f"{assets.NUCLEUS_ASSET_ROOT_DIR}/"
"""What paths of assets are written relative to; Newton has a server of its own."""
WINDOW_ASSETS = "Isaac/Props/UIElements/"
"""Arrows and frames, which are loaded for a window alone."""
KINDS = {int: "int", float: "number"}


class MissingLibraries(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Stands for libraries that are not installed: the parsers of Isaac Lab's backends need nothing of them."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        """Return a module for each that no other finder has, of the libraries alone."""
        return importlib.machinery.ModuleSpec(name, self) if name.partition(".")[0] in (*LIBRARIES, "gym") else None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> Any:
        """Return a module that has every name."""
        module = MagicMock(name=spec.name)
        module.__path__, module.__spec__ = [], spec
        return module

    def exec_module(self, module: Any) -> None:
        """Do nothing."""


class ParserMade(Exception):
    """A backend has made its parser, the only argument."""


def list_children(node: object) -> Iterator[tuple[str, Any]]:
    """Yield what a configuration holds, by name: as Isaac Lab itself walks it."""
    if isinstance(node, Mapping):
        yield from ((str(name), value) for name, value in node.items())
    elif isinstance(node, list | tuple | set):
        yield from ((str(index), value) for index, value in enumerate(node))
    elif hasattr(node, "__dataclass_fields__"):
        for name in dir(node):
            if not name.startswith("_") and not callable(getattr(type(node), name, None)):
                yield name, getattr(node, name, None)


def find_assets(node: object, seen: set[int]) -> set[str]:
    """Return the texts below a node that are on an asset server, relative to its root."""
    if isinstance(node, str):
        path = node.removeprefix(ROOT)
        return set() if path == node or path.startswith(WINDOW_ASSETS) else {path}
    if id(node) in seen:
        return set()
    seen.add(id(node))
    return {path for _, child in list_children(node) for path in find_assets(child, seen)}


def load_configuration(task: str) -> Any:
    """Return the configuration of a task with all alternatives in it."""
    return importlib.import_module("isaaclab_tasks.utils.parse_cfg").load_cfg_from_registry(task, ENVIRONMENT)  # type: ignore[attr-defined]


def resolve_presets(configuration: Any) -> Any:
    """Return a configuration with the alternatives that are used by default; it is changed."""
    return importlib.import_module("isaaclab_tasks.utils.hydra").resolve_presets(configuration)  # type: ignore[attr-defined]


def find_newton(configuration: Any) -> str:
    """Return the preset with which a task starts Newton; empty if it has none."""
    collect: Any = importlib.import_module("isaaclab_tasks.utils.hydra").collect_presets
    target: Any = importlib.import_module("isaaclab_tasks.utils.preset_target").PresetTarget
    physics = target("physics")
    pairs = (pair for group in collect(configuration).values() for pair in group.items())
    return max((name for name, value in pairs if name.startswith("newton") and physics.matches(value)), default="")


def describe_task(spec: Any) -> dict[str, Any]:
    """Return what `tasks.json` says of a task; there, fields that are empty are left out."""
    agents = sorted(
        name.removesuffix(ENTRY_POINT)
        for name in spec.kwargs
        if name.endswith(ENTRY_POINT) and name.startswith(LIBRARIES)
    )
    deprecated = spec.kwargs.get("deprecated") or {}
    configuration = load_configuration(spec.id)
    newton = find_newton(configuration)
    configuration = resolve_presets(configuration)
    _, kit = validate_launch(configuration, {"livestream": 0})
    return {
        "agents": agents,
        "default": spec.kwargs.get("default_agent", ""),
        "deprecated": deprecated.get("alias", ""),
        "newton": newton if kit else "",
        "assets": sorted(find_assets(configuration, set())),
        "simulator": "isaacsim" if kit else "",
    }


def format_tasks(version: str, specs: Mapping[str, Any]) -> str:
    """Return `tasks.json`, a task on each line, where a file of its own name stands for its path."""
    tasks = {name: describe_task(spec) for name, spec in sorted(specs.items())}
    paths = sorted({path for task in tasks.values() for path in task["assets"]})
    names = Counter(Path(path).name for path in paths)
    shared = {path: Path(path).name for path in paths if names[Path(path).name] == 1}
    for task in tasks.values():
        task["assets"] = [shared.get(path, path) for path in task["assets"]]
    lines = [f"{json.dumps(name)}: {json.dumps({k: v for k, v in task.items() if v})}" for name, task in tasks.items()]
    assets = json.dumps({name: path for path, name in shared.items()}, indent=0)
    return f'{{"isaaclab": "{version}",\n"assets": {assets},\n"tasks": {{\n' + ",\n".join(lines) + "\n}}\n"


def describe_action(action: argparse.Action) -> str:
    """Return the kind of an option's values: empty for a switch, else `int`, `number`, `text`, or choices as `a|b`."""
    if action.nargs == 0:
        return ""
    if action.choices is not None:
        return "|".join(sorted(map(str, action.choices)))
    return KINDS.get(action.type, "text")  # type: ignore[arg-type]


def describe_script(action: str, library: str) -> dict[str, str]:
    """Return the options of a library's script, each with the kind of its values."""
    backend = importlib.import_module(f"{BACKENDS}.{action}_{library}")

    def stop(parser: argparse.ArgumentParser, *_: object) -> None:
        raise ParserMade(parser)

    backend.setup_preset_cli = stop  # type: ignore[attr-defined]
    try:
        backend._parse_args([])
    except ParserMade as made:
        (parser,) = made.args
    options = {
        name: describe_action(one) for one in parser._actions for name in one.option_strings if one.dest != "help"
    }
    return dict(sorted(options.items()))


def format_options(version: str) -> str:
    """Return `options.json`, a script on each line."""
    scripts = {
        action: [f"{json.dumps(library)}: {json.dumps(describe_script(action, library))}" for library in TRAINED]
        for action in ACTIONS
    }
    target: Any = importlib.import_module("isaaclab_tasks.utils.preset_target").PresetTarget
    parts = [
        f'"isaaclab": "{version}"',
        *(f'"{action}": {{\n' + ",\n".join(lines) + "\n}" for action, lines in scripts.items()),
        f'"selectors": {json.dumps([one.value for one in target])}',
    ]
    return "{" + ",\n".join(parts) + "}\n"


def main(folder: Path) -> None:
    """Write the files."""
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    sys.meta_path.append(MissingLibraries())
    version = importlib.metadata.version("isaaclab")
    folder.mkdir(exist_ok=True)
    with contextlib.redirect_stdout(sys.stderr):  # it says what it parses
        importlib.import_module("isaaclab_tasks")
        tasks = {name: spec for name, spec in gymnasium.registry.items() if ENVIRONMENT in spec.kwargs}
        (folder / "tasks.json").write_text(format_tasks(version, tasks), encoding="utf-8")
        (folder / "options.json").write_text(format_options(version), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
