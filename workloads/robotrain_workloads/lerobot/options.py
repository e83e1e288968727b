"""Options for LeRobot after `--`: reading their values, and explaining why LeRobot rejects them."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Iterator, Sequence

from robotrain_workloads.lerobot.parameters import LEROBOT_VERSION

UNKNOWN_PREFIX = "unrecognized arguments: "
PARSER_PREFIX = ": error: "
WRAPPED_ERRORS = ("DecodingError", "ParsingError")


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
        raise ValueError(_explain_refusal(options, subject, _get_parser_error(printed.getvalue()))) from end
    except Exception as error:
        sys.stderr.write(printed.getvalue())
        if type(error).__name__ not in WRAPPED_ERRORS:
            raise
        raise ValueError(_explain_refusal(options, subject, _get_error_reason(error))) from error
    else:
        sys.stderr.write(printed.getvalue())


def _explain_refusal(given_options: Sequence[str], subject: str, why: str) -> str:
    if why.startswith(UNKNOWN_PREFIX):
        words = why.removeprefix(UNKNOWN_PREFIX).split()
        unknown = [
            _get_flag(option)
            for option in given_options
            if f"--{_get_option_name(option)}" in [word.partition("=")[0] for word in words]
        ]
        return f"LeRobot {LEROBOT_VERSION} has no option {', '.join(unknown) or why.removeprefix(UNKNOWN_PREFIX)}"
    if rejected := [option for option in given_options if _get_option_name(option) in why]:
        return f"LeRobot {LEROBOT_VERSION} rejects {' '.join(rejected)}: {why}"
    options = f" with {' '.join(given_options)}" if given_options else ""
    return f"LeRobot {LEROBOT_VERSION} cannot read {subject}{options}: {why}"


def _get_parser_error(printed: str) -> str:
    """Return what the parser printed after its usage."""
    lines = [line for line in printed.splitlines() if PARSER_PREFIX in line]
    return lines[-1].split(PARSER_PREFIX, 1)[1] if lines else "it ended without an error message"


def _get_error_reason(error: BaseException) -> str:
    """Return the message of the innermost error: the parser wraps errors of classes that reject their values."""
    while type(error).__name__ == "ParsingError" and error.__cause__:
        error = error.__cause__
    return " ".join(str(error).split()) or type(error).__name__


def _get_flag(option: str) -> str:
    return option.partition("=")[0]


def _get_option_name(option: str) -> str:
    """Return the name without its prefix, as LeRobot prints it."""
    return _get_flag(option).split(".", 1)[-1]


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
