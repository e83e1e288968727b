"""Problems for what the parser of the command line rejects: what was given, what is wrong, what to type."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from robotrain.errors import Problem, Suggestion, suggest_name, usage_problem
from robotrain.redaction import redact

EXTRA_WORDS = re.compile(r"Got unexpected extra arguments?(?:\(s\))? \((.*)\)", re.DOTALL)
VALUE = re.compile(r"'(.*?)' is not|(-?[\d.]+) is not", re.DOTALL)
UNKNOWN_COMMAND = re.compile(r"No such command ['\"](.*?)['\"]", re.DOTALL)


def explain_parse_error(error: Any) -> Problem:
    """Return the problem of a usage error that the parser raised."""
    title, where, given, why, ways = "", "", "", "", list[Suggestion]()
    context, parameter = getattr(error, "ctx", None), getattr(error, "param", None)
    command = f"`{_get_path(context)}`" if context else "robotrain"
    flag = redact(str(getattr(error, "option_name", None) or ""))
    match type(error).__name__:
        case "MissingParameter" if context and parameter:
            kind = "the option " if parameter.param_type_name == "option" else "an argument: "
            title, why = f"{command} needs {kind}{_name_parameter(parameter, context)}", _get_help(parameter)
            ways = [_suggest_usage(context)]
        case "NoSuchOption" if context:
            title, where = f"{command} has no option {flag}", flag
            ways = [*_suggest_options(flag, context)]
        case "BadOptionUsage" if flag:
            option = _find_option(context, flag) if context else None
            metavar = _get_metavar(option, context) if option else "VALUE"
            needs_value = "requires" in error.message
            title = f"{flag} needs a value" if needs_value else f"{flag} takes no value"
            where, ways = flag, [Suggestion(f"{flag} {metavar}" if needs_value else flag)]
            why = _get_help(option) if option and needs_value else ""
        case "BadParameter" if context and parameter:
            where, given = _name_parameter(parameter, context), redact(_read_value(error.message))
            wanted = _describe_type(parameter.type)
            title = f"{where} takes {wanted}" if wanted else f"{where}: {redact(error.message.rstrip('.'))}"
            ways = [*suggest_name(given, _list_choices(parameter.type), _get_prefix(parameter))]
        case "UsageError" if context and (found := EXTRA_WORDS.match(error.message)):
            title = f"unexpected argument {redact(found[1])!r}"
            ways = [_suggest_usage(context)]
        case "UsageError" if context and (found := UNKNOWN_COMMAND.match(error.message)):
            names = _list_commands(context)
            title, why = f"{command} has no command {redact(found[1])!r}", f"Commands: {', '.join(names)}."
            ways = [*suggest_name(found[1], names, prefix=f"{_get_path(context)} ")]
        case "UsageError" if context and error.message.startswith("Missing command"):
            title, why = f"{command} needs a command", f"Commands: {', '.join(_list_commands(context))}."
            ways = [Suggestion(f"{_get_path(context)} --help", "says what each does")]
    title = title or redact(error.format_message().rstrip("."))
    return usage_problem("usage", title, where, why, given=given, suggestions=ways)


def _get_path(context: Any) -> str:
    """Return the words of a command, whatever the program was started as."""
    return " ".join(["robotrain", *context.command_path.split()[len((context.find_root().info_name or "").split()) :]])


def _read_value(message: str) -> str:
    """Return the value that a message of the parser begins with."""
    found = VALUE.match(message)
    return found[1] or found[2] if found else ""


def _get_prefix(parameter: Any) -> str:
    return f"{max(parameter.opts, key=len)} " if parameter.param_type_name == "option" else ""


def _name_parameter(parameter: Any, context: Any) -> str:
    """Return the longest spelling of an option, or the word that stands for an argument."""
    if parameter.param_type_name == "option":
        return str(max(parameter.opts, key=len))
    return _get_metavar(parameter, context).strip("[].")


def _get_metavar(parameter: Any, context: Any) -> str:
    return str(parameter.metavar or parameter.make_metavar(context))


def _get_help(parameter: Any) -> str:
    text = (getattr(parameter, "help", None) or "").partition("  [")[0].strip().rstrip(".")
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _describe_type(kind: Any) -> str:
    """Return what values of a type are; empty for one whose own message is good."""
    if choices := _list_choices(kind):
        return " or ".join([", ".join(choices[:-1]), choices[-1]]) if len(choices) > 1 else choices[0]
    if "int" in str(getattr(kind, "name", "")):
        least = getattr(kind, "min", None)
        return "a whole number" + (f" of at least {least}" if least is not None else "")
    return "a number" if "float" in str(getattr(kind, "name", "")) else ""


def _list_choices(kind: Any) -> list[str]:
    return [str(choice) for choice in getattr(kind, "choices", ())]


def _find_option(context: Any, flag: str) -> Any:
    parameters = context.command.get_params(context)
    return next((one for one in parameters if flag in (*one.opts, *one.secondary_opts)), None)


def _list_flags(context: Any) -> Iterator[str]:
    for parameter in context.command.get_params(context):
        if parameter.param_type_name == "option":
            yield from (*parameter.opts, *parameter.secondary_opts)


def _list_commands(context: Any) -> list[str]:
    return list(context.command.list_commands(context))


def _suggest_usage(context: Any) -> Suggestion:
    """Return the command line with its arguments."""
    pieces = (piece for piece in context.command.collect_usage_pieces(context) if piece != "[OPTIONS]")
    return Suggestion(" ".join([_get_path(context), *(piece.strip("{}") for piece in pieces)]))


def _suggest_options(flag: str, context: Any) -> tuple[Suggestion, ...]:
    """Return what to type instead of an option that the command does not have."""
    from robotrain.cli.app import OwnCommand

    near = suggest_name(flag, _list_flags(context))
    if isinstance(context.command, OwnCommand) and re.fullmatch(r"--?[A-Za-z][\w.-]*", flag):
        near = context.command.suggest_changes(flag, near, context)
    return near or (_suggest_help(context),)


def _suggest_help(context: Any) -> Suggestion:
    return Suggestion(f"{_get_path(context)} --help", "lists its options")
