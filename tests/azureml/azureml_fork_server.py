"""`robotrain` in child processes that have the SDK loaded already, forked from one that imported it."""

import json
import os
import queue
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

LOADED = """
import json, os, runpy, sys
import azure.ai.ml, azure.identity, azure.storage.blob
for line in sys.stdin:
    words, environ = json.loads(line)
    child = os.fork()
    if child == 0:
        os.environ.clear()
        os.environ.update(environ)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)
        sys.argv = ["robotrain", *words]
        runpy.run_module("robotrain", run_name="__main__")
        sys.exit()
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Forked:
    """Runs one command at a time."""

    def __init__(self, loaded: "subprocess.Popen[str]") -> None:
        self._loaded = loaded
        self._number: queue.SimpleQueue[int] = queue.SimpleQueue()

    def run(self, *words: str) -> int:
        """The exit status, as `subprocess` has it; the command sees the names of this process as they are now."""
        self._number = queue.SimpleQueue()
        print(json.dumps([words, dict(os.environ)]), file=self._loaded.stdin, flush=True)
        self._number.put(int(self._loaded.stdout.readline()))
        return int(self._loaded.stdout.readline())

    def kill(self) -> None:
        """End the command that runs, from another thread: it is gone when this returns."""
        number = self._number.get()
        watched = os.pidfd_open(number)
        os.kill(number, signal.SIGKILL)
        select.select([watched], [], [])
        os.close(watched)


@contextmanager
def forking() -> Iterator[Forked]:
    """The process that has the SDK loaded, for as long as it is wanted."""
    with subprocess.Popen(
        [sys.executable, "-c", LOADED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as loaded:
        yield Forked(loaded)
        loaded.stdin.close()
