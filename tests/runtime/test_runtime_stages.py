"""Stages of a run: environment and data in parallel, failures of one that end the other, and the start of the work."""

import os
import stat
import time
from contextlib import suppress
from pathlib import Path

import pytest
from robotrain_runtime.contract.event import Download, StageEvent
from robotrain_runtime.environments import environment, uv_program

pytestmark = pytest.mark.slow  # real runs, a second each

REAL_UV = uv_program.find_uv(Path("/nowhere"))
needs_uv = pytest.mark.skipif(REAL_UV is None, reason="no uv on this machine")
NUMBERS = """
import os, pathlib
print([pathlib.Path(folder, "numbers.txt").read_text() for folder in os.environ["PRETEND_DATA"].split(":")])
"""
SLOW_UV = """#!/bin/sh
# uv, but that the training environment is built as the test says
case "$*" in
  *NAME*) echo $$ > PID; SAYS ;;
esac
exec UV "$@"
"""


@pytest.fixture
def slow_uv(tmp_path, plugins_on_path):
    """A uv that first does as told when it makes the training environment: its path, and a file with its process."""

    def make(says: str) -> tuple[str, Path]:
        import pretend_work

        name = environment.get_environment_folder(pretend_work.ENVIRONMENT.lock, tmp_path / "cache").name
        script, pid = tmp_path / "uv", tmp_path / "uv.pid"
        words = {"NAME": name, "PID": str(pid), "SAYS": says, "UV": str(REAL_UV)}
        text = SLOW_UV
        for word, stands_for in words.items():
            text = text.replace(word, stands_for)
        script.write_text(text)
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        return str(script), pid

    return make


def is_gone(pid: Path) -> bool:
    """Whether the process is no more; it may take a moment."""
    number, end = int(pid.read_text()), time.monotonic() + 60
    while time.monotonic() < end:
        with suppress(ProcessLookupError):
            os.kill(number, 0)
            time.sleep(0.02)
            continue
        return True
    return False


def list_stage_states(ran) -> dict[str, str]:
    """How each stage ended."""
    return {stage.name: stage.state for stage in ran.of_kind(StageEvent)}


@needs_uv
def test_environment_and_data_are_on_their_way_at_once(run, job, slow_uv, tmp_path):
    data, building = tmp_path / "data-began", tmp_path / "environment-began"
    tool, _ = slow_uv(f"touch {building}; while [ ! -e {data} ]; do sleep 0.02; done")  # each waits for the other
    ran = run(job(NUMBERS, carried=[f"meets {data} {building}"], environment=None), UV=tool)
    assert ran.exit_code == 0, ran.lines
    assert ran.ordinary[-1] == "['meets']"
    began = [stage.name for stage in ran.of_kind(StageEvent) if stage.state == "started"]
    assert began == ["preflight", "environment", "data", "work"]
    assert set(list_stage_states(ran).values()) == {"done"}
    assert all(stage.seconds is not None for stage in ran.of_kind(StageEvent) if stage.state == "done")


@needs_uv
def test_an_environment_that_cannot_be_built_ends_the_run_while_data_still_comes(run, job, slow_uv, tmp_path):
    tool, _ = slow_uv(f"while [ ! -e {tmp_path}/began ]; do sleep 0.02; done; echo 'error: dns error'; exit 2")
    ran = run(job(carried=[f"meets {tmp_path}/began {tmp_path}/never"], environment=None), UV=tool)
    assert (ran.exit_code, ran.outcome["fault"]) == (75, "network")
    assert "dns error" in ran.outcome["reason"]
    assert list_stage_states(ran) == {"preflight": "done", "environment": "failed", "data": "failed"}


@needs_uv
def test_data_that_cannot_be_fetched_ends_the_build_of_the_environment(run, job, slow_uv, tmp_path):
    tool, pid = slow_uv(f"touch {tmp_path}/building; exec sleep 600")
    wait = f"meets {tmp_path}/began {tmp_path}/building"
    ran = run(job(carried=[wait, "breaks network"], environment=None), UV=tool)
    assert (ran.exit_code, ran.outcome["reason"], ran.outcome["fault"]) == (75, "the line was cut", "network")
    assert list_stage_states(ran) == {"preflight": "done", "environment": "failed", "data": "failed"}
    assert is_gone(pid)


@needs_uv
def test_a_stop_ends_the_build_in_the_background(start, finish, job, slow_uv, tmp_path):
    tool, pid = slow_uv(f"touch {tmp_path}/building; exec sleep 600")
    process = start(job(carried=[f"meets {tmp_path}/began {tmp_path}/never"], environment=None), UV=tool)
    while not (tmp_path / "building").exists() or not (tmp_path / "began").exists():
        time.sleep(0.01)
    process.terminate()
    ran = finish(process)
    assert (ran.exit_code, ran.outcome["state"], ran.outcome["fault"]) == (143, "cancelled", "stopped")
    assert is_gone(pid)
    assert list((tmp_path / "cache" / "environments").glob(".*")) == []


@needs_uv
def test_findings_of_the_sources_end_the_build_in_the_background(run, job, slow_uv):
    tool, pid = slow_uv("exec sleep 600")
    ran = run(job(carried=["wrong network The storage is far away."], environment=None), UV=tool)
    assert (ran.exit_code, ran.outcome["fault"]) == (75, "network")
    assert not pid.exists() or is_gone(pid)


def test_everything_that_is_wrong_is_told_at_once(run, job, tmp_path):
    away = "wrong network It is far away"
    sources = ["odd", "even", away, f"{away}.", "wrong configuration It is not yours.\nask for the role"]
    empty = tmp_path / "no-driver"
    empty.mkdir()
    ran = run(job(carried=sources, publish={"gpus": 1}, tracking_uri="http://127.0.0.1:9"), PATH=str(empty))
    assert (ran.exit_code, ran.outcome["fault"]) == (4, "configuration")
    assert list_stage_states(ran) == {"preflight": "failed"}
    text = "\n".join(ran.notes("error"))
    for words in ("far away", "ask for the role", "odd numbers", "no nvidia-smi", "http://127.0.0.1:9"):
        assert words in text
    assert len(ran.notes("error")) == 6


def test_data_that_does_not_fit_on_the_disk_is_told_before_it_is_fetched(run, job):
    ran = run(job(carried=["huge"]))
    assert (ran.exit_code, ran.outcome["fault"]) == (4, "disk_full")
    assert "GiB needed" in ran.outcome["reason"]


def test_how_far_the_data_is_can_be_followed(run, job):
    ran = run(job(NUMBERS, carried=["a", "b"]))
    assert ran.of_kind(Download)[-1] == Download(done=2000, total=2000, rate=1e6)
    assert ran.ordinary[-1] == "['a', 'b']"


def test_sources_keep_their_order_whoever_brings_them(run, job, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "numbers.txt").write_text("mine")
    assert run(job(NUMBERS, sources=[tmp_path / "mine"], carried=["b", "a"])).ordinary[-1] == "['mine', 'b', 'a']"


def test_the_cache_is_kept_within_its_limit_and_the_data_of_the_run_stays(run, job, tmp_path):
    old = tmp_path / "cache" / "data" / "old"
    old.mkdir(parents=True)
    (old / "file").write_bytes(os.urandom(2**20))
    old.with_name("old.lock").touch()
    ran = run(job(NUMBERS, carried=["a"], cache_gib=1e-6))
    assert ran.ordinary[-1] == "['a']"
    assert not old.exists()
    assert any(line.startswith("removed data/old from the cache") for line in ran.ordinary)


def join() -> str:
    import pretend_work

    return pretend_work.JOIN


def test_data_is_made_ready_once_and_used_again(run, job, tmp_path, plugins_on_path):
    made = job(NUMBERS, carried=["b", "a"], publish={"join": join()})
    ran = run(made)
    assert ran.exit_code == 0, ran.lines
    assert ran.ordinary[-2:] == ["joined 2", "['b+a', 'b+a']"]
    assert (tmp_path / "cache/prepared/pretend/digest-of-b.digest-of-a/files/numbers.txt").read_text() == "b+a"
    again = run(made)
    assert "joined 2" not in again.ordinary
    assert [stage.detail for stage in again.of_kind(StageEvent) if stage.name == "merge"] == ["", "made before"]
    assert again.ordinary[-1] == "['b+a', 'b+a']"


def test_a_damaged_result_is_made_anew(run, job, tmp_path, plugins_on_path):
    made = job(NUMBERS, carried=["a", "b"], publish={"join": join()})
    run(made)
    (tmp_path / "cache/prepared/pretend/digest-of-a.digest-of-b/files/numbers.txt").write_text("")
    assert run(made).ordinary[-1] == "['a+b', 'a+b']"


def test_data_that_nobody_can_identify_is_made_ready_in_the_runs_own_folder(run, job, tmp_path, plugins_on_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "numbers.txt").write_text("mine")
    made = job(NUMBERS, sources=[tmp_path / "mine"], publish={"join": join()})
    for _ in range(2):
        assert run(made).ordinary[-2:] == ["joined 1", "['mine']"]
    assert (tmp_path / "work/prepared/files/numbers.txt").read_text() == "mine"


def test_a_merge_that_fails_fails_the_run_with_its_reason(run, job):
    ran = run(job(carried=["a"], publish={"join": "raise ValueError('they do not fit')"}))
    assert (ran.exit_code, ran.outcome["fault"]) == (1, "code")
    assert ran.outcome["reason"] == "ValueError: they do not fit"
    assert list_stage_states(ran)["merge"] == "failed"


def test_two_runs_make_the_same_data_ready_once(start, finish, job, tmp_path, plugins_on_path):
    slow = f"import pathlib, time\nopen({str(tmp_path / 'count')!r}, 'a').write('x')\ntime.sleep(0.3)\n" + join()
    made = job(NUMBERS, carried=["a"], publish={"join": slow})
    other = job(NUMBERS, carried=["a"], publish={"join": slow}, work=str(tmp_path / "other"))
    both = [start(made), start(other)]
    assert [finish(process).exit_code for process in both] == [0, 0]
    assert (tmp_path / "count").read_text() == "x"
