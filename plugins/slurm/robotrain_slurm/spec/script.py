"""The batch script: its options, and a body in which no value of the user stands."""

import re
import shlex
from collections.abc import Iterable, Sequence

from robotrain.run_folder.file_names import PAYLOAD_FOLDER
from robotrain.run_folder.scheduler_plan import SEARCH_FILE, format_become_python

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
