"""Runs in the data environment: surveys sources, says what it found, and on a word fetches them.

`python -m robotrain_sources.transfer`: the request is the first line of its input, the word the second; the end of its
input ends it.
"""

import asyncio
import logging
import os
import shutil
import signal
import sys
import threading
import traceback
from pathlib import Path
from queue import SimpleQueue

from robotrain_sources.fetching.answer import Refused
from robotrain_sources.transfer import failure, request
from robotrain_sources.transfer.delivered import Delivered
from robotrain_sources.transfer.survey import Survey

ENDED = 1


def main() -> None:
    """Do what is asked, to the end of the input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever asked ends the input, and tells why
    logging.disable(logging.CRITICAL)  # what libraries have to say is in the answers, without secrets
    asked = request.load(sys.stdin.readline())
    words: SimpleQueue[str] = SimpleQueue()
    threading.Thread(target=_listen, args=(words, asked.scratch), daemon=True).start()
    try:
        _serve(asked, words)
    except Exception as error:
        refused = failure.of(error, Path(asked.cache))
        if refused is not error and not isinstance(error, OSError):
            print("".join(traceback.format_tb(error.__traceback__)), end="")  # where; what is in the sentence
        request.answer("failed", {"reason": str(refused), "fault": refused.fault})
    while True:
        words.get()


def _serve(asked: request.Request, words: "SimpleQueue[str]") -> None:
    looks = asyncio.run(Survey(asked).run())
    request.answer("surveyed", [look.answer() for look in looks])
    words.get()
    for look in looks:
        if look.wrong:
            raise Refused("; ".join(look.wrong).replace("\n", ": "), look.fault)
    delivered = Delivered(asked, looks, lambda *far: request.answer("progress", far))
    folders = delivered.folders()
    request.answer("delivered", [str(folders[look.folder]) for look in looks if look.folder])
    words.get()  # what was delivered is held until the end of the input


def _listen(words: "SimpleQueue[str]", scratch: str) -> None:
    for line in sys.stdin:
        words.put(line)
    shutil.rmtree(scratch, ignore_errors=True)
    os._exit(ENDED)  # nobody is left to fetch for; what arrived is noted


if __name__ == "__main__":
    main()
