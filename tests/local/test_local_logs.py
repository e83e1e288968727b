"""Logs before a run starts, while it runs and after it; each line once, none lost."""

import itertools
import time
from collections.abc import Iterator
from pathlib import Path

from machine import Runs
from robotrain_local import log
from robotrain_runtime import event
from robotrain_runtime.event import Outcome

COUNT = "import time\nfor number in range(20):\n    print('line', number, flush=True); time.sleep(0.03)"
WANTED = [f"line {number}" for number in range(20)]


def counted(lines: Iterator[str]) -> list[str]:
    return [line for line in lines if line.startswith("line ")]


def test_before_there_is_a_log_there_are_no_lines(runs: Runs, tmp_path: Path) -> None:
    (runs.folder / "runs" / "tiny-1").mkdir(parents=True)
    assert list(runs.local.logs({"folder": str(runs.folder / "runs" / "tiny-1")}, follow=False)) == []


def test_without_following_what_is_there_comes_at_once(runs: Runs) -> None:
    reference = runs.submit("import time; print('ready'); time.sleep(600)")
    runs.waits(reference)
    began = time.monotonic()
    assert "ready" in list(runs.local.logs(reference, follow=False))
    assert time.monotonic() - began < 1


def test_following_goes_from_the_first_line_to_the_last_and_ends(runs: Runs) -> None:
    reference = runs.submit(COUNT)
    lines = list(runs.local.logs(reference, follow=True))
    assert counted(iter(lines)) == WANTED
    last = event.read(lines[-1])
    assert last is not None
    assert last.event == Outcome(state="succeeded", exit_code=0)
    assert runs.local.status(reference).finished


def test_following_from_before_the_run_is_there(runs: Runs, tmp_path: Path) -> None:
    path, answers = tmp_path / "log.txt", itertools.count()

    def ended() -> bool:
        match next(answers):
            case 1:
                path.write_text("fir")
            case 2:
                path.write_text("first\nsecond")
        return path.exists() and "second" in path.read_text()

    assert list(log.lines(path, ended)) == ["first", "second"]


def test_a_line_that_is_being_written_comes_once_and_whole(tmp_path: Path) -> None:
    path, parts = tmp_path / "log.txt", iter([b"one\nha", b"lf \xc3", b"\xbcber\r\nlast", b""])
    with path.open("wb", buffering=0) as file:

        def ended() -> bool:
            file.write(part := next(parts))
            return not part

        assert list(log.lines(path, ended)) == ["one", "half über", "last"]


def test_what_is_written_just_before_the_end_is_not_lost(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_text("one\n")

    def ended() -> bool:
        path.write_text("one\ntwo\n")
        return True

    assert list(log.lines(path, ended)) == ["one", "two"]


def test_after_the_end_the_whole_log_is_there_with_and_without_following(runs: Runs) -> None:
    reference = runs.submit(COUNT)
    runs.end_of(reference)
    for follow in (False, True):
        assert counted(runs.local.logs(reference, follow)) == WANTED


def test_a_long_log_comes_whole(tmp_path: Path) -> None:
    wanted = [f"{number} {'x' * 1000}" for number in range(500)]
    (tmp_path / "log.txt").write_text("\n".join(wanted))
    assert list(log.lines(tmp_path / "log.txt", lambda: True)) == wanted
