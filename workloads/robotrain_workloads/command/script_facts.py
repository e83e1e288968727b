"""What the text of a Python script says about its job: where it saves, and what it imports. Nothing of it is run."""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import NamedTuple

from robotrain_runtime.contract.parameter import UNSET

from robotrain_workloads.command import program_files
from robotrain_workloads.command.placeholders import OUTPUTS, make_variables

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
SHIPPED_ENVIRONMENT = "lerobot-train"
SHIPPED_MODULES = frozenset(
    {"accelerate", "datasets", "diffusers", "einops", "gymnasium", "lerobot", "safetensors", "torch", "torchvision"}
)
"""What programs import that the environment of this workload has."""
(OUTPUTS_VARIABLE,) = make_variables({OUTPUTS: ""}, ())
"""What a program may read the folder of its outputs from."""
REQUIREMENTS_FILE, PROJECT_FILES = "requirements.txt", ("uv.lock", "pyproject.toml")
"""What says which packages a program needs; the job reads the second without being told."""


class ScriptFacts(NamedTuple):
    """What a script says."""

    output_option: str = ""
    """Its option for the folder that it writes to, such as `--output-dir`; empty if it has none."""
    output_folder: str = ""
    """The folder that it writes to if nobody says another; empty if it names none."""
    reads_outputs: bool = False
    """Whether it reads from its environment where its outputs are kept."""


def read_script(path: Path) -> ScriptFacts:
    """Return what a script says; nothing for one that cannot be read."""
    nodes, _ = program_files.read_syntax(path)
    texts = [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    options = [option for option in _list_options(nodes) if OPTION.fullmatch(option) and option not in NO_OPTION]
    option = min(options, key=lambda text: RANKS.index(text[2:5]), default="")
    folders = [folder for text in texts if (folder := _find_folder(text))]
    return ScriptFacts(
        option, min(folders, key=FOLDERS.index, default=""), any(OUTPUTS_VARIABLE in text for text in texts)
    )


def find_script(folder: Path) -> str:
    """Return the name of the script that a folder is obviously about; empty if none is, or several may be."""
    script_names = sorted(path.name for path in folder.glob("*.py") if SCRIPTS.fullmatch(path.name))
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
        shipped_modules = sorted(SHIPPED_MODULES.intersection(program_files.find_missing_modules(folder, name)))
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
