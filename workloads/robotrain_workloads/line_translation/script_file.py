"""A batch script or shell script in place of a line: the line of it that starts the program.

Only what a reader sees at once is read: lines, continued by a backslash, and variables that the script sets to a plain
text before. A loop over values that stand there is read; functions and conditions are not followed.
"""

import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from robotrain.errors import Rejected, Suggestion
from robotrain.messages import Messages
from robotrain.nearest_name import suggest_name
from robotrain.redaction import redact

from robotrain_workloads.line_translation.batch_options import SYSTEMS, BatchOptions, translate_options

make_problem = Messages(__file__)

MAX_BYTES = 1 << 20
SUFFIXES = (".sh", ".bash", ".sbatch", ".slurm", ".sub", ".job")
"""How the names of such scripts end; another file counts if it begins with `#!`."""
DIRECTIVE = re.compile(r"#(SBATCH|PBS|BSUB)\s+(.+)")
ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)")
VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)(?::?-([^}$]*))?\})")
"""A variable, perhaps with the text that stands for it where it is not set: `${STEPS:-1000}`."""
SET_UP_REASON = "it is not part of the training: a job has an environment and a folder of its own"
DIRECTIVE_REASON = "options of the batch job are those of the platform: robotrain submit --help-all --platform PLATFORM"
MAX_SHOWN = 3
LOOP = re.compile(r"for\s+(\w+)\s+in\s+([^;]+?)\s*(?:;\s*(?:do\b\s*)?(.*))?")
OTHER_LOOP = re.compile(r"(?:for|while|until|select)\b.*")
LOOP_END = re.compile(r"(?:^|\s*;)\s*done\b.*")
NUMBERS = re.compile(r"\{(\d+)\.\.(\d+)\}|\$\(seq (\d+) (\d+)\)")
"""A range of a loop: `{1..3}`, `$(seq 1 3)`."""


class ScriptLine(NamedTuple):
    """The line of a script that starts a program."""

    words: tuple[str, ...]
    left_out: Mapping[str, str]
    """Other lines of the script, each with the reason."""
    batch: BatchOptions
    """What the options of the batch job ask for."""
    loops: Mapping[str, Sequence[str]]
    """The values of the loops that the line is in, by their variables."""


def is_script(words: Sequence[str]) -> bool:
    """Return whether a line is the name of a script and nothing else."""
    if len(words) != 1:
        return False
    path = Path(words[0]).expanduser()
    with suppress(OSError):  # a whole line in quotes may be longer than a name
        if path.is_file() and path.suffix not in SUFFIXES:
            with path.open("rb") as file:
                return file.read(2) == b"#!"
        return path.is_file()
    return False


def check_script_exists(words: Sequence[str]) -> None:
    """Raise Rejected for the name of a script where no such file is, and for a script with further words."""
    if len(words) > 1 and is_script(words[:1]):
        way = Suggestion(f"robotrain from-lerobot {shlex.quote(words[0])}")
        other_words = [word for word in words[1:] if word != "--"]
        raise Rejected([make_problem("script-with-words", way, given=words[0], more=shlex.join(other_words))])
    path = Path(words[0]).expanduser() if len(words) == 1 else Path()
    if not path.suffix or path.suffix == ".py" or re.search(r"\s", str(path)) or path.exists():
        return
    scripts = sorted(str(file.parent / file.name) for file in path.parent.glob("*") if file.suffix in SUFFIXES)
    similar_scripts = suggest_name(str(path), scripts)
    if path.suffix in SUFFIXES or similar_scripts:
        ways = (
            Suggestion(f"robotrain from-lerobot {shlex.quote(near_script.text)}") for near_script in similar_scripts
        )
        raise Rejected([make_problem("script-missing", *ways, given=words[0])])


def find_program_line(name: str, starts_program: Callable[[Sequence[str]], bool]) -> ScriptLine:
    """Return the line of a script that starts the program. Raise Rejected for a script with none, or with several.

    :param name: the path of the script.
    :param starts_program: whether the words of a line do.
    """
    path = Path(name).expanduser()
    if path.stat().st_size > MAX_BYTES:
        raise Rejected([make_problem("script-without-program", given=name)])
    variables = dict[str, str]()
    exported_variables = dict[str, None]()
    program_lines = list[tuple[str, ...]]()
    directives: dict[str, list[str]] = {}
    other_lines = list[str]()
    open_loops = list[tuple[str, Sequence[str]]]()
    loops: dict[str, Sequence[str]] = {}
    for line in _list_lines(path.read_text(encoding="utf-8", errors="replace")):
        if directive := DIRECTIVE.match(line):
            directives.setdefault(directive[1], []).append(directive[2].strip())
            continue
        if loop := LOOP.fullmatch(line):
            open_loops.append((loop[1], _list_values(loop[2])))
            line = loop[3] or ""
        elif OTHER_LOOP.fullmatch(line):
            open_loops.append(("", ()))
        is_loop_end = bool(open_loops and LOOP_END.search(line))
        line = LOOP_END.sub("", line) if is_loop_end else line
        if line == "do" or line.startswith("do "):
            line = line.removeprefix("do").strip()
        used_variables = set[str]()
        words = _split_words(line, variables, used_variables)
        inner_loops = dict(open_loops)
        if is_loop_end:
            open_loops.pop()
        if not words:
            continue
        assigned_words = words[1:] if words[0] == "export" else words
        assignments = [match for word in assigned_words if (match := ASSIGNMENT.fullmatch(word))]
        if starts_program(words):
            assignment_words = (
                f"{name}={variables[name]}"
                for name in exported_variables
                if name in variables and name not in used_variables
            )
            program_lines.append((*assignment_words, *words))
            loops = inner_loops
        elif len(assignments) == len(assigned_words) or words[0] == "export":
            variables |= {match[1]: match[2] for match in assignments}
            exported_names = (word.partition("=")[0] for word in assigned_words) if words[0] == "export" else ()
            exported_variables |= dict.fromkeys(exported_names)
        else:
            other_lines.append(redact(line))
    if len(program_lines) != 1:
        message = "script-with-several-programs" if program_lines else "script-without-program"
        raise Rejected([make_problem(message, given=name, count=len(program_lines))])
    omitted_lines = {}
    batch = BatchOptions()
    for kind, directive_texts in directives.items():
        if kind in SYSTEMS:
            batch = translate_options(SYSTEMS[kind], directive_texts)
        else:
            omitted_lines[redact(" ".join(directive_texts))] = DIRECTIVE_REASON
    if other_lines:
        lines_text = "; ".join(other_lines[:MAX_SHOWN])
        omitted_lines[f"{lines_text}{'; …' if other_lines[MAX_SHOWN:] else ''}"] = SET_UP_REASON
    loops.pop("", None)
    return ScriptLine(program_lines[0], omitted_lines, batch, loops)


def _list_values(text: str) -> Sequence[str]:
    """Return the values of a loop; none if they do not stand in the script."""
    if range_match := NUMBERS.fullmatch(text):
        first_number, last_number = (int(number) for number in range_match.groups() if number)
        return [str(number) for number in range(first_number, last_number + 1)]
    return [] if re.search(r"[$`*{(]", text) else text.replace('"', "").replace("'", "").split()


def _list_lines(script_text: str) -> Iterator[str]:
    """Yield the lines of a script, continued ones as one."""
    for line in re.sub(r"\\\r?\n", " ", script_text).splitlines():
        yield line.strip()


def _split_words(line: str, variables: Mapping[str, str], used: set[str]) -> tuple[str, ...]:
    """Return the words of a line without its comment, known variables replaced; none for one that is no command.

    :param used: gets the names of these variables.
    """
    try:
        words = shlex.split(line, comments=True)
    except ValueError:  # a quote goes on in the next line
        return ()

    def expand(match: re.Match[str]) -> str:
        name, default = match[1] or match[2], match[3]
        used.add(name)
        return variables.get(name, match[0] if default is None else default)

    return tuple(VARIABLE.sub(expand, word) for word in words)
