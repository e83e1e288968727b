"""`--launcher torchrun`: a `python` command, started once for each GPU. Imports nothing of core: jobs carry it."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from robotrain_workloads.nodes.node_group import JobNodes

PYTHON = re.compile(r"python(?:3(?:\.\d+)?)?")
MODULE = "torch.distributed.run"
IGNORED_OPTION = "-u"
"""The one option of Python that torchrun's workers have anyway."""


def is_python(program: str) -> bool:
    """Return whether the first word of a command is a Python, by its name."""
    return PYTHON.fullmatch(program.rpartition("/")[2]) is not None


def find_program(words: Sequence[str]) -> list[str]:
    """Return the words behind `python`: a script, or `-m` and a module, and their arguments.

    Raise ValueError, which says why torchrun cannot start them.
    """
    if not words or not is_python(words[0]):
        raise ValueError("It starts a script, or `-m MODULE`, once for each GPU.")
    program = list(words[1:])
    while program and program[0] == IGNORED_OPTION:
        del program[0]
    if not program:
        raise ValueError("There is no script behind python.")
    if program[0].startswith("-") and (program[0] != "-m" or len(program) == 1):
        raise ValueError(f"It starts its processes without Python's own options, such as {program[0]}.")
    return program


def count_processes(values: Mapping[str, object]) -> int:
    """Return how many processes of a job's program are started on each node, by its parameters."""
    return max(1, int(str(values["num_gpus"])))


def make_command(words: Sequence[str], processes: int, group: "JobNodes | None" = None) -> tuple[str, ...]:
    """Return the command that starts a `python` command in `processes` processes of a node. Raise ValueError.

    :param group: the nodes of a job of several.
    """
    program = find_program(words)
    if program[0] == "-m":
        program[0] = "--module"
    options = group.make_torchrun_options(processes) if group else ["--standalone", f"--nproc_per_node={processes}"]
    return (words[0], "-m", MODULE, *options, *program)
