"""Describe an installed LeRobot: `options.json`, `index.json` and `tasks.json` in a folder.

Run by the Python of the locked environment.

    ENVIRONMENT/bin/python .ci/export_lerobot.py workloads/robotrain_workloads/lerobot_versions/VERSION

What the files mean: robotrain_workloads/lerobot/versions.py. What LeRobot cannot tell, `notes.json` of the folder says.
"""

import ast
import dataclasses
import enum
import importlib.metadata
import json
import logging
import os
import re
import statistics
import sys
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"  # what it says is of the code alone; some configurations ask the Hub for minutes

import draccus
import lerobot.envs
import lerobot.optim
import lerobot.policies
import lerobot.rewards  # importing them registers the choices
from lerobot.configs.policies import PreTrainedConfig
from lerobot.configs.rewards import RewardModelConfig
from lerobot.configs.train import TrainPipelineConfig
from lerobot_data_needs import DataNeeds, make_default

SCALARS = {int: "int", float: "number", bool: "bool", str: "text", type(None): "null"}
REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
MODEL_OPTION = re.compile(r".*(model|encoder|tokenizer|backbone|processor|pretrained|checkpoint|base|vae|wan)\w*")
"""Options with a default like OWNER/NAME that name a repository; others name a task, or a place in a model."""
READS_TASK = re.compile(r"""TokenizerProcessorStep|["']task["']|\bTASK\b""")
ADAPTER_MODULES = "def _get_default_peft_targets("
NUMBER_FORMATS = ("bfloat16", "float16", "float32")
"""What LeRobot's trainer makes of the option `dtype`, where a type has it and says nothing about its values."""
CHECKED_FORMATS = re.compile(r"self\.dtype not in [\[{(]([^\]})]*)[\]})]|^ +dtype: .*# Options: (.*)$", re.MULTILINE)


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
                    if kind == "int" and isinstance(field.default, bool):  # LeRobot reads both
                        kind = {"any of": ["int", "bool"]}
                    self.classes[name][field.name] = [kind, *self.default(field, kind)]
        return name

    def describe(self, hint: Any) -> Any:
        """Return the kind of a field's values."""
        origin = typing.get_origin(hint)
        if origin in (typing.Union, types.UnionType):
            kinds = [self.describe(one) for one in typing.get_args(hint)]
            return kinds[0] if len(kinds) == 1 else {"any of": kinds}
        if origin in (list, tuple):
            return self.describe_list(origin, typing.get_args(hint))
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

    def describe_list(self, origin: type, hints: tuple[Any, ...]) -> Any:
        """Return the kind of a list; LeRobot's parser takes a text as a tuple of its letters."""
        kinds = [self.describe(one) for one in hints if one is not Ellipsis]
        if origin is tuple and not {*map(str, kinds)} <= {"int", "number"}:
            return "any"
        return {"each": kinds[0]} if origin is list or Ellipsis in hints else {"items": kinds}

    def default(self, field: dataclasses.Field, kind: Any) -> list[Any]:
        """Return the default of a field in a list, if it is a fixed number, text or truth value."""
        value = field.default.name if isinstance(field.default, enum.Enum) else field.default
        if isinstance(value, tuple | list):  # sizes of pictures
            return [list(value)] if all(type(one) in (int, float) for one in value) else []
        return [value] if type(value) in (int, float, bool, str) and type(kind) in (str, dict) else []


def format_options(version: str) -> str:
    """Return `options.json`: the options of every training, those of all types of a group, and what each adds."""
    tree, options, choices = Tree(), dict[str, Any](), dict[str, Any]()

    def add_options(name: str, prefix: str, into: dict[str, Any]) -> None:
        for option, field in tree.classes[name].items():
            nested = dict[str, Any]()
            for kind in field[0].get("any of", [field[0]]) if isinstance(field[0], dict) else ():
                nested |= kind if isinstance(kind, dict) else {}
            if "fields" in nested:
                add_options(nested["fields"], f"{prefix}{option}.", into)
            elif "choices" in nested:
                choices[prefix + option] = {choice: {} for choice in nested["choices"]}
                for choice, choice_class in nested["choices"].items():
                    add_options(choice_class, "", choices[prefix + option][choice])
            else:
                into[prefix + option] = field

    add_options(tree.add(TrainPipelineConfig), "", options)
    usual = dict[str, Any]()
    for group, kinds in choices.items():
        names = set.intersection(*map(set, kinds.values()))
        modes = {name: statistics.mode(json.dumps(fields[name]) for fields in kinds.values()) for name in names}
        usual[group] = {name: json.loads(mode) for name, mode in modes.items()}
        for fields in kinds.values():
            for name in [name for name, field in usual[group].items() if fields[name] == field]:
                del fields[name]
    return format_lines({"lerobot": version, "options": options, "usual": usual, "choices": choices})


def format_lines(body: Any) -> str:
    """Return a body as JSON with a line for each option."""
    return re.sub(r'(?<=[]}]), (?=")', ",\n", json.dumps(body, sort_keys=True)) + "\n"


class TypeDescription:
    """What the code of a policy type or a reward model says of it."""

    def __init__(self, name: str, config: type) -> None:
        self.name, self.config = name, config
        self.folder = Path(sys.modules[config.__module__].__file__ or "").parent
        files = sorted(self.folder.rglob("*.py"))  # two of them may have the same name
        self.sources = {str(path.relative_to(self.folder)): path.read_text(encoding="utf-8") for path in files}

    def describe(self) -> dict[str, Any]:
        """Return what `index.json` says."""
        repositories: dict[str, dict[str, Any]] = {
            **{name: {"options": options} for name, options in self._list_options().items()},
            **{name: {"fixed": "always"} for name in self._list_fixed()},
        }
        if self._trusts_code():
            for repository in repositories.values():
                repository["code"] = "runs"
        found: dict[str, Any] = {
            "repositories": repositories,
            "dtypes": self._list_dtypes(),
            "optimizer": self._describe_optimizer(),
            "adapter_modules": ADAPTER_MODULES in "\n".join(self.sources.values()),
            "reads_task": READS_TASK.search("\n".join(self.sources.values())) is not None,
            **DataNeeds(self.name, self.config, self.sources).describe(),
        }
        return {name: value for name, value in found.items() if value}

    def _list_options(self) -> dict[str, list[str]]:
        """Return the repositories that options name by default, each with its options."""
        found: dict[str, list[str]] = {}
        for field in dataclasses.fields(self.config):
            if isinstance(field.default, str) and REPOSITORY.fullmatch(field.default):
                found.setdefault(field.default, []).append(field.name)
        return {name: options for name, options in found.items() if any(map(MODEL_OPTION.fullmatch, options))}

    def _list_fixed(self) -> list[str]:
        """Return the repositories that the code names in a call, which no option changes."""
        by_option = self._list_options()
        return [name for name in dict.fromkeys(self._list_named_in_calls()) if name not in by_option]

    def _list_named_in_calls(self) -> Iterator[str]:
        for file, text in self.sources.items():
            if Path(file).name.startswith("configuration_"):
                continue
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.Call):
                    values = [*node.args, *(keyword.value for keyword in node.keywords)]
                    texts = [value.value for value in values if isinstance(value, ast.Constant)]
                    yield from (one for one in texts if isinstance(one, str) and REPOSITORY.fullmatch(one))

    def _trusts_code(self) -> bool:
        """Return whether it loads a repository with `trust_remote_code`, which runs Python files of that."""
        for text in self.sources.values():
            for node in ast.walk(ast.parse(text)):
                names = [node.arg] if isinstance(node, ast.keyword) else []
                if isinstance(node, ast.Dict):
                    names = [key.value for key in node.keys if isinstance(key, ast.Constant)]
                if "trust_remote_code" in names:
                    return True
        return False

    def _list_dtypes(self) -> list[str]:
        """Return the number formats that the option `dtype` takes; nothing without that option."""
        if not any(field.name == "dtype" for field in dataclasses.fields(self.config)):
            return []
        text = self.sources[Path(sys.modules[self.config.__module__].__file__ or "").name]
        said = {word for match in CHECKED_FORMATS.findall(text) for word in re.findall(r"\w+", " ".join(match))}
        return [name for name in NUMBER_FORMATS if name in said or not said]

    def _describe_optimizer(self) -> dict[str, Any]:
        """Return the optimizer, if there is no schedule: its type, and the options that differ from their defaults."""
        try:
            config = make_default(self.config)
            optimizer, schedule = config.get_optimizer_preset(), config.get_scheduler_preset()
            if optimizer is None or schedule is not None:
                return {}
            encoded = draccus.encode(optimizer)
        except Exception:  # it needs what its class computes
            return {}
        usual = draccus.encode(type(optimizer)())
        options = {name: value for name, value in encoded.items() if name != "lr" and value != usual[name]}
        return {"type": type(optimizer).get_choice_name(type(optimizer)), **options}


def add_notes(found: dict[str, Any], notes: dict[str, Any]) -> dict[str, Any]:
    """Return what is found of a type with its notes; of a repository with null nothing stays, nor of other nulls."""
    repositories = dict(found.get("repositories", {}))
    for name, fields in notes.get("repositories", {}).items():
        if fields is None:
            repositories.pop(name, None)
        else:
            known = {**repositories.get(name, {}), **fields}
            repositories[name] = {key: value for key, value in known.items() if value is not None}
    return {**found, **notes, **({"repositories": repositories} if repositories else {})}


def format_index(version: str, notes: dict[str, Any]) -> str:
    """Return `index.json`, a type on each line; `notes` are those of the folder, by type."""
    sections = []
    for section, registry in (("policies", PreTrainedConfig), ("reward_models", RewardModelConfig)):
        types = registry.get_known_choices()
        described = {name: TypeDescription(name, config).describe() for name, config in types.items()}
        lines = [
            f"{json.dumps(name)}: {json.dumps(add_notes(found, notes.get(name, {})))}"
            for name, found in sorted(described.items())
        ]
        sections.append(f'"{section}": {{\n' + ",\n".join(lines) + "\n}")
    return "{" + f'"lerobot": "{version}",\n' + ",\n".join(sections) + "}\n"


def format_tasks(version: str, envs: Path) -> str:
    """Return `tasks.json`: the tasks of simulated environments, each environment on a line. `envs`: LeRobot's folder.

    Meta-World's are in a file of LeRobot. Of LIBERO it knows the suites alone: they have ten tasks, if their name does
    not end with another number.
    """
    metaworld = json.loads((envs / "metaworld_config.json").read_text(encoding="utf-8"))
    source = ast.parse((envs / "libero.py").read_text(encoding="utf-8"))
    (steps,) = (
        node.value
        for node in ast.walk(source)
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "TASK_SUITE_MAX_STEPS" and node.value
    )
    suites = {
        name: int(number[1]) if (number := re.search(r"_(\d+)$", name)) else 10 for name in ast.literal_eval(steps)
    }
    environments = {"metaworld": metaworld["DIFFICULTY_TO_TASKS"], "libero": suites}
    lines = [f"{json.dumps(name)}: {json.dumps(found)}" for name, found in environments.items()]
    return f'{{"lerobot": "{version}",\n"environments": {{\n' + ",\n".join(lines) + "\n}}\n"


def main(folder: Path) -> None:
    """Write the files."""
    logging.disable(logging.CRITICAL)
    version = importlib.metadata.version("lerobot")
    path = folder / "notes.json"
    notes = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    (folder / "options.json").write_text(format_options(version), encoding="utf-8")
    envs = Path(lerobot.envs.__file__).parent
    (folder / "tasks.json").write_text(format_tasks(version, envs), encoding="utf-8")
    (folder / "index.json").write_text(format_index(version, notes), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
