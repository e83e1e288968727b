"""Launchers that stand before LeRobot's program: what their options mean for a job, and which have no equal there."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from robotrain.redaction import redact

NODES, TOTAL, EACH, GPUS, ALL_GPUS = "nodes", "total", "each", "gpus", "all_gpus"
"""Meanings: nodes; processes of all nodes, and of each; GPUs of each node, and of all."""
HOSTS, HOST_FILE = "hosts", "host_file"
"""Others: the nodes by name, each with its processes; a file with them."""
PRECISION, CPU, NONE, VARIABLE, MOUNT = "precision", "cpu", "none", "variable", "mount"
"""Others: the number format; no GPU; what robotrain does anyway; a variable; a folder of the machine."""
PLACE, TIME, ENVIRONMENT, FOLDER, VARIABLE_FILE = "place", "time", "environment", "folder", "variable_file"
"""Others, each with a reason why a job leaves it out."""
VARIABLE_REASON = "variables of the environment are not part of a job"
REASONS: Mapping[str, str] = {
    PLACE: "it says where and how the line runs, and how its processes meet: --platform and its settings do",
    TIME: "how long a job may take is a setting of platforms: robotrain submit --platform PLATFORM --help names it",
    ENVIRONMENT: "a job has an environment of its own, which robotrain locks and builds",
    FOLDER: "paths of the line are read from the folder in which it is typed",
    VARIABLE_FILE: VARIABLE_REASON,
}
MOUNT_REASON = "the line's paths are those of a container: write them as they are on this machine, and leave this out"
OPTION_REASON = (
    "robotrain starts the processes itself, and does not know what this option of {} changes: leave it out if the line"
    " means the same without it"
)
WORD_REASON = "robotrain does not know what it does before the program: begin the line with the program or its launcher"
OTHER_MACHINE_REASON = "--platform names where the job runs: give the line from the program on"
NUMBER_REASON = "write the number in place of {}"
NODES_REASON = "another option of the line gives another number of nodes"
SLOTS_REASON = "robotrain starts as many processes on each node: write the same number after each"
HOST_FILE_REASON = "robotrain does not read the nodes from a file: give their number in the line"
DIVISION_REASON = "{} processes cannot be shared evenly by {} nodes"
GPUS_NOTE = "lerobot-train without a launcher trains on one GPU, this line on all of them: --num-gpus 1 is for one"
PROCESSES_REASON = "the number of processes is missing: add --{}=N"
PROCESSES_NOTE = (
    "it starts a process for each GPU of its machine, or as its configuration file says; it trains here on one GPU: add"
    " --num-gpus N for more"
)


class Launcher(NamedTuple):
    """A program that starts another one."""

    options: Mapping[str, str]
    """Meanings by the name of an option, without dashes in front and with _ for those inside."""
    words: str = ""
    """The meaning of its other words; empty if it has none."""
    most_words: int = 1
    switches: str = ""
    """Options without a value."""
    place: str = r"(?!)"
    """A pattern of further options that mean a place."""
    starts_processes: bool = False
    """Whether the processes that train are its own: those of a launcher before it are the launchers."""
    number: str = ""
    """Its option with the number of processes, if it starts one for each GPU without it."""
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
    {
        **_all(TOTAL, "np n"),
        **_all(EACH, "npernode ppn N"),
        **_all(HOSTS, "H host hosts"),
        **_all(HOST_FILE, "hostfile machinefile f"),
        "x": VARIABLE,
        "allow_run_as_root": NONE,
    },
    switches="allow_run_as_root",
    starts_processes=True,
)
_SLURM = Launcher(
    {
        **_all(NODES, "nodes N"),
        **_all(TOTAL, "ntasks n"),
        "ntasks_per_node": EACH,
        **_all(GPUS, "gres gpus_per_node gpus_per_task"),
        **_all(ALL_GPUS, "gpus G"),
        **_all(TIME, "time t"),
        **_all(NONE, "wrap"),
    },
    switches="wrap exclusive pty overlap exact unbuffered u requeue",
    place=r"partition|p|account|A|qos|q|mem.*|cpus_.*|c|job_name|J|output|o|error|e|nodelist|w|constraint|C"
    r"|exclude|x|kill_on_bad_exit|K|label|l|exclusive|container_.*|reservation|mail_.*|chdir|D|cpu_bind|gpu_bind|mpi"
    r"|distribution|hint|pty|overlap|exact|unbuffered|u|requeue|comment|signal|nice|immediate",
)
_CONTAINER = Launcher(
    {
        "gpus": GPUS,
        **_all(VARIABLE, "e env"),
        "env_file": VARIABLE_FILE,
        **_all(MOUNT, "v volume mount"),
        "entrypoint": NONE,
    },
    words=ENVIRONMENT,
    switches="rm it ti i t d detach init privileged",
    place=r"rm|it|ti|i|t|d|detach|init|privileged|ipc|shm_size|w|workdir|name|hostname|h|net|network|p|publish|u|user"
    r"|runtime|ulimit|pull|platform|restart|cpus|m|memory|cap_add|security_opt|pid|log_.*",
)
_IMAGE = Launcher(
    {"env": VARIABLE, "env_file": VARIABLE_FILE, **_all(MOUNT, "bind B mount")},
    words=ENVIRONMENT,
    switches="nv rocm e cleanenv c contain C containall writable writable_tmpfs w no_home u userns f fakeroot",
    place=r"nv|rocm|e|cleanenv|c|contain|C|containall|writable|writable_tmpfs|w|no_home|u|userns|f|fakeroot|pwd|cwd|H"
    r"|home|W|workdir|overlay",
)
_ENVIRONMENT = Launcher(
    {
        **_all(ENVIRONMENT, "n name p prefix with with_requirements extra from spec python project package group e"),
        **_all(ENVIRONMENT, "no_capture_output live_stream all_extras dev no_dev no_sync no_project frozen locked"),
        **_all(ENVIRONMENT, "active isolated offline index_url extra_index_url manifest_path U upgrade no_deps"),
        **_all(NONE, "q quiet v verbose"),
        **_all(FOLDER, "directory C cwd"),
        "env_file": VARIABLE_FILE,
    },
    words=ENVIRONMENT,
    switches="no_capture_output live_stream all_extras dev no_dev no_sync no_project frozen locked active isolated"
    " offline q quiet v verbose U upgrade no_deps",
)
_INSTALLER = _ENVIRONMENT._replace(
    options={**_ENVIRONMENT.options, **_all(ENVIRONMENT, "e editable r requirement")}, most_words=99
)
_SHELL = Launcher(
    _all(NONE, "c lc ic m u B I v p E O s e l i x w f d X W"), switches="c lc ic m u B I v p E O s e l i x w f d"
)
_OUTPUT = Launcher(_all(NONE, "i o e f output error input format p v a"), switches="p v a")
_MACHINE = Launcher({}, words=PLACE, switches="a f r b localalloc scope user q quiet collect wait t", place=".*")
_SCREEN = Launcher(_all(NONE, "d dm dmS s S"), switches="d dm")
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
        number="num_processes",
    ),
    "torchrun": _TORCHRUN,
    "deepspeed": Launcher(
        {"num_nodes": NODES, "num_gpus": EACH, **_all(HOST_FILE, "hostfile H"), **_all(NONE, "module m")},
        switches="module m",
        place=r"master_.*|launcher|ssh_port",
        starts_processes=True,
        number="num_gpus",
    ),
    **dict.fromkeys(("mpirun", "mpiexec", "horovodrun"), _MPI),
    **dict.fromkeys(("srun", "sbatch", "salloc"), _SLURM),
    "sky": Launcher(
        {"gpus": GPUS, "num_nodes": NODES, "env": VARIABLE},
        switches="d y yes detach_run down use_spot retry_until_up",
        place=r"c|cluster|n|name|cloud|infra|region|zone|instance_type|t|cpus|memory|disk_.*|i|idle_.*|d|y|yes|detach_run"
        r"|down|use_spot|retry_until_up|image_id|ports",
    ),
    **dict.fromkeys(("docker", "podman", "nerdctl"), _CONTAINER),
    **dict.fromkeys(("apptainer", "singularity"), _IMAGE),
    **dict.fromkeys(("uv", "uvx", "conda", "mamba", "micromamba", "poetry", "pixi", "pipx", "hatch"), _ENVIRONMENT),
    **dict.fromkeys(("pip", "pip3"), _INSTALLER),
    **dict.fromkeys(("python", "python3", "bash", "sh", "zsh", "nohup", "export", "setsid", "which"), _SHELL),
    **dict.fromkeys(("command", "caffeinate"), _SHELL),
    **dict.fromkeys(("time", "stdbuf", "unbuffer"), _OUTPUT),
    "env": Launcher(_all(NONE, "u unset i ignore_environment S split_string C chdir"), switches="i ignore_environment"),
    "sudo": Launcher(_all(NONE, "E H n i u g user group preserve_env"), switches="E H n i"),
    "xvfb-run": Launcher(
        _all(NONE, "a auto_servernum s server_args n server_num e error_file f auth_file"), switches="a auto_servernum"
    ),
    **dict.fromkeys(("nice", "ionice", "taskset", "numactl", "chrt", "cpulimit", "systemd-run"), _MACHINE),
    **dict.fromkeys(("ulimit", "set"), _MACHINE),
    "timeout": Launcher(
        _all(TIME, "k kill_after s signal foreground preserve_status v verbose"),
        words=TIME,
        switches="foreground preserve_status v verbose",
    ),
    **dict.fromkeys(("tmux", "screen"), _SCREEN),
    **dict.fromkeys(("cd", "pushd"), Launcher({}, words=FOLDER)),
    **dict.fromkeys(("source", "."), Launcher({}, words=ENVIRONMENT)),
    **dict.fromkeys(("module", "ml"), Launcher({}, words=ENVIRONMENT, most_words=99)),
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
JOINTS = ("--", "!", "run", "launch", "exec", "load", "activate", "compose", "install", "new", "new-session")
"""Words between two programs, or of one, that say nothing themselves."""
ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(?!=)(.*)", re.DOTALL)
LineT = TypeVar("LineT", bound="LaunchedLine")


@dataclass
class LaunchedLine:
    """What the words before a program ask for."""

    precision: str = ""
    variables: dict[str, str | None] = field(default_factory=dict)
    """Those that they set; None if the value is not in the line."""
    flags: list[tuple[str, tuple[str, str]]] = field(default_factory=list)
    """Options of launchers, each with the words of robotrain's line that translate it."""
    left_out: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    launchers: list[str] = field(default_factory=list)
    """The names of those that start processes."""


def read_launchers(words: Sequence[str], line: LineT) -> LineT:
    """Return `line` with what the words before the program ask for."""
    _LauncherReader(words, line).read()
    return line


def split_assignment(word: str) -> tuple[str, str] | None:
    """Return the name and the value of a variable that a word sets; None for another word."""
    match = ASSIGNMENT.fullmatch(word)
    return (match[1], match[2]) if match else None


class _LauncherReader:
    """Reader of the words before a program, one launcher after the other."""

    def __init__(self, words: Sequence[str], line: LaunchedLine) -> None:
        self.rest, self.line = list(words), line
        self.name, self.launcher, self.words = "", Launcher({}), 0
        self.typed: list[str] = []
        """The launcher with what stands behind it, as typed."""
        self.left_out: dict[str, list[str]] = {}
        """Its words that a job leaves out, by their meaning."""
        self.numbers: dict[str, tuple[str, int]] = {}
        """By meaning, each with its option."""
        self.options: set[str] = set()
        """Options of the launchers that start processes."""

    def read(self) -> None:
        """Read all words."""
        while self.rest:
            word = self.rest.pop(0)
            called = MODULES.get(word) or re.sub(r"^python3?\.\d+$", "python", word.lstrip("$(`").split("/")[-1])
            if word.startswith("-") and word != "--":
                self.read_option(word)
            elif word in RESETS:
                self.begin("", Launcher({}), "")
            elif called in LAUNCHERS:
                self.begin(called, LAUNCHERS[called], word)
            elif variable := split_assignment(word):
                self.line.variables |= [variable]
            elif word in JOINTS:
                self.typed += [word] if word.isidentifier() else []
            elif not self.launcher.refused:
                self.read_word(word)
        self.add_left_out()
        self.add_counts()

    def begin(self, name: str, launcher: Launcher, word: str) -> None:
        """Begin with a launcher."""
        self.add_left_out()
        self.name, self.launcher, self.words, self.typed = name, launcher, 0, [word]
        if launcher.refused:
            self.line.refused[name] = launcher.refused
        elif launcher.starts_processes:
            self.line.launchers.append(name)
            for meaning in (TOTAL, EACH):  # of a launcher before it, they are its own processes
                self.numbers.pop(meaning, None)

    def read_word(self, word: str) -> None:
        """Read a word that is neither an option nor a launcher."""
        self.words += 1
        if self.launcher.words in REASONS and self.words <= self.launcher.most_words:
            self.left_out.setdefault(self.launcher.words, []).append(word)
        else:
            self.line.refused[word] = WORD_REASON

    def read_option(self, word: str) -> None:
        """Read an option, with its value, which may be the next word."""
        launcher, (text, equals, value) = self.launcher, word.partition("=")
        option = text.lstrip("-").replace("-", "_")
        short = re.fullmatch(r"-([A-Za-z])(\w.*)", word)
        if option not in launcher.options and short and short[1] in launcher.options:
            text, option, equals, value = f"-{short[1]}", short[1], "=", short[2]
        is_known = option in launcher.options
        if not equals and option not in launcher.switches.split() and self.rest:
            is_value = not self.rest[0].startswith("-") and self.rest[0].split("/")[-1] not in LAUNCHERS
            value = self.rest.pop(0) if is_known or is_value else ""
        if launcher.refused:
            return
        self.options |= {option} if launcher.starts_processes else set()
        meaning = launcher.options.get(option) or (PLACE if re.fullmatch(launcher.place, option) else "")
        if meaning in REASONS:
            self.left_out.setdefault(meaning, []).append(word if equals or not value else f"{word} {value}")
        else:
            self.read_meaning(meaning, text, value)

    def read_meaning(self, meaning: str, option: str, value: str) -> None:
        """Read what an option means."""
        line = self.line
        if meaning in (NODES, TOTAL, EACH, GPUS, ALL_GPUS):
            self.read_number(meaning, option, value)
        elif meaning == HOSTS:
            self.read_hosts(option, value)
        elif meaning == HOST_FILE:
            self.numbers[HOST_FILE] = (option, 0)
        elif meaning == PRECISION:
            line.precision = value
        elif meaning == CPU:
            line.flags.append((option, ("--device", "cpu")))
        elif meaning == VARIABLE:
            line.variables |= [split_assignment(value) or (value, None)]
        elif meaning == MOUNT:
            line.refused[option] = MOUNT_REASON
        elif not meaning:
            line.refused[option] = OPTION_REASON.format(self.name) if self.name else WORD_REASON

    def read_number(self, meaning: str, option: str, value: str) -> None:
        """Read a number of nodes, processes or GPUs: `4`, `gpu:a100:4`, `H100`, `"device=0,1"`."""
        found = re.fullmatch(r"(?:[A-Za-z][\w.-]*:)*(\d+)", value)
        devices = re.fullmatch(r'"?device=([\w,.-]+)"?', value)
        is_gpus = meaning in (GPUS, ALL_GPUS)
        if meaning == GPUS and value == "all":
            self.left_out.setdefault(PLACE, []).append(f"{option} {value}")
        elif found or (is_gpus and (devices or re.fullmatch(r"[A-Za-z][\w.-]*", value))):  # `H100` is one of them
            number = int(found[1]) if found else len(devices[1].split(",")) if devices else 1
            self.add_number(meaning, option, number)
        else:
            self.line.refused[option] = NUMBER_REASON.format(value or "its value")

    def read_hosts(self, option: str, value: str) -> None:
        """Read nodes with their processes: `a:8,b:8`; a name alone stands for one process."""
        slots: dict[str, int] = {}
        for part in value.split(","):
            name, _, count = part.partition(":")
            slots[name] = slots.get(name, 0) + int(count if count.isdecimal() else 1)
        self.add_number(NODES, option, len(slots))
        self.numbers[HOSTS] = (option, sum(slots.values()))
        if len(set(slots.values())) > 1:
            self.line.refused[option] = SLOTS_REASON

    def add_number(self, meaning: str, option: str, number: int) -> None:
        """Add a number; two that name nodes are the same."""
        if meaning == NODES and self.numbers.get(NODES, ("", number))[1] != number:
            self.line.refused[option] = NODES_REASON
        self.numbers[meaning] = (option, number)

    def add_left_out(self) -> None:
        """Name what is left out of the launcher's words, one command for each reason."""
        for meaning, words in self.left_out.items():
            self.line.left_out[redact(" ".join([*self.typed, *words]))] = REASONS[meaning]
        self.left_out.clear()

    def add_counts(self) -> None:
        """Add the nodes of a job, and the GPUs of each, one a process."""
        line, numbers = self.line, self.numbers
        option, nodes = numbers.get(NODES, ("", 1))
        total, each = numbers.get(TOTAL) or numbers.get(HOSTS), numbers.get(EACH)
        if total and each and not option and each[1] and total[1] % each[1] == 0:  # tasks, and those of a node
            option, nodes = total[0], total[1] // each[1]
        if file := numbers.get(HOST_FILE):
            reasons, reason = (line.left_out, REASONS[PLACE]) if option else (line.refused, HOST_FILE_REASON)
            reasons[file[0]] = reason
        if nodes > 1:
            line.flags.append((option, ("--num-nodes", str(nodes))))
        if each:
            line.flags.append((each[0], ("--num-gpus", str(each[1]))))
        elif count := total or (None if line.launchers else numbers.get(ALL_GPUS)):
            if nodes and count[1] % nodes == 0:
                line.flags.append((count[0], ("--num-gpus", str(count[1] // nodes))))
            else:
                line.refused[count[0]] = DIVISION_REASON.format(count[1], nodes)
        elif (gpus := numbers.get(GPUS)) and not line.launchers:
            line.flags.append((gpus[0], ("--num-gpus", str(gpus[1]))))
        if not (total or each or line.launchers) and (one := numbers.get(ALL_GPUS) or numbers.get(GPUS)) and one[1] > 1:
            line.notes[one[0]] = GPUS_NOTE
        number = LAUNCHERS[line.launchers[-1]].number if line.launchers else ""
        if number and number not in self.options and "cpu" not in self.options:
            if "multi_gpu" in self.options:
                line.refused["--multi_gpu"] = PROCESSES_REASON.format(number)
            else:
                line.notes[line.launchers[-1]] = PROCESSES_NOTE
