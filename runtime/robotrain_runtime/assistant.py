"""A program that does what it is asked, over a pipe, for as long as it is needed: both ends of that pipe.

It ends with whoever started it, however that ends, and a signal that is meant for the work does not reach it.
"""

import itertools
import os
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from robotrain_runtime import child, emit, reason
from robotrain_runtime.courier import Halted, Never, words
from robotrain_runtime.track import asking
from robotrain_runtime.track.asking import Answer, Ask

END_SECONDS = 5.0
POLL_SECONDS = 0.05
NEVER = "never"
"""In the body of an answer: another try would not help."""

Does = Mapping[str, Callable[[Mapping[str, Any]], Mapping[str, Any]]]


class Assistant:
    """A running one. say: takes its ordinary output. Raises OSError when it cannot be started."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str], say: Callable[[str], None]) -> None:
        self._numbers = itertools.count(1)
        self._answers: dict[int, Answer] = {}
        self._came = threading.Condition()
        self._told: deque[str] = deque(maxlen=50)
        self._say = say
        self._process, receive = child.start(command, environ, subprocess.PIPE)
        self._readers = [
            child.reader(child.lines_to, self._process.stdout, self._heard, lambda record: None),
            child.reader(self._listen, receive),
        ]

    def ask(self, what: str, body: Mapping[str, Any], halted: Callable[[], bool]) -> Mapping[str, Any]:
        """Have something done, and wait for it. Raises OSError with why it failed, or ended; Never; Halted."""
        number = next(self._numbers)
        assert self._process.stdin is not None
        with suppress(OSError):  # one that is gone is noticed below
            self._process.stdin.write((asking.dump(Ask(number=number, what=what, body=body)) + "\n").encode())
            self._process.stdin.flush()
        with self._came:
            while number not in self._answers:
                if halted():
                    raise Halted
                if not self._readers[1].is_alive():
                    raise OSError(self._gone())
                self._came.wait(POLL_SECONDS)
        answer = self._answers.pop(number)
        if answer.error:
            raise (Never if answer.body.get(NEVER) else OSError)(answer.error)
        return answer.body

    def close(self) -> None:
        """End it at once, whatever it does."""
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _heard(self, line: str) -> None:
        self._told.append(line)
        self._say(line)

    def _listen(self, receive: int) -> None:
        with os.fdopen(receive, "rb") as pipe:
            for raw in pipe:
                if isinstance(said := asking.read(raw.decode("utf-8", "replace").rstrip("\n")), Answer):
                    with self._came:
                        self._answers[said.number] = said
                        self._came.notify_all()

    def _gone(self) -> str:
        code = self._process.wait()
        self._readers[0].join(child.LAST_OUTPUT_SECONDS)
        return f"the program that does it has ended: {reason.of_exit(code, self._told)}"


def serve(does: Does) -> None:
    """The other end: do what is asked, one after another, until nobody is there to ask; then end at once."""
    for number in (signal.SIGTERM, signal.SIGINT):  # what stops the work must not stop what saves its last checkpoint
        signal.signal(number, signal.SIG_IGN)
    asked: queue.SimpleQueue[Ask] = queue.SimpleQueue()

    def work() -> None:
        while True:
            emit.line(asking.dump(_answer(does, asked.get())))

    threading.Thread(target=work, daemon=True).start()
    for line in sys.stdin:
        if isinstance(one := asking.read(line.rstrip("\n")), Ask):
            asked.put(one)
    sys.stdout.flush()
    os._exit(0)  # threads that still send something must not hold up the end


def _answer(does: Does, asked: Ask) -> Answer:
    try:
        return Answer(number=asked.number, body=does[asked.what](asked.body))
    except Never as never:
        return Answer(number=asked.number, body={NEVER: True}, error=str(never))
    except Exception as error:
        return Answer(number=asked.number, body={}, error=words(error))
