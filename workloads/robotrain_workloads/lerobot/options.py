"""Options for LeRobot after `--`: reading their values, and explaining why LeRobot rejects them."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import sys
from collections.abc import Iterator, Sequence

from robotrain_workloads.lerobot.parameters import LEROBOT_VERSION

UNKNOWN_PREFIX = "unrecognized arguments: "
PARSER_PREFIX = ": error: "
WRAPPED_ERRORS = ("DecodingError", "ParsingError")


_SECRET_OPTION = r"(--[\w.-]*(?:api[_-]?key|token|secret|password))(=.*)?"


def format_options(options: Sequence[str]) -> str:
    """Return options as they are tracked: in one line, without values of options that are named like secrets."""
    words, hides_next = [], False
    for option in options:
        match = re.fullmatch(_SECRET_OPTION, option, re.DOTALL | re.IGNORECASE)
        words.append("<redacted>" if hides_next else f"{match[1]}=<redacted>" if match and match[2] else option)
        hides_next = bool(match and not match[2])
    return shlex.join(words)


@contextlib.contextmanager
def explain_parser_errors(options: Sequence[str], subject: str) -> Iterator[None]:
    """Turn errors of LeRobot's parser into a ValueError with a sentence.

    The parser exits with a page of usage, or hides the reason behind an error of its own. `options` are
    `--policy.NAME=VALUE`; `subject` names what is parsed.
    """
    printed = io.StringIO()
    try:
        with contextlib.redirect_stderr(printed):
            yield
    except SystemExit as end:
        errors = [line.split(PARSER_PREFIX, 1)[1] for line in printed.getvalue().splitlines() if PARSER_PREFIX in line]
        reason = errors[-1] if errors else "it ended without an error message"
        raise ValueError(_explain_refusal(options, subject, reason)) from end
    except Exception as error:
        sys.stderr.write(printed.getvalue())
        if type(error).__name__ not in WRAPPED_ERRORS:
            raise
        cause: BaseException = error
        while type(cause).__name__ == "ParsingError" and cause.__cause__:  # of classes that reject their values
            cause = cause.__cause__
        reason = " ".join(str(cause).split()) or type(cause).__name__
        raise ValueError(_explain_refusal(options, subject, reason)) from error
    else:
        sys.stderr.write(printed.getvalue())


def _explain_refusal(given_options: Sequence[str], subject: str, why: str) -> str:
    if why.startswith(UNKNOWN_PREFIX):
        names = [word.partition("=")[0] for word in why.removeprefix(UNKNOWN_PREFIX).split()]
        unknown = [option.partition("=")[0] for option in given_options if f"--{_get_option_name(option)}" in names]
        return f"LeRobot {LEROBOT_VERSION} has no option {', '.join(unknown) or why.removeprefix(UNKNOWN_PREFIX)}"
    if rejected := [option for option in given_options if _get_option_name(option) in why]:
        return f"LeRobot {LEROBOT_VERSION} rejects {' '.join(rejected)}: {why}"
    options = f" with {' '.join(given_options)}" if given_options else ""
    return f"LeRobot {LEROBOT_VERSION} cannot read {subject}{options}: {why}"


def _get_option_name(option: str) -> str:
    """Return the name without its prefix, as LeRobot prints it."""
    return option.partition("=")[0].split(".", 1)[-1]


def split_options(arguments: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """Yield each option's name without `--`, and its value; a word that is neither has an empty name."""
    remaining = list(arguments)
    while remaining:
        word = remaining.pop(0)
        name, equals, value = word.partition("=")
        if not word.startswith("--"):
            yield "", word
        elif equals:
            yield name[2:], value
        else:
            follows = bool(remaining) and not remaining[0].startswith("--")
            yield name[2:], remaining.pop(0) if follows else None


def list_option_names(arguments: Sequence[str]) -> set[str]:
    """Return the option names among `arguments`, written as `--name value` or `--name=value`."""
    return {argument.partition("=")[0] for argument in arguments if argument.startswith("--")}


def get_option_value(arguments: Sequence[str], name: str) -> str | None:
    """Return the last value of an option, in either form."""
    value = None
    for index, argument in enumerate(arguments):
        if argument.startswith(f"{name}="):
            value = argument.partition("=")[2]
        elif argument == name and index + 1 < len(arguments):
            value = arguments[index + 1]
    return value
