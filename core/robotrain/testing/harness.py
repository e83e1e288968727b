"""The test harness: sentences about what is wrong, the command line in this process, blocks without side effects."""

import functools
import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import pytest
from robotrain_runtime.contract.deadline import DeadlineExceeded, DeadlineFuture
from typer.testing import CliRunner

from robotrain.cli.app import app
from robotrain.store import files


def fail_with_sentences(test: Callable[..., Iterator[str]]) -> Callable[..., None]:
    """Return a test that fails with every sentence that `test` yields, one for each thing that is wrong."""

    @functools.wraps(test)
    def run_test(*args: Any, **kwargs: Any) -> None:
        sentences: list[str] = []
        try:
            sentences.extend(test(*args, **kwargs))
        except pytest.fail.Exception as failure:  # of what the rest of the test needs
            sentences.append(str(failure))
        if sentences:
            pytest.fail("\n".join(sentences), pytrace=False)

    return run_test


def report(sentence: str, subjects: Iterable[object]) -> Iterator[str]:
    """Yield a sentence with the full list of what was found, if there is any."""
    if subject_list := ", ".join(map(str, subjects)):
        yield f"{sentence}: {subject_list}"


def compare(sentence: str, actual: object, expected: object) -> Iterator[str]:
    """Yield a sentence with what was found and what was expected, if they differ."""
    if actual != expected:
        yield f"{sentence}: {actual!r} instead of {expected!r}"


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
    def errors(self) -> list[dict[str, Any]]:
        """The problems that the command printed with `--json`, without warnings."""
        problems = self.json.get("problems", ()) if self.stdout.startswith("{") else ()
        return [problem for problem in problems if problem["severity"] == "error"]

    @property
    def output(self) -> str:
        """Everything that the command printed."""
        return self.stdout + self.stderr

    def require(self, sentence: str, *exit_codes: int) -> "CommandResult":
        """Return the result. Fail with the sentence and the output for other exit codes than these (default: 0)."""
        expected_codes = exit_codes or (0,)
        if self.exit_code not in expected_codes:
            codes_text = " or ".join(map(str, expected_codes))
            pytest.fail(f"{sentence}: exit code {self.exit_code} instead of {codes_text}\n{self.output}", pytrace=False)
        return self


def run_command(*words: object) -> CommandResult:
    """Run `robotrain WORD…` in this process. Raise what the command line does not handle: it should not."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return CommandResult(result.exit_code, result.stdout, result.stderr)


T = TypeVar("T")
SECONDS_VARIABLE = "ROBOTRAIN_TEST_SECONDS"
DEADLINE_SECONDS = float(os.environ.get(SECONDS_VARIABLE) or 20.0)
"""For calls that should return at once."""
ENDING_SECONDS = 2.0
"""How long an abandoned call is waited for: a command line has to give back standard output."""
LAST_CALLS = 3

_abandoned: "dict[str, DeadlineFuture[Any]]" = {}
"""The calls that did not return in time, by what they are."""


def call_in_time(call_name: str, function: Callable[..., T], *arguments: Any) -> T:
    """Return what `function` returns. Raise what it raises; fail if it does not return, and say where it is."""
    threads: list[int] = []

    def call() -> T:
        threads.append(threading.get_ident())
        return function(*arguments)

    future = DeadlineFuture(call)
    try:
        return future.result(DEADLINE_SECONDS)
    except DeadlineExceeded:
        call_location = _describe_last_calls(*threads)
        _abandoned[call_name] = future
        limit = f"{DEADLINE_SECONDS:g} s (set {SECONDS_VARIABLE} on a slow machine)"
        pytest.fail(f"{call_name} did not return by itself within {limit}; it is in {call_location}", pytrace=False)


def _describe_last_calls(thread: int) -> str:
    """Return the innermost calls of a thread, the last one first, those of Python's own modules left out."""
    library = os.path.dirname(os.__file__)
    frames = traceback.extract_stack(sys._current_frames().get(thread))
    own_frames = [
        frame for frame in frames if not (frame.filename.startswith(library) and "site-packages" not in frame.filename)
    ]
    return ", called by ".join(
        f"{frame.name} ({frame.filename}:{frame.lineno})" for frame in reversed(own_frames[-LAST_CALLS:])
    )


def require_no_abandoned_call() -> None:
    """Skip a test while a call of an earlier one still runs: it shares the folder and standard output."""
    for call_name, future in [*_abandoned.items()]:
        if future.is_running(ENDING_SECONDS):
            pytest.skip(f"`{call_name}` of an earlier test still runs, which failed for that")
        del _abandoned[call_name]


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
        self.other_threads = {thread.ident for thread in threading.enumerate()} - {threading.get_ident()}
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


@contextmanager
def no_side_effects() -> Iterator[None]:
    """Fail at the end of the block, with the full list, if it had side effects.

    Compiling modules is not one, and neither is the cache of `store.files.load_or_compute`.
    """
    _add_audit_hook()
    block = SideEffectRecorder()
    _recorders.append(block)
    try:
        yield
        deadline = time.monotonic() + JOIN_SECONDS
        for thread in threading.enumerate():
            if thread.ident not in block.other_threads and thread is not threading.current_thread():
                thread.join(max(0.0, deadline - time.monotonic()))
    finally:
        _recorders.remove(block)
    sentence = "this must write nothing and use no network or program, but it did"
    if block.effects:
        pytest.fail(f"{sentence}: {', '.join(block.effects)}", pytrace=False)


@functools.cache
def _add_audit_hook() -> None:
    """Add the audit hook, once: it cannot be removed."""

    def record(event: str, arguments: tuple[Any, ...]) -> None:
        if _recorders and (event in EFFECT_EVENTS or event == "open") and "__pycache__" not in str(arguments[:2]):
            for block in _recorders:
                block.record_event(event, arguments)

    sys.addaudithook(record)
