"""The answer to a word that is no command: of another tool, misspelt, a program, or the line of a trainer."""

import re
import shlex
from collections.abc import Iterator, Sequence
from itertools import takewhile

from robotrain.cli.foreign_words import (
    drop_noun,
    list_foreign_command,
    strip_foreign_words,
)
from robotrain.cli.next_commands import make_evaluation_command
from robotrain.cli.run_words import (
    MAX_NAMESAKES,
    RUN_ARGUMENT,
    RUN_WORD,
    describe_namesake,
)
from robotrain.cli.typographic_words import make_typography_problem
from robotrain.command_table import ALIASES, COMMANDS
from robotrain.config.selection import find_starter, is_job_file, load_or_none
from robotrain.errors import Problem, Rejected, Suggestion
from robotrain.messages import Messages
from robotrain.nearest_name import suggest_name
from robotrain.plugins.manager import Plugins
from robotrain.redaction import can_repeat, hide_secret_arguments, redact, remember_secrets
from robotrain.store import name_index, records

make_problem = Messages(__file__)

FILE_OPTIONS = ("-f", "--file", "--filename")
EVALUATION_WORDS = ("eval", "evaluate", "validate")
"""Words that are answered with the line that evaluates the run after them."""
TRANSLATION = "prints robotrain's line for it"
FOREIGN_OPTION = re.compile(r"--?[\w-]*[._]")
"""Options of robotrain have neither dots nor underscores."""
REMOVAL_LINE = "runs --prune RUN"


def explain_unknown_command(name: str, arguments: Sequence[str], plugins: Plugins) -> Problem:
    """Return the problem of a word that is no command: what does the same, or is nearly it, or translates it.

    :param arguments: what is typed after it.
    """
    remember_secrets(arguments)
    if typography_problem := make_typography_problem([name, *arguments]):
        return typography_problem
    title = f"robotrain has no command {redact(name)!r}"
    translation = find_translation([name, *arguments], plugins)
    commands = [*COMMANDS, *plugins.list_names("command")]
    typed_name = name
    name, *arguments = strip_foreign_words([name, *arguments], [*commands, *ALIASES])
    command_lines = list_foreign_command(name)
    if command_lines:
        arguments, command_lines = _drop_foreign_words(arguments, command_lines)
    next_word = arguments[0] if arguments else ""
    workloads = [
        workload for workload in plugins.list_names("workload") if workload == name or workload.endswith(f"-{name}")
    ]
    is_program = any(find_starter(workload, next_word) for workload in plugins.workloads().values())
    is_submitted = is_program or is_job_file(next_word)
    name_suggestions = suggest_name(name, commands)
    name_ways = [Suggestion(repeat_line([suggestion.text], arguments)) for suggestion in name_suggestions]
    reason = ""
    if name != typed_name and (name in commands or name in ALIASES):
        ways = [Suggestion(_repeat_own_command(ALIASES.get(name, name), arguments))]
    elif name in EVALUATION_WORDS and (evaluation := _make_evaluation_command(arguments)):
        ways = [Suggestion(evaluation)]
    elif command_lines:
        is_job = is_submitted or next_word in plugins.list_names("workload")
        ways = [
            way
            for command_line in command_lines
            for way in _make_foreign_lines(command_line, arguments, commands, is_job)
        ]
        ways += [way for way in name_ways if not is_submitted and way.text.startswith(f"robotrain {name}")]
    elif is_submitted and workloads:
        ways = [Suggestion(repeat_line(["submit"], arguments))]
    elif workloads:
        ways = [Suggestion(f"robotrain submit {workload} …", "runs this workload") for workload in workloads]
    else:
        ways = name_ways
        reason = "" if name_suggestions else f"Commands: {', '.join(commands)}."
    translations = [] if is_submitted else list(_suggest_translations(workloads, arguments, plugins))
    ways = [*translations, *ways] if any(map(FOREIGN_OPTION.match, arguments)) else [*ways, *translations]
    if translation:
        ways, reason = [translation], ""
    return make_problem("command-unknown", *ways, title=title, why=reason)


def _drop_foreign_words(arguments: Sequence[str], command_lines: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """Return the arguments without what other tools put before a run or a job file, and the lines that then fit:
    `describe job NAME`, `-f FILE`, `get pods`.
    """
    if command_lines[0].endswith(" RUN"):
        run_words, means_all = drop_noun(arguments)
        list_lines = [command_line for command_line in command_lines if RUN_ARGUMENT not in command_line.split()]
        return run_words, list_lines if means_all and list_lines else command_lines
    has_file = len(arguments) > 1 and arguments[0] in FILE_OPTIONS and is_job_file(arguments[1])
    return arguments[1:] if has_file else arguments, command_lines


def _repeat_own_command(name: str, arguments: Sequence[str]) -> str:
    """Return the line of a command of robotrain with the typed runs: options of another tool may mean another thing."""
    runs = [*takewhile(RUN_WORD.fullmatch, arguments)]
    return repeat_line([name], arguments if runs == [*arguments] else runs)


def _make_foreign_lines(
    command_line: str, arguments: Sequence[str], commands: Sequence[str], is_job: bool
) -> Iterator[Suggestion]:
    """Yield the lines for a word of another tool, with what was typed after the word.

    :param is_job: whether the first of the arguments is a job file, a program or a workload.
    """
    next_word = arguments[0] if arguments else ""
    command, _, options = command_line.partition(" job.yaml --platform PLATFORM")
    if command != command_line and is_job:
        yield Suggestion(repeat_line([command], [next_word, *options.split(), *arguments[1:]]))
    elif command_line == "--help" and next_word in commands:
        yield Suggestion(f"robotrain {next_word} --help")
    elif command_line == REMOVAL_LINE and (removals := [*_list_removals(arguments)]):
        yield from removals
    else:
        filled_line = _fill_in_runs(command_line, arguments)
        yield Suggestion(f"robotrain {filled_line}{_repeat_options(command_line, arguments)}")


def _list_removals(arguments: Sequence[str]) -> Iterator[Suggestion]:
    """Yield a line for each run to remove: for each of a name that several have, with what tells it from the others."""
    for word in arguments:
        if not (RUN_WORD.fullmatch(word) and can_repeat(word)):
            continue
        namesakes = name_index.find_named_runs(word)
        if len(namesakes) < 2:
            yield Suggestion(f"robotrain {REMOVAL_LINE.replace(RUN_ARGUMENT, word)}")
            continue
        for run in namesakes[:MAX_NAMESAKES]:
            yield Suggestion(f"robotrain {REMOVAL_LINE.replace(RUN_ARGUMENT, run)}", describe_namesake(run))


def _make_evaluation_command(arguments: Sequence[str]) -> str:
    """Return the line that evaluates the first run that was typed; empty if there is none."""
    try:
        typed_run = next((word for word in arguments if RUN_WORD.fullmatch(word)), "")
        return make_evaluation_command(records.read_record(name_index.find_run(typed_run))) if typed_run else ""
    except Rejected:
        return ""


def repeat_line(command: Sequence[str], arguments: Sequence[str]) -> str:
    """Return a command with the typed arguments; `…` stands for those that may hold a secret."""
    redacted_words = [*map(redact, hide_secret_arguments(arguments))]
    can_be_shown = redacted_words == [*arguments] and "".join(redacted_words).isprintable()
    return " ".join(["robotrain", *command, shlex.join(arguments) if can_be_shown else "…"]).rstrip()


def _repeat_options(command_line: str, arguments: Sequence[str]) -> str:
    """Return what stands after the run that a line for a foreign word takes; empty if it takes something else."""
    is_run = (
        command_line.count(" ") == 1
        and command_line.endswith(" RUN")
        and RUN_WORD.fullmatch(arguments[0] if arguments else "")
    )
    return repeat_line([], arguments[1:]).removeprefix("robotrain") if is_run else ""


def _fill_in_runs(command_line: str, arguments: Sequence[str]) -> str:
    """Return a command line with the typed runs in place of its RUNs, as far as there are any."""
    typed_runs = [word for word in arguments if RUN_WORD.fullmatch(word) and can_repeat(word)]
    words = command_line.split(" ")
    run_positions = [position for position, word in enumerate(words) if word == "RUN"]
    for position, word in zip(run_positions, typed_runs, strict=False):
        words[position] = word
    return " ".join(words)


def find_translation(typed_words: Sequence[str], plugins: Plugins) -> Suggestion | None:
    """Return the command that translates a pasted line which names the program of a workload; None for any other.

    A line with the name of a workload is one of robotrain's.
    """
    if not {*plugins.list_names("workload")}.isdisjoint(typed_words):
        return None
    for options in (workload.program_options for workload in plugins.workloads().values()):
        if not options or not options.programs:
            continue
        if any(re.fullmatch(options.programs, word) for word in typed_words):
            words = shlex.join(map(redact, hide_secret_arguments(typed_words)))
            return Suggestion(f"robotrain {options.translator} -- {words}", TRANSLATION)
    return None


def _suggest_translations(workloads: Sequence[str], arguments: Sequence[str], plugins: Plugins) -> Iterator[Suggestion]:
    """Yield the commands that translate a pasted line of a workload's own program, whose options are not ours."""
    if not any(word.startswith("-") for word in arguments):
        return
    for workload in filter(None, (load_or_none(plugins.workload, name) for name in workloads)):
        options = workload.program_options
        if options and options.translator and re.fullmatch(options.programs or ".*", workload.name):
            words = shlex.join(map(redact, hide_secret_arguments(arguments)))
            translator_line = f"robotrain {options.translator} -- {workload.name} {words}"
            yield Suggestion(translator_line, TRANSLATION)
