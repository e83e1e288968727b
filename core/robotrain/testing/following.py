"""The log of a run, now and to its end."""

import threading
from collections.abc import Iterator
from typing import Any

from robotrain.testing import in_time as patience
from robotrain.testing.bench import Bench, Run
from robotrain.testing.in_time import in_time
from robotrain.testing.on_a_bench import OnABench

LINES = ("kit: first", "kit: second", "kit: {{ third }}", "kit: fourth ü", "kit: fifth")


class Following(OnABench):
    """`logs`."""

    def test_the_log_is_there_at_once(self, bench: Bench) -> None:
        """Without following: nothing while the run waits, then its lines so far, each once and in order, or the last of
        them. A script that asks is never left waiting.
        """
        run = bench.sent()
        assert _own(in_time(lambda: _log(bench, run), "logs of a run that waits"), bench) == []
        _begin(bench, run)
        bench.world.says(run.reference, *LINES)
        assert _own(in_time(lambda: _log(bench, run), "logs of a run that goes on"), bench) == [*LINES]
        last = in_time(lambda: list(bench.platform.logs(run.reference, False, 2)), "the last lines of a log")
        assert _own(last, bench) == [*LINES[-2:]]

    def test_following_ends_with_the_run(self, bench: Bench) -> None:
        """From before its beginning to its end, with every line once; then it returns, so that `wait` does. Afterwards
        the log is the same, with following and without.
        """
        ended = bench.words("succeeded", "failed", "cancelled")[0]
        run = bench.sent()
        follower = Follower(bench, run)
        _begin(bench, run)
        bench.world.says(run.reference, *LINES[:2])
        if bench.platform.capabilities.feature("stream_logs"):
            follower.heard(LINES[1])
        bench.world.says(run.reference, *LINES[2:])
        bench.world.becomes(run.reference, ended)
        assert _own(follower.to_the_end(), bench) == [*LINES]
        assert _own(in_time(lambda: _log(bench, run), "logs of a run that ended"), bench) == [*LINES]
        assert _own(in_time(lambda: _log(bench, run, True), "following a run that ended"), bench) == [*LINES]


class Follower:
    """Follows the log of a run in a thread of its own."""

    def __init__(self, bench: Bench, run: Run) -> None:
        self._bench, self._run, self._lines = bench, run, list[str]()
        self._more, self._failure = threading.Condition(), list[BaseException]()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def heard(self, line: str) -> None:
        """Return once it was heard."""
        with self._more:
            came = self._more.wait_for(lambda: line in self._lines or self._failure, timeout=patience.PATIENCE_SECONDS)
        assert came, f"{line!r} was not heard while the run went on, only {self._lines}"

    def to_the_end(self) -> list[str]:
        """Every line, when there are no more."""
        self._thread.join(timeout=patience.PATIENCE_SECONDS)
        assert not self._thread.is_alive(), f"the log went on after the run's end; it told {self._lines}"
        if self._failure:
            raise self._failure[0]
        return self._lines

    def _follow(self) -> None:
        try:
            for line in self._bench.platform.logs(self._run.reference, True):
                with self._more:
                    self._lines.append(line)
                    self._more.notify_all()
        except BaseException as error:
            with self._more:
                self._failure.append(error)
                self._more.notify_all()


def _begin(bench: Bench, run: Run) -> None:
    running = [native for native, state in bench.world.natives.items() if state == "running"]
    if running:
        bench.world.becomes(run.reference, running[0])


def _log(bench: Bench, run: Run, follow: bool = False) -> list[str]:
    return list(bench.platform.logs(run.reference, follow))


def _own(lines: Any, bench: Bench) -> list[str]:
    """The run's own lines: what the platform says in between begins with its name."""
    return [*_without(lines, f"[{bench.name}] ")]


def _without(lines: list[str], beginning: str) -> Iterator[str]:
    for line in lines:
        assert not line.endswith(("\n", "\r")), "lines have no ends"
        if not line.startswith(beginning):
            yield line
