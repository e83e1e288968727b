"""Runs in the environment that data is fetched in: `python -m robotrain_s3.program`, one request on standard input.

Each line of the answer begins with a mark; other lines are for people. It ends when whoever started it does.
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
AT_ONCE = 8
TOLD_SECONDS = 0.5


def answer(name: str, content: Any) -> None:
    """Tell whoever started this."""
    print(MARK + json.dumps({name: content}), flush=True)


def main() -> None:
    """Do what is asked."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # whoever started us tells why we ended
    asked = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_the_other, daemon=True).start()
    from robotrain_s3.bringing import Source
    from robotrain_s3.store import Refused

    cache = Path(asked["cache"])
    try:
        sources = [Source(one["uri"], one["pin"], cache) for one in asked["sources"]]
        answer(*(survey(sources, asked) if asked["do"] == "survey" else fetch(sources)))
    except (Refused, OSError) as error:
        answer("failed", {"reason": str(error), "fault": getattr(error, "fault", "")})


def survey(sources: Sequence[Any], asked: Mapping[str, Any]) -> tuple[str, Any]:
    """What each source is, or what is wrong with it."""
    from robotrain_s3.store import Refused

    def look(number: int) -> Mapping[str, Any]:
        try:
            scratch = Path(asked["scratch"], str(number))
            return dict(sources[number].look(asked["sources"][number]["described"], scratch))
        except Refused as refused:
            return {"problem": str(refused), "fault": refused.fault}

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return "surveyed", list(pool.map(look, range(len(sources))))


def fetch(sources: Sequence[Any]) -> tuple[str, Any]:
    """The folder of each source, one after another: each has as many connections as are of use."""
    came = _meter()
    return "fetched", [str(source.fetch(came)) for source in sources]


def _meter() -> Callable[[int], None]:
    """What takes the bytes as they come, and tells their sum now and then."""
    lock, done, began = threading.Lock(), 0, time.monotonic()
    told = began

    def came(count: int) -> None:
        nonlocal done, told
        with lock:
            done += count
            if (now := time.monotonic()) - told > TOLD_SECONDS:
                told = now
                answer("progress", [done, done / (now - began)])

    return came


def _end_with_the_other() -> None:
    while os.read(0, 4096):  # of `sys.stdin` this thread would hold the lock when the interpreter ends
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
