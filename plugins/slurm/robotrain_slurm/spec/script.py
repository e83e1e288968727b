"""The batch script: its options, modules, the lines of a file of the user, and a body without any value of theirs."""

import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from robotrain.run_folder.file_names import PAYLOAD_FOLDER
from robotrain.run_folder.scheduler_plan import SEARCH_FILE, format_become_python
from robotrain_runtime.contract.files import read_limited_file

from robotrain_slurm.settings import SlurmSettings
from robotrain_slurm.spec.options import Option, format_option

BATCH_MODULE = "robotrain_slurm.node.batch"
CLEAN_ENVIRONMENT = """\
for name in $(compgen -e); do
    case $name in
        PATH | LANG | HOME | USER | LOGNAME | SHELL | PWD | HOSTNAME | TMPDIR | XDG_RUNTIME_DIR | KRB5CCNAME) ;;
        SLURM* | SPANK* | *_VISIBLE_DEVICES | GPU_DEVICE_ORDINAL | ZE_AFFINITY_MASK) ;;
        *) unset -v "$name" 2>/dev/null ;;
    esac
done
"""
"""With a list in --export, Slurm starts a login shell on the node and adds its variables: they would differ by user and
node. What stays is the list, and what Slurm and the cluster set for a job.
"""


def may_bring_python(script: str) -> bool:
    """Return whether lines of the user in a batch script do more than set variables other than PATH."""
    user_lines = script.partition(CLEAN_ENVIRONMENT)[2].partition("\nexec /bin/sh ")[0].splitlines()[:-1]
    return not all(re.fullmatch(r"\s*(?:#.*|(?:export\s+)?(?!PATH=)\w+=.*|)", line) for line in user_lines)


def make_script(options: Iterable[Option], prologue: Sequence[str] = (), top: str = "") -> str:
    """Return a batch script, which becomes the program of the node.

    :param prologue: lines of the shell, from the user's own configuration.
    :param top: the way from the folder that the job starts in to that with the payload.
    """
    script_lines = ["#!/bin/bash", *map(format_option, options), CLEAN_ENVIRONMENT.rstrip(), *prologue]
    start_command = format_become_python(top + SEARCH_FILE, top + PAYLOAD_FOLDER, "-m", BATCH_MODULE)
    return "\n".join([*script_lines, start_command, ""])


def read_options(script: str) -> dict[str, str | None]:
    """Return the options of a batch script by their long names; None for a flag."""
    options: dict[str, str | None] = {}
    for script_line in script.split("\n"):
        if script_line.startswith("#SBATCH --"):
            name, equals, option_value = shlex.split(script_line.removeprefix("#SBATCH --"))[0].partition("=")
            options[name] = option_value if equals else None
    return options


MODULE_NAME = r"[A-Za-z0-9][A-Za-z0-9_.+/@=-]*"
MAX_BYTES = 1 << 16
_LOAD = """\
. /etc/profile >/dev/null 2>&1
module load {} || exit 1"""
"""On most clusters /etc/profile sets up `module`."""
_DIRECTIVE = r"#(?:SBATCH|SLURM|PBS|BSUB)"


class PrologueError(ValueError):
    """A prologue that a batch script cannot begin with; the message is a sentence."""


def list_modules(settings: SlurmSettings) -> list[str]:
    """Return the names of the modules to load."""
    return [name.strip() for name in settings.modules.split(",")] if settings.modules else []


def read_prologue(settings: SlurmSettings) -> Sequence[str]:
    """Return the lines of bash, valid ones only. Raise PrologueError, OSError."""
    script_lines = [_LOAD.format(" ".join(modules))] if (modules := list_modules(settings)) else []
    if settings.prologue:
        script_lines += _read_file(Path(settings.prologue))
    return script_lines


def _read_file(path: Path) -> list[str]:
    try:
        script_text = read_limited_file(path, MAX_BYTES).decode()
    except UnicodeDecodeError:
        raise PrologueError("It is not text in UTF-8.") from None
    except ValueError:
        raise PrologueError(f"It is larger than {MAX_BYTES >> 10} KiB, or no file.") from None
    if re.search(r"[\0\r]", script_text):
        raise PrologueError("It has line ends of Windows, or a zero: sbatch refuses such a script.")
    if re.search(rf"^{_DIRECTIVE}", script_text, re.MULTILINE):
        raise PrologueError("A line is an option of sbatch: --sbatch NAME=VALUE sets one.")
    return script_text.splitlines()
