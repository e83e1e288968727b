"""Servers of others: each is installed once, outside of the repository, and started as a child process."""

import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

PATIENCE = 120.0


def install_once(name: str, install: Callable[[Path], Path]) -> Path:
    """The folder of a program in the tests' cache. install: gets an empty folder, and returns the one in it to keep."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "robotrain-tests"
    if not (cache / name).exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            made = install(Path(scratch))
            with contextlib.suppress(OSError):  # another session was quicker
                os.replace(made, cache / name)
    return cache / name


@contextlib.contextmanager
def running(
    words: Sequence[object], environ: Mapping[str, str], log: Path, check: Callable[[], object]
) -> Iterator[None]:
    """A server that answers. check: raises OSError until it does."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            list(map(str, words)),
            env=environ,
            cwd=log.parent,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            until = time.monotonic() + PATIENCE
            while True:
                with contextlib.suppress(OSError):
                    check()
                    break
                assert process.poll() is None, f"{words[0]} ended: {log.read_text()}"
                assert time.monotonic() < until, f"{words[0]} does not listen: {log.read_text()}"
                time.sleep(0.05)
            assert process.poll() is None, f"{words[0]} ended, and another answers: {log.read_text()}"
            yield
        finally:
            os.killpg(process.pid, 15)
            process.wait()
