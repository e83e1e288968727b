"""How a program that fetches ends: with its answer, a marked line: a folder, or a sentence on why there is none."""

import re
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from robotrain_runtime import faults
from robotrain_runtime.event import Fault

MARK = "answer: "
SAID = 3
"""The exit code with which the answer is a sentence for the person who runs the job."""
UNREACHED = r"Failed to (?:resolve '[\w.-]+'|establish a new connection)|Unable to connect to proxy|timed out"
"""What a library says, among much else, of a host that it had no answer from."""

_SECRET = r"\?\S+|\bhf_\w{8,}|(?i:\bbearer )\S+|\beyJ[\w.-]+|//[^/@\s]+@"


class Refused(Exception):
    """It cannot be fetched. The text is a sentence for the person who runs the job. fault: whose it is."""

    def __init__(self, sentence: str, fault: Fault = "") -> None:
        super().__init__(sentence)
        self.fault: Fault = fault


def main(act: Callable[[], Path]) -> None:
    """Do `act` and answer with the folder it brings. Raises SystemExit."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # whoever started us tells why we ended
    try:
        print(f"{MARK}{act()}", flush=True)
    except Refused as refused:
        _end(str(refused))
    except OSError as error:
        _end(of_system(error))
    except Exception as error:
        print("".join(traceback.format_tb(error.__traceback__)), end="")  # where; what is in the sentence
        _end(plain(error))


def plain(error: BaseException) -> str:
    """What `error` says, in one line, without anything that could be a secret: addresses lose their query."""
    first = next(iter(str(error).splitlines()), "")
    return f"{type(error).__name__}: {re.sub(_SECRET, '…', first)}"


def unanswered(*raised: BaseException) -> Fault:
    """Whose fault it is that a request got no answer: a host that nobody knows is mistyped, all else may pass."""
    return "configuration" if any(re.search(faults.NO_SUCH_NAME, str(error)) for error in raised) else "network"


def blamed(error: BaseException) -> Fault:
    """Whose fault an error is that is no service's: the machine's where it says so, else that of the programs."""
    return faults.of_text(plain(error)) or ("" if isinstance(error, OSError) else "code")


def of_system(error: OSError) -> str:
    """The operating system's own trouble (a full disk, a folder that is not ours); a library's is named as such."""
    if error.errno and error.strerror:
        return f"{error.strerror}{f': {error.filename}' if error.filename else ''}"
    return plain(error)


def _end(sentence: str) -> None:
    print(MARK + sentence.replace("\n", " "), flush=True)
    sys.exit(SAID)
