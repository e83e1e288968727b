"""The layers settings come from. A layer answers for an environment name; the first non-empty wins."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robotrain.folders import DOTENV
from robotrain.problem import Problem, Stage
from robotrain.provenance import Origin, Value


@dataclass(frozen=True, slots=True)
class NameLayer:
    """Values by environment name: the process environment, or a parsed `.env` file."""

    layer: str
    values: Mapping[str, Value]
    problems: tuple[Problem, ...] = ()

    def first(self, names: tuple[str, ...]) -> Value | None:
        """The first of `names` that has a non-empty value."""
        return next((self.values[name] for name in names if name in self.values), None)


def environment(environ: Mapping[str, str] | None = None) -> NameLayer:
    """The process environment; an empty value counts as unset."""
    given = os.environ if environ is None else environ
    return NameLayer(
        "environment", {name: Value(value, Origin("environment", name)) for name, value in given.items() if value}
    )


def dotenv_layers(folder: Path) -> Iterator[NameLayer]:
    """`.env.local` and `.env` of `folder`, those that exist. They are parsed, never executed."""
    for name in DOTENV:
        if (folder / name).is_file():
            yield dotenv(folder / name)


def dotenv(path: Path) -> NameLayer:
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
        return NameLayer(path.name, {}, (_unreadable(path, error),))
    for binding in bindings:
        where = f"{path.name}:{_line(binding.original)}"
        if binding.error:
            problems.append(_malformed(where))
        elif binding.key and binding.value:
            text = "".join(atom.resolve(known) for atom in parse_variables(binding.value))
            known[binding.key] = os.environ.get(binding.key) or text
            values[binding.key] = Value(text, Origin(path.name, where))
    return NameLayer(path.name, {name: value for name, value in values.items() if value.value}, tuple(problems))


def _line(original: Any) -> int:
    """Where the assignment itself stands: the parser counts the empty lines before it to it."""
    text = str(original.string)
    return int(original.line) + text[: len(text) - len(text.lstrip())].count("\n")


def _malformed(where: str) -> Problem:
    return Problem(
        code="env-file-malformed",
        stage=Stage.PARSE,
        title="a line of the .env file is not NAME=value",
        where=where,
        why="The file is read as data, it is never executed: no commands, no shell syntax.",
    )


def _unreadable(path: Path, error: Exception) -> Problem:
    reason = "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else str(error)
    return Problem(
        code="env-file-unreadable", stage=Stage.PARSE, title=f"{path.name} cannot be read", where=path.name, why=reason
    )
