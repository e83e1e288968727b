"""The test harness: the command line in this process, deadlines, and blocks without side effects."""

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pytest
from robotrain_runtime.contract.deadline import DeadlineExceeded, DeadlineFuture

KEPT_PREFIXES = ("ROBOTRAIN_TEST_", "ROBOTRAIN_CACHE")
"""Names that begin so are the author's own; environments that take long to build lie in the cache."""


class CommandResult(NamedTuple):
    """What a command answered."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """Its result, printed with `--json`."""
        return json.loads(self.stdout)

    @property
    def codes(self) -> list[str]:
        """Those of the problems that a command printed with `--json`."""
        return [problem["code"] for problem in self.problems]

    @property
    def problems(self) -> list[dict[str, Any]]:
        """Those that it printed with `--json`."""
        return list(self.json.get("problems", ())) if self.stdout.startswith("{") else []

    @property
    def output(self) -> str:
        """Everything that it printed."""
        return self.stdout + self.stderr

    def __str__(self) -> str:
        return f"exit code {self.exit_code}\n{self.stdout}\n{self.stderr}"


def run_command(*words: object) -> CommandResult:
    """`robotrain WORD…` in this process. Raises what the command line let through: it never should."""
    from typer.testing import CliRunner

    from robotrain.cli.app import app

    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return CommandResult(result.exit_code, result.stdout, result.stderr)


def isolate_folders(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder and a state below `folder`, and no name of whoever runs the test."""
    for name in [name for name in os.environ if name.startswith("ROBOTRAIN_") and not name.startswith(KEPT_PREFIXES)]:
        monkeypatch.delenv(name)
    here = folder / "here"
    here.mkdir(parents=True)
    monkeypatch.setenv("ROBOTRAIN_STATE", str(folder / "state"))
    monkeypatch.chdir(here)
    return here


EFFECT_EVENTS = (
    *("socket.connect", "socket.sendto", "socket.sendmsg", "sqlite3.connect"),
    *("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo"),
    *("subprocess.Popen", "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn"),
    *("os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.link", "os.symlink", "os.chmod", "os.truncate"),
    *("shutil.copyfile", "shutil.move", "shutil.rmtree"),
)
READ_EVENTS = ("open", "os.listdir", "os.scandir")
WRITE_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC

JOINING_SECONDS = 0.5
"""For threads that were started in the block, all together: one of them may wait for ever."""

_recorders: "list[SideEffectRecorder]" = []
_listening = threading.Event()


class SideEffectRecorder:
    """deeds: what was done in it. others: the threads that ran before it; those that start within it belong to it.
    foreign: while it is set, reading is a deed where it says so of a path.
    """

    def __init__(self) -> None:
        self.effects: list[str] = []
        self.other_threads = {one.ident for one in threading.enumerate()} - {threading.get_ident()}
        self.is_foreign: Callable[[str], bool] | None = None

    def record_event(self, event: str, arguments: tuple[Any, ...]) -> None:
        """What happens meanwhile, in any thread."""
        if threading.get_ident() in self.other_threads:
            return
        if event in EFFECT_EVENTS or (event == "open" and _is_write(arguments)):
            told = " ".join(str(one) for one in arguments[:2])
            self.effects.append(f"{event} {told}"[:200])
        elif self.is_foreign and isinstance(arguments[0], (str, bytes)) and self.is_foreign(os.fsdecode(arguments[0])):
            self.effects.append(f"read {os.fsdecode(arguments[0])}"[:200])

    def join(self) -> None:
        """Wait for what its threads still do."""
        until = time.monotonic() + JOINING_SECONDS
        for one in threading.enumerate():
            if one.ident not in self.other_threads and one is not threading.current_thread():
                one.join(max(0.0, until - time.monotonic()))


@contextmanager
def no_side_effects() -> Iterator[SideEffectRecorder]:
    """Within it, what this thread, or one that starts meanwhile, does to the world outside fails the test at the end of
    the block: each deed is named.

    Python's own compiled modules are no deed.
    """
    if not _listening.is_set():
        sys.addaudithook(_audit_event)  # such a hook can never be taken away again: one for the process
        _listening.set()
    block = SideEffectRecorder()
    _recorders.append(block)
    try:
        yield block
        block.join()
    finally:
        _recorders.remove(block)
    assert not block.effects, "this is to change, ask and look up nothing, and it did: " + "; ".join(block.effects)


def _audit_event(event: str, arguments: tuple[Any, ...]) -> None:
    if _recorders and (event in EFFECT_EVENTS or event in READ_EVENTS) and "__pycache__" not in str(arguments[:2]):
        for block in _recorders:
            block.record_event(event, arguments)


def _is_write(arguments: tuple[Any, ...]) -> bool:
    """Of `open`: path, mode, flags; who opens by flags alone has no mode. A number was heard of when it was made."""
    path, _, flags = arguments[:3]
    return not isinstance(path, int) and isinstance(flags, int) and bool(flags & WRITE_FLAGS)


T = TypeVar("T")
DEADLINE_SECONDS = 20.0
"""For what should take a moment."""


def run_with_deadline(function: Callable[[], T], description: str) -> T:
    """What `function` returns. Raises what it raises, and AssertionError when it does not return."""
    try:
        return DeadlineFuture(function).result(DEADLINE_SECONDS)
    except DeadlineExceeded:
        raise AssertionError(f"{description} did not return by itself") from None


def assert_no_problems(problems: Iterable[str]) -> None:
    """Fail with every sentence of `wrong` in full, if there is any."""
    found = list(problems)
    assert not found, "\n".join(found)
