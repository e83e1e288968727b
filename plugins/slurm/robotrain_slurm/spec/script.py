"""The batch script: its options, and a body in which no value of the user stands."""

import re
import shlex
from collections.abc import Iterable, Sequence

from robotrain.cluster import spec

from robotrain_slurm.spec.options import Option, format_option
from robotrain_slurm.spec.submission_spec import SEARCH_FILE

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
BODY = """\
export PYTHONPATH="$PWD/{payload}" PYTHONSAFEPATH=1 PYTHONUNBUFFERED=1
exec /bin/sh "{search}" -m {module}
"""


def make_python_search(interpreters: Iterable[str]) -> str:
    """Return the program that looks for a Python on the node, or in the image of a container."""
    fix = "use --module NAME for one, or another --image with --container"
    return spec.make_python_search([*interpreters], "this node or image", fix)


def has_prologue(script: str) -> bool:
    """Return whether a batch script has lines of the user before its body."""
    return not re.match(r"export .*\nexec /bin/sh ", script.partition(CLEAN_ENVIRONMENT)[2])


def make_script(options: Iterable[Option], prologue: Sequence[str] = (), root: str = ".") -> str:
    """Return a batch script, which becomes the program of the node.

    :param prologue: lines of the shell, from the user's own configuration.
    :param root: the folder with the payload, from the folder that the job starts in.
    """
    lines = ["#!/bin/bash", *map(format_option, options), CLEAN_ENVIRONMENT.rstrip(), *prologue]
    body = BODY.format(payload=f"{root}/payload", search=f"{root}/{SEARCH_FILE}", module=BATCH_MODULE)
    return "\n".join(lines) + "\n" + body.replace("/./", "/").replace('"./', '"')


def read_options(script: str) -> dict[str, str | None]:
    """Return the options of a batch script by their long names; None for a flag."""
    found: dict[str, str | None] = {}
    for line in script.split("\n"):
        if line.startswith("#SBATCH --"):
            name, equals, value = shlex.split(line.removeprefix("#SBATCH --"))[0].partition("=")
            found[name] = value if equals else None
    return found
