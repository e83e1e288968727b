"""Launchers that stand before LeRobot's program: what their options mean for a job, and which have no equal there."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

NODES, TOTAL, EACH, GPUS, ALL_GPUS = "nodes", "total", "each", "gpus", "all_gpus"
"""Meanings: nodes; processes of all nodes, and of each; GPUs of each node, and of all."""
PRECISION, CPU, PLACE, NONE, VARIABLE, MOUNT = "precision", "cpu", "place", "none", "variable", "mount"
"""Others: the number format; no GPU; where it runs; what robotrain does anyway; a variable; a folder of the machine."""
PLACE_REASON = "it says where the line runs and how its processes meet: --platform and its settings do"
ENVIRONMENT_REASON = "a job has an environment of its own, which robotrain locks and builds"
FOLDER_REASON = "paths of the line are read from the folder in which it is typed"
VARIABLE_REASON = "variables of the environment are not part of a job"
MOUNT_REASON = "the line's paths are those of a container: write them as they are on this machine, and leave this out"
OPTION_REASON = (
    "robotrain starts the processes itself, and does not know what this option of {} changes: leave it out if the line"
    " means the same without it"
)
WORD_REASON = "robotrain does not know what it does before the program: begin the line with the program or its launcher"
OTHER_MACHINE_REASON = "--platform names where the job runs: give the line from the program on"
NUMBER_REASON = "write the number in place of {}"
NODES_REASON = "another option of the line gives another number of nodes"
DIVISION_REASON = "{} processes cannot be shared evenly by {} nodes"
GPUS_NOTE = "lerobot-train without a launcher trains on one GPU, this line on all of them: --num-gpus 1 is for one"


class Launcher(NamedTuple):
    """A program that starts another one."""

    options: Mapping[str, str]
    """Meanings by the name of an option, without dashes in front and with _ for those inside."""
    words: str = NONE
    """The meaning of its other words: `none`, `place` or `environment`; empty for one that is not known."""
    switches: str = ""
    """Options without a value."""
    place: str = r"(?!)"
    """A pattern of further options that mean a place."""
    starts_processes: bool = False
    """Whether the processes that train are its own: those of a launcher before it are the launchers."""
    refused: str = ""
    """Why no line with it is translated."""


def _all(meaning: str, names: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), meaning)


_MEETING = r"(main|machine|node|master|rdzv|local)_.*|gpu_ids|max_restarts|log_dir|tee|redirects|r|t"
_TORCHRUN = Launcher(
    {"nnodes": NODES, "nproc_per_node": EACH, **_all(NONE, "standalone module m use_env")},
    switches="standalone module m use_env",
    place=_MEETING,
    starts_processes=True,
)
_MPI = Launcher(
    {**_all(TOTAL, "np n"), **_all(EACH, "npernode ppn N"), "x": VARIABLE, "allow_run_as_root": NONE},
    switches="allow_run_as_root",
    starts_processes=True,
)
_SLURM = Launcher(
    {
        **_all(NODES, "nodes N"),
        **_all(TOTAL, "ntasks n"),
        "ntasks_per_node": EACH,
        **_all(GPUS, "gres gpus_per_node"),
        **_all(ALL_GPUS, "gpus G"),
        **_all(NONE, "wrap"),
    },
    switches="wrap exclusive",
    place=r"partition|p|account|A|qos|q|time|t|mem.*|cpus_.*|c|job_name|J|output|o|error|e|nodelist|w|constraint|C"
    r"|exclude|x|kill_on_bad_exit|K|label|l|exclusive|container_.*|reservation|mail_.*|chdir|D",
)
_CONTAINER = Launcher(
    {"gpus": GPUS, **_all(VARIABLE, "e env env_file"), **_all(MOUNT, "v volume mount bind B")},
    words="environment",
    switches="rm it ti i t d detach init privileged nv",
    place=r"rm|it|ti|i|t|d|detach|init|privileged|nv|ipc|shm_size|w|workdir|name|net|network|u|user|runtime|ulimit|pull",
)
_ENVIRONMENT = Launcher(
    _all("environment", "n name p prefix with extra from python project package group no_capture_output all_extras"),
    words="environment",
    switches="no_capture_output all_extras",
)
_SHELL = Launcher(_all(NONE, "c lc m u B I v p E"), switches="c lc m u B I v p E")
_ELSEWHERE = Launcher({}, refused=OTHER_MACHINE_REASON)
LAUNCHERS: Mapping[str, Launcher] = {
    "accelerate": Launcher(
        {
            "num_machines": NODES,
            "num_processes": TOTAL,
            "mixed_precision": PRECISION,
            "cpu": CPU,
            **_all(NONE, "multi_gpu module m dynamo_backend num_cpu_threads_per_process"),
        },
        switches="multi_gpu module m cpu",
        place=_MEETING,
        starts_processes=True,
    ),
    "torchrun": _TORCHRUN,
    "deepspeed": Launcher(
        {"num_nodes": NODES, "num_gpus": EACH, **_all(NONE, "module m")},
        switches="module m",
        place=r"master_.*|hostfile|H|launcher|ssh_port",
        starts_processes=True,
    ),
    **dict.fromkeys(("mpirun", "mpiexec", "horovodrun"), _MPI),
    **dict.fromkeys(("srun", "sbatch", "salloc"), _SLURM),
    "sky": Launcher(
        {"gpus": GPUS, "num_nodes": NODES, "env": VARIABLE},
        switches="d y yes detach_run down use_spot retry_until_up",
        place=r"c|cluster|n|name|cloud|infra|region|zone|instance_type|t|cpus|memory|disk_.*|i|idle_.*|d|y|yes|detach_run"
        r"|down|use_spot|retry_until_up|image_id|ports",
    ),
    **dict.fromkeys(("docker", "podman", "apptainer", "singularity"), _CONTAINER),
    **dict.fromkeys(("uv", "uvx", "conda", "mamba", "micromamba", "poetry", "pixi", "pipx", "hatch"), _ENVIRONMENT),
    **dict.fromkeys(("python", "python3", "bash", "sh", "env", "sudo", "nohup", "time", "export"), _SHELL),
    **dict.fromkeys(("cd", "pushd"), Launcher({}, words="folder")),
    **dict.fromkeys(("source", ".", "module"), Launcher({}, words="environment")),
    **dict.fromkeys(("ssh", "kubectl", "ray", "osmo", "az", "dstack", "modal", "runpodctl", "torchx"), _ELSEWHERE),
}
"""By the program's name; `python3.12` counts as `python`, and a module after `-m` as below."""
MODULES = {
    "accelerate.commands.launch": "accelerate",
    "torch.distributed.run": "torchrun",
    "torch.distributed.launch": "torchrun",
    "deepspeed.launcher.runner": "deepspeed",
}
RESETS = ("&&", ";")
"""Words after which another command begins."""
JOINTS = ("--", "!", "$(which", "`which", "$(command", "run", "launch", "exec", "load", "activate")
"""Words between two programs, or of one, that say nothing themselves."""
WORD_REASONS = {PLACE: PLACE_REASON, "environment": ENVIRONMENT_REASON, "folder": FOLDER_REASON}


class GivenOption(NamedTuple):
    """An option of a launcher."""

    launcher: str
    text: str
    """As it is typed, without its value."""
    meaning: str
    """Empty if it is not known."""
    value: str


@dataclass
class LaunchedLine:
    """What the launchers of a line ask for."""

    precision: str = ""
    flags: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Words of robotrain's line, by the option that they translate."""
    left_out: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    launchers: list[str] = field(default_factory=list)
    """The names of those that start processes."""
    options: set[str] = field(default_factory=set)
    """Their options."""


LineT = TypeVar("LineT", bound=LaunchedLine)


def read_launchers(words: Sequence[str], line: LineT) -> LineT:
    """Return `line` with what the words before the program ask for, but for variables that they set."""
    numbers = dict[str, tuple[str, int]]()
    for one in _read_words(words, line):
        name = one.text.lstrip("-").replace("-", "_")
        if one.text == one.launcher:  # the launcher itself
            line.launchers.append(one.launcher)
            for meaning in (TOTAL, EACH):  # of a launcher before it, they are its own processes
                numbers.pop(meaning, None)
            continue
        line.options.add(name)
        _read_option(one, line, numbers)
    _add_counts(numbers, line)
    return line


def _read_words(words: Sequence[str], line: LaunchedLine) -> Iterator[GivenOption]:
    """Yield each launcher that starts processes, with its name as text, and the options of all."""
    name, launcher, rest = "", Launcher({}, words=""), list(words)
    while rest:
        word = rest.pop(0)
        called = MODULES.get(word) or re.sub(r"^python3?(\.\d+)?$", "python", word.split("/")[-1])
        if word.startswith("-") and word != "--":
            if launcher.refused:
                continue
            yield _read_given(word, name, launcher, rest)
        elif word in RESETS:
            name, launcher = "", Launcher({}, words="")
        elif called in LAUNCHERS:
            name, launcher = called, LAUNCHERS[called]
            if launcher.refused:
                line.refused[name] = launcher.refused
            elif launcher.starts_processes:
                yield GivenOption(name, name, "", "")
        elif re.match(r"[A-Z_][A-Z0-9_]*=", word) or word in JOINTS or launcher.refused:
            pass  # variables are read by themselves
        elif reason := WORD_REASONS.get(launcher.words, ""):
            line.left_out[word] = reason
        else:
            line.refused[word] = WORD_REASON


def _read_given(word: str, name: str, launcher: Launcher, rest: list[str]) -> GivenOption:
    """Return the option that a word gives, with its value, which may be the next word of `rest`."""
    text, equals, value = word.partition("=")
    option = text.lstrip("-").replace("-", "_")
    if (short := re.fullmatch(r"-([A-Za-z])(\d+)", word)) and short[1] in launcher.options:
        text, option, equals, value = f"-{short[1]}", short[1], "=", short[2]
    meaning = launcher.options.get(option) or (PLACE if re.fullmatch(launcher.place, option) else "")
    if not equals and option not in launcher.switches.split() and rest and not rest[0].startswith("-"):
        value = rest.pop(0)
    return GivenOption(name, text, meaning, value)


def _read_option(one: GivenOption, line: LaunchedLine, numbers: dict[str, tuple[str, int]]) -> None:
    if one.meaning in (NODES, TOTAL, EACH, GPUS, ALL_GPUS):
        found = re.fullmatch(r"(?:[A-Za-z][\w.-]*:)*(\d+)", one.value)
        is_name = one.meaning in (GPUS, ALL_GPUS) and re.fullmatch(r"[A-Za-z][\w.-]*", one.value)
        if one.meaning == GPUS and one.value == "all":
            line.left_out[one.text] = PLACE_REASON
        elif found or is_name:  # `H100` is one of them
            number = int(found[1]) if found else 1
            if one.meaning == NODES and numbers.get(NODES, ("", number))[1] != number:
                line.refused[one.text] = NODES_REASON
            numbers[one.meaning] = (one.text, number)
        else:
            line.refused[one.text] = NUMBER_REASON.format(one.value or "its value")
    elif one.meaning == PRECISION:
        line.precision = one.value
    elif one.meaning == CPU:
        line.flags[one.text] = ("--device", "cpu")
    elif one.meaning == VARIABLE:
        line.left_out[one.value.partition("=")[0]] = VARIABLE_REASON
    elif reason := WORD_REASONS.get(one.meaning):
        line.left_out[one.text] = reason
    elif one.meaning == MOUNT:
        line.refused[one.text] = MOUNT_REASON
    elif not one.meaning:
        line.refused[one.text] = OPTION_REASON.format(one.launcher) if one.launcher else WORD_REASON


def _add_counts(numbers: Mapping[str, tuple[str, int]], line: LaunchedLine) -> None:
    """Add the nodes of a job, and the GPUs of each, one a process."""
    option, nodes = numbers.get(NODES, ("", 1))
    total, each = numbers.get(TOTAL), numbers.get(EACH)
    if total and each and not option and each[1] and total[1] % each[1] == 0:  # tasks, and those of a node
        option, nodes = total[0], total[1] // each[1]
    if nodes > 1:
        line.flags[option] = ("--num-nodes", str(nodes))
    if each:
        line.flags[each[0]] = ("--num-gpus", str(each[1]))
    elif count := total or (None if line.launchers else numbers.get(ALL_GPUS)):
        if nodes and count[1] % nodes == 0:
            line.flags[count[0]] = ("--num-gpus", str(count[1] // nodes))
        else:
            line.refused[count[0]] = DIVISION_REASON.format(count[1], nodes)
    elif (gpus := numbers.get(GPUS)) and not line.launchers:
        line.flags[gpus[0]] = ("--num-gpus", str(gpus[1]))
    if not (total or each or line.launchers) and (one := numbers.get(ALL_GPUS) or numbers.get(GPUS)) and one[1] > 1:
        line.notes[one[0]] = GPUS_NOTE
