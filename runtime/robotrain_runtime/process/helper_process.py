"""A helper process that answers requests over a pipe: both ends, and their messages.

It ends with its parent, however that ends, and ignores the signals that stop the work.
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
    """A request: the name of a handler (`what`) and its arguments (`body`)."""

    number: int
    """Repeated in the reply."""
    what: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class HelperReply:
    """The reply to a request; `error` is empty if it succeeded."""

    number: int
    body: Mapping[str, Any]
    error: str = ""


def format_message(message: HelperRequest | HelperReply) -> str:
    """Return the line of a message, without a newline."""
    if isinstance(message, HelperRequest):
        return REQUEST_PREFIX + json.dumps({"number": message.number, "what": message.what, "body": dict(message.body)})
    return REPLY_PREFIX + json.dumps({"number": message.number, "body": dict(message.body), "error": message.error})


def parse_message(line: str) -> HelperRequest | HelperReply | None:
    """Return the request or reply in a line; None for any other line."""
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
"""The key in the body of a reply that says that a retry would not help."""

RequestHandlers = Mapping[str, Callable[[Mapping[str, Any]], Mapping[str, Any]]]


class HelperProcess:
    """A running helper process. `log_line` takes its ordinary output. Raise OSError if it cannot be started."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str], log_line: Callable[[str], None]) -> None:
        self._numbers = itertools.count(1)
        self._replies: dict[int, HelperReply] = {}
        self._reply_arrived = threading.Condition()
        self._last_lines: deque[str] = deque(maxlen=50)
        self._log_line = log_line
        self._process, receive = child.start_program(command, environ, subprocess.PIPE)
        self._readers = [
            child.start_reader(child.forward_lines, self._process.stdout, self._take_output, lambda record: None),
            child.start_reader(self._read_replies, receive),
        ]

    def send_request(self, name: str, body: Mapping[str, Any], is_cancelled: Callable[[], bool]) -> Mapping[str, Any]:
        """Send a request, and return the body of its reply. Raise OSError if it failed, PermanentError, Cancelled."""
        number = next(self._numbers)
        assert self._process.stdin is not None
        message = format_message(HelperRequest(number=number, what=name, body=body))
        with suppress(OSError):  # an ended process is noticed below
            self._process.stdin.write((message + "\n").encode())
            self._process.stdin.flush()
        with self._reply_arrived:
            while number not in self._replies:
                if is_cancelled():
                    raise Cancelled
                if not self._readers[1].is_alive():
                    raise OSError(self._describe_exit())
                self._reply_arrived.wait(POLL_SECONDS)
        reply = self._replies.pop(number)
        if reply.error:
            raise (PermanentError if reply.body.get(PERMANENT) else OSError)(reply.error)
        return reply.body

    def close(self) -> None:
        """End the process at once."""
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
                reply = parse_message(raw.decode("utf-8", "replace").rstrip("\n"))
                if isinstance(reply, HelperReply):
                    with self._reply_arrived:
                        self._replies[reply.number] = reply
                        self._reply_arrived.notify_all()

    def _describe_exit(self) -> str:
        code = self._process.wait()
        self._readers[0].join(child.LAST_OUTPUT_SECONDS)
        return f"the helper process has ended: {failure.explain_exit(code, self._last_lines)}"


def serve_requests(handlers: RequestHandlers) -> None:
    """Handle requests from standard input, one after another, in the helper process; exit at its end."""
    for number in (signal.SIGTERM, signal.SIGINT):  # a stop of the work must not stop the upload of its last checkpoint
        signal.signal(number, signal.SIG_IGN)
    requests: queue.SimpleQueue[HelperRequest] = queue.SimpleQueue()

    def handle_requests() -> None:
        while True:
            event.emit_line(format_message(_handle_request(handlers, requests.get())))

    threading.Thread(target=handle_requests, daemon=True).start()
    for line in sys.stdin:
        if isinstance(message := parse_message(line.rstrip("\n")), HelperRequest):
            requests.put(message)
    sys.stdout.flush()
    os._exit(0)  # threads that are still sending must not delay the exit


def _handle_request(handlers: RequestHandlers, request: HelperRequest) -> HelperReply:
    try:
        return HelperReply(number=request.number, body=handlers[request.what](request.body))
    except PermanentError as error:
        return HelperReply(number=request.number, body={PERMANENT: True}, error=str(error))
    except Exception as error:
        return HelperReply(number=request.number, body={}, error=describe_error(error))
