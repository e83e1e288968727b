"""How an engine's commands and the folders of its runs are reached: one POSIX sh at a time, here or by ssh.

The script comes on standard input, and so does what it reads: no value is a word of a command line, and no shell but
that one reads it.
"""

import base64
import os
import shlex
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any, NamedTuple

from robotrain_runtime.contract import child_python
from robotrain_runtime.contract.deadline import limit_seconds
from robotrain_runtime.process.stop import signal_group, wait_or_kill

from robotrain.errors import Rejected

SECONDS = 30.0
END_SECONDS = 30.0
CHUNK_BYTES = 1 << 20
"""The most of a file that one reading returns."""
MAX_ANSWER_BYTES = 1 << 28
MAX_ERROR_BYTES = 1 << 14
MAX_NOISE_BYTES = 1 << 20
"""What profiles of a shell may print before the answer."""
LOST_CODE = 255
"""What ssh ends with when the line is lost; no script does."""


class Unreached(Exception):
    """The machine did not run a script, or not to its end: what it has done is not known if it `began`."""

    def __init__(self, text: str, exit_code: int | None, *, began: bool = False, timed_out: bool = False) -> None:
        super().__init__(text)
        self.text = text
        """What was printed, if anything."""
        self.exit_code = exit_code
        """None if it could not be started."""
        self.began, self.timed_out = began, timed_out


class LostAnswer(Rejected):
    """The connection broke off, or took too long: whether a script was done is not known. In words for the user."""


class Result(NamedTuple):
    """What a script did."""

    exit_code: int
    stdout: bytes
    stderr: str

    @property
    def text(self) -> str:
        """What it printed, as text."""
        return self.stdout.decode(errors="replace")


class FileState(NamedTuple):
    """A file, and the part of it that was asked for."""

    content: bytes
    size: int
    modified: float
    """In seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What a folder has."""

    path: str
    """In that folder."""
    kind: str
    """`f`: a file; `d`: a folder; `l`: a link; others as `find` names them."""
    size: int


READ_FILE = f"""\
read_file() {{
  if [ -f "$1" ] && [ -r "$1" ]; then
    printf '%s ' "$(stat -L -c '%s %.6Y' -- "$1")"
    tail -c "$2" -- "$1" | head -c {CHUNK_BYTES} | base64 -w 0
  fi
  echo
}}
"""


class Transport:
    """This machine. A subclass reaches another one."""

    host = ""
    """As ssh takes it; empty for this machine."""
    command: Sequence[str] = ("/bin/sh", "-c", 'eval "$(head -c {size})"')
    """What runs the script, of which it reads so many bytes."""

    def run(
        self,
        script: str,
        stdin: bytes = b"",
        seconds: float = SECONDS,
        receive: Callable[[IO[bytes]], bytes] | None = None,
    ) -> Result:
        """Run a script there and return what it did. Raise Unreached.

        :param stdin: what the script reads.
        :param receive: reads what the script prints, while it runs; what it returns is `stdout`.
        """
        mark = f"robotrain-{os.urandom(8).hex()}"
        text = f"printf '\\n%s\\n' {mark}\n{script}\n".encode()
        words = [word.replace("{size}", str(len(text))) for word in self.command]
        with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as errors:
            source.write(text + stdin)
            source.seek(0)
            try:  # errors go to a file: a shared connection of ssh would hold a pipe open
                process = subprocess.Popen(
                    words,
                    stdin=source,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    cwd=child_python.NEUTRAL_FOLDER,
                    start_new_session=True,
                )
            except OSError as error:
                raise Unreached(f"{error.strerror or error}.", None) from None
            assert process.stdout
            late = threading.Event()

            def end_late() -> None:
                late.set()
                signal_group(process.pid, signal.SIGKILL)

            timer = threading.Timer(limit_seconds(seconds), end_late)
            timer.start()
            try:
                with process.stdout as output:
                    began, noise = _skip_noise(output, mark)
                    content = (receive or _read_all)(output) if began else b""
                process.wait()
            finally:
                timer.cancel()
                if process.poll() is None:
                    signal_group(process.pid, signal.SIGTERM)
                    wait_or_kill(process, END_SECONDS)
            errors.seek(0)
            printed = errors.read(MAX_ERROR_BYTES).decode(errors="replace")
        code = process.returncode
        if late.is_set() or not began or not 0 <= code < LOST_CODE:
            raise Unreached(printed or noise, code, began=began, timed_out=late.is_set())
        return Result(code, content, printed)

    def make_terminal_words(self, words: Sequence[str], has_terminal: bool) -> Sequence[str]:
        """Return the command of this machine that runs words there, with the streams of the user.

        :param has_terminal: whether those are a terminal.
        """
        return words

    def make_forward_words(self, here: int, target: str) -> Sequence[str]:
        """Return the command that leads from a port of this machine to `HOST:PORT` there; nothing if none is needed."""
        return ()

    def read(self, paths: Mapping[str, int]) -> dict[str, FileState | None]:
        """Return files from an offset on, at most CHUNK_BYTES of each; None for one that cannot be read.

        :param paths: the offset of each; a negative one counts from its end.
        """
        return parse_files(paths, self.run(format_reading(paths)).text)

    def list(self, folder: str) -> list[Entry]:
        """Return all that is below a folder; nothing if it is missing."""
        found = self.run(f"find {shlex.quote(folder)} -mindepth 1 -printf '%y %s %P\\0' 2>/dev/null").stdout
        rows = (row.split(b" ", 2) for row in found.split(b"\0") if row)
        return [Entry(os.fsdecode(path), kind.decode(), int(size)) for kind, size, path in rows]

    def write(self, path: str, content: bytes, mode: int = 0o600) -> None:
        """Write a file as a whole: a reader finds the one before, or this one. Raise OSError."""
        part = shlex.quote(f"{path}.{os.urandom(4).hex()}.part")
        keep = f"cat >{part} && chmod {mode:o} {part} && mv -fT {part} {shlex.quote(path)}"
        self._change(f"{keep} || {{ rm -f {part}; exit 1; }}", content)

    def remove(self, path: str) -> None:
        """Remove a file or a folder, if there is one. Raise OSError."""
        self._change(f"rm -rf {shlex.quote(path)}", seconds=600.0)

    def _change(self, script: str, stdin: bytes = b"", seconds: float = SECONDS) -> None:
        result = self.run(script, stdin, seconds)
        if result.exit_code:
            raise OSError(
                result.stderr.strip().rpartition("\n")[2].rpartition(": ")[2] or f"exit code {result.exit_code}"
            )


def format_reading(paths: Mapping[str, int]) -> str:
    """Return a script that prints a line of each file, for `parse_files`; another one may follow it."""
    return READ_FILE + "".join(f"{format_file(path, offset)}\n" for path, offset in paths.items())


def format_file(path: str, offset: int) -> str:
    """Return the line of a script, after READ_FILE, that prints a file for `parse_file`."""
    return f"read_file {shlex.quote(path)} {f'+{offset + 1}' if offset >= 0 else -offset}"


def parse_files(paths: Iterable[str], text: str) -> dict[str, FileState | None]:
    """Return the files in what `format_reading` prints."""
    return {path: parse_file(line) for path, line in zip(paths, text.split("\n"), strict=False)}


def parse_file(line: str) -> FileState | None:
    """Return the file in a line; None if it could not be read."""
    try:
        size, modified, content = line.split(" ")
        return FileState(base64.b64decode(content), int(size), float(modified))
    except ValueError:  # there is none
        return None


def _skip_noise(output: IO[bytes], mark: str) -> tuple[bool, str]:
    """Read up to the line that begins the answer; return whether there is one, and the last line before it."""
    noise, size = b"", 0
    while size < MAX_NOISE_BYTES and (line := output.readline(MAX_NOISE_BYTES)):
        if line.strip() == mark.encode():
            return True, ""
        noise, size = line if line.strip() else noise, size + len(line)
    return False, noise[:MAX_ERROR_BYTES].decode(errors="replace")


def _read_all(output: IO[Any]) -> bytes:
    content: bytes = output.read(MAX_ANSWER_BYTES)
    return content
