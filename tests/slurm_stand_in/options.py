"""The options of Slurm's commands that the stand-in knows, and how they are parsed: as getopt_long does."""

import re

VALUES = {
    "sbatch": """account array begin comment cpus-per-task cluster-constraint clusters constraint container
        core-spec cores-per-socket cpu-freq cpus-per-gpu deadline delay-boot dependency distribution chdir error
        exclude export export-file extra-node-info gid gpu-bind gpu-freq gpus gpus-per-node gpus-per-socket
        gpus-per-task gres gres-flags hint input job-name kill-on-invalid-dep licenses mail-type mail-user mcs-label
        mem mem-bind mem-per-cpu mem-per-gpu mincpus network nodefile nodelist nodes ntasks ntasks-per-core
        ntasks-per-gpu ntasks-per-node ntasks-per-socket open-mode output partition power priority profile qos
        reservation signal sockets-per-node switches thread-spec threads-per-core time time-min tmp uid
        wait-all-nodes wckey wrap""",
    "squeue": """account clusters format Format iterate jobs licenses name nodelist partition qos reservation sort
        states steps user""",
    "sacct": """accounts clusters delimiter endtime format jobs name nodelist partition qos starttime state
        uid user units""",
    "scancel": "account clusters name nodelist partition qos reservation signal state user wckey",
    "sinfo": "clusters format Format iterate nodes partition sort states",
    "scontrol": "clusters uid",
}
"""Options with a value."""
FLAGS = {
    "sbatch": """contiguous hold ignore-pbs no-kill no-requeue overcommit oversubscribe parsable quiet reboot requeue
        spread-job test-only use-min-nodes verbose version wait""",
    "squeue": """all array array-unique federation hide json local long me noconvert noheader sibling start verbose
        version yaml""",
    "sacct": """allocations allusers allclusters completion duplicates long noconvert noheader parsable parsable2
        truncate verbose version""",
    "scancel": "batch full hurry interactive quiet verbose version",
    "sinfo": """all dead exact federation hide json list-reasons local long noconvert noheader Node responding
        summarize verbose version yaml""",
    "scontrol": "all future hide local oneliner quiet verbose version",
}
"""Options without one."""
OPTIONAL = {"sbatch": "exclusive get-user-env nice no-kill propagate parsable"}
"""Options with or without one, which follows an equals sign."""
SHORT = {
    "sbatch": {
        **{"A": "account", "a": "array", "c": "cpus-per-task", "C": "constraint", "d": "dependency", "D": "chdir"},
        **{"e": "error", "G": "gpus", "H": "hold", "J": "job-name", "n": "ntasks", "N": "nodes", "o": "output"},
        **{"p": "partition", "q": "qos", "t": "time", "w": "nodelist", "W": "wait", "x": "exclude", "V": "version"},
    },
    "squeue": {
        **{"a": "all", "h": "noheader", "j": "jobs", "n": "name", "o": "format", "p": "partition", "r": "array"},
        **{"t": "states", "u": "user", "V": "version"},
    },
    "sacct": {"j": "jobs", "n": "noheader", "o": "format", "P": "parsable2", "X": "allocations", "D": "duplicates"},
    "scancel": {"b": "batch", "f": "full", "n": "name", "s": "signal", "t": "state", "u": "user", "Q": "quiet"},
    "sinfo": {"a": "all", "h": "noheader", "N": "Node", "o": "format", "p": "partition", "e": "exact", "V": "version"},
    "scontrol": {"o": "oneliner", "V": "version"},
}


class UsageError(Exception):
    """The command line is one that the command does not take."""


def parse_words(command: str, words: list[str]) -> tuple[dict[str, str | None], list[str]]:
    """Return the options by their long names, and the other words. Raise UsageError.

    sbatch stops at its script; the other commands take options anywhere.
    """
    options: dict[str, str | None] = {}
    rest: list[str] = []
    left = list(words)
    while left:
        word = left.pop(0)
        if word == "--" or not word.startswith("-") or word == "-":
            rest += left if word == "--" else [word]
            if word == "--" or command == "sbatch":
                rest += [] if word == "--" else left
                break
            continue
        name, value = _parse_option(command, word, left)
        options[name] = value
    return options, rest


def _parse_option(command: str, word: str, left: list[str]) -> tuple[str, str | None]:
    if word.startswith("--"):
        name, equals, value = word[2:].partition("=")
        if command == "squeue":
            name = {"job": "jobs", "state": "states"}.get(name, name)
    else:
        name, value, equals = SHORT[command].get(word[1], ""), word[2:], word[2:]
        if not name:
            raise UsageError(f"{command}: invalid option -- '{word[1]}'")
    if name in VALUES[command].split():
        if not equals and not left:
            raise UsageError(f"{command}: option '--{name}' requires an argument")
        return name, value if equals else left.pop(0)
    if name in OPTIONAL.get(command, "").split():
        return name, value if equals else None
    if name not in FLAGS[command].split():
        raise UsageError(f"{command}: unrecognized option '{word}'")
    if equals:
        raise UsageError(f"{command}: option '--{name}' doesn't allow an argument")
    return name, None


def read_script_words(text: str) -> list[str]:
    """Return the options of a script's `#SBATCH` lines, which end with its first command."""
    words: list[str] = []
    for line in text.split("\n"):
        if re.match(r"#SBATCH\s", line):
            words += _split_words(line.removeprefix("#SBATCH"))
        elif line.strip() and not line.startswith("#"):
            break
    return words


def _split_words(line: str) -> list[str]:
    """Split as sbatch does: a backslash takes the next character, in single quotes too, and # begins a comment."""
    words, word, quote, place = [], None, "", 0
    while place < len(line):
        char = line[place]
        if char == "\\" and place + 1 < len(line) and (quote or not line[place + 1].isspace()):
            place += 1
            word = (word or "") + line[place]
        elif quote:
            word, quote = (word, "") if char == quote else ((word or "") + char, quote)
        elif char in "\"'":
            word, quote = word or "", char
        elif char.isspace():
            words, word = [*words, word] if word is not None else words, None
        elif char == "#":
            break
        else:
            word = (word or "") + char
        place += 1
    if quote:
        raise UsageError(f"sbatch: fatal: Unmatched `{quote}` in [{line.strip()}]")
    return [*words, word] if word is not None else words
