"""Why LeRobot does not take what was given after the `--`, in a sentence that names it.

Its parser ends the process with a page of usage, or hides the reason behind an error of its own.
"""

import contextlib
import io
import sys
from collections.abc import Iterator, Sequence

from robotrain_workloads.lerobot_train.versions import LEROBOT

UNKNOWN = "unrecognized arguments: "
PARSER = ": error: "
WRAPPED = ("DecodingError", "ParsingError")


@contextlib.contextmanager
def told(given: Sequence[str], what: str) -> Iterator[None]:
    """Around its parser. given: `--policy.NAME=VALUE`. what: is read, in words. Raises ValueError with the sentence."""
    printed = io.StringIO()
    try:
        with contextlib.redirect_stderr(printed):
            yield
    except SystemExit as end:
        raise ValueError(_sentence(given, what, _last(printed.getvalue()))) from end
    except Exception as error:
        sys.stderr.write(printed.getvalue())
        if type(error).__name__ not in WRAPPED:
            raise
        raise ValueError(_sentence(given, what, _reason(error))) from error
    else:
        sys.stderr.write(printed.getvalue())


def _sentence(given: Sequence[str], what: str, why: str) -> str:
    if why.startswith(UNKNOWN):
        words = why.removeprefix(UNKNOWN).split()
        unknown = [_flag(one) for one in given if f"--{_name(one)}" in [word.partition("=")[0] for word in words]]
        return f"LeRobot {LEROBOT} has no option {', '.join(unknown) or why.removeprefix(UNKNOWN)}"
    if meant := [one for one in given if _name(one) in why]:
        return f"LeRobot {LEROBOT} does not take {' '.join(meant)}: {why}"
    options = f" with {' '.join(given)}" if given else ""
    return f"LeRobot {LEROBOT} cannot read {what}{options}: {why}"


def _last(printed: str) -> str:
    """What the parser said behind its usage."""
    lines = [line for line in printed.splitlines() if PARSER in line]
    return lines[-1].split(PARSER, 1)[1] if lines else "it ended without a word"


def _reason(error: BaseException) -> str:
    """That of a class which refuses its values is behind the error; a value that is none is named by the error."""
    while type(error).__name__ == "ParsingError" and error.__cause__:
        error = error.__cause__
    return " ".join(str(error).split()) or type(error).__name__


def _flag(option: str) -> str:
    return option.partition("=")[0]


def _name(option: str) -> str:
    """As LeRobot has it: without the part that says whose it is."""
    return _flag(option).split(".", 1)[-1]
