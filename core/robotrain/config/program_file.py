"""A program file in place of a command: `submit train.py -- ARGUMENTS` is `--code . -- python train.py ARGUMENTS`."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from robotrain.config.selection import find_starter
from robotrain.config.values import Layer, Origin, SourceText, Value
from robotrain.model.source import SourceKind
from robotrain.model.workload import Workload

ORIGIN = Origin("argument")


def add_program(
    file: str,
    arguments: Sequence[Value],
    line: Layer,
    files: Iterable[Layer],
    workload: Workload,
    kinds: Mapping[str, SourceKind],
) -> tuple[Layer, tuple[Value, ...]]:
    """Return the line and its command for a program file that stands among the words.

    Its folder is the code of the job, unless the line or the job file gives that: the working folder if the file is
    below it, else the folder that it is in.
    """
    origin = ORIGIN._replace(where=file)
    full = Path(os.path.abspath(os.path.expanduser(file)))
    role = next((name for name, one in workload.roles.items() if one.is_program), "")
    given = next((one for layer in (line, *files) for one in layer.sources if one.role == role), None)
    if given is None and role:
        folder = Path.cwd() if full.is_relative_to(Path.cwd()) else full.parent
        names = tuple(name for name, kind in kinds.items() if role in kind.roles and kind.recognizes(str(folder)))
        given = SourceText(role, names, str(folder), origin, folder)
        line = line._replace(sources=(*line.sources, given))
    code = Path(given.base, os.path.expanduser(given.text)) if given else full.parent
    path = os.path.relpath(full, code) if full.is_relative_to(os.path.abspath(code)) else file
    words = (Value(word, origin) for word in (*find_starter(workload, file), path))
    return line, (*words, *arguments)
