"""The test harness: the command line in this process, deadlines, and blocks without side effects."""

import functools
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pytest
from robotrain_runtime.contract.deadline import DeadlineExceeded, DeadlineFuture

from robotrain.store import files

OWN_PREFIXES = ("ROBOTRAIN_TEST_", "ROBOTRAIN_CACHE")
"""Variables with these prefixes stay set: the author's own, and the cache, whose environments take long to build."""


class CommandResult(NamedTuple):
    """The exit code and the output of a command."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """The result that the command printed with `--json`."""
        return json.loads(self.stdout)

    @property
    def problems(self) -> list[dict[str, Any]]:
        """The problems that the command printed with `--json`."""
        return list(self.json.get("problems", ())) if self.stdout.startswith("{") else []

    @property
    def output(self) -> str:
        """Everything that the command printed."""
        return self.stdout + self.stderr

    def __str__(self) -> str:
        return f"exit code {self.exit_code}\n{self.stdout}\n{self.stderr}"


def run_command(*words: object) -> CommandResult:
    """Run `robotrain WORD…` in this process. Raise what the command line does not handle: it should not."""
    from typer.testing import CliRunner

    from robotrain.cli.app import app

    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return CommandResult(result.exit_code, result.stdout, result.stderr)


def isolate_folders(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Use a new working folder and state below `folder`, without the variables of whoever runs the test."""
    for name in [name for name in os.environ if name.startswith("ROBOTRAIN_") and not name.startswith(OWN_PREFIXES)]:
        monkeypatch.delenv(name)
    here = folder / "here"
    here.mkdir(parents=True)
    monkeypatch.setenv("ROBOTRAIN_STATE", str(folder / "state"))
    monkeypatch.chdir(here)
    return here


def install_metadata(site: Path, distribution: str, claims: Mapping[str, str]) -> None:
    """Write the metadata of a distribution with these claims, each with its module, into a folder of the path."""
    information = site / f"{distribution.replace('-', '_')}-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    points = "".join(f"{claim} = {module}\n" for claim, module in claims.items())
    (information / "entry_points.txt").write_text(f"[robotrain]\n{points}")


EFFECT_EVENTS = (
    *("socket.connect", "socket.sendto", "socket.sendmsg", "sqlite3.connect"),
    *("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo"),
    *("subprocess.Popen", "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn"),
    *("os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.link", "os.symlink", "os.chmod", "os.truncate"),
    *("shutil.copyfile", "shutil.move", "shutil.rmtree"),
)
WRITE_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC

JOIN_SECONDS = 0.5
"""For all threads started in the block together: one of them may wait forever."""

_recorders: "list[SideEffectRecorder]" = []


class SideEffectRecorder:
    """The side effects of this thread and of those started in the block."""

    def __init__(self) -> None:
        self.effects: list[str] = []
        self.other_threads = {one.ident for one in threading.enumerate()} - {threading.get_ident()}
        self.is_foreign: Callable[[str], bool] | None = None
        """While this is set, reading a path for which it returns true is a side effect."""
        self.cache = str(files.get_cache_folder() / files.COMPUTED)

    def record_event(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Record an audit event, of any thread."""
        if threading.get_ident() in self.other_threads:
            return
        if event == "open" and isinstance(arguments[0], int):
            return  # a descriptor was recorded when it was opened
        path = os.fsdecode(arguments[0]) if arguments and isinstance(arguments[0], str | bytes | os.PathLike) else ""
        if path and (f"{path}{os.sep}".startswith(self.cache) or self.cache.startswith(f"{path}{os.sep}")):
            return
        if event != "open" or (isinstance(arguments[2], int) and arguments[2] & WRITE_FLAGS):
            self.effects.append(" ".join(map(str, (event, *arguments[:2])))[:200])
        elif self.is_foreign and self.is_foreign(os.fsdecode(arguments[0])):
            self.effects.append(f"read {os.fsdecode(arguments[0])}"[:200])

    def join(self) -> None:
        """Wait for the threads of the block."""
        until = time.monotonic() + JOIN_SECONDS
        for one in threading.enumerate():
            if one.ident not in self.other_threads and one is not threading.current_thread():
                one.join(max(0.0, until - time.monotonic()))


@contextmanager
def no_side_effects() -> Iterator[SideEffectRecorder]:
    """Fail at the end of the block, with the full list, if it had side effects.

    Compiling modules is not one, and neither is the cache of `store.files.load_or_compute`.
    """
    _listen()
    block = SideEffectRecorder()
    _recorders.append(block)
    try:
        yield block
        block.join()
    finally:
        _recorders.remove(block)
    sentence = "this must write nothing, read no foreign file and use no network or program, but it did"
    assert_none(block.effects, sentence)


@functools.cache
def _listen() -> None:
    """Add the audit hook, once: it cannot be removed."""

    def record(event: str, arguments: tuple[Any, ...]) -> None:
        if _recorders and (event in EFFECT_EVENTS or event == "open") and "__pycache__" not in str(arguments[:2]):
            for block in _recorders:
                block.record_event(event, arguments)

    sys.addaudithook(record)


T = TypeVar("T")
DEADLINE_SECONDS = 20.0
"""For calls that should return at once."""


def run_with_deadline(function: Callable[[], T], description: str) -> T:
    """Return what `function` returns. Raise what it raises, and AssertionError if it does not return."""
    try:
        return DeadlineFuture(function).result(DEADLINE_SECONDS)
    except DeadlineExceeded:
        raise AssertionError(f"{description} did not return by itself") from None


def assert_no_problems(problems: Iterable[str]) -> None:
    """Fail with every sentence, if there is any."""
    found = list(problems)
    assert not found, "\n".join(found)


def assert_none(found: Iterable[object], sentence: str) -> None:
    """Fail with a sentence and the full list of what was found, if there is any."""
    listed = [str(one) for one in found]
    assert not listed, f"{sentence}: {', '.join(listed)}"
