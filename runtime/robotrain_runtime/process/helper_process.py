"""A helper process that answers requests over a pipe: both ends, and the messages between them.

It ends with whoever started it, however that ends, and a signal that is meant for the work does not reach it.
"""

import itertools
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from robotrain_runtime.contract import event, failure
from robotrain_runtime.contract.failure import Cancelled, PermanentError, describe_error
from robotrain_runtime.process import child

REQUEST_PREFIX = "::robotrain-ask:: "
REPLY_PREFIX = "::robotrain-answer:: "


@dataclass(frozen=True, slots=True, kw_only=True)
class HelperRequest:
    """A request. number: what its answer refers to. what: ARTIFACT, REGISTER or RESULTS; body: what that needs."""

    number: int
    what: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class HelperReply:
    """What became of a request. error: why it failed; empty when it was done."""

    number: int
    body: Mapping[str, Any]
    error: str = ""


def format_message(message: HelperRequest | HelperReply) -> str:
    """The line, without its end."""
    if isinstance(message, HelperRequest):
        return REQUEST_PREFIX + json.dumps({"number": message.number, "what": message.what, "body": dict(message.body)})
    return REPLY_PREFIX + json.dumps({"number": message.number, "body": dict(message.body), "error": message.error})


def parse_message(line: str) -> HelperRequest | HelperReply | None:
    """The request or answer in a line; None for any other line."""
    for prefix, kind in ((REQUEST_PREFIX, HelperRequest), (REPLY_PREFIX, HelperReply)):
        if line.startswith(prefix):
            try:
                return kind(**json.loads(line[len(prefix) :]))
            except (ValueError, TypeError):
                return None
    return None


END_SECONDS = 5.0
POLL_SECONDS = 0.05
PERMANENT = "never"
"""In the body of an answer: another try would not help."""

RequestHandlers = Mapping[str, Callable[[Mapping[str, Any]], Mapping[str, Any]]]


class HelperProcess:
    """A running one. say: takes its ordinary output. Raises OSError when it cannot be started."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str], log_line: Callable[[str], None]) -> None:
        self._numbers = itertools.count(1)
        self._answers: dict[int, HelperReply] = {}
        self._reply_arrived = threading.Condition()
        self._last_lines: deque[str] = deque(maxlen=50)
        self._log_line = log_line
        self._process, receive = child.start_program(command, environ, subprocess.PIPE)
        self._readers = [
            child.start_reader(child.forward_lines, self._process.stdout, self._take_output, lambda record: None),
            child.start_reader(self._read_replies, receive),
        ]

    def send_request(self, name: str, body: Mapping[str, Any], is_cancelled: Callable[[], bool]) -> Mapping[str, Any]:
        """Have something done, and wait for it. Raises OSError with why it failed, or ended; PermanentError; Cancelled."""
        number = next(self._numbers)
        assert self._process.stdin is not None
        with suppress(OSError):  # one that is gone is noticed below
            self._process.stdin.write(
                (format_message(HelperRequest(number=number, what=name, body=body)) + "\n").encode()
            )
            self._process.stdin.flush()
        with self._reply_arrived:
            while number not in self._answers:
                if is_cancelled():
                    raise Cancelled
                if not self._readers[1].is_alive():
                    raise OSError(self._describe_exit())
                self._reply_arrived.wait(POLL_SECONDS)
        answer = self._answers.pop(number)
        if answer.error:
            raise (PermanentError if answer.body.get(PERMANENT) else OSError)(answer.error)
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

    def _take_output(self, line: str) -> None:
        self._last_lines.append(line)
        self._log_line(line)

    def _read_replies(self, receive: int) -> None:
        with os.fdopen(receive, "rb") as pipe:
            for raw in pipe:
                if isinstance(said := parse_message(raw.decode("utf-8", "replace").rstrip("\n")), HelperReply):
                    with self._reply_arrived:
                        self._answers[said.number] = said
                        self._reply_arrived.notify_all()

    def _describe_exit(self) -> str:
        code = self._process.wait()
        self._readers[0].join(child.LAST_OUTPUT_SECONDS)
        return f"the program that does it has ended: {failure.explain_exit(code, self._last_lines)}"


def serve_requests(handlers: RequestHandlers) -> None:
    """The other end: do what is asked, one after another, until nobody is there to ask; then end at once."""
    for number in (signal.SIGTERM, signal.SIGINT):  # what stops the work must not stop what saves its last checkpoint
        signal.signal(number, signal.SIG_IGN)
    asked: queue.SimpleQueue[HelperRequest] = queue.SimpleQueue()

    def work() -> None:
        while True:
            event.emit_line(format_message(_handle_request(handlers, asked.get())))

    threading.Thread(target=work, daemon=True).start()
    for line in sys.stdin:
        if isinstance(one := parse_message(line.rstrip("\n")), HelperRequest):
            asked.put(one)
    sys.stdout.flush()
    os._exit(0)  # threads that still send something must not hold up the end


def _handle_request(handlers: RequestHandlers, request: HelperRequest) -> HelperReply:
    try:
        return HelperReply(number=request.number, body=handlers[request.what](request.body))
    except PermanentError as never:
        return HelperReply(number=request.number, body={PERMANENT: True}, error=str(never))
    except Exception as error:
        return HelperReply(number=request.number, body={}, error=describe_error(error))
