"""What the text of a Python script says about its job: where it saves, and what it imports. Nothing of it is run."""

import ast
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import NamedTuple

from robotrain_runtime.contract.parameter import UNSET

from robotrain_workloads.command import program_files
from robotrain_workloads.command.placeholders import OUTPUTS, make_variables

FOLDERS = ("outputs", "output", "checkpoints", "checkpoint", "ckpts", "ckpt", "runs", "results", "saved_models")
"""Names of folders that programs write to, those of all their outputs first."""
MAKES_FOLDER = {"makedirs", "mkdir", "save_pretrained"}
"""Functions that make the folder that they are called with."""
WRITES_FILE = {"dump", "save", "save_file", "savefig", "savez", "to_csv", "to_parquet", "write_bytes", "write_text"}
"""Functions that write a file that one of their arguments names."""
PASSING = ("/tmp/", "/dev/", "/proc/")
"""Where nobody keeps outputs."""
OTHER_FOLDERS = {"cache", "data", "dataset", "datasets", "temp", "tmp", "wandb"}
"""Names of folders that programs make, and that hold no outputs."""
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
SHIPPED_ENVIRONMENT = "lerobot-train"
SHIPPED_MODULES = frozenset(
    {"accelerate", "datasets", "diffusers", "einops", "gymnasium", "lerobot", "safetensors", "torch", "torchvision"}
)
"""What programs import that the environment of this workload has."""
MAX_PROGRAMS = 50
REPORT_PACKAGE = "robotrain_runtime"
"""Of which each program can import `report`."""
(OUTPUTS_VARIABLE,) = make_variables({OUTPUTS: ""}, ())
"""What a program may read the folder of its outputs from."""
REQUIREMENTS_FILE, PROJECT_FILES = "requirements.txt", ("uv.lock", "pyproject.toml")
"""What says which packages a program needs; the job reads the second without being told."""


class OutsideText(NamedTuple):
    """An absolute path in a script, where the script writes."""

    path: str
    line: int
    is_file: bool = False


class ScriptFacts(NamedTuple):
    """What a script says."""

    output_option: str = ""
    """Its option for the folder that it writes to, such as `--output-dir`; empty if it has none."""
    output_folder: str = ""
    """The folder that it writes to if nobody says another; empty if it names none."""
    outside: "OutsideText | None" = None
    """An absolute path that it writes to, so that it is no part of a run; None if it names none."""
    reads_outputs: bool = False
    """Whether it reads from its environment where its outputs are kept."""
    modules: frozenset[str] = frozenset()
    """The modules that it imports and that do not come with Python."""
    is_trainer: bool = False
    """Whether it is a program that trains: it can be started, and calls what trains a network."""


def read_script(path: Path) -> ScriptFacts:
    """Return what a script says; nothing for one that cannot be read."""
    file = program_files.read_file(path.parent, path.name)
    if file is None or not file.nodes:
        return ScriptFacts()
    nodes = file.nodes
    options = [
        constant_text
        for constant_text in _list_options(nodes)
        if OPTION.fullmatch(constant_text) and constant_text not in NO_OPTION
    ]
    option = min(options, key=lambda text: RANKS.index(text[2:5]), default="")
    folders = [script_folder for constant_text in _list_texts(nodes) if (script_folder := _find_folder(constant_text))]
    folder = min(folders, key=FOLDERS.index, default="") or next(_list_made_folders(nodes), "")
    identifiers = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    identifiers |= {node.id for node in nodes if isinstance(node, ast.Name)}
    modules = frozenset(_drop_shipped_with_python(file.list_modules()))
    is_trainer = bool(modules) and bool(identifiers & TRAINS) and bool(identifiers & STARTS)
    outside_folder = next(_list_outside_paths(nodes), None)
    reads_outputs = OUTPUTS_VARIABLE.encode() in file.source
    return ScriptFacts(option, folder, outside_folder, reads_outputs, modules, is_trainer)


def find_missing_modules(folder: Path, script: str) -> set[str]:
    """Return the modules that a script and the modules of its folder import, and neither Python nor the folder has."""
    files = program_files.read_program(folder, script)
    modules = _drop_shipped_with_python(module for file in files for module in file.list_modules())
    return {module for module in modules if not program_files.has_module(folder, script, module)}


def find_missing_at_start(folder: Path, script: str) -> dict[str, str]:
    """Return those without which the program cannot start, each with the place of its import, as `train.py:3`.

    Nothing for a program that says itself where its modules are (`sys.path`).
    """
    files = program_files.read_program(folder, script)
    if any(b"sys.path" in file.source or b"PYTHONPATH" in file.source for file in files):
        return {}
    import_places: dict[str, str] = {}
    for file in files:
        for module in sorted(_drop_shipped_with_python(file.list_starting_modules(""))):
            line_number = file.find_import(module)
            if line_number and not program_files.has_module(folder, script, module):
                import_places.setdefault(module, f"{file.path}:{line_number}")
    return import_places


def find_script(folder: Path) -> str:
    """Return the name of the script that a folder is obviously about; empty if none is, or several may be."""
    script_names = sorted(path.name for path in folder.glob("*.py") if SCRIPTS.fullmatch(path.name))
    if not script_names:  # no usual name: the only one that trains
        programs = sorted(path for path in folder.glob("*.py"))[:MAX_PROGRAMS]
        script_names = [path.name for path in programs if read_script(path).is_trainer]
    return USUAL_SCRIPT if USUAL_SCRIPT in script_names else script_names[0] if len(script_names) == 1 else ""


PACKAGE_NAMES = frozenset(
    {"requirements", "shipped_environment", "install", "python_version", "allow_builds", "image", "environment"}
)
"""What users say of a job's packages: what a script says does not count beside it."""


def find_needs(
    folder: Path, name: str, words: Sequence[str] = (), set_values: Mapping[str, str] = MappingProxyType({})
) -> tuple[tuple[str, ...], dict[str, tuple[str, str]]]:
    """Return what a script says that its job needs, as `ProgramNeeds` has it: arguments that keep its outputs, and
    parameters, each with the reason.

    :param words: those of its command.
    :param set_values: the parameters and settings that the user gave, with their texts.
    """
    facts = read_script(folder / name)
    arguments = tuple[str, ...]()
    parameters = dict[str, tuple[str, str]]()
    outputs = f"{{{OUTPUTS}}}"
    are_outputs_told = "output_folder" in set_values or set_values.get("publish_url") == UNSET
    if not are_outputs_told and not any(outputs in word for word in words):
        if typed_folder := _find_typed_folder(facts.output_option, words):
            parameters["output_folder"] = typed_folder, f"{facts.output_option} names it"
        elif facts.output_option and not _is_typed(facts.output_option, words):
            arguments = (facts.output_option, outputs)
        elif facts.output_folder and not facts.output_option:
            parameters["output_folder"] = facts.output_folder, "the program writes to it"
    if not PACKAGE_NAMES & {*set_values} and not any((folder / file).is_file() for file in PROJECT_FILES):
        shipped_modules = sorted(find_missing_modules(folder, name) & SHIPPED_MODULES)
        if (folder / REQUIREMENTS_FILE).is_file():
            parameters["requirements"] = REQUIREMENTS_FILE, "it is in the folder"
        elif shipped_modules:
            parameters["shipped_environment"] = SHIPPED_ENVIRONMENT, f"the program imports {shipped_modules[0]}"
    return arguments, parameters


def _is_typed(option: str, words: Sequence[str]) -> bool:
    return any(word == option or word.startswith(f"{option}=") for word in words)


def _find_typed_folder(option: str, words: Sequence[str]) -> str:
    """Return the folder below the code that an option of the command names; empty for none."""
    if not option or not _is_typed(option, words):
        return ""
    following_words = [*words[1:], ""]
    option_values = [
        word.partition("=")[2] or following
        for word, following in zip(words, following_words, strict=True)
        if word.partition("=")[0] == option
    ]
    folder_parts = PurePosixPath(option_values[-1]).parts
    is_below = (
        bool(folder_parts) and not PurePosixPath(option_values[-1]).is_absolute() and not {"..", "~"} & {*folder_parts}
    )
    return "/".join(folder_parts) if is_below and not re.search(r"[{}$]", option_values[-1]) else ""


def _find_folder(text: str) -> str:
    """Return the folder of a known name that a path begins with."""
    first_folder = text.removeprefix("./").partition("/")[0]
    return first_folder if first_folder in FOLDERS and not re.search(r"[\s,:]", text) else ""


def _list_outside_paths(nodes: list[ast.AST]) -> Iterator[OutsideText]:
    """Yield the absolute paths that a script makes folders of, or writes files to."""
    texts = {
        target.id: node.value
        for node in nodes
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    places = [(argument, False) for argument in _list_made_paths(nodes)]
    places += [(argument, True) for argument in _list_written_paths(nodes)]
    for argument, is_file in places:
        start = _find_start(argument)
        constant = texts.get(start.id) if isinstance(start, ast.Name) else start
        if constant is None or not isinstance(text := _read_constant(constant), str):
            continue
        if text.startswith(("/", "~/")) and not text.startswith(PASSING):
            yield OutsideText(text, constant.lineno, is_file and constant is argument)


def _list_written_paths(nodes: list[ast.AST]) -> Iterator[ast.expr]:
    """Yield what the calls that write a file may be given as its path."""
    for node in nodes:
        if not isinstance(node, ast.Call):
            continue
        function = node.func
        if isinstance(function, ast.Name) and function.id == "open":
            modes = [*node.args[1:2], *(keyword.value for keyword in node.keywords if keyword.arg == "mode")]
            if any({*"wax"} & {*str(_read_constant(mode))} for mode in modes):
                yield from node.args[:1]
        elif isinstance(function, ast.Attribute) and function.attr in WRITES_FILE:
            yield from node.args
            if isinstance(function.value, ast.Call):  # Path("x").write_text
                yield from function.value.args[:1]


def _find_start(node: ast.expr) -> ast.expr:
    """Return what a path begins with: of `OUT + "/x"`, `f"{OUT}/x"`, `OUT / "x"` and `os.path.join(OUT, "x")` OUT."""
    if isinstance(node, ast.BinOp):
        return _find_start(node.left)
    if isinstance(node, ast.JoinedStr) and node.values:
        first_value = node.values[0]
        return _find_start(first_value.value if isinstance(first_value, ast.FormattedValue) else first_value)
    if isinstance(node, ast.Call) and node.args and ast.unparse(node.func).endswith(("path.join", "Path")):
        return _find_start(node.args[0])
    return node


def _read_constant(node: ast.expr) -> object:
    return node.value if isinstance(node, ast.Constant) else None


def _list_made_folders(nodes: list[ast.AST]) -> Iterator[str]:
    """Yield the folders where it is started that a script makes: `os.makedirs("models")`, `Path("models").mkdir()`."""
    for argument in _list_made_paths(nodes):
        path_text = _read_constant(argument)
        if isinstance(path_text, str):
            name = path_text.removeprefix("./").partition("/")[0]
            if re.fullmatch(r"\w[\w-]*", name) and name not in OTHER_FOLDERS:
                yield name


def _list_made_paths(nodes: list[ast.AST]) -> Iterator[ast.expr]:
    """Yield what the calls that make a folder are given as its path."""
    for node in nodes:
        if (
            not isinstance(node, ast.Call)
            or not isinstance(node.func, ast.Attribute)
            or node.func.attr not in MAKES_FOLDER
        ):
            continue
        path = node.func.value if isinstance(node.func.value, ast.Call) else node  # Path("models")
        yield from path.args[:1]


def _list_options(nodes: list[ast.AST]) -> Iterator[str]:
    """Yield the options that a script declares: the first texts of calls such as `add_argument("-o", "--out")`."""
    for node in nodes:
        for argument in node.args if isinstance(node, ast.Call) else ():
            if (
                isinstance(argument, ast.Constant)
                and isinstance(argument.value, str)
                and argument.value.startswith("--")
            ):
                yield argument.value


def _list_texts(nodes: list[ast.AST]) -> Iterator[str]:
    return (node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))


def _drop_shipped_with_python(modules: Iterable[str]) -> set[str]:
    """Return the top-level names of modules that do not come with Python."""
    own_packages = {REPORT_PACKAGE}
    return {module.partition(".")[0] for module in modules} - sys.stdlib_module_names - own_packages
