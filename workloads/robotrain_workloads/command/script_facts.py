"""What the text of a Python script says about its job: where it saves, and what it imports. Nothing of it is run."""

import ast
import re
import sys
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from robotrain_workloads.command.missing_module import SHIPPED_ENVIRONMENT, SHIPPED_MODULES
from robotrain_workloads.command.placeholders import OUTPUTS

MAX_BYTES = 1 << 20
FOLDERS = ("outputs", "output", "checkpoints", "checkpoint", "ckpts", "ckpt", "runs", "results", "saved_models")
"""Names of folders that programs write to, those of all their outputs first."""
OPTION = re.compile(
    r"--(?:output|out|outputs|save|run|work|log|checkpoint|checkpoints|ckpt|results)(?:[-_]?(?:dir|path|folder))?"
)
NO_OPTION = ("--save", "--run", "--work", "--log", "--checkpoint", "--checkpoints", "--ckpt", "--results")
"""Options of such a name that may be a switch, or a file to read."""
RANKS = ("out", "sav", "wor", "run", "res", "che", "ckp", "log")
"""How these begin, those of all outputs first."""
SCRIPTS = re.compile(r"(?:.*[_-])?(?:train|training|finetune|fit|main)(?:[_-].*)?\.py")
USUAL_SCRIPT = "train.py"
TRAINS, STARTS = {"backward", "fit", "learn"}, {"ArgumentParser", "__name__"}
"""Names of a script that trains, and of one that is a program."""
MAX_PROGRAMS = 50
REQUIREMENTS_FILE, PROJECT_FILES = "requirements.txt", ("uv.lock", "pyproject.toml")
"""What says which packages a program needs; the job reads the second without being told."""


class ScriptFacts(NamedTuple):
    """What a script says."""

    output_option: str = ""
    """Its option for the folder that it writes to, such as `--output-dir`; empty if it has none."""
    output_folder: str = ""
    """The folder that it writes to if nobody says another; empty if it names none."""
    modules: frozenset[str] = frozenset()
    """The modules that it imports and that do not come with Python."""
    is_trainer: bool = False
    """Whether it is a program that trains: it can be started, and calls what trains a network."""


def read_script(path: Path) -> ScriptFacts:
    """Return what a script says; nothing for one that cannot be read."""
    try:
        if path.stat().st_size > MAX_BYTES:
            return ScriptFacts()
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return ScriptFacts()
    nodes = list(ast.walk(tree))
    options = [text for text in _list_options(nodes) if OPTION.fullmatch(text) and text not in NO_OPTION]
    option = min(options, key=lambda text: RANKS.index(text[2:5]), default="")
    folders = [found for text in _list_texts(nodes) if (found := _find_folder(text))]
    folder = min(folders, key=FOLDERS.index, default="")
    names = {one.attr for one in nodes if isinstance(one, ast.Attribute)}
    names |= {one.id for one in nodes if isinstance(one, ast.Name)}
    modules = frozenset(_list_modules(nodes))
    is_trainer = bool(modules) and bool(names & TRAINS) and bool(names & STARTS)
    return ScriptFacts(option, folder, modules, is_trainer)


def find_script(folder: Path) -> str:
    """Return the name of the script that a folder is obviously about; empty if none is, or several may be."""
    names = sorted(path.name for path in folder.glob("*.py") if SCRIPTS.fullmatch(path.name))
    if not names:  # no usual name: the only one that trains
        programs = sorted(path for path in folder.glob("*.py"))[:MAX_PROGRAMS]
        names = [path.name for path in programs if read_script(path).is_trainer]
    return USUAL_SCRIPT if USUAL_SCRIPT in names else names[0] if len(names) == 1 else ""


OUTPUT_NAMES = frozenset({"output_folder", "publish_url", "checkpoints"})
PACKAGE_NAMES = frozenset(
    {"requirements", "shipped_environment", "install", "python_version", "allow_builds", "image", "environment"}
)
"""What users say of a job's outputs and packages: what a script says does not count beside it."""


def find_needs(
    folder: Path, name: str, words: Sequence[str] = (), given: Collection[str] = frozenset()
) -> tuple[tuple[str, ...], dict[str, tuple[str, str]]]:
    """Return what a script says that its job needs, as `ProgramNeeds` has it: arguments that keep its outputs, and
    parameters, each with the reason.

    :param words: those of its command.
    :param given: the names of parameters and settings that the user gave.
    """
    facts, arguments, parameters = read_script(folder / name), tuple[str, ...](), dict[str, tuple[str, str]]()
    outputs = f"{{{OUTPUTS}}}"
    if not OUTPUT_NAMES & {*given} and not any(outputs in word for word in words):
        if typed := _find_typed_folder(facts.output_option, words):
            parameters["output_folder"] = typed, f"{facts.output_option} names it"
        elif facts.output_option and not _is_typed(facts.output_option, words):
            arguments = (facts.output_option, outputs)
        elif facts.output_folder and not facts.output_option:
            parameters["output_folder"] = facts.output_folder, "the program writes to it"
    if not PACKAGE_NAMES & {*given} and not any((folder / one).is_file() for one in PROJECT_FILES):
        shipped = sorted(facts.modules & SHIPPED_MODULES)
        if (folder / REQUIREMENTS_FILE).is_file():
            parameters["requirements"] = REQUIREMENTS_FILE, "it is in the folder"
        elif shipped:
            parameters["shipped_environment"] = SHIPPED_ENVIRONMENT, f"the program imports {shipped[0]}"
    return arguments, parameters


def _is_typed(option: str, words: Sequence[str]) -> bool:
    return any(word == option or word.startswith(f"{option}=") for word in words)


def _find_typed_folder(option: str, words: Sequence[str]) -> str:
    """Return the folder below the code that an option of the command names; empty for none."""
    if not option or not _is_typed(option, words):
        return ""
    after = [*words[1:], ""]
    texts = [
        word.partition("=")[2] or following
        for word, following in zip(words, after, strict=True)
        if word.partition("=")[0] == option
    ]
    parts = PurePosixPath(texts[-1]).parts
    is_below = bool(parts) and not PurePosixPath(texts[-1]).is_absolute() and not {"..", "~"} & {*parts}
    return "/".join(parts) if is_below and not re.search(r"[{}$]", texts[-1]) else ""


def _find_folder(text: str) -> str:
    """Return the folder of a known name that a path begins with."""
    first = text.removeprefix("./").partition("/")[0]
    return first if first in FOLDERS and not re.search(r"[\s,:]", text) else ""


def _list_options(nodes: list[ast.AST]) -> Iterator[str]:
    """Yield the options that a script declares: the first texts of calls such as `add_argument("-o", "--out")`."""
    for node in nodes:
        for one in node.args if isinstance(node, ast.Call) else ():
            if isinstance(one, ast.Constant) and isinstance(one.value, str) and one.value.startswith("--"):
                yield one.value


def _list_texts(nodes: list[ast.AST]) -> Iterator[str]:
    return (one.value for one in nodes if isinstance(one, ast.Constant) and isinstance(one.value, str))


def _list_modules(nodes: list[ast.AST]) -> Iterator[str]:
    """Yield the modules that a script cannot do without: not those of a `try` that expects an ImportError."""
    tries = [one for one in nodes if isinstance(one, ast.Try) and any(map(_expects_no_module, one.handlers))]
    optional = {inner for one in tries for part in one.body for inner in ast.walk(part)}
    checked = [one for one in nodes if isinstance(one, ast.If) and "TYPE_CHECKING" in ast.dump(one.test)]
    optional |= {inner for one in checked for part in one.body for inner in ast.walk(part)}
    for node in nodes:
        if node in optional:
            continue
        names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
        names += [node.module] if isinstance(node, ast.ImportFrom) and node.module and not node.level else []
        yield from (name for name in (one.partition(".")[0] for one in names) if name not in sys.stdlib_module_names)


def _expects_no_module(handler: ast.ExceptHandler) -> bool:
    names = ("ImportError", "ModuleNotFoundError", "Exception")
    return handler.type is None or any(f"'{name}'" in ast.dump(handler.type) for name in names)
