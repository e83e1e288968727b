"""`python -m robotrain_s3.fetch_program`: answers one request, read from standard input.

Each line of the answer begins with a mark; other lines are for people. It ends when the process that started it does.
"""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

MARK = "s3: "
PARALLEL_SURVEYS = 8
PROGRESS_SECONDS = 0.5


def print_answer(name: str, content: Any) -> None:
    """Print one marked line."""
    print(MARK + json.dumps({name: content}), flush=True)


def main() -> None:
    """Answer the request."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # the process that started this one says why it ended
    request = json.loads(sys.stdin.readline())
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    from robotrain_s3.source_fetch import SourceFetch
    from robotrain_s3.store import S3Error

    cache = Path(request["cache"])
    try:
        sources = [SourceFetch(one["uri"], one["pin"], cache) for one in request["sources"]]
        print_answer(*(survey(sources, request) if request["do"] == "survey" else fetch(sources)))
    except (S3Error, OSError) as error:
        print_answer("failed", {"reason": str(error), "fault": getattr(error, "fault", "")})


def survey(sources: Sequence[Any], request: Mapping[str, Any]) -> tuple[str, Any]:
    """Return a survey of each source, or its problem."""
    from robotrain_s3.store import S3Error

    def survey_source(number: int) -> Mapping[str, Any]:
        try:
            scratch = Path(request["scratch"], str(number))
            return dict(sources[number].survey(request["sources"][number]["described"], scratch))
        except S3Error as error:
            return {"problem": [error.sentence, error.way], "fault": error.fault}

    with ThreadPoolExecutor(PARALLEL_SURVEYS) as pool:
        return "surveyed", list(pool.map(survey_source, range(len(sources))))


def fetch(sources: Sequence[Any]) -> tuple[str, Any]:
    """Return the folder of each source, fetched one after another: each uses as many connections as help."""
    count_bytes = _make_progress_counter()
    return "fetched", [str(source.fetch(count_bytes)) for source in sources]


def _make_progress_counter() -> Callable[[int], None]:
    """Return a function that adds up bytes, and prints their sum now and then."""
    lock, done, began = threading.Lock(), 0, time.monotonic()
    printed = began

    def count_bytes(count: int) -> None:
        nonlocal done, printed
        with lock:
            done += count
            if (now := time.monotonic()) - printed > PROGRESS_SECONDS:
                printed = now
                print_answer("progress", [done, done / (now - began)])

    return count_bytes


def _exit_with_parent() -> None:
    while os.read(0, 4096):  # reading `sys.stdin` would hold its lock when the interpreter ends
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
