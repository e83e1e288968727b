"""Launchers that stand before a program: what their options mean for a job, and which have no equal there."""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from robotrain.errors import Rejected, Suggestion
from robotrain.messages import Messages
from robotrain.redaction import redact

make_problem = Messages(__file__)

NODES, TOTAL, EACH = "nodes", "total", "each"
"""Meanings of options: nodes; processes of all nodes, and of each."""
PRECISION, CPU, NONE = "precision", "cpu", "none"
"""Others: the number format; no GPU; what robotrain does anyway."""
VARIABLE_REASON = "variables of the environment are not part of a job"
PLACE_REASON = "it says where and how the line runs, and how its processes meet: --platform and its settings do"
ENVIRONMENT_REASON = "a job has an environment of its own, which robotrain locks and builds"
OPTION_REASON = (
    "robotrain starts the processes itself, and does not know what this option of {} changes: leave it out if the line"
    " means the same without it"
)
NUMBER_REASON = "write the number in place of {}"
NODES_REASON = "another option of the line gives another number of nodes"
DIVISION_REASON = "{} processes cannot be shared evenly by {} nodes"
PROCESSES_REASON = "the number of processes is missing: add --num_processes=N"
PROCESSES_NOTE = (
    "it starts a process for each GPU of its machine, or as its configuration file says; it trains here on one GPU: add"
    " --num-gpus N for more"
)


class Launcher(NamedTuple):
    """A program that starts another one."""

    options: Mapping[str, str]
    """Meanings by the name of an option, without dashes in front and with _ for those inside."""
    word: str = ""
    """A word behind it that says nothing itself."""
    left_out: str = ""
    """A pattern of further options, which a job leaves out."""
    reason: str = PLACE_REASON
    """Why it does."""
    starts_processes: bool = False
    """Whether the processes that train are its own: those of a launcher before it are the launchers."""


_MEETING = r"(main|machine|node|master|rdzv|local)_.*|gpu_ids|max_restarts|log_dir|tee|redirects|r|t"
ACCELERATE = "accelerate"
LAUNCHERS: Mapping[str, Launcher] = {
    "python": Launcher(dict.fromkeys(("m", "u", "X", "W"), NONE)),
    "which": Launcher({}),
    "uv": Launcher({}, word="run", left_out=".*", reason=ENVIRONMENT_REASON),
    ACCELERATE: Launcher(
        {
            **{"num_machines": NODES, "num_processes": TOTAL, "mixed_precision": PRECISION, "cpu": CPU},
            **dict.fromkeys(("multi_gpu", "module", "m", "dynamo_backend", "num_cpu_threads_per_process"), NONE),
        },
        word="launch",
        left_out=_MEETING,
        starts_processes=True,
    ),
    "torchrun": Launcher(
        {"nnodes": NODES, "nproc_per_node": EACH, **dict.fromkeys(("standalone", "module", "m"), NONE)},
        left_out=_MEETING,
        starts_processes=True,
    ),
    "srun": Launcher(
        {**dict.fromkeys(("nodes", "N"), NODES), **dict.fromkeys(("ntasks", "n"), TOTAL), "ntasks_per_node": EACH},
        left_out=".*",
    ),
}
"""By the program's name; `python3` and `python3.12` count as `python`, the module of `torchrun` as that."""
SWITCHES = ("m", "u", "multi_gpu", "module", "cpu", "standalone")
"""Options above without a value."""
ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(?!=)(.*)", re.DOTALL)
LineT = TypeVar("LineT", bound="LaunchedLine")


@dataclass
class LaunchedLine:
    """What the words before a program ask for."""

    precision: str = ""
    variables: dict[str, str] = field(default_factory=dict)
    """Those that they set."""
    flags: list[tuple[str, tuple[str, str]]] = field(default_factory=list)
    """Options of launchers, each with the words of robotrain's line that translate it."""
    left_out: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


def read_launchers(
    words: Sequence[str],
    line: LineT,
    translation: Sequence[str],
    launchers: Mapping[str, Launcher] = LAUNCHERS,
) -> LineT:
    """Return `line` with what the words before the program ask for. Raise Rejected where another program is there.

    :param translation: the command that translates the line without these words.
    :param launchers: those that may be there.
    """
    _LauncherReader(words, line, translation, launchers).read()
    return line


class _LauncherReader:
    """Reader of the words before a program, one launcher after the other."""

    def __init__(
        self,
        words: Sequence[str],
        line: LaunchedLine,
        translation: Sequence[str],
        launchers: Mapping[str, Launcher],
    ) -> None:
        self.rest, self.line = list(words), line
        self.translation, self.launchers = translation, launchers
        self.name, self.launcher = "", Launcher({})
        self.left_out: list[str] = []
        """Options of the launcher that a job leaves out, as typed."""
        self.numbers: dict[str, tuple[str, int]] = {}
        """By meaning, each with its option."""
        self.starter = ""
        """The launcher that starts the processes."""
        self.options: set[str] = set()
        """Its options."""

    def read(self) -> None:
        """Read all words."""
        while self.rest:
            word = self.rest.pop(0).removeprefix("!")  # a notebook's
            name = _get_name(word)
            if word.startswith("-") and word != "--" and self.name:
                self.read_option(word)
            elif name in self.launchers:
                self.begin(name)
            elif variable := ASSIGNMENT.fullmatch(word):
                self.line.variables[variable[1]] = variable[2]
            elif word not in ("", "--", self.launcher.word):
                way = Suggestion(shlex.join(self.translation))
                launcher_names = ", ".join(self.launchers)
                raise Rejected([make_problem("program-unknown", way, where=redact(word), launchers=launcher_names)])
        self.add_left_out()
        self.add_counts()

    def begin(self, name: str) -> None:
        """Begin with a launcher."""
        self.add_left_out()
        self.name, self.launcher = name, self.launchers[name]
        if self.launcher.starts_processes:
            self.starter, self.options = name, set()
            for meaning in (TOTAL, EACH):  # of a launcher before it, they are its own processes
                self.numbers.pop(meaning, None)

    def read_option(self, word: str) -> None:
        """Read an option, with its value, which may be the next word."""
        launcher, (flag, equals, option_value) = self.launcher, word.partition("=")
        option = flag.lstrip("-").replace("-", "_")
        short_match = re.fullmatch(r"-([A-Za-z])(\w.*)", word)
        if option not in launcher.options and short_match and short_match[1] in launcher.options:
            flag, option, equals, option_value = f"-{short_match[1]}", short_match[1], "=", short_match[2]
        is_value = self.rest and not self.rest[0].startswith("-") and _get_name(self.rest[0]) not in self.launchers
        if not equals and option not in SWITCHES and is_value:
            option_value = self.rest.pop(0)
        if launcher.starts_processes:
            self.options.add(option)
        meaning = launcher.options.get(option, "")
        if meaning in (NODES, TOTAL, EACH):
            self.read_number(meaning, flag, option_value)
        elif meaning == PRECISION:
            self.line.precision = option_value
        elif meaning == CPU:
            self.line.flags.append((flag, ("--device", "cpu")))
        elif not meaning and re.fullmatch(launcher.left_out, option):
            self.left_out.append(word if equals or not option_value else f"{word} {option_value}")
        elif not meaning:
            self.line.refused[flag] = OPTION_REASON.format(self.name)

    def read_number(self, meaning: str, option: str, value: str) -> None:
        """Read a number of nodes or processes; two that name nodes are the same."""
        if not value.isdecimal():
            self.line.refused[option] = NUMBER_REASON.format(value or "its value")
            return
        number = int(value)
        if meaning == NODES and self.numbers.get(NODES, ("", number))[1] != number:
            self.line.refused[option] = NODES_REASON
        self.numbers[meaning] = (option, number)

    def add_left_out(self) -> None:
        """Name what is left out of the launcher's options."""
        if self.left_out:
            words = filter(None, (self.name, self.launcher.word, *self.left_out))
            self.line.left_out[redact(" ".join(words))] = self.launcher.reason
        self.left_out = []

    def add_counts(self) -> None:
        """Add the nodes of a job, and the GPUs of each, one a process."""
        line, numbers = self.line, self.numbers
        option, nodes = numbers.get(NODES, ("", 1))
        total = numbers.get(TOTAL)
        count_per_node = numbers.get(EACH)
        if (
            total and count_per_node and not option and count_per_node[1] and total[1] % count_per_node[1] == 0
        ):  # tasks, and those of a node
            option, nodes = total[0], total[1] // count_per_node[1]
        if nodes > 1:
            line.flags.append((option, ("--num-nodes", str(nodes))))
        if count_per_node:
            line.flags.append((count_per_node[0], ("--num-gpus", str(count_per_node[1]))))
        elif total and nodes and total[1] % nodes == 0:
            line.flags.append((total[0], ("--num-gpus", str(total[1] // nodes))))
        elif total:
            line.refused[total[0]] = DIVISION_REASON.format(total[1], nodes)
        if self.starter == ACCELERATE and self.options.isdisjoint(("num_processes", "cpu")):
            if "multi_gpu" in self.options:
                line.refused["--multi_gpu"] = PROCESSES_REASON
            else:
                line.notes[ACCELERATE] = PROCESSES_NOTE


def _get_name(word: str) -> str:
    """Return the name of the program that a word starts."""
    name = word.lstrip("$(`").split("/")[-1]
    if name == "torch.distributed.run":
        return "torchrun"
    return re.sub(r"^python3?(\.\d+)?$", "python", re.sub(r"\.(?:sh|bat)$", "", name))
