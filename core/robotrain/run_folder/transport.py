"""How an engine's commands and the folders of its runs are reached: one POSIX sh at a time, here or by ssh.

The script comes on standard input, and so does what it reads: no value is a word of a command line, and no shell but
that one reads it.
"""

import base64
import io
import math
import os
import re
import shlex
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, NamedTuple, cast

from robotrain_runtime.contract import child_python
from robotrain_runtime.contract.deadline import limit_seconds
from robotrain_runtime.process.stop import signal_group, wait_or_kill

from robotrain.errors import Rejected
from robotrain.run_folder.answer import BEGIN, CHUNK_BYTES, AnswerFailed, ScriptAnswer

SECONDS = 30.0
END_SECONDS = 30.0
MAX_ANSWER_BYTES = 1 << 28
MAX_ENTRIES = 1_000_000
"""How many files a run or an output may have."""


Input = bytes | Callable[[IO[bytes]], None]
"""What a script reads: some bytes, or what writes them."""


class Unreached(Exception):
    """The machine did not run a script, or not to its end: what it has done is not known if it `began`."""

    def __init__(
        self,
        text: str,
        exit_code: int | None,
        *,
        began: bool = False,
        timed_out: bool = False,
        passed_limit: bool = False,
    ) -> None:
        super().__init__(text)
        self.text = text
        """What was printed, if anything; or the limit that was passed: of the time, or of what it may print."""
        self.exit_code = exit_code
        """None if it could not be started."""
        self.began, self.timed_out, self.passed_limit = began, timed_out, passed_limit


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
    {{ printf '%s ' "$(stat -L -c '%s %.6Y' -)"; tail -c "$2" | head -c {CHUNK_BYTES} | base64 -w 0; }} <"$1"
  fi
  echo
}}
"""
"""Define a function that prints a line with the size of a file, when it was modified, and CHUNK_BYTES of it at most."""
FIND_PATH = """\
has_path() {
  [ -e "$1" ] && return
  why=$(LC_ALL=C stat -L -- "$1" 2>&1) && return
  case $why in *": No such file or directory" | *": Not a directory") return 1 ;; esac
  printf '%s\\n' "$why" >&2
  exit 2
}
"""
"""Define a function that returns whether something is there, and ends the script where that is not known."""
LIST_FOLDER = """\
exec 3>&1
{{ LC_ALL=C find {folder} -mindepth 1 -printf '%y %s %P\\0' 2>&1 >&3 || [ $? = 1 ] || echo 'find was ended'; }} |
grep -vE ': (No such file or directory|Permission denied)$' >&2
[ $? = 1 ]
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
        stdin: Input = b"",
        seconds: float = SECONDS,
        receive: Callable[[IO[bytes]], bytes] | None = None,
        *,
        is_question: bool = False,
        stall_seconds: float = math.inf,
    ) -> Result:
        """Run a script there and return what it did. Raise Unreached unless it came to its end.

        :param stdin: what the script reads, or what writes that while it runs; what that raises is raised.
        :param is_question: whether nothing follows from what it printed unless it ended with 0.
        :param stall_seconds: after so long without a byte it is given up.
        :param receive: reads what the script prints, while it runs; what it returns is `stdout`.
        """
        mark = f"robotrain-{os.urandom(8).hex()}"
        script_bytes = f"{BEGIN.format(mark=mark)}{script}\n".encode()
        words = [word.replace("{size}", str(len(script_bytes))) for word in self.command]
        writer = None if isinstance(stdin, bytes) else _InputWriter(script_bytes, stdin)
        process = _start(words, script_bytes + stdin if isinstance(stdin, bytes) else writer)
        script_answer = ScriptAnswer(process, mark, limit_seconds(seconds), stall_seconds, self.tell_silence)
        stdout_bytes, limit, end_signal = b"", "", signal.SIGTERM
        try:
            if script_answer.skip_noise():
                stream = io.BufferedReader(script_answer, CHUNK_BYTES)
                stdout_bytes = (receive or _read_all)(stream)
            script_answer.finish()
        except AnswerFailed as failure:
            limit, end_signal = str(failure), signal.SIGKILL
        finally:
            if process.poll() is None:
                signal_group(process.pid, end_signal)
                wait_or_kill(process, END_SECONDS)
            script_answer.close()
            if writer:
                writer.join()
        if writer and writer.error:
            raise writer.error
        if script_answer.exit_code is None or (script_answer.exit_code and is_question):
            raise Unreached(
                limit or script_answer.errors or script_answer.noise,
                script_answer.exit_code or process.returncode,
                began=script_answer.began,
                timed_out=script_answer.timed_out,
                passed_limit=bool(limit),
            )
        return Result(script_answer.exit_code, stdout_bytes, script_answer.errors)

    def query(self, script: str, seconds: float = SECONDS) -> Result:
        """Run a script that answers a question: it ends with 0. Raise Unreached: a part of an answer says nothing."""
        return self.run(script, seconds=seconds, is_question=True)

    def tell_silence(self) -> None:
        """Tell the user that an answer is waited for."""

    def make_terminal_words(self, words: Sequence[str], has_terminal: bool) -> Sequence[str]:
        """Return the command of this machine that runs words there, with the streams of the user.

        :param has_terminal: whether those are a terminal.
        """
        return words

    def read(self, paths: Mapping[str, int]) -> dict[str, FileState | None]:
        """Return files from an offset on, at most CHUNK_BYTES of each; None for one that cannot be read.

        :param paths: the offset of each; a negative one counts from its end.
        """
        return parse_files(paths, self.query(format_reading(paths)).text)

    def read_whole(self, path: str, max_bytes: int) -> bytes | None:
        """Return a file, in pieces; None if it cannot be read. Raise ValueError if it has more than `max_bytes`."""
        file_bytes = b""
        while (state := self.read({path: len(file_bytes)})[path]) and state.content:
            file_bytes += state.content
            if max(state.size, len(file_bytes)) > max_bytes:
                raise ValueError(f"{os.path.basename(path)} is larger than {max_bytes >> 10} KiB")
            if len(file_bytes) >= state.size:
                break
        return file_bytes if state else None

    def list(self, folder: str) -> list[Entry]:
        """Return all that is below a folder; nothing if it is missing. Raise ValueError for an answer that is none."""
        listing = self.query(LIST_FOLDER.format(folder=shlex.quote(folder))).stdout
        if listing.count(b"\0") > MAX_ENTRIES:
            raise ValueError(f"there are more than {MAX_ENTRIES} files")
        return [_parse_entry(row) for row in listing.split(b"\0") if row]

    def has_folder(self, folder: str) -> bool:
        """Return whether there is such a folder. Raise ValueError for an answer that is none."""
        name = shlex.quote(folder)
        script = f"{FIND_PATH}if has_path {name} && [ -d {name} ]; then echo yes; else echo no; fi"
        return {"yes\n": True, "no\n": False}[self.query(script).text]

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


def parse_files(paths: Mapping[str, int], text: str) -> dict[str, FileState | None]:
    """Return the files in what `format_reading` prints. Raise ValueError for what it does not print."""
    lines = zip(paths.items(), text.removesuffix("\n").split("\n"), strict=True)
    return {path: parse_file(line, offset) for (path, offset), line in lines}


def parse_file(line: str, offset: int = 0) -> FileState | None:
    """Return the file in a line; None if there is none that can be read. Raise ValueError for a line that is none.

    :param offset: where the part that was asked for begins; a negative one counts from the end.
    """
    if not line:
        return None
    size, modified, encoded_bytes = line.split(" ")
    state = FileState(base64.b64decode(encoded_bytes, validate=True), parse_count(size), _parse_time(modified))
    part = max(0, state.size - offset) if offset >= 0 else min(-offset, state.size)
    if not min(part, CHUNK_BYTES) <= len(state.content) <= CHUNK_BYTES:
        raise ValueError(f"{len(state.content)} of {part} bytes came")
    return state


def parse_count(text: str) -> int:
    """Return a number of bytes, or of a user, that a file can have. Raise ValueError."""
    if not re.fullmatch("[0-9]{1,18}", text):
        raise ValueError(f"{text[:40]!r} is no number of a file")
    return int(text)


def _parse_time(text: str) -> float:
    if not re.fullmatch(r"-?[0-9]{1,12}(?:\.[0-9]+)?", text):
        raise ValueError(f"{text[:40]!r} is no time of a file")
    return float(text)


def _parse_entry(row: bytes) -> Entry:
    kind, size, path = row.split(b" ", 2)
    return Entry(os.fsdecode(path), kind.decode("ascii"), parse_count(size.decode("ascii")))


class _InputWriter(threading.Thread):
    """Writes what a program reads, while it runs."""

    def __init__(self, text: bytes, write: Callable[[IO[bytes]], None]) -> None:
        super().__init__(daemon=True)
        self._text, self._write = text, write
        self._stream: IO[bytes] | None = None
        self.error: BaseException | None = None
        """Why not all of it could be made; that nobody reads the rest is none."""

    def write_to(self, stream: IO[bytes]) -> None:
        """Begin."""
        self._stream = stream
        self.start()

    def run(self) -> None:
        """Write all of it, and close the stream."""
        assert self._stream
        try:
            with self._stream:
                self._stream.write(self._text)
                self._write(self._stream)
        except BrokenPipeError:  # the program has ended, and says why
            pass
        except BaseException as error:
            self.error = error


def _start(words: Sequence[str], source: bytes | _InputWriter | None) -> "subprocess.Popen[bytes]":
    """Start a program that reads some bytes. Raise Unreached."""
    with tempfile.TemporaryFile() as file:
        if isinstance(source, bytes):
            file.write(source)
            file.seek(0)
        try:
            process = subprocess.Popen(
                words,
                bufsize=0,
                stdin=file if isinstance(source, bytes) else subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=child_python.NEUTRAL_FOLDER,
                start_new_session=True,
            )
        except OSError as error:
            raise Unreached(f"{error.strerror or error}.", None) from None
    if process.stdin and isinstance(source, _InputWriter):
        source.write_to(io.BufferedWriter(cast(io.RawIOBase, process.stdin), CHUNK_BYTES))
    return process


def _read_all(output: IO[bytes]) -> bytes:
    answer_bytes = output.read(MAX_ANSWER_BYTES + 1)
    if len(answer_bytes) > MAX_ANSWER_BYTES:
        raise AnswerFailed(f"Its answer is larger than {MAX_ANSWER_BYTES >> 20} MiB")
    return answer_bytes
