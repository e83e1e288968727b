"""The transfer program of the data environment: surveys sources, reports, and fetches them on request.

Run as `python -m robotrain_sources.transfer`. The first line of its input is the request, the second tells it to fetch;
the end of its input ends it.
"""

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
from robotrain_sources.transfer.scheduler import Downloader
from robotrain_sources.transfer.survey import survey_sources

END_EXIT_CODE = 1


def main() -> None:
    """Serve one request until the end of the input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process ends the input, and reports why
    logging.disable(logging.CRITICAL)  # answers carry what libraries report, without secrets
    request = origin.load_request(sys.stdin.readline())
    lines: SimpleQueue[str] = SimpleQueue()
    threading.Thread(target=_read_input, args=(lines, request.scratch), daemon=True).start()
    try:
        _survey_and_fetch(request, lines)
    except Exception as error:
        failure = errors.make_fetch_error(error, Path(request.cache))
        if failure is not error and not isinstance(error, OSError):
            print("".join(traceback.format_tb(error.__traceback__)), end="")  # where; the answer says what
        origin.send_answer("failed", {"reason": str(failure), "fault": failure.fault})
    while True:
        lines.get()


def _survey_and_fetch(request: origin.TransferRequest, lines: "SimpleQueue[str]") -> None:
    surveys = survey_sources(request)
    origin.send_answer("surveyed", [survey.to_answer() for survey in surveys])
    lines.get()
    for survey in surveys:
        if survey.problems:
            raise FetchError("; ".join(map(str, survey.problems)), survey.fault)
    downloader = Downloader(request, surveys, lambda *progress: origin.send_answer("progress", progress))
    folders = downloader.fetch_folders()
    origin.send_answer("delivered", [str(folders[survey.folder]) for survey in surveys if survey.folder])
    lines.get()  # the downloader holds the locks of the folders until the end of the input


def _read_input(lines: "SimpleQueue[str]", scratch: str) -> None:
    for line in sys.stdin:
        lines.put(line)
    shutil.rmtree(scratch, ignore_errors=True)
    os._exit(END_EXIT_CODE)  # nobody waits for the data any more; what arrived is recorded


if __name__ == "__main__":
    main()
