"""A connection to a login node: one process of the user's own ssh, which runs the agent there.

It has the user's configuration, keys, agent and shared connections. The command is always the same: what differs goes
over standard input, past every shell.
"""

import base64
import contextlib
import json
import math
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from typing import IO, Any, NamedTuple

from robotrain.errors import Rejected, Suggestion
from robotrain.redaction import escape_controls
from robotrain_runtime.process.stop import wait_or_kill

from robotrain_slurm.login import code, ssh_failures
from robotrain_slurm.login.address import is_address
from robotrain_slurm.login.bootstrap import MARK
from robotrain_slurm.login.frames import ALIVE, MAX_ANSWER_BYTES, BrokenFrame, Frame, read_frame, write_frame
from robotrain_slurm.login.values import BadValue, decode, decode_error, encode, require_answer

OPTIONS = {
    "BatchMode": "yes",
    "ConnectTimeout": "15",
    "ServerAliveInterval": "15",
    "ServerAliveCountMax": "4",
    "ClearAllForwardings": "yes",
    "ForwardX11": "no",
    "RemoteCommand": "none",
}
"""Nothing is asked, and a line that is dead is noticed within a minute."""
PYTHONS = "python3 python3.14 python3.13 python3.12 python3.11 python3.10"
COMMAND = f"""exec /bin/sh -c 'for python in {PYTHONS}; do \
if command -v $python >/dev/null 2>&1 && \
$python -I -c "import sys; sys.exit(sys.version_info < (3, 10))" </dev/null >/dev/null 2>&1; then \
exec $python -I -c "import base64, sys; exec(base64.b64decode(sys.stdin.buffer.readline()))"; fi; done; \
exit {ssh_failures.NO_PYTHON_CODE}'"""
"""One line that sh, csh and fish read alike."""
ANSWER_SECONDS = 90.0
"""How long a login node may take to answer at all: its profile may be slow."""
SILENCE_SECONDS = 30.0
"""How long there may be no whole frame from a login node that a call is at work on."""
CALL_SECONDS = 600.0
"""How long the whole answer to a call may take, unless it is a stream."""
PROGRESS_SECONDS = 5.0
"""How long a call is waited for in silence."""
END_SECONDS, READER_SECONDS, FAILED_READER_SECONDS = 3.0, 0.2, 1.0
WATCH_SECONDS = 0.5
MAX_STDERR_BYTES = 1 << 14
MAX_NOISE_BYTES = 1 << 20


ODD_ANSWER = "It gave an answer that robotrain's code there does not give."


class LineLost(Exception):
    """The connection broke off, or was closed: whether a call was done is not known. Its text says more, if any."""


class About(NamedTuple):
    """What a login node says of itself."""

    home: str
    host: str
    python: str
    has_sbatch: bool
    has_code: bool


class Connection:
    """A connection, which serves one call at a time. Raise Rejected if none comes about."""

    def __init__(self, login: str) -> None:
        if not is_address(login):
            raise ValueError(f"{login!r} is not the address of a login node")
        self.login = login
        self.is_at_work = False
        """Whether a call was sent whose result has not come."""
        self._limits = [math.inf, math.inf]
        """When the next frame must be there, and when the whole answer."""
        self._progress_at = math.inf
        self.timed_out = False
        """Whether the login node took too long."""
        self._printed: list[bytes] = []
        self._noise = b""
        """The last line that came before an answer, from a profile or in place of one."""
        words = [word for name, value in OPTIONS.items() for word in ("-o", f"{name}={value}")]
        command, pipe = ["ssh", "-T", *words, "--", login, COMMAND], subprocess.PIPE
        try:
            self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True)
        except OSError as error:
            raise ssh_failures.make_missing_ssh_error(f"{error.strerror or error}.") from None
        assert self._process.stdin
        assert self._process.stdout
        self._input: IO[bytes] = self._process.stdin
        self._output: IO[bytes] = self._process.stdout
        self._reader = threading.Thread(target=self._keep_errors, daemon=True)
        self._reader.start()
        threading.Thread(target=self._watch_limits, daemon=True).start()
        try:
            self.about = self._begin()
        except BaseException:
            self.close()
            raise

    def _watch_limits(self) -> None:
        """End a connection whose login node takes too long: what reads from it then finds its end."""
        while self._process.poll() is None:
            now = time.monotonic()
            if now > self._progress_at:
                self._progress_at = math.inf
                if sys.stderr.isatty():
                    print(f"waiting for {self.login}", file=sys.stderr, flush=True)
            if now > min(self._limits):
                self.timed_out = True
                self._process.kill()
            time.sleep(WATCH_SECONDS)

    def _keep_errors(self) -> None:
        """Keep the first lines that ssh prints. A shared connection holds the pipe open for ever."""
        assert self._process.stderr
        size = 0
        with self._process.stderr, contextlib.suppress(OSError):
            while line := self._process.stderr.readline():
                if size < MAX_STDERR_BYTES:
                    self._printed.append(line)
                size += len(line)

    def _begin(self) -> About:
        """Start the agent; return what the login node says of itself. Raise Rejected."""
        packed = code.pack_code()
        self._limits[0] = time.monotonic() + ANSWER_SECONDS
        try:
            with contextlib.suppress(BrokenPipeError):
                self._input.write(base64.b64encode(code.read_bootstrap()) + b"\n")
                self._input.write(json.dumps({"code": packed.digest}).encode() + b"\n")
                self._input.flush()
            about = self._read_about()
            if about is None:
                raise self._explain_end()
            if not about.has_sbatch:
                raise Rejected([ssh_failures.make_missing_slurm_problem(self.login)])
            archive = b"" if about.has_code else packed.archive
            self._input.write(f"{len(archive)}\n".encode() + archive)
            self._input.flush()
        except OSError:
            raise self._explain_end() from None
        finally:
            self._limits[0] = math.inf
        return about

    def _read_about(self) -> About | None:
        """Return the answer, after what a profile prints; None if there is none."""
        start, size = f"{MARK} ".encode(), 0
        while size < MAX_NOISE_BYTES and (line := self._output.readline(MAX_NOISE_BYTES)):
            size += len(line)
            if line.startswith(start):
                with contextlib.suppress(ValueError, TypeError):
                    return About(**json.loads(line[len(start) :]))
            self._noise = line[:MAX_STDERR_BYTES] if line.strip() else self._noise
        return None

    def _explain_end(self) -> Rejected:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(END_SECONDS)
        self._reader.join(FAILED_READER_SECONDS)  # its last lines may not have been read yet
        text = (b"".join(self._printed) or self._noise).decode(errors="replace")
        if self._process.returncode == -9 and not text:
            text = "timed out"
        return ssh_failures.explain_failure(self.login, text, self._process.returncode)

    def call(self, function: str, *values: Any, **named: Any) -> Any:
        """Return what a function returns there. Raise what it raises, or LineLost."""
        self._limits[1], self._progress_at = time.monotonic() + CALL_SECONDS, time.monotonic() + PROGRESS_SECONDS
        try:
            self._send(function, values, named, streams=False)
            return self._decode(function, *self._take_result(self._read_frame()))
        finally:
            self._limits[1] = self._progress_at = math.inf

    def stream(self, function: str, *values: Any, **named: Any) -> Iterator[Any]:
        """Yield what a generator yields there; one that is not read to its end ends the connection."""
        self._send(function, values, named, streams=True)
        while True:
            frame = self._read_frame()
            if "item" not in frame.head:
                self._take_result(frame)
                return
            yield self._decode(function, frame.head["item"], frame.blobs)

    def _send(self, function: str, values: tuple[Any, ...], named: Mapping[str, Any], streams: bool) -> None:
        blobs: list[bytes] = []
        head = {"call": function, "streams": streams, "values": encode(values, blobs), "named": encode(named, blobs)}
        self.is_at_work = True
        try:
            write_frame(self._input, head, blobs, self._limit_silence)
        except OSError:
            self._read_frame()  # the agent may have said why it ended
            raise self._make_line_lost() from None

    def _read_frame(self) -> Frame:
        """Return the next frame that is no text for the user, which is printed. Raise LineLost, Rejected."""
        while True:
            self._limit_silence()
            try:
                frame = read_frame(self._output, MAX_ANSWER_BYTES)
            except (BrokenFrame, OSError):
                frame = None
            finally:
                self._limits[0] = math.inf
            if frame is None:
                raise self._make_line_lost()
            if "failure" in frame.head:
                title, why = f"robotrain's code cannot be stored on {self.login}", f"{frame.head['failure']}."
                there = Suggestion(f"ssh {self.login}", "and free space there, or let only you write to that folder")
                raise ssh_failures.make_rejection("slurm-login-no-space", title, why, there)
            if ALIVE in frame.head:
                continue
            if "printed" not in frame.head:
                return frame
            text = str(frame.head["printed"])
            sys.stderr.write("\n".join(map(escape_controls, text.split("\n"))))
            sys.stderr.flush()

    def _limit_silence(self) -> None:
        self._limits[0] = time.monotonic() + SILENCE_SECONDS

    def _make_line_lost(self) -> LineLost:
        return LineLost("It gave no answer in time." if self.timed_out else "")

    def _take_result(self, frame: Frame) -> tuple[Any, list[bytes]]:
        """Return an encoded result. Raise what the call raised."""
        self.is_at_work = False
        if "error" in frame.head:
            try:
                raise decode_error(frame.head)
            except BadValue:
                raise LineLost(ODD_ANSWER) from None
        return frame.head.get("result"), frame.blobs

    def _decode(self, function: str, value: Any, blobs: list[bytes]) -> Any:
        try:
            return require_answer(function, decode(value, blobs))
        except BadValue:
            raise LineLost(ODD_ANSWER) from None

    def close(self) -> None:
        """End the connection, and the call that is at work there."""
        with contextlib.suppress(OSError):
            self._input.close()
        if self._process.poll() is None:
            self._process.terminate()
            wait_or_kill(self._process, END_SECONDS)
        self._output.close()
        self._reader.join(READER_SECONDS)
