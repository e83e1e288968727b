"""What stands before LeRobot's program in a line: variables, a launcher with its options, and a version of LeRobot."""

import os
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from robotrain.errors import Rejected, Suggestion, make_usage_problem

from robotrain_workloads.lerobot import versions
from robotrain_workloads.lerobot.options import split_options
from robotrain_workloads.lerobot.parameters import PRECISION_VARIABLE

EXAMPLE = "robotrain from-lerobot -- lerobot-train --policy.type=act --dataset.repo_id=OWNER/NAME --steps=1000"
ACCOUNT_VARIABLES = ("HF_USER", "HOME", "USER")
"""Variables in a line in quotes that are replaced by their values; the shell replaces those in other lines."""
VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})")
OLD_PROGRAM = re.compile(r"(?:.*[/.])?lerobot[/.]scripts[/.](?:train|eval)")
"""The programs of LeRobot before 0.4."""
OLD_PROGRAM_NOTE = "this is the program of a LeRobot before 0.4: the line means what LeRobot {} makes of it"
LAUNCHERS = ("accelerate", "torchrun", "torch.distributed.run")
PROCESSES = ("num_processes", "nproc_per_node")
PRECISION_OPTION = "mixed_precision"
"""Options of `accelerate launch` and `torchrun`, which stand before the program."""
MACHINE_OPTIONS = ("num_machines", "nnodes")
IMPLIED_OPTIONS = ("multi_gpu", "standalone", "module", "dynamo_backend", "num_cpu_threads_per_process", "m")
"""Options of the launchers that robotrain sets itself, or does without."""
PLACE_OPTIONS = re.compile(r"(main|machine|node|master|rdzv|local)_.*|gpu_ids|max_restarts|log_dir|tee|redirects")
"""Options of the launchers that say where and how processes meet, not what they compute."""
REQUIREMENT = re.compile(r"(?:.*=)?lerobot(?:\[[\w,-]+\])?\s*(===?|~=|!=|<=?|>=?|@)\s*(.+)")
"""What installs a version of LeRobot, such as `lerobot[smolvla]==0.6.0`."""
VARIABLE_REASON = "variables of the environment are not part of a job"
MACHINES_REASON = "a job runs on one machine; --num-gpus is the number of its GPUs"
LAUNCHER_REASON = "robotrain starts the processes itself"
LAUNCHER_OPTION_REASON = (
    "robotrain starts the processes itself, and does not know what this option changes: it takes --num_processes and"
    " --mixed_precision"
)
PROCESSES_REASON = "the number of processes is missing: add --num_processes=N"
PROCESSES_NOTE = (
    "accelerate starts a process for each GPU of its machine, or as its configuration file says; it trains here on one"
    " GPU: add --num-gpus N for more"
)


@dataclass
class ProgramLine:
    """What the words before the program say."""

    version: str = ""
    """The version of LeRobot that they install; empty if they do not say."""
    precision: str = ""
    """The number format that they ask for; empty for none."""
    flags: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Words of robotrain's line, by the option that they translate."""
    left_out: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


def expand_account_variables(word: str) -> str:
    """Replace variables of `ACCOUNT_VARIABLES` by their values; any other one stays, as it may be a secret."""

    def expand(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        return os.environ.get(name, match[0]) if name in ACCOUNT_VARIABLES else match[0]

    return VARIABLE.sub(expand, word)


def find_program(line: Sequence[str], known: Collection[str]) -> tuple[int, str]:
    """Return where LeRobot's program stands in a line, and its name. Raise Rejected if there is none of the `known`."""
    for index, word in enumerate(line):
        path = _drop_suffix(word)
        name = re.split(r"[/.\s]", path)[-1].replace("_", "-")
        if OLD_PROGRAM.fullmatch(path):
            name = f"lerobot-{name}"
        if name in known:
            return index, name
    title = "the line names no program of LeRobot that robotrain runs"
    why = "It runs lerobot-train and lerobot-eval."
    raise Rejected([make_usage_problem("command-unknown", title, why=why, suggestions=[Suggestion(EXAMPLE)])])


def _drop_suffix(word: str) -> str:
    return re.sub(r"(?:\.py)?\)?$", "", word)


def read_program_line(words: Sequence[str], program: str) -> ProgramLine:
    """Return what the words before the program say. `program`: the word itself."""
    found = ProgramLine()
    _read_version(words, found)
    if OLD_PROGRAM.fullmatch(_drop_suffix(program)):
        found.notes[program] = OLD_PROGRAM_NOTE.format(found.version or versions.get_version().name)
    for word in words:
        match = re.match(r"([A-Z_][A-Z0-9_]*)=(.*)", word)
        if match and match[1] == PRECISION_VARIABLE:
            found.precision = match[2]
        elif match:
            found.left_out[match[1]] = VARIABLE_REASON
    at = next((index for index, word in enumerate(words) if word.split("/")[-1] in LAUNCHERS), len(words))
    options = {name.replace("-", "_"): (name, value) for name, value in split_options(words[at:]) if name}
    for name, (given, value) in options.items():
        _read_option(name, f"--{given}", value or "", found)
    if words[at:] and words[at].split("/")[-1] == "accelerate" and PROCESSES[0] not in options:
        if "multi_gpu" in options:
            found.refused["--multi_gpu"] = PROCESSES_REASON
        elif "cpu" not in options:
            found.notes[words[at]] = PROCESSES_NOTE
    return found


def _read_option(name: str, option: str, value: str, found: ProgramLine) -> None:
    """Read an option of `accelerate launch` or `torchrun`."""
    if name in PROCESSES and value:
        found.flags[option] = ("--num-gpus", value)
    elif name == PRECISION_OPTION:
        found.precision = value
    elif name in MACHINE_OPTIONS and value != "1":
        found.refused[option] = MACHINES_REASON
    elif name == "cpu":
        found.flags[option] = ("--device", "cpu")
    elif PLACE_OPTIONS.fullmatch(name):
        found.left_out[option] = LAUNCHER_REASON
    elif name not in (*MACHINE_OPTIONS, *IMPLIED_OPTIONS):
        found.refused[option] = LAUNCHER_OPTION_REASON


def _read_version(words: Iterable[str], found: ProgramLine) -> None:
    """Read which LeRobot the words install."""
    names = [one.name for one in versions.list_versions()]
    for word in words:
        if match := REQUIREMENT.fullmatch(word):
            operator, text = match[1], match[2].strip()
            if operator in ("==", "===") and text in names:
                found.version = text
            elif operator == ">=" and _parse_version(text) <= _parse_version(names[0]):
                found.version = names[0]
            else:
                runs = f"robotrain runs LeRobot {' or '.join(names)}"
                found.refused[word] = f"{runs}: name one of them, as in lerobot=={names[0]}"


def _parse_version(text: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", text)]
