"""The options of a batch script as those of the platform that sends such scripts: `--mem=64G` is `--memory 64G`."""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class BatchSystem(NamedTuple):
    """A scheduler whose scripts are read."""

    platform: str
    """The platform that sends jobs to it."""
    flags: Mapping[str, str]
    """Options of robotrain by those of the script, without dashes."""
    left_out: Mapping[str, str]
    """Options that a job leaves out, each with the reason."""
    refused: Mapping[str, str]
    """Options that make another job of the script, each with what to do instead."""
    gpus: tuple[str, ...]
    """Options with the number of GPUs, perhaps after their type: `gpu:a100:2`."""
    other_flag: str
    """The option that takes any other one as `NAME=VALUE`."""


LOG_REASON = "robotrain keeps the log of a run: robotrain logs RUN"
MAIL_REASON = "--notify NAME tells how the run ended"
TASKS_REASON = "robotrain starts the processes itself, one for each GPU: --num-gpus and --num-nodes say how many"
START_REASON = "a job goes on by itself when its time is up, and its log is one: --continuation says how"
FOLDER_REASON = "a job has a folder of its own"
SLURM = BatchSystem(
    platform="slurm",
    flags={
        **dict.fromkeys(("partition", "p"), "--partition"),
        **dict.fromkeys(("account", "A"), "--account"),
        **dict.fromkeys(("time", "t"), "--time"),
        **dict.fromkeys(("qos", "q"), "--qos"),
        **dict.fromkeys(("constraint", "C"), "--constraint"),
        **dict.fromkeys(("exclude", "x"), "--exclude"),
        **dict.fromkeys(("cpus-per-task", "c"), "--cpus"),
        **dict.fromkeys(("job-name", "J"), "--name"),
        "mem": "--memory",
    },
    left_out={
        **dict.fromkeys(("output", "o", "error", "e", "open-mode"), LOG_REASON),
        **dict.fromkeys(("mail-type", "mail-user"), MAIL_REASON),
        **dict.fromkeys(("ntasks", "n", "ntasks-per-node"), TASKS_REASON),
        **dict.fromkeys(("requeue", "no-requeue", "signal"), START_REASON),
        **dict.fromkeys(("chdir", "D", "export", "get-user-env"), FOLDER_REASON),
    },
    refused=dict.fromkeys(("array", "a"), "robotrain sweep runs a job for each of several values: --over seed=1..5"),
    gpus=("gres", "gpus", "G", "gpus-per-node", "gpus-per-task"),
    other_flag="--sbatch",
)
SYSTEMS = {"SBATCH": SLURM}
"""By the word behind `#` in a script."""
NODES = ("nodes", "N")
GPUS = re.compile(r"(?:gpu:)?(?:(?P<type>[A-Za-z][\w.-]*):)?(?P<count>\d+)|gpu(?::(?P<alone>[A-Za-z][\w.-]*))?")


@dataclass
class BatchOptions:
    """What the options of a script become."""

    platform: str = ""
    flags: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    """Options of the script, each with the words of robotrain's line."""
    left_out: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


def translate_options(system: BatchSystem, directives: Sequence[str]) -> BatchOptions:
    """Return what the directives of a script ask for.

    :param directives: each without the word that begins its line.
    """
    options = BatchOptions(system.platform)
    for name, option_value in _list_options(directives):
        typed_option = f"--{name}" if len(name) > 1 else f"-{name}"
        gpus = GPUS.fullmatch(option_value) if name in system.gpus else None
        if flag := system.flags.get(name):
            options.flags.append((typed_option, (flag, option_value)))
        elif name in system.refused:
            options.refused[typed_option] = system.refused[name]
        elif reason := system.left_out.get(name):
            options.left_out[f"{typed_option}={option_value}" if option_value else typed_option] = reason
        elif gpus:
            if gpu_type := gpus["type"] or gpus["alone"]:
                options.flags.append((typed_option, ("--gpu-type", gpu_type)))
            if (gpus["count"] or "1") != "1":
                options.flags.append((typed_option, ("--gpus", gpus["count"])))
        elif name in NODES:
            if option_value != "1":
                options.flags.append((typed_option, ("--num-nodes", option_value)))
        else:
            options.flags.append(
                (typed_option, (system.other_flag, f"{name}={option_value}" if option_value else name))
            )
    return options


def _list_options(directives: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the options of a script by name, each with its value; that of a switch is empty."""
    for directive in directives:
        words = shlex.split(directive, comments=True)
        while words:
            word = words.pop(0)
            name, equals, option_value = word.lstrip("-").partition("=")
            short_match = re.fullmatch(r"-([A-Za-z])(.+)", word)
            if short_match:
                name, option_value, equals = short_match[1], short_match[2].removeprefix("="), "="
            if not equals and words and not words[0].startswith("-"):
                option_value = words.pop(0)
            yield name, option_value
