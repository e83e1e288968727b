"""Print LeRobot's options as JSON: names, kinds, choices and defaults. Run by the Python of the locked environment.

    ENVIRONMENT/bin/python .ci/option_tree.py >workloads/robotrain_workloads/lerobot_options/option_tree.json

What the JSON means: robotrain_workloads/lerobot_options/option_tree.py.
"""

import dataclasses
import enum
import importlib.metadata
import json
import logging
import sys
import types
import typing
from typing import Any

import draccus
import lerobot.envs
import lerobot.optim
import lerobot.policies  # noqa: F401 - importing them registers the choices
from lerobot.configs.train import TrainPipelineConfig

SCALARS = {int: "int", float: "number", bool: "bool", str: "text", type(None): "null"}


def name_of(one: type) -> str:
    """Return the name that the tree has for a class."""
    return f"{one.__module__.removeprefix('lerobot.')}.{one.__qualname__}"


class Tree:
    """The classes whose fields are options."""

    def __init__(self) -> None:
        self.classes: dict[str, dict[str, list[Any]]] = {}

    def add(self, one: type) -> str:
        """Add a class and those of its fields; return its name."""
        name = name_of(one)
        if name not in self.classes:
            self.classes[name] = {}
            hints = typing.get_type_hints(one)
            for field in dataclasses.fields(one):
                if field.init:
                    kind = self.describe(hints[field.name])
                    self.classes[name][field.name] = [kind, *self.default(field, kind)]
        return name

    def describe(self, hint: Any) -> Any:
        """Return the kind of a field's values."""
        origin = typing.get_origin(hint)
        if origin in (typing.Union, types.UnionType):
            kinds = [self.describe(one) for one in typing.get_args(hint)]
            return kinds[0] if len(kinds) == 1 else {"any of": kinds}
        if origin is typing.Literal:
            return {"one of": [str(one) for one in typing.get_args(hint)]}
        if hint in SCALARS:
            return SCALARS[hint]
        if isinstance(hint, type) and issubclass(hint, draccus.ChoiceRegistry):
            known = {name: hint.get_choice_class(name) for name in sorted(hint.get_known_choices())}
            return {"choices": {name: self.add(one) for name, one in known.items()}} if known else "any"
        if isinstance(hint, type) and dataclasses.is_dataclass(hint):
            return {"fields": self.add(hint)}
        if isinstance(hint, type) and issubclass(hint, enum.Enum):
            return {"one of": sorted({name for one in hint for name in (one.name, str(one.value))})}
        return "any"

    def default(self, field: dataclasses.Field, kind: Any) -> list[Any]:
        """Return the default of a field in a list, if it is a fixed number, text or truth value."""
        value = field.default.name if isinstance(field.default, enum.Enum) else field.default
        return [value] if type(value) in (int, float, bool, str) and type(kind) in (str, dict) else []


def main() -> None:
    """Print the tree, a class on each line."""
    logging.disable(logging.CRITICAL)
    tree = Tree()
    root = tree.add(TrainPipelineConfig)
    version = importlib.metadata.version("lerobot")
    lines = [f'"lerobot": "{version}"', f'"root": "{root}"', '"classes": {']
    print("{" + ",\n".join(lines[:2]) + ",\n" + lines[2])
    classes = [
        f"{json.dumps(name)}: {json.dumps(fields, sort_keys=True)}" for name, fields in sorted(tree.classes.items())
    ]
    print(",\n".join(classes) + "\n}}")


if __name__ == "__main__":
    sys.exit(main())
