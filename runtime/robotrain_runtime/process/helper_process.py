"""A helper process that answers requests over a pipe: both ends, and their messages.

It ends with its parent, however that ends, and ignores the signals that stop the work.
"""

import itertools
import json
import os
import queue
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import IO, Any, NamedTuple

from robotrain_runtime.contract import child_python, event, failure
from robotrain_runtime.contract.event import EventRecord
from robotrain_runtime.contract.failure import Cancelled, PermanentError, describe_error
from robotrain_runtime.process import child
from robotrain_runtime.process.stop import SIGNALS


class HelperRequest(NamedTuple):
    """A request: the name of a handler (`what`) and its arguments (`body`)."""

    number: int
    """Repeated in the reply."""
    what: str
    body: Mapping[str, Any]


class HelperReply(NamedTuple):
    """The reply to a request; `error` is empty if it succeeded."""

    number: int
    body: Mapping[str, Any]
    error: str = ""


PREFIXES: Mapping[type[HelperRequest | HelperReply], str] = {
    HelperRequest: "::robotrain-ask:: ",
    HelperReply: "::robotrain-answer:: ",
}


def format_message(message: HelperRequest | HelperReply) -> str:
    """Return the line of a message, without a newline."""
    return PREFIXES[type(message)] + json.dumps(message._asdict(), default=dict)


def parse_message(line: str) -> HelperRequest | HelperReply | None:
    """Return the request or reply in a line; None for any other line."""
    for kind, prefix in PREFIXES.items():
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
    """A running helper process. `log_line` takes its ordinary output, `on_event` its events.

    Raise OSError if it cannot be started.
    """

    EXIT_ERROR: type[Exception] = OSError
    """The error of a request if the process has ended: PermanentError if no other one will take its place."""

    def __init__(
        self,
        command: Sequence[str],
        environ: Mapping[str, str],
        log_line: Callable[[str], None],
        on_event: Callable[[EventRecord], None] = lambda record: None,
    ) -> None:
        self._numbers = itertools.count(1)
        self._replies: dict[int, HelperReply] = {}
        self._reply_arrived = threading.Condition()
        self._last_lines: deque[str] = deque(maxlen=50)
        self._killed = False
        self._log_line = log_line
        self._on_event = on_event
        self._outbox: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        # It outlives a stop of the work: it uploads the last checkpoint, and records how the run ended.
        self._process, receive = child.start_program(
            command, environ, subprocess.PIPE, child_python.NEUTRAL_FOLDER, blocked=SIGNALS
        )
        self._readers = [
            child.start_reader(self._read_output, self._process.stdout),
            child.start_reader(self._read_messages, os.fdopen(receive, "rb")),
        ]
        child.start_reader(self._write_outbox)

    @property
    def is_alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def send_request(self, name: str, body: Mapping[str, Any], is_cancelled: Callable[[], bool]) -> Mapping[str, Any]:
        """Send a request, and return the body of its reply.

        Raise OSError if it failed, PermanentError if a retry would not help, EXIT_ERROR, Cancelled.
        """
        number = next(self._numbers)
        self._outbox.put(format_message(HelperRequest(number=number, what=name, body=body)))
        with self._reply_arrived:
            while number not in self._replies:
                if is_cancelled():
                    raise Cancelled
                if not self._readers[1].is_alive():
                    raise self.EXIT_ERROR(self._describe_exit())
                self._reply_arrived.wait(POLL_SECONDS)
        reply = self._replies.pop(number)
        if reply.error:
            raise (PermanentError if reply.body.get(PERMANENT) else OSError)(reply.error)
        return reply.body

    def close(self) -> None:
        """End the process at once."""
        self._end(END_SECONDS)

    def _end(self, seconds: float) -> None:
        """Let the process handle what was sent, and end; kill it after `seconds`."""
        self._outbox.put(None)
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._killed = True  # set first: the reader of its output looks at it once the process has ended
            self._process.kill()
            self._process.wait()

    def _read_output(self, output: IO[bytes]) -> None:
        child.forward_lines(output, self._take_line, self._on_event)

    def _take_line(self, line: str) -> None:
        self._last_lines.append(line)
        self._log_line(line)

    def _read_messages(self, pipe: IO[bytes]) -> None:
        with pipe:
            for raw in pipe:
                message_line = raw.decode("utf-8", "replace").rstrip("\n")
                if record := event.parse_event(message_line):
                    self._on_event(record)
                elif isinstance(reply := parse_message(message_line), HelperReply):
                    with self._reply_arrived:
                        self._replies[reply.number] = reply
                        self._reply_arrived.notify_all()

    def _write_outbox(self) -> None:
        assert self._process.stdin is not None
        with suppress(OSError), self._process.stdin as pipe:  # an ended process is noticed by those who read
            while (message_line := self._outbox.get()) is not None:
                pipe.write((message_line + "\n").encode())
                pipe.flush()

    def _describe_exit(self) -> str:
        code = self._process.wait()
        self._readers[0].join(child.LAST_OUTPUT_SECONDS)
        return f"the helper process has ended: {failure.explain_exit(code, self._last_lines)}"


def start_handling(handlers: RequestHandlers) -> Callable[[HelperRequest], None]:
    """Start a thread that handles requests one after another; return the function that adds one."""
    requests: queue.SimpleQueue[HelperRequest] = queue.SimpleQueue()

    def handle_requests() -> None:
        while True:
            request = requests.get()
            try:
                reply = HelperReply(number=request.number, body=handlers[request.what](request.body))
            except PermanentError as error:
                reply = HelperReply(number=request.number, body={PERMANENT: True}, error=str(error))
            except Exception as error:
                reply = HelperReply(number=request.number, body={}, error=describe_error(error))
            event.emit_line(format_message(reply))

    threading.Thread(target=handle_requests, daemon=True).start()
    return requests.put
