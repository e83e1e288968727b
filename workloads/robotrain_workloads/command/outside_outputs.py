"""Where a program wrote that is not kept: absolute paths of its command and its files. Imports nothing of core."""

import ast
import os
import re
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from robotrain_workloads.command import program_files
from robotrain_workloads.command.launcher import is_python

ABSOLUTE = re.compile(r"(?:/|~/)[\w.@+-]+(?:/[\w.@+-]+)*/?")
NO_OUTPUTS = ("/proc/", "/sys/", "/etc/", "/usr/", "/bin/", "/lib/")
MAX_ENTRIES = 5000
"""Files and folders of one path that are looked at."""
CLOCK_SECONDS = 2.0
"""How much earlier the clock of a file server may be."""


class OutsidePath(NamedTuple):
    """A place outside the outputs that the program wrote to."""

    path: str
    option: str = ""
    """The option of the program that names it; empty if none does."""


class OutsideOutputs:
    """Looks for what a program writes while this object is there."""

    def __init__(self, arguments: Sequence[str], folder: str, work: str) -> None:
        self._arguments, self._folder, self._work = arguments, Path(folder), os.path.realpath(work)
        self._since = time.time() - CLOCK_SECONDS

    def find(self) -> OutsidePath | None:
        """Return the first place that was written to; None if none is known."""
        named_places = [*self._list_typed(), *self._list_in_files()]
        return next((outside_path for outside_path in named_places if self._was_written(outside_path.path)), None)

    def _list_typed(self) -> Iterator[OutsidePath]:
        """Yield the paths of the command, each with its option."""
        previous_word = ""
        for word in self._arguments[1:]:
            name, equals, value = word.partition("=")
            if equals and name.startswith("-") and ABSOLUTE.fullmatch(value):
                yield OutsidePath(value, name)
            elif previous_word.startswith("-") and ABSOLUTE.fullmatch(word):
                yield OutsidePath(word, previous_word)
            previous_word = word

    def _list_in_files(self) -> Iterator[OutsidePath]:
        """Yield the paths in the program's files: defaults of options, then others."""
        if not self._arguments or not is_python(self._arguments[0]):
            return
        script = next((word for word in self._arguments[1:] if word.endswith(".py")), "")
        files = program_files.read_program(self._folder, script) if script else []
        nodes = [node for file in files for node in file.nodes]
        for node in nodes:
            if isinstance(node, ast.Call):
                defaults = [keyword.value for keyword in node.keywords if keyword.arg == "default"]
                options = [
                    constant_text for constant_text in map(_read_text, node.args) if constant_text.startswith("--")
                ]
                for path in map(_read_text, defaults):
                    if options and ABSOLUTE.fullmatch(path):
                        yield OutsidePath(path, options[0])
        for constant_text in map(_read_text, nodes):
            if ABSOLUTE.fullmatch(constant_text) and constant_text.count("/") > 1:
                yield OutsidePath(constant_text)

    def _was_written(self, path_text: str) -> bool:
        path = os.path.realpath(os.path.expanduser(path_text))
        if path.startswith(NO_OUTPUTS) or f"{self._work}/".startswith(f"{path}/") or path.startswith(f"{self._work}/"):
            return False
        try:
            if os.path.isfile(path):
                return os.stat(path).st_mtime >= self._since
            files_below = islice(_list_files(path), MAX_ENTRIES)
            return any(os.stat(file).st_mtime >= self._since for file in files_below)
        except OSError:
            return False


def _read_text(node: ast.AST) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _list_files(folder: str) -> Iterator[str]:
    for parent, _, file_names in os.walk(folder):
        yield from (os.path.join(parent, file_name) for file_name in file_names)
