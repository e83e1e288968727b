"""What gets ready for the work while data is fetched: it does the work, or says early that the work would fail."""

import signal
import sys
import time

REFUSES = "import sys; print('error: a is larger than b'); sys.exit(4)"
TAKES_OVER = """
import json, os, pathlib, sys
described = sys.argv[1:]
print("ready", [os.path.isdir(folder) for folder in described], flush=True)
option, program, *folders = json.loads(sys.stdin.readline())
print("works", option, [pathlib.Path(folder).name for folder in folders], flush=True)
print("still described", [os.path.isdir(folder) for folder in described], flush=True)
exec(program)
"""


def touch_and_wait(own, other) -> str:
    """A program's lines: show that it runs, and wait for the data to be fetched."""
    return f"""
import pathlib, time
pathlib.Path({str(own)!r}).touch()
while not pathlib.Path({str(other)!r}).exists():
    time.sleep(0.01)
"""


def test_a_warmed_up_program_does_the_work_once_the_data_is_there(run, job, tmp_path):
    own, other = tmp_path / "warm", tmp_path / "fetching"
    warm_up = touch_and_wait(own, other) + TAKES_OVER
    ran = run(job("print('working')", carried=[f"meets {other} {own}"], publish={"warm_up": warm_up}))
    assert (ran.exit_code, ran.outcome["state"]) == (0, "succeeded")
    assert ran.ordinary == ["ready [True]", "works -c ['meets']", "still described [True]", "working"]


def test_a_refusal_ends_the_download_and_is_told_as_preflight_tells_it(run, job, tmp_path):
    ran = run(job(carried=[f"meets {tmp_path / 'fetching'} {tmp_path / 'never'}"], publish={"warm_up": REFUSES}))
    assert (ran.exit_code, ran.outcome["state"], ran.outcome["fault"]) == (4, "failed", "configuration")
    assert ran.outcome["reason"] == "a is larger than b"
    assert ran.notes("error") == ["a is larger than b."]
    assert "work" not in [stage.name for stage in ran.records if hasattr(stage, "name")]


def test_a_refusal_when_the_data_is_there_already_ends_the_run_alike(run, job, tmp_path):
    refuses = "import sys; sys.stdin.readline(); " + REFUSES
    ran = run(job("print('working')", publish={"warm_up": refuses}))
    assert (ran.exit_code, ran.outcome["reason"]) == (4, "a is larger than b")
    assert ran.outcome["fault"] == "configuration"
    assert "working" not in ran.ordinary


def test_a_warm_up_that_fails_for_another_reason_changes_nothing(run, job, tmp_path):
    after = tmp_path / "after"
    wait = "import os, pathlib, sys, time\nwhile os.getppid() == int(sys.argv[1]): time.sleep(0.01)\n"
    then = [sys.executable, "-c", f"{wait}pathlib.Path({str(after)!r}).touch()"]
    start = f"import os, subprocess, sys; subprocess.Popen([*{then!r}, str(os.getpid())], stdout=-3, stderr=-3)"
    ends = f"{start}; sys.exit('broken')"
    fetched_later = [f"meets {tmp_path / 'fetching'} {after}"]
    ran = run(job("print('working')", carried=fetched_later, publish={"warm_up": ends}))
    assert (ran.exit_code, ran.ordinary) == (0, ["broken", "working"])


def test_a_warm_up_that_only_checks_ends_when_the_work_starts(run, job, tmp_path):
    checks = f"import pathlib, time; pathlib.Path({str(tmp_path / 'pid')!r}).touch(); time.sleep(60)"
    began = time.monotonic()
    ran = run(job("print('working')", publish={"warm_up": checks, "only": "yes"}))
    assert (ran.exit_code, ran.ordinary) == (0, ["working"])
    assert time.monotonic() - began < 30


def test_a_stop_ends_the_warm_up(start, finish, job, tmp_path):
    own = tmp_path / "warm"
    warm_up = touch_and_wait(own, tmp_path / "never")
    process = start(job(carried=[f"meets {tmp_path / 'fetching'} {tmp_path / 'never'}"], publish={"warm_up": warm_up}))
    while not own.exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    ran = finish(process)
    assert (ran.exit_code, ran.outcome["state"]) == (143, "cancelled")
