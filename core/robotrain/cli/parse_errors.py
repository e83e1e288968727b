"""Problems of command lines that the parser rejects, with suggestions."""

import re
import shlex
from collections.abc import Sequence
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
    find_foreign_option,
    has_option,
    list_commands_with,
    list_foreign_command,
)
from robotrain.cli.misspelt_option import find_misspelt_option
from robotrain.cli.run_words import (
    suggest_newest_runs,
    suggest_run_word,
    suggest_watching,
)
from robotrain.cli.typographic_words import make_typography_problem
from robotrain.cli.unknown_command import explain_unknown_command, repeat_line
from robotrain.command_table import COMMANDS
from robotrain.config.selection import is_job_file
from robotrain.errors import Problem, Suggestion
from robotrain.messages import Messages
from robotrain.nearest_name import suggest_name
from robotrain.redaction import can_repeat, redact

make_problem = Messages(__file__)

EXTRA_WORDS = re.compile(r"Got unexpected extra arguments?(?:\(s\))? \((.*)\)", re.DOTALL)
VALUE = re.compile(r"'(.*?)' is not|(-?[\d.]+) is not", re.DOTALL)
UNKNOWN_COMMAND = re.compile(r"No such command ['\"](.*?)['\"]", re.DOTALL)
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
                ways = [Suggestion(repeat_line(path, remaining_words))]
            else:
                ways = [
                    Suggestion(repeat_line([*path, suggestion.text], remaining_words))
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
    moved_line = repeat_line([], [*args[:position], *following_words[len(value_words) :], flag, *value_words])
    return make_problem("option-elsewhere.not-global", Suggestion(moved_line), where=flag)


def _may_have_option(command: Any, flag: str) -> bool:
    """Return whether a command or one of its own has an option; those of a job depend on what follows."""
    if hasattr(command, "compose_own") or has_option(command, flag):
        return True
    return any(_may_have_option(subcommand, flag) for subcommand in getattr(command, "commands", {}).values())
