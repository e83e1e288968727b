"""The answer of a script, as it arrives: from the line that begins it to the mark of its end, within limits."""

import io
import os
import re
import selectors
import subprocess
import time
from collections.abc import Callable
from typing import IO, Any

CHUNK_BYTES = 1 << 20
MAX_ERROR_BYTES = 1 << 14
"""So much of the end of what a script prints beside its answer is kept."""
MAX_NOISE_BYTES = 1 << 20
"""What profiles of a shell may print before the answer, and after it."""
SILENCE_SECONDS = 5.0
"""After so long without a byte the user is told that it is waited for."""
END_POLL_SECONDS = 0.02
CODE_BYTES = 4
"""The exit code in the mark of the end, and a line feed."""
BEGIN = """\
end_answer() {{ printf '{mark} %03d\\n' "$1"; }}
trap 'end_answer $?' EXIT
printf '\\n%s\\n' {mark}
"""
"""What comes before a script. One with a trap of its own at its end calls `end_answer` there."""


class AnswerFailed(Exception):
    """An answer did not come in time, or is larger than allowed: in words."""


class ScriptAnswer(io.RawIOBase):
    """What a script prints, which begins with BEGIN. Reading it raises AnswerFailed.

    :param seconds: how long the whole may take.
    :param stall_seconds: how long no byte may come.
    :param tell_silence: called once when nothing has come for SILENCE_SECONDS.
    """

    def __init__(
        self,
        process: "subprocess.Popen[bytes]",
        mark: str,
        limit_seconds: float,
        stall_seconds: float,
        tell_silence: Callable[[], None],
    ) -> None:
        assert process.stdout
        assert process.stderr
        self._process, self._begin, self._end = process, mark.encode(), f"{mark} ".encode()
        self._until, self._stall_seconds = time.monotonic() + limit_seconds, stall_seconds
        self._tell_silence: Callable[[], None] | None = tell_silence
        self._stdout: IO[bytes] | None = process.stdout
        """None once it has ended."""
        self._selector = selectors.DefaultSelector()
        for stream in (process.stdout, process.stderr):
            self._selector.register(stream, selectors.EVENT_READ)
        self._held = b""
        """What was received and not read yet."""
        self._errors = b""
        self.began, self.timed_out = False, False
        self.exit_code: int | None = None
        """That of the script; None unless it came to its end."""
        self.noise = ""
        """The last line before the answer."""

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    @property
    def errors(self) -> str:
        """The end of what was printed beside the answer."""
        return self._errors.decode(errors="replace")

    def skip_noise(self) -> bool:
        """Read up to the line that begins the answer; return whether there is one."""
        noise, size = b"", 0
        while not self.began and size < MAX_NOISE_BYTES:
            line_bytes, newline, remaining_bytes = self._held.partition(b"\n")
            if newline:
                self.began, self._held, size = (
                    line_bytes.strip() == self._begin,
                    remaining_bytes,
                    size + len(line_bytes),
                )
                noise = line_bytes if line_bytes.strip() and not self.began else noise
            elif len(self._held) < MAX_NOISE_BYTES and (chunk := self._receive()):
                self._held += chunk
            else:
                noise = line_bytes if line_bytes.strip() else noise
                break
        self.noise = noise[:MAX_ERROR_BYTES].decode(errors="replace")
        return self.began

    def readinto(self, buffer: Any) -> int:
        """Read what has come of the answer, once there is something; 0 at its end."""
        while self.exit_code is None:
            end_index = self._held.find(self._end)
            size = end_index if end_index >= 0 else len(self._held) - self._count_mark_bytes()
            if size > 0:
                answer_bytes = self._held[: min(size, len(buffer))]
                buffer[: len(answer_bytes)] = answer_bytes
                self._held = self._held[len(answer_bytes) :]
                return len(answer_bytes)
            end_bytes = self._held.removeprefix(self._end)
            if end_index == 0 and re.fullmatch(rb"[0-9]{3}\n", end_bytes[:CODE_BYTES]):
                self.exit_code = int(end_bytes[:CODE_BYTES])
            elif (end_index == 0 and len(end_bytes) >= CODE_BYTES) or not (chunk := self._receive()):
                break  # it was cut
            else:
                self._held += chunk
        return 0

    def _count_mark_bytes(self) -> int:
        """Return how many of the last bytes may be the beginning of the mark of the end."""
        max_size = min(len(self._end) - 1, len(self._held))
        return next((size for size in range(max_size, 0, -1) if self._held.endswith(self._end[:size])), 0)

    def finish(self) -> None:
        """Wait for the end of the script, or of what was started to reach it."""
        size = 0
        while chunk := (self.exit_code is None and self.read(CHUNK_BYTES)) or self._receive():
            size += len(chunk)
            if size > MAX_NOISE_BYTES:
                raise AnswerFailed("More came than was asked for")
        while self._process.poll() is None:
            if self._selector.get_map():
                self._wait(END_POLL_SECONDS)
            else:
                self._process.wait(max(0.0, self._until - time.monotonic()))
        self._wait(0.0)

    def close(self) -> None:
        """End reading; the process is left as it is."""
        self._selector.close()
        for stream in (self._process.stdout, self._process.stderr):
            if stream:
                stream.close()
        super().close()

    def _receive(self) -> bytes:
        """Return what comes next; nothing at the end."""
        stall = time.monotonic() + self._stall_seconds
        while self._stdout:
            seconds = SILENCE_SECONDS if self._tell_silence else stall - time.monotonic()
            chunk = self._wait(max(0.0, min(seconds, stall - time.monotonic())))
            if chunk:
                return chunk
            if chunk is None and self._tell_silence:
                self._tell_silence()
                self._tell_silence = None
            if self._stdout and time.monotonic() > stall:
                self.timed_out = True
                raise AnswerFailed(f"Nothing came for {self._stall_seconds:g} s")
        return b""

    def _wait(self, seconds: float) -> bytes | None:
        """Return what comes within some seconds; None for nothing. Keep what is printed beside it.

        Nothing is empty bytes if something else happened.
        """
        remaining_seconds = self._until - time.monotonic()
        if remaining_seconds < 0:
            self.timed_out = True
            raise AnswerFailed("It was not done in time")
        events = self._selector.select(min(seconds, remaining_seconds))
        stdout_bytes = b""
        for key, _ in events:
            chunk = os.read(key.fd, CHUNK_BYTES)
            if not chunk:
                self._selector.unregister(key.fileobj)
            if key.fileobj is not self._process.stdout:
                self._errors = (self._errors + chunk)[-MAX_ERROR_BYTES:]
            elif chunk:
                stdout_bytes = chunk
            else:
                self._stdout = None
        return stdout_bytes if events else None
