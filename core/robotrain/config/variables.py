"""Variables of the process environment and of `.env` files, each with its origin."""

import io
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robotrain.config.values import MAX_LETTERS, Origin, Value, read_limited
from robotrain.errors import Problem
from robotrain.messages import Messages
from robotrain.store.files import DOTENV_FILES

make_problem = Messages(__file__)


@dataclass(frozen=True)
class VariableLayer:
    """Values by variable name: the process environment, or a parsed `.env` file."""

    layer: str
    values: Mapping[str, Value]
    problems: tuple[Problem, ...] = ()

    def find_first(self, names: Iterable[str]) -> Value | None:
        """Return the value of the first variable of these names that has one."""
        return next((self.values[name] for name in names if name in self.values), None)


def read_environment() -> VariableLayer:
    """Return the process environment; an empty value counts as unset."""
    values = {name: Value(value, Origin("environment", name)) for name, value in os.environ.items() if value}
    return VariableLayer("environment", values)


def read_dotenv_files(folder: Path) -> Iterator[VariableLayer]:
    """Yield `.env.local` and `.env` of `folder`, if they exist. They are parsed, never executed."""
    for name in DOTENV_FILES:
        if (folder / name).is_file():
            yield read_dotenv(folder / name)


def read_dotenv(path: Path) -> VariableLayer:
    """Return the values of a file; `${NAME}` is a variable of the environment or of an earlier line."""
    from dotenv.parser import parse_stream

    values: dict[str, Value] = {}
    problems: list[Problem] = []
    variables: dict[str, Any] = dict(os.environ)
    try:
        file_text = read_limited(path)
    except (OSError, ValueError) as error:
        reason = f"{error.strerror}." if isinstance(error, OSError) else str(error)
        file_problem = make_problem("file-unreadable", where=path.name, what=path.name, why=reason)
        return VariableLayer(path.name, {}, (file_problem,))
    if blanks := re.search(rf"[^\S\r\n]{{{MAX_BLANKS + 1}}}", file_text):
        line_place = f"{path.name}:{file_text.count(chr(10), 0, blanks.start()) + 1}"
        return VariableLayer(path.name, {}, (_make_malformed_problem(line_place),))
    bindings, free_letters = list(parse_stream(io.StringIO(file_text))), MAX_LETTERS
    for binding in bindings:
        text = str(binding.original.string)
        empty_lines = text[: len(text) - len(text.lstrip())].count("\n")  # lines that the parser adds before it
        line_place = f"{path.name}:{int(binding.original.line) + empty_lines}"
        if binding.error:
            problems.append(_make_malformed_problem(line_place))
        elif binding.key and binding.value:
            parts = []
            for text in _expand_references(binding.value, variables):
                parts.append(text)
                free_letters -= len(parts[-1])
                if free_letters < 0:  # each line may repeat the one before it many times
                    too_large = make_problem("env-file-too-large", where=line_place, most=MAX_LETTERS >> 10)
                    return VariableLayer(path.name, {}, (*problems, too_large))
            text = "".join(parts)
            variables[binding.key] = os.environ.get(binding.key) or text
            values[binding.key] = Value(text, Origin(path.name, line_place))
    return VariableLayer(path.name, {name: value for name, value in values.items() if value.value}, tuple(problems))


MAX_BLANKS = 200
"""Blanks in a row: python-dotenv looks for a comment after each of them."""


def _expand_references(value_text: str, variables: Mapping[str, str | None]) -> Iterator[str]:
    """Yield the parts of a value, with what stands for each `${NAME}` and `${NAME:-DEFAULT}`, as python-dotenv.

    Its own pattern reads the rest of the value for each `${` that is not closed.
    """
    position = 0
    while (start := value_text.find("${", position)) >= 0 and (end := value_text.find("}", start)) >= 0:
        yield value_text[position:start]
        name, _, default = value_text[start + 2 : end].partition(":-")
        position = end + 1
        yield value_text[start:position] if ":" in name else variables.get(name, default) or ""
    yield value_text[position:]


def _make_malformed_problem(line_place: str) -> Problem:
    return make_problem("file-malformed.env-line", where=line_place)
