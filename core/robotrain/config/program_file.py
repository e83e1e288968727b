"""A program file in place of a command: `submit train.py -- ARGUMENTS` is `--code . -- python train.py ARGUMENTS`."""

import os
import shlex
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from robotrain_runtime.contract.parameter import get_parameters

from robotrain.config.merge import list_layers
from robotrain.config.request import Request
from robotrain.config.selection import find_starter
from robotrain.config.values import Layer, Origin, SourceText, Value
from robotrain.errors import Problem
from robotrain.messages import Messages
from robotrain.model.platform import Platform
from robotrain.model.source import SourceKind
from robotrain.model.workload import Workload
from robotrain.store.files import PROJECT_FILE

make_problem = Messages(__file__)

ORIGIN = Origin("argument")
PROJECT_MARKS = (".git", "pyproject.toml", "uv.lock", "setup.py", "requirements.txt", PROJECT_FILE)
"""What stands in the root of a project."""


class TypedProgram(NamedTuple):
    """A line with a program file among its words."""

    line: Layer
    command: tuple[Value, ...]
    code: Path
    """The folder of the code."""
    path: str
    """That of the file, from there."""


def add_program(
    file: str,
    arguments: Sequence[Value],
    line_layer: Layer,
    files: Iterable[Layer],
    workload: Workload,
    kinds: Mapping[str, SourceKind],
) -> TypedProgram:
    """Return the line and its command for a program file that stands among the words.

    The code of the job is `find_code_folder` of it, unless the line or the job file gives that.
    """
    origin = ORIGIN._replace(where=file)
    program_path = Path(os.path.abspath(os.path.expanduser(file)))
    role = next((name for name, rule in workload.roles.items() if rule.is_program), "")
    source = next((source for layer in (line_layer, *files) for source in layer.sources if source.role == role), None)
    if source is None and role and program_path.is_file():
        folder = find_code_folder(program_path)
        kind_names = tuple(name for name, kind in kinds.items() if role in kind.roles and kind.recognizes(str(folder)))
        source = SourceText(role, kind_names, str(folder), origin, folder)
        line_layer = line_layer._replace(sources=(*line_layer.sources, source))
    code = Path(source.base, os.path.expanduser(source.text)) if source else program_path.parent
    path = os.path.relpath(program_path, code) if program_path.is_relative_to(os.path.abspath(code)) else file
    words = (Value(word, origin) for word in (*find_starter(workload, file), path))
    return TypedProgram(line_layer, (*words, *arguments), code, path)


def find_code_folder(file: Path) -> Path:
    """Return the folder that a program file is sent with, which it starts in.

    That is the working folder if the file is below it, as when it is started by hand. Where that is no project itself,
    a project below it with the file, such as a repository, is the code instead; and in a folder that holds
    everything, such as the home folder, it is the folder of the file.
    """
    working_folder = Path.cwd()
    if not file.is_relative_to(working_folder):
        return file.parent
    wide_folders = {Path("/"), Path(tempfile.gettempdir()), Path.home(), *Path.home().parents}
    if working_folder not in wide_folders and any(
        _is_project(folder) for folder in (working_folder, *working_folder.parents) if folder not in wide_folders
    ):
        return working_folder
    inner_folders = [
        folder for folder in file.parents if folder != working_folder and folder.is_relative_to(working_folder)
    ]
    project = next(filter(_is_project, inner_folders), None)
    return project or (file.parent if working_folder in wide_folders else working_folder)


def _is_project(folder: Path) -> bool:
    return any((folder / name).exists() for name in PROJECT_MARKS)


def add_needs(
    program: TypedProgram, request: Request, workload: Workload, platform: Platform, kinds: Mapping[str, SourceKind]
) -> tuple[Request, list[Problem]]:
    """Return the request with what the program's text says that it needs, and the note of it.

    What anything says of the job (the line, a file, a variable) wins.
    """
    find_needs = workload.own_command.find_needs if workload.own_command else None
    if find_needs is None or not (program.code / program.path).is_file():
        return request, []
    layers = list_layers(request, workload, platform, kinds, None)
    set_values = dict[str, str]()
    for key, job_value in (pair for layer in layers for pair in layer.values.items() if pair[1].value != ""):
        set_values.setdefault(key.rpartition(".")[2], str(job_value.value))  # the strongest layer is the first
    words = [str(value.value) for value in request.after_dashes]
    needs = find_needs(program.code, program.path, words, set_values)
    parameters = {parameter.name: parameter for parameter in get_parameters(workload.parameters)}
    defaults = dict[str, Value]()
    derived_options = list[str]()
    for name, (value, reason) in needs.parameters.items():
        parameter = parameters[name]
        value_text = str(program.code / value) if parameter.param.path else value
        defaults[name] = Value(value_text, ORIGIN._replace(where=f"{program.path}: {reason}"))
        derived_options.append(f"{parameter.flag} {shlex.quote(value)} ({reason})")
    if needs.arguments:
        derived_options.append(f"`{' '.join(needs.arguments)}` after its arguments")
    if not derived_options:
        return request, []
    origin = ORIGIN._replace(where=program.path)
    added_arguments = tuple(Value(word, origin) for word in needs.arguments)
    note = make_problem("program-read", file=program.path, derived=", ".join(derived_options))
    return replace(request, after_dashes=(*request.after_dashes, *added_arguments), defaults=defaults), [note]
