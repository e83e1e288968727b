"""Options for LeRobot after `--`: reading their values, and explaining why LeRobot rejects them."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import sys
from collections.abc import Iterator, Sequence

from robotrain_workloads.lerobot import versions

UNKNOWN_PREFIX = "unrecognized arguments: "
PARSER_PREFIX = ": error: "
WRAPPED_ERRORS = ("DecodingError", "ParsingError")
YAML_MODULE = "yaml."
MOST_LISTED = 9
"""Options that are listed when a reason names none of them."""


_SECRET_OPTION = r"(--[\w.-]*(?:api[_-]?key|token|secret|password))(=.*)?"


def format_options(options: Sequence[str]) -> str:
    """Return options as they are tracked: in one line, without values of options that are named like secrets."""
    words, hides_next = [], False
    for option in options:
        match = re.fullmatch(_SECRET_OPTION, option, re.DOTALL | re.IGNORECASE)
        words.append("<redacted>" if hides_next else f"{match[1]}=<redacted>" if match and match[2] else option)
        hides_next = bool(match and not match[2])
    return shlex.join(words)


class ConfigurationRefused(ValueError):
    """LeRobot refuses its options; the message is a sentence with them, `reason` is LeRobot's own."""

    def __init__(self, options: Sequence[str], subject: str, reason: str) -> None:
        super().__init__(explain_refusal(options, subject, reason))
        self.reason = reason


@contextlib.contextmanager
def explain_parser_errors(options: Sequence[str], subject: str) -> Iterator[None]:
    """Turn errors of LeRobot's parser into ConfigurationRefused.

    The parser exits with a page of usage, or hides the reason behind errors of its own. `options` are
    `--policy.NAME=VALUE`; `subject` names what is parsed.
    """
    error_output = io.StringIO()
    try:
        with contextlib.redirect_stderr(error_output):
            yield
    except (Exception, SystemExit) as error:
        has_exited = isinstance(error, SystemExit)
        cause = error.__context__ if has_exited and _is_wrapped(error.__context__) else error
        if has_exited and cause is error:
            error_lines = [line for line in error_output.getvalue().splitlines() if PARSER_PREFIX in line]
            reason = error_lines[-1].split(PARSER_PREFIX, 1)[1] if error_lines else "it ended without an error message"
        elif _is_wrapped(cause) or type(error).__module__.startswith(YAML_MODULE):
            reason = _find_root_cause(cause)
        else:
            sys.stderr.write(error_output.getvalue())
            raise
        raise ConfigurationRefused(options, subject, reason) from error
    else:
        sys.stderr.write(error_output.getvalue())


def _is_wrapped(error: BaseException | None) -> bool:
    return type(error).__name__ in WRAPPED_ERRORS


def _find_root_cause(error: BaseException | None) -> str:
    """Return the reason behind errors of the parser, on one line."""
    while _is_wrapped(error) and error and (inner_error := error.__cause__ or error.__context__):
        if (
            not _is_wrapped(inner_error) and type(error).__name__ != "ParsingError"
        ):  # of classes that reject their values
            break
        error = inner_error
    return " ".join(str(error).split()) or type(error).__name__


def explain_refusal(given_options: Sequence[str], subject: str, message: str) -> str:
    """Return a sentence that names the options which a reason is about."""
    lerobot = f"LeRobot {versions.get_installed_name()}"
    if message.startswith(UNKNOWN_PREFIX):
        unknown_names = [word.partition("=")[0] for word in message.removeprefix(UNKNOWN_PREFIX).split()]
        unknown_options = [
            option.partition("=")[0] for option in given_options if f"--{_get_option_name(option)}" in unknown_names
        ]
        return f"{lerobot} has no option {', '.join(unknown_options) or message.removeprefix(UNKNOWN_PREFIX)}"
    rejected_options = find_rejected_options(given_options, message)
    if rejected_options:
        return f"{lerobot} rejects {format_options(rejected_options)}: {message}"
    options = f" with {format_options(given_options)}" if 0 < len(given_options) <= MOST_LISTED else ""
    return f"{lerobot} cannot read {subject}{options}: {message}"


def find_rejected_options(given_options: Sequence[str], message: str) -> list[str]:
    """Return the options that a reason of LeRobot names."""
    match = re.match(r"`([\w.]+)`: ", message)
    rejected_options = [option for option in given_options if match and option.startswith(f"--{match[1]}=")]
    for option in () if rejected_options else given_options:
        if re.search(rf"(?<!\w){re.escape(_get_option_name(option))}(?!\w)", message):
            rejected_options.append(option)
    return rejected_options


def _get_option_name(option: str) -> str:
    """Return the name without its prefix, as LeRobot prints it."""
    return option.partition("=")[0].split(".", 1)[-1]


def split_options(arguments: Sequence[str]) -> list[tuple[str, str | None]]:
    """Return each option's name without `--`, and its value; a word that is neither has an empty name."""
    pairs: list[tuple[str, str | None]] = []
    remaining = list(arguments)
    while remaining:
        word = remaining.pop(0)
        name, equals, value = word.partition("=")
        if not word.startswith("--"):
            pairs.append(("", word))
        elif equals:
            pairs.append((name[2:], value))
        else:
            has_value = bool(remaining) and not remaining[0].startswith("--")
            pairs.append((name[2:], remaining.pop(0) if has_value else None))
    return pairs


def get_option_value(arguments: Sequence[str], name: str) -> str | None:
    """Return the last value of an option, in either form."""
    return dict(split_options(arguments)).get(name.removeprefix("--"))
