"""Options of LeRobot given after `--`: reading their values, and explaining why LeRobot refuses them.

Its parser ends the process with a page of usage, or hides the reason behind an error of its own.
"""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Iterator, Sequence

from robotrain_workloads.lerobot.versions import LEROBOT_VERSION

UNKNOWN_PREFIX = "unrecognized arguments: "
PARSER_PREFIX = ": error: "
WRAPPED_ERRORS = ("DecodingError", "ParsingError")


@contextlib.contextmanager
def explain_parser_errors(options: Sequence[str], subject: str) -> Iterator[None]:
    """Around its parser. given: `--policy.NAME=VALUE`. what: is read, in words. Raises ValueError with the sentence."""
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
            _get_flag(one)
            for one in given_options
            if f"--{_get_option_name(one)}" in [word.partition("=")[0] for word in words]
        ]
        return f"LeRobot {LEROBOT_VERSION} has no option {', '.join(unknown) or why.removeprefix(UNKNOWN_PREFIX)}"
    if meant := [one for one in given_options if _get_option_name(one) in why]:
        return f"LeRobot {LEROBOT_VERSION} does not take {' '.join(meant)}: {why}"
    options = f" with {' '.join(given_options)}" if given_options else ""
    return f"LeRobot {LEROBOT_VERSION} cannot read {subject}{options}: {why}"


def _get_parser_error(printed: str) -> str:
    """What the parser said behind its usage."""
    lines = [line for line in printed.splitlines() if PARSER_PREFIX in line]
    return lines[-1].split(PARSER_PREFIX, 1)[1] if lines else "it ended without a word"


def _get_error_reason(error: BaseException) -> str:
    """That of a class which refuses its values is behind the error; a value that is none is named by the error."""
    while type(error).__name__ == "ParsingError" and error.__cause__:
        error = error.__cause__
    return " ".join(str(error).split()) or type(error).__name__


def _get_flag(option: str) -> str:
    return option.partition("=")[0]


def _get_option_name(option: str) -> str:
    """As LeRobot has it: without the part that says whose it is."""
    return _get_flag(option).split(".", 1)[-1]


def list_option_names(arguments: Sequence[str]) -> set[str]:
    """The option names among `arguments`, written as `--name value` or `--name=value`."""
    return {argument.partition("=")[0] for argument in arguments if argument.startswith("--")}


def get_option_value(arguments: Sequence[str], name: str) -> str | None:
    """The last value given for an option, in either way of writing it."""
    found = None
    for at, argument in enumerate(arguments):
        if argument.startswith(f"{name}="):
            found = argument.partition("=")[2]
        elif argument == name and at + 1 < len(arguments):
            found = arguments[at + 1]
    return found
