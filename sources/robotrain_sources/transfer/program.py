"""The program that transfers, from outside: started, asked, listened to and ended."""

import subprocess
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import IO, Any

from robotrain_runtime import faults, oom
from robotrain_runtime.failure import Failed
from robotrain_runtime.half import Place

from robotrain_sources.fetching import program
from robotrain_sources.transfer import request

MODULE = "robotrain_sources.transfer"
PATIENCE = 2.0
REMEMBERED_LINES = 200


class Program:
    """One that is not started yet. modules: the imported ones whose distributions it imports from, too."""

    def __init__(self, place: Place, modules: Sequence[str]) -> None:
        self._place = place
        self._modules = modules
        self._process: subprocess.Popen[str] | None = None
        self._ended = False
        self._said: deque[str] = deque(maxlen=REMEMBERED_LINES)
        self._kills = 0

    def start(self, asked: str) -> None:
        """Start it, with its request. Raises Failed."""
        if self._place.python is None:
            raise Failed("there is no environment to fetch data in")
        if self._ended:
            raise Failed("fetching data was ended before it began")
        self._kills = oom.kills()
        try:
            self._process = subprocess.Popen(
                [str(self._place.python), "-m", MODULE],
                env=program.surroundings(self._modules),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            )
        except OSError as error:
            raise Failed(f"{self._place.python} cannot be run: {error.strerror}") from error
        self.say(asked)

    def say(self, line: str) -> None:
        """One line to it."""
        with suppress(OSError, ValueError):  # it has ended: its answer, or that it gives none, tells why
            stdin = self._pipe("stdin")
            stdin.write(line + "\n")
            stdin.flush()

    def answer(self, *names: str, progress: Callable[[Any], None] = lambda far: None) -> tuple[str, Any]:
        """Its next answer of one of these names; its ordinary lines are passed on. Raises Failed when it ends first."""
        for line in map(str.rstrip, self._lines()):
            if told := request.read(line):
                if told[0] in names:
                    return told
                if told[0] == "progress":
                    progress(told[1])
            elif line:
                self._said.append(line)
                self._place.say(line)
        raise self._over(self._process.wait() if self._process else 0)

    def end(self) -> None:
        """End it, if it goes on."""
        self._ended = True
        if self._process is None:
            return
        with suppress(OSError, ValueError):
            self._pipe("stdin").close()  # it ends by that
        for ending in (self._process.terminate, self._process.kill):
            try:
                self._process.wait(PATIENCE)
                break
            except subprocess.TimeoutExpired:
                ending()
        self._process.wait()
        self._pipe("stdout").close()

    def _over(self, code: int) -> Failed:
        last = self._said[-1] if self._said else ""
        fault = faults.of_program(code, last, self._said, oom.kills() > self._kills)
        killed = "the system killed it for want of memory" if code < 0 and fault == "out_of_memory" else ""
        return Failed(f"{MODULE} ended with {code}: {killed or last or 'it said nothing'}", fault=fault)

    def _lines(self) -> Iterator[str]:
        with suppress(ValueError):  # closed meanwhile
            while line := self._pipe("stdout").readline():
                yield line

    def _pipe(self, name: str) -> IO[str]:
        pipe = getattr(self._process, name, None)
        if pipe is None:
            raise ValueError("it is not started")
        found: IO[str] = pipe
        return found
