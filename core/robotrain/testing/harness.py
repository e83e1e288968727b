"""The test harness: sentences about what is wrong, the command line in this process, blocks without side effects."""

import functools
import json
import os
import sys
import threading
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


def call_in_time(call_name: str, function: Callable[..., T], *arguments: Any) -> T:
    """Return what `function` returns. Raise what it raises; fail if it does not return in time."""
    try:
        return DeadlineFuture(functools.partial(function, *arguments)).result(DEADLINE_SECONDS)
    except DeadlineExceeded:
        limit = f"{DEADLINE_SECONDS:g} s (set {SECONDS_VARIABLE} on a slow machine)"
        pytest.fail(f"{call_name} did not return by itself within {limit}", pytrace=False)


EFFECT_EVENTS = (
    *("socket.connect", "socket.sendto", "socket.sendmsg", "sqlite3.connect"),
    *("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo"),
    *("subprocess.Popen", "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn"),
    *("os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.link", "os.symlink", "os.chmod", "os.truncate"),
    *("shutil.copyfile", "shutil.move", "shutil.rmtree"),
)
WRITE_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC
_blocks: "list[tuple[set[int | None], list[str]]]" = []
"""For each open block: the threads that it did not start, and its side effects."""


@contextmanager
def no_side_effects() -> Iterator[None]:
    """Fail at the end of the block, with the full list, if it had side effects.

    Compiling modules is not one, and neither is the cache of `store.files.load_or_compute`.
    """
    _add_audit_hook()
    effects = list[str]()
    block = ({thread.ident for thread in threading.enumerate()} - {threading.get_ident()}, effects)
    _blocks.append(block)
    try:
        yield
    finally:
        _blocks.remove(block)
    if effects:
        sentence = "this must write nothing and use no network or program, but it did"
        pytest.fail(f"{sentence}: {', '.join(effects)}", pytrace=False)


@functools.cache
def _add_audit_hook() -> None:
    """Add the audit hook, once: it cannot be removed."""

    def record(event: str, arguments: tuple[Any, ...]) -> None:
        if not _blocks or not (event in EFFECT_EVENTS or (event == "open" and _opens_to_write(arguments))):
            return
        path = os.fsdecode(arguments[0]) if arguments and isinstance(arguments[0], str | bytes | os.PathLike) else ""
        cache = str(files.get_cache_folder() / files.COMPUTED)
        is_of_cache = path and (f"{path}{os.sep}".startswith(cache) or cache.startswith(f"{path}{os.sep}"))
        if is_of_cache or "__pycache__" in str(arguments[:2]):
            return
        for other_threads, effects in _blocks:
            if threading.get_ident() not in other_threads:
                effects.append(" ".join(map(str, (event, *arguments[:2])))[:200])

    sys.addaudithook(record)


def _opens_to_write(arguments: tuple[Any, ...]) -> bool:
    """Return whether a file is opened to be written; a descriptor was recorded when it was opened."""
    return not isinstance(arguments[0], int) and isinstance(arguments[2], int) and bool(arguments[2] & WRITE_FLAGS)
