"""Problems of command lines that the parser rejects, and of unknown commands, with suggestions."""

import re
import shlex
from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import Any

from robotrain_runtime.contract.secret_rules import find_secret_arguments

from robotrain.cli.command_factory import (
    ARGUMENTS_KEY,
    OwnCommand,
    format_sentence,
    get_plugins,
    load_command,
    read_typed_line,
)
from robotrain.cli.foreign_options import find_way_of_command, find_way_of_every_command
from robotrain.cli.foreign_words import (
    drop_noun,
    find_foreign_option,
    has_option,
    list_commands_with,
    list_foreign_command,
    strip_foreign_words,
)
from robotrain.cli.misspelt_option import find_misspelt_option
from robotrain.cli.next_commands import make_evaluation_command
from robotrain.cli.run_words import (
    MAX_NAMESAKES,
    RUN_ARGUMENT,
    RUN_WORD,
    describe_namesake,
    suggest_newest_runs,
    suggest_run_word,
    suggest_watching,
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

EXTRA_WORDS = re.compile(r"Got unexpected extra arguments?(?:\(s\))? \((.*)\)", re.DOTALL)
VALUE = re.compile(r"'(.*?)' is not|(-?[\d.]+) is not", re.DOTALL)
UNKNOWN_COMMAND = re.compile(r"No such command ['\"](.*?)['\"]", re.DOTALL)
FILE_OPTIONS = ("-f", "--file", "--filename")
EVALUATION_WORDS = ("eval", "evaluate", "validate")
"""Words that are answered with the line that evaluates the run after them."""
TRANSLATION = "prints robotrain's line for it"
FOREIGN_OPTION = re.compile(r"--?[\w-]*[._]")
"""Options of robotrain have neither dots nor underscores."""

REMOVAL_LINE = "runs --prune RUN"
MAX_LISTED_OPTIONS = 12
"""A command with more options is explained by its help alone."""

TO_FLAG, OUTPUT_WORDS = "--to", ("--output", "--out", "--outfile", "--output-file", "--output-dir", "--file", "--dest")
"""The option for a place, and what other programs call it."""


def explain_parse_error(error: Any) -> Problem:
    """Return the problem of a usage error that the parser raised."""
    title = ""
    parameter_name = ""
    typed_text = ""
    reason = ""
    ways = list[Suggestion]()
    context = getattr(error, "ctx", None)
    if context and (typography_problem := make_typography_problem(read_typed_line(context))):
        return typography_problem
    parameter = getattr(error, "param", None)
    command = f"`{_get_path(context)}`" if context else "robotrain"
    flag = redact(str(getattr(error, "option_name", None) or ""))
    match type(error).__name__:
        case "MissingParameter" if context and parameter:
            kind = "the option " if parameter.param_type_name == "option" else "an argument: "
            title = f"{command} needs {kind}{_name_parameter(parameter, context)}"
            reason = _get_help(parameter)
            ways = [
                *suggest_newest_runs(_suggest_usage(context).text, context),
                _suggest_usage(context),
            ]
        case "NoSuchOption" if context:
            return _explain_unknown_option(flag, command, context)
        case "BadOptionUsage" if flag:
            option = _find_option(context, flag) if context else None
            metavar = _get_metavar(option, context) if option else "VALUE"
            needs_value = "requires" in error.message
            title = f"{flag} needs a value" if needs_value else f"{flag} takes no value"
            parameter_name = flag
            ways = [Suggestion(f"{flag} {metavar}" if needs_value else flag)]
            reason = _get_help(option) if option and needs_value else ""
        case "BadParameter" if context and parameter:
            value_match = VALUE.match(error.message)  # a message of the parser begins with the value
            parameter_name = _name_parameter(parameter, context)
            typed_text = redact(value_match[1] or value_match[2] if value_match else "")
            type_text = _describe_type(parameter.type)
            title = (
                f"{parameter_name} takes {type_text}"
                if type_text
                else f"{parameter_name}: {redact(error.message.rstrip('.'))}"
            )
            prefix = f"{max(parameter.opts, key=len)} " if parameter.param_type_name == "option" else ""
            ways = [*suggest_name(typed_text, _list_choices(parameter.type), prefix)]
        case "UsageError" if context and (extra := EXTRA_WORDS.match(error.message)):
            title = f"unexpected argument {redact(extra[1])!r}"
            _, *words = read_typed_line(context)
            is_pasted = context.command.name == "runs" and bool(words and list_foreign_command(words[0]))
            pasted_problem = explain_unknown_command(words[0], words[1:], get_plugins(context)) if is_pasted else None
            ways = (
                [*pasted_problem.suggestions]
                if pasted_problem
                else [_suggest_platform(extra[1], context) or _suggest_usage(context)]
            )
        case "UsageError" if context and (unknown_command := UNKNOWN_COMMAND.match(error.message)):
            command_names = _list_commands(context)
            title = f"{command} has no command {redact(unknown_command[1])!r}"
            reason = "" if suggest_name(unknown_command[1], command_names) else f"Commands: {', '.join(command_names)}."
            path = _get_path(context).split()[1:]
            word = unknown_command[1]
            remaining_words = list(context.find_root().meta.get(ARGUMENTS_KEY, ()))[len(path) :]
            if is_job_file(word) and "submit" in command_names:
                path, remaining_words = [*path, "submit"], [word, *remaining_words]
                ways = [Suggestion(_repeat_line(path, remaining_words))]
            else:
                ways = [
                    Suggestion(_repeat_line([*path, suggestion.text], remaining_words))
                    for suggestion in suggest_name(word, command_names)
                ]
        case "UsageError" if context and error.message.startswith("Missing command"):
            title = f"{command} needs a command"
            reason = f"Commands: {', '.join(_list_commands(context))}."
            ways = [Suggestion(f"{_get_path(context)} --help", "says what each does")]
    title = title or redact(error.format_message().rstrip("."))
    return make_problem("usage.other", *ways, where=parameter_name, given=typed_text, title=title, why=reason)


def _get_path(context: Any) -> str:
    """Return the words of a command, whatever the program was started as."""
    return " ".join(["robotrain", *context.command_path.split()[len((context.find_root().info_name or "").split()) :]])


def _name_parameter(parameter: Any, context: Any) -> str:
    """Return the longest spelling of an option, or the word that stands for an argument."""
    if parameter.param_type_name == "option":
        return str(max(parameter.opts, key=len))
    return _get_metavar(parameter, context).strip("[].")


def _get_metavar(parameter: Any, context: Any) -> str:
    return str(parameter.metavar or parameter.make_metavar(context))


def _get_help(parameter: Any) -> str:
    return format_sentence((getattr(parameter, "help", None) or "").partition("  [")[0].strip())


def _describe_type(kind: Any) -> str:
    """Return what values of a type are; empty for one whose own message is good."""
    if choices := _list_choices(kind):
        return " or ".join([", ".join(choices[:-1]), choices[-1]]) if len(choices) > 1 else choices[0]
    if "int" in str(getattr(kind, "name", "")):
        least = getattr(kind, "min", None)
        return "a whole number" + (f" of at least {least}" if least is not None else "")
    if "float" not in str(getattr(kind, "name", "")):
        return ""
    least, most = getattr(kind, "min", None), getattr(kind, "max", None)
    return f"a number from {least} to {most}" if least is not None and most is not None else "a number"


def _list_choices(kind: Any) -> list[str]:
    return [str(choice) for choice in getattr(kind, "choices", ())]


def _find_option(context: Any, flag: str) -> Any:
    parameters = context.command.get_params(context)
    return next((parameter for parameter in parameters if flag in (*parameter.opts, *parameter.secondary_opts)), None)


def _list_commands(context: Any) -> list[str]:
    return list(context.command.list_commands(context))


def _suggest_usage(context: Any) -> Suggestion:
    """Return the command line with its arguments."""
    pieces = (piece for piece in context.command.collect_usage_pieces(context) if piece != "[OPTIONS]")
    return Suggestion(" ".join([_get_path(context), *(piece.strip("{}[]") for piece in pieces)]))


def _suggest_platform(word: str, context: Any) -> Suggestion | None:
    """Return the line with the name of a platform as an option; None for another word, or command."""
    if word not in get_plugins(context).list_names("platform") or not has_option(context.command, "--platform"):
        return None
    words = [*read_typed_line(context)]
    words[words.index(word) :] = ["--platform", *words[words.index(word) :]]
    return Suggestion(shlex.join(["robotrain", *words]))


def _explain_unknown_option(flag: str, command: str, context: Any) -> Problem:
    """Return the problem of an option that the command does not have: what to type instead, or who has it."""
    options = (param for param in context.command.get_params(context) if param.param_type_name == "option")
    flags = [spelling for option in options for spelling in (*option.opts, *option.secondary_opts)]
    option_suggestions: tuple[Suggestion, ...] = ()
    misspelt = find_misspelt_option(flag, flags)
    if not misspelt and TO_FLAG in flags and find_misspelt_option(flag, OUTPUT_WORDS):
        misspelt = TO_FLAG
    if misspelt:
        option_suggestions = (Suggestion(misspelt),)
    if isinstance(context.command, OwnCommand) and re.fullmatch(r"--?[A-Za-z][\w.-]*", flag):
        if way := suggest_run_word(flag, context):
            return make_problem(
                "usage.no-such-option",
                way,
                where=flag,
                command=command,
                known="The name of a run stands without an option.",
            )
        if not option_suggestions and (way := suggest_watching(flag, flags, context)):
            return make_problem("usage.no-such-option", way, where=flag, command=command, known="")
        typed_value = read_typed_value(flag, context)
        if foreign := find_way_of_command(flag, typed_value, context):
            return _make_foreign_problem(flag, command, *foreign, context)
        option_suggestions = context.command.suggest_changes(flag, option_suggestions, context)
        foreign = find_way_of_every_command(flag, typed_value, context) or find_foreign_option(flag, "", None, flags)
        if not option_suggestions and foreign:
            return _make_foreign_problem(flag, command, *foreign, context)
        if not option_suggestions and (commands := list_commands_with(flag, get_plugins(context))):
            return make_problem("usage.moved-option", where=flag, command=command, commands=", ".join(commands))
    option_suggestions = tuple(_complete_option(way, flag, context) for way in option_suggestions)
    flag_list = ""
    if not option_suggestions:
        option_suggestions = (Suggestion(f"{_get_path(context)} --help", "explains its options"),)
        listed_flags = [spelling for spelling in flags if spelling.startswith("--") and spelling != "--help"]
        flag_list = f"It has {', '.join(listed_flags)}." if 0 < len(listed_flags) <= MAX_LISTED_OPTIONS else ""
        if isinstance(context.command, OwnCommand):
            flag_list = context.command.describe_other_options(flag, context) or flag_list
    return make_problem("usage.no-such-option", *option_suggestions, where=flag, command=command, known=flag_list)


def _make_foreign_problem(flag: str, command: str, reason: str, ways: Sequence[Suggestion], context: Any) -> Problem:
    completed_ways = (_complete_option(way, flag, context) for way in ways)
    return make_problem("usage.no-option", *completed_ways, where=flag, command=command, why=reason)


def _complete_option(way: Suggestion, flag: str, context: Any) -> Suggestion:
    """Return the suggestion of an option in the place of `flag`, with the typed value, or what stands for one."""
    option = None if " " in way.text else _find_option(context, way.text)
    option_value = (
        "" if not option or option.is_flag else read_typed_value(flag, context) or _get_metavar(option, context)
    )
    replaces = way.replaces or (flag if way.text.startswith("-") else "")
    return way._replace(text=f"{way.text} {option_value}".rstrip(), replaces=replaces)


def read_typed_value(flag: str, context: Any) -> str:
    """Return the value that was typed for an unknown option; empty if there is none, or if it may be a secret."""
    typed_words = list(context.find_root().meta.get(ARGUMENTS_KEY, ()))
    for word, following in zip(typed_words, [*typed_words[1:], ""], strict=True):
        name, equals, value = word.partition("=")
        if name == flag:
            value = value if equals else "" if following.startswith("-") else following
            is_shown = can_repeat(value) and value.isprintable() and not find_secret_arguments([flag, value])
            return shlex.quote(value) if value and is_shown else ""
    return ""


def explain_early_option(args: list[str], error: Any) -> Problem | None:
    """Return the problem of an option before the command that is not a global option."""
    flag = str(getattr(error, "option_name", ""))
    command = next((word for word in args if word in COMMANDS), "")
    if not flag or not command:
        return None
    flag, position = redact(flag), args.index(flag) if flag in args else 0
    switches = [switch for param in error.ctx.command.params for switch in param.opts] if error.ctx else []
    if near_option := find_misspelt_option(flag, switches):
        return make_problem("option-unknown.global", Suggestion(near_option, replaces=flag), where=flag)
    if not _may_have_option(load_command(command), flag):
        return None
    following_words = args[position + 1 :]
    value_words = [*takewhile(lambda word: not word.startswith("-") and word != command, following_words)]
    moved_line = _repeat_line([], [*args[:position], *following_words[len(value_words) :], flag, *value_words])
    return make_problem("option-elsewhere.not-global", Suggestion(moved_line), where=flag)


def _may_have_option(command: Any, flag: str) -> bool:
    """Return whether a command or one of its own has an option; those of a job depend on what follows."""
    if hasattr(command, "compose_own") or has_option(command, flag):
        return True
    return any(_may_have_option(subcommand, flag) for subcommand in getattr(command, "commands", {}).values())


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
    name_ways = [Suggestion(_repeat_line([suggestion.text], arguments)) for suggestion in name_suggestions]
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
        ways = [Suggestion(_repeat_line(["submit"], arguments))]
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
    return _repeat_line([name], arguments if runs == [*arguments] else runs)


def _make_foreign_lines(
    command_line: str, arguments: Sequence[str], commands: Sequence[str], is_job: bool
) -> Iterator[Suggestion]:
    """Yield the lines for a word of another tool, with what was typed after the word.

    :param is_job: whether the first of the arguments is a job file, a program or a workload.
    """
    next_word = arguments[0] if arguments else ""
    command, _, options = command_line.partition(" job.yaml --platform PLATFORM")
    if command != command_line and is_job:
        yield Suggestion(_repeat_line([command], [next_word, *options.split(), *arguments[1:]]))
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


def _repeat_line(command: Sequence[str], arguments: Sequence[str]) -> str:
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
    return _repeat_line([], arguments[1:]).removeprefix("robotrain") if is_run else ""


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
