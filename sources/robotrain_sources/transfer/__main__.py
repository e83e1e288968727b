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

from robotrain_sources.fetching import errors
from robotrain_sources.fetching.errors import FetchError
from robotrain_sources.transfer import origin
from robotrain_sources.transfer.downloader import Downloader
from robotrain_sources.transfer.survey import Survey

END_EXIT_CODE = 1


def main() -> None:
    """Do what is asked, to the end of the input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever asked ends the input, and tells why
    logging.disable(logging.CRITICAL)  # what libraries have to say is in the answers, without secrets
    asked = origin.load_request(sys.stdin.readline())
    words: SimpleQueue[str] = SimpleQueue()
    threading.Thread(target=_read_input, args=(words, asked.scratch), daemon=True).start()
    try:
        _survey_and_fetch(asked, words)
    except Exception as error:
        refused = errors.make_fetch_error(error, Path(asked.cache))
        if refused is not error and not isinstance(error, OSError):
            print("".join(traceback.format_tb(error.__traceback__)), end="")  # where; what is in the sentence
        origin.send_answer("failed", {"reason": str(refused), "fault": refused.fault})
    while True:
        words.get()


def _survey_and_fetch(transfer_request: origin.TransferRequest, words: "SimpleQueue[str]") -> None:
    looks = asyncio.run(Survey(transfer_request).run())
    origin.send_answer("surveyed", [look.to_answer() for look in looks])
    words.get()
    for look in looks:
        if look.problems:
            raise FetchError("; ".join(look.problems).replace("\n", ": "), look.fault)
    delivered = Downloader(transfer_request, looks, lambda *far: origin.send_answer("progress", far))
    folders = delivered.fetch_folders()
    origin.send_answer("delivered", [str(folders[look.folder]) for look in looks if look.folder])
    words.get()  # what was delivered is held until the end of the input


def _read_input(words: "SimpleQueue[str]", scratch: str) -> None:
    for line in sys.stdin:
        words.put(line)
    shutil.rmtree(scratch, ignore_errors=True)
    os._exit(END_EXIT_CODE)  # nobody is left to fetch for; what arrived is noted


if __name__ == "__main__":
    main()
