"""kill -9 at every step of `submit`, then the same command again: exactly one run. The table of submit-once.md, by row.

A process is killed right before its Nth effect: every file opened for writing, every folder made, renamed or removed,
every process started below the test's folders. Python's own audit events name them, so the product holds no switch.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from problem_assertions import check_problems
from robotrain.store import records

AUDIT = """
import os, runpy, signal, sys
at, below = int(os.environ["KILL_AT"]), os.environ["KILL_BELOW"]
listed = os.open(os.environ["KILL_LISTED"], os.O_WRONLY | os.O_CREAT)
effects = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.posix_spawn", "shutil.rmtree"}
seen = 0

def effect(event, args):
    global seen
    if event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        what = str(args[0])
    elif event in effects:
        what = f"{args[0]} {args[1] if event in ('os.rename', 'os.link') else ''}"
    else:
        return
    if below not in what and event != "os.posix_spawn":
        return
    seen += 1
    if seen == at:
        os.kill(os.getpid(), signal.SIGKILL)
    if not at:
        os.write(listed, f"{event} {what}\\n".encode())

sys.addaudithook(effect)
"""
"""A program with it ends before its effect number KILL_AT below a folder; for 0, it lists all of them."""
KILLED = (
    AUDIT
    + """
sys.argv[0] = "robotrain"
runpy.run_module("robotrain", run_name="__main__")
"""
)

ROWS = {
    "before a name is claimed": r"runs$|tmp\w+$|mkdir .*/state$|/submitting\b",
    "the name is claimed, nothing is stored": r"/runs/[^/]+$|/(?:claimed|step)$|/runs\.index$",
    "the plan is being stored": r"/payloads|/plan",
    "the record is being written, nothing was sent": r"/\.record-\w+\.tmp",
    "the platform has the run, its reference was not recorded": r"/fake/jobs",
}
"""What is under way, by the effect that the process is killed before; the first that fits counts, writing the record
twice: before and after the engine."""


def submit(at: int, pusht: Path, tmp_path: Path) -> "subprocess.CompletedProcess[str]":
    environ = os.environ | {
        "KILL_AT": str(at),
        "KILL_LISTED": str(tmp_path / "listed"),
        "KILL_BELOW": str(tmp_path),
        "PYTHONPATH": os.environ.get("FAKE_SITE", ""),
    }
    arguments = ["submit", "--platform", "fake", "--dataset-path", str(pusht), "--training-steps", "3"]
    command = [sys.executable, "-B", "-c", KILLED, *arguments]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)


@pytest.fixture
def effects(fake_platform, pusht, tmp_path, monkeypatch) -> list[str]:
    """Every effect of one whole submit, in order; what it left is removed again."""
    import shutil

    for at in (10**6, 0):  # the first fills the cache
        _clear(tmp_path)
        done = submit(at, pusht, tmp_path)
        assert done.returncode == 0, done.stderr
    listed = (tmp_path / "listed").read_text().splitlines()
    _clear(tmp_path)
    shutil.rmtree(fake_platform)
    fake_platform.mkdir()
    return listed


def _clear(tmp_path: Path) -> None:
    import shutil

    shutil.rmtree(tmp_path / "state", ignore_errors=True)
    shutil.rmtree(tmp_path / "fake/jobs", ignore_errors=True)
    (tmp_path / "listed").unlink(missing_ok=True)


def row_of(effect: str) -> str:
    rows = [row for row, pattern in ROWS.items() if re.search(pattern, effect.strip())]
    assert rows, f"no row of the table says what happens before: {effect}"
    return rows[0]


def assert_one_run(fake_platform: Path, run: str) -> None:
    jobs = fake_platform / "jobs"
    assert {path.name: len(path.read_text().split()) for path in jobs.iterdir()} == {run: 1}
    assert records.read_record(run).phase == "sent"
    assert records.list_runs() == [run]


@pytest.mark.slow
@pytest.mark.long
def test_killed_before_any_effect_the_same_command_makes_exactly_one_run(effects, fake_platform, pusht, tmp_path):
    import shutil

    assert {row_of(effect) for effect in effects} == set(ROWS)
    for at in range(1, len(effects) + 1):
        assert submit(at, pusht, tmp_path).returncode == -9, effects[at - 1]
        again = submit(10**6, pusht, tmp_path)
        assert again.returncode == 0, (effects[at - 1], again.stderr)
        assert_one_run(fake_platform, again.stdout.strip())
        assert again.stdout.strip().endswith("-1"), effects[at - 1]
        _clear(tmp_path)
        shutil.rmtree(fake_platform)
        fake_platform.mkdir()


@pytest.mark.slow
def test_killed_while_the_engine_has_it_the_run_is_adopted(effects, fake_platform, pusht, tmp_path):
    after_the_engine = max(at for at, effect in enumerate(effects, 1) if "/fake/jobs" in effect) + 1
    assert submit(after_the_engine, pusht, tmp_path).returncode == -9
    (left,) = records.list_runs()
    assert records.read_record(left).phase == "sending"
    again = submit(10**6, pusht, tmp_path)
    check_problems(again.stderr, "run-adopted")
    assert_one_run(fake_platform, left)


@pytest.mark.slow
def test_killed_again_and_again_it_is_still_one_run(effects, fake_platform, pusht, tmp_path):
    for at in (len(effects) // 2, 3, 5, 2):
        assert submit(at, pusht, tmp_path).returncode == -9
    run = submit(10**6, pusht, tmp_path).stdout.strip()
    assert_one_run(fake_platform, run)


@pytest.mark.slow
def test_two_submits_at_once_are_one_run(fake_platform, pusht, tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda _: submit(10**6, pusht, tmp_path), range(2)))
    assert [process.returncode for process in done] == [0, 0]
    (run,) = {process.stdout.strip() for process in done}
    assert_one_run(fake_platform, run)


def test_the_table_of_the_docs_has_exactly_these_rows():
    text = (Path(__file__).parents[2] / "docs/submit-once.md").read_text()
    table = text.split("| interrupted when |")[1].split("\n\n")[0].splitlines()[2:]
    assert [line.split("|")[1].strip() for line in table] == [*ROWS, "the name was printed"]
