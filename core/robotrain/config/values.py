"""Raw values with their origins, and the layers that they come from."""

from __future__ import annotations

from collections.abc import Container, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from robotrain.errors import Problem
from robotrain.store.files import read_limited_file


class Origin(NamedTuple):
    """Where a value comes from."""

    layer: str
    """flag, job file, config file, environment, .env.local, .env, robotrain.toml, terraform, looked up, platform, run,
    implied or default.
    """
    where: str = ""
    """`--steps`, `job.yaml:3`, `STEPS`, `.env:4`, `robotrain.toml [parameters]`, `acme: why it gives this value`."""

    def __str__(self) -> str:
        """Return layer and place; only the place if it begins with the layer."""
        if not self.where:
            return self.layer
        in_place = self.where.rpartition("/")[2].startswith(self.layer)
        return self.where if in_place else f"{self.layer} {self.where}"


class Value(NamedTuple):
    """A raw value (a text; of several values a list, a mapping or a node of YAML), and what it overrode, the strongest
    first.
    """

    value: Any
    origin: Origin
    overrode: tuple[Value, ...] = ()
    base: Path | None = None
    """The folder of the file that has it, which a relative path starts from; None for the working folder."""


class SourceText(NamedTuple):
    """A source as given."""

    role: str
    kinds: tuple[str, ...]
    """The names of the kinds that it can be."""
    text: str
    origin: Origin
    base: Path
    """The folder that relative paths start from."""


class Layer(NamedTuple):
    """What one place gives: the line, a call, a file, an earlier run."""

    values: Mapping[str, Value] = MappingProxyType({})
    """By their names in a job file: `workload`, `config`, `parameters.NAME`, `params.NAME`, `platforms.NAME.KEY`."""
    sources: tuple[SourceText, ...] = ()
    """In the order given. Those of a role replace all of that role in weaker layers."""
    arguments: tuple[Value, ...] | None = None
    """The trainer's arguments, instead of those of weaker layers; None if it gives none."""
    folder: Path | None = None
    """That of a file."""
    problems: tuple[Problem, ...] = ()
    is_shared: bool = False
    """Whether its values are for any workload, which may have no use for them."""

    def select(self, table: str) -> dict[str, Value]:
        """Return the values of a table, by their names in it; None is the value of a name without one."""
        start = f"{table}."
        return {key.removeprefix(start): value for key, value in self.values.items() if key.startswith(start)}

    def find_text(self, key: str) -> str:
        """Return a value as text; empty without one."""
        return str(self.values[key].value) if key in self.values else ""

    def without(self, keys: Container[str]) -> Layer:
        """Return the layer without some values."""
        return self._replace(values={key: value for key, value in self.values.items() if key not in keys})


def prefix_names(table: str, values: Mapping[str, Value]) -> dict[str, Value]:
    """Return values of a table by their names in a job file."""
    return {f"{table}.{name}": value for name, value in values.items()}


MAX_LETTERS = 1 << 18
"""The largest job file, robotrain.toml or .env file, and the largest text that its references expand to."""
JOB_FILE_LAYER, CONFIG_LAYER = "job file", "config file"
PROJECT_LAYER = "robotrain.toml"
PROJECT_LAYERS = (".env.local", ".env", PROJECT_LAYER)
"""The layers of files that are for all jobs of a project, so that a job may have no use for one of their values."""
FOLDER_LAYERS = (JOB_FILE_LAYER, CONFIG_LAYER, *PROJECT_LAYERS)
"""The layers of files that may come with a cloned repository: they may not name a program to run."""
DEFAULT_ORIGIN = Origin("default")
IMPLIED_ORIGIN = Origin("implied", "by the job")
"""The origin of a source that nobody gave: the workload says that the job needs it."""
FLAG_NAME, CALL_NAME = Origin("flag", "--name"), Origin("call", "name")
"""The origins of a parameter with the name of the run."""
DASHES = "--"
"""What stands before the arguments of the job's own program."""
SET_FLAG, PARAM_FLAG = "--set", "--param"
"""The options of a value by its name, and of a parameter of the user's own."""
SECRET_WAY = "--secret NAME=REFERENCE"
"""What to type for a secret of a program of the user's."""
PLATFORM_LAYER, PIPELINE_LAYER = "platform", "pipeline"
DEFAULT_LAYERS = ("default", PLATFORM_LAYER)
"""The layers of values that the user did not give."""


def read_limited(path: Path) -> str:
    """Return the text of a file that a person wrote. Raise OSError, or ValueError with a sentence."""
    try:
        text = read_limited_file(path, MAX_LETTERS).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("It is not UTF-8 text.") from None
    except ValueError as error:
        raise ValueError(f"I{str(error)[1:]}.") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def make_variable_name(name: str) -> str:
    """Return the environment variable of a flag or field: `ROBOTRAIN_BLOB_URL` for `--blob-url`."""
    return "ROBOTRAIN_" + name.strip("-").replace("-", "_").upper()
