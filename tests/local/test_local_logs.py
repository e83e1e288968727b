"""Logs before a run starts, while it runs and after it; each line once, none lost."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from local_runs import Runs, wait_for
from robotrain.run_folder import log
from robotrain_local import process_list
from robotrain_runtime.contract import event
from robotrain_runtime.contract.event import Outcome

COUNT = "import time\nfor number in range(20):\n    print('line', number, flush=True); time.sleep(0.03)"
WANTED = [f"line {number}" for number in range(20)]


def numbered_lines(lines: Iterator[str]) -> list[str]:
    return [line for line in lines if line.startswith("line ")]


@pytest.mark.parametrize("tail", [None, 5])
def test_pending_run_has_no_lines(runs: Runs, tail: int | None) -> None:
    (runs.folder / "runs" / "tiny-1").mkdir(parents=True)
    assert list(runs.local.logs({"folder": str(runs.folder / "runs" / "tiny-1")}, follow=False, tail=tail)) == []


@pytest.mark.slow
def test_following_reads_all_lines_and_ends(runs: Runs) -> None:
    reference = runs.submit(COUNT)
    lines = list(runs.local.logs(reference, follow=True))
    assert numbered_lines(iter(lines)) == WANTED
    last = event.parse_event(lines[-1])
    assert last is not None
    assert last.event == Outcome(state="succeeded", exit_code=0)
    assert runs.local.status(reference).finished


LONG = [f"{number} {'x' * 1000}" for number in range(500)]


@pytest.mark.parametrize(
    ("contents", "lines"),
    [
        ([None, b"fir", b"first\nsecond"], ["first", "second"]),
        ([b"one\nha", b"one\nhalf \xc3", b"one\nhalf \xc3\xbcber\r\nlast"], ["one", "half über", "last"]),
        ([b"one\n", b"one\ntwo\n"], ["one", "two"]),
        (["\n".join(LONG).encode()], LONG),
    ],
    ids=["not there yet", "incomplete lines", "written just before the end", "long"],
)
def test_each_line_is_read_once_and_complete(tmp_path: Path, contents: list[bytes | None], lines: list[str]) -> None:
    path, written = tmp_path / "log.txt", iter(contents)

    def has_ended() -> bool:
        content = next(written)
        if content is not None:
            path.write_bytes(content)
        return content == contents[-1]

    assert list(log.read_log_lines(path, has_ended)) == lines


@pytest.mark.slow
def test_log_and_events_of_an_ended_run(runs: Runs) -> None:
    reference = runs.submit(COUNT)
    runs.wait_for_end(reference)
    whole = list(runs.local.logs(reference, follow=False))
    assert numbered_lines(iter(whole)) == WANTED
    assert list(runs.local.logs(reference, follow=True)) == whole
    for count in (1, 5, len(whole), 1000):
        assert list(runs.local.logs(reference, follow=False, tail=count)) == whole[-count:]
    assert list(runs.local.logs(reference, follow=False, tail=0)) == []
    Path(reference["folder"], "log.txt").unlink()
    events = runs.local.events_file(reference)
    assert events is not None
    assert events.read_text().splitlines() == [line for line in whole if event.parse_event(line)]


@pytest.mark.slow
def test_following_from_the_last_lines_continues_to_the_end(runs: Runs) -> None:
    reference = runs.submit(COUNT)
    wait_for(lambda: "line 5" in runs.local.logs(reference, follow=False))
    lines = numbered_lines(runs.local.logs(reference, follow=True, tail=2))
    assert lines == WANTED[-len(lines) :]
    assert len(lines) < len(WANTED)
    assert lines[-1] == WANTED[-1]


@pytest.mark.parametrize("end", ["", "\n", "\n\n", "half a line"])
@pytest.mark.parametrize("width", [1, 10, 70_000])
def test_tail_is_the_end_of_the_whole_log(tmp_path: Path, end: str, width: int) -> None:
    path = tmp_path / "log.txt"
    path.write_text("\n".join(f"{number} {'x' * width}" for number in range(9)) + end)
    whole = list(log.read_log_lines(path, lambda: True))
    for count in range(12):
        assert (
            list(log.read_log_lines(path, lambda: True, count))
            == whole[len(whole) - count if count < len(whole) else 0 :]
        )


def test_tail_of_a_large_log_is_read_from_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, read = tmp_path / "log.txt", list[int]()
    with path.open("wb") as file:
        file.truncate(50_000_000_000)  # a hole: reading it all would take minutes
        file.seek(0, os.SEEK_END)
        file.write(b"\n" + b"".join(b"line %d\n" % number for number in range(100)))
    real = log._read_chunk
    monkeypatch.setattr(
        log, "_read_chunk", lambda path, at, size=log.CHUNK_SIZE: (read.append(at), real(path, at, size))[1]
    )
    assert list(log.read_log_lines(path, lambda: True, 3)) == ["line 97", "line 98", "line 99"]
    assert min(read) >= 50_000_000_000 - 2 * log.CHUNK_SIZE


@pytest.mark.slow
def test_status_does_not_read_a_large_log(runs: Runs) -> None:
    reference = runs.submit("print('ready'); import time; time.sleep(600)")
    runs.wait_until_ready(reference)
    with Path(reference["folder"], "log.txt").open("r+b") as file:
        file.truncate(50_000_000_000)
    assert runs.local.status(reference).state == "running"
    process_list.send_signal(runs.processes(reference), signal.SIGKILL)
    assert runs.wait_for_end(reference).state == "lost"
