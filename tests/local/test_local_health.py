"""What `robotrain doctor` says of this machine's runs: room, tracking, and what nobody recorded."""

import os
import sqlite3
from pathlib import Path

import pytest
from local_runs import Runs
from robotrain.model.health import HealthResult, find_results
from robotrain.store import files
from robotrain_local import preflight
from robotrain_runtime.machine import disk_cache


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ROBOTRAIN_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


def run_check(name: str) -> list[HealthResult]:
    (check,) = [check for check in preflight.list_checks(None) if check.name == name]
    return find_results(check.run)


def database(state: Path) -> Path:
    state.mkdir()
    with sqlite3.connect(state / "mlflow.db") as opened:
        opened.execute("create table runs (run_uuid text)")
        opened.executemany("insert into runs values (?)", [("a",), ("b",)])
    opened.close()
    return state / "mlflow.db"


def test_machine_without_runs_is_ok_and_unchanged(state: Path) -> None:
    for name in ("run folders", "tracking"):
        assert [finding.state for finding in run_check(name)] == ["ok"]
    assert not state.exists()


@pytest.mark.parametrize(
    ("driver", "visible", "state", "shown"),
    [
        (
            None,
            None,
            "ok",
            "none: training uses the CPU (there is no nvidia-smi on PATH, so no NVIDIA driver reaches here)",
        ),
        ("NVIDIA H100, 570.1, 9.0, GPU-1", None, "ok", "NVIDIA H100, driver 570.1"),
        ("NVIDIA H100, 570.1, 9.0, GPU-1\nNVIDIA H100, 570.1, 9.0, GPU-2", None, "ok", "2 × NVIDIA H100, driver 570.1"),
        (
            "NVIDIA H100, 570.1, 9.0, GPU-1",
            "",
            "warn",
            "none: training uses the CPU (CUDA_VISIBLE_DEVICES hides 1 of NVIDIA H100)",
        ),
        (
            "Failed to initialize NVML",
            None,
            "warn",
            "none: training uses the CPU (nvidia-smi printed: Failed to initialize NVML)",
        ),
    ],
)
def test_gpus_are_named_or_the_cpu(monkeypatch, tmp_path, driver, visible, state, shown) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    if driver:
        (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\nprintf '%s\\n' '{driver}'\n")
        (tmp_path / "nvidia-smi").chmod(0o755)
    assert [(finding.state, finding.text) for finding in run_check("gpu")] == [(state, shown)]


@pytest.mark.parametrize(
    ("used", "shown"), [(4, "NVIDIA H100, 85.9 GB, driver 570.1"), (70_000, "73.4 GB of its memory is in use")]
)
def test_memory_of_a_gpu_is_shown_and_what_others_use(monkeypatch, tmp_path, used, shown) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    answers = f"case $1 in *memory*) echo GPU-1, 81920, {used};; *) echo NVIDIA H100, 570.1, 9.0, GPU-1;; esac"
    (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\n{answers}\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    (finding,) = run_check("gpu")
    assert (finding.state, shown in finding.text) == ("ok", True), finding.text
    assert ("in use" in finding.text) is (used > 4)


def test_a_tracking_database_is_read_and_its_runs_are_counted(state: Path) -> None:
    path = database(state)
    (finding,) = run_check("tracking")
    assert (finding.state, finding.text) == ("ok", f"{path}, 2 tracked runs")


def test_invalid_tracking_database_is_a_warning(state: Path) -> None:
    state.mkdir()
    (state / "mlflow.db").write_text("this is no database, though it is long enough to be one " * 100)
    (finding,) = run_check("tracking")
    assert finding.state == "warn"
    assert finding.text.endswith("cannot be read: file is not a database")
    assert finding.suggestions[0].text == f"mv {state}/mlflow.db {state}/mlflow.db.broken"


def test_busy_tracking_database_is_ok(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "BUSY_SECONDS", 0.05)
    writing = sqlite3.connect(database(state), isolation_level=None)
    writing.execute("begin exclusive")
    (finding,) = run_check("tracking")
    writing.close()
    assert finding.state == "ok"
    assert f"{state}/mlflow.db" in finding.text


def test_a_tracking_database_on_a_network_disk_is_a_warning(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database(state)
    (tmp_path / "mounts").write_text(f"server:/home {tmp_path} nfs4 rw 0 0\n")
    monkeypatch.setattr(files, "MOUNTS_FILE", tmp_path / "mounts")
    (finding,) = run_check("tracking")
    assert finding.state == "warn"
    assert "nfs4" in finding.text


def test_full_disk_fails(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_cache, "get_free_bytes", lambda path: 10**8)
    finding, *_ = run_check("run folders")
    assert finding.state == "fail"
    assert "0.09 GiB are free" in finding.text
    assert finding.suggestions[0].text == "robotrain prune --older-than 30d"


@pytest.fixture
def unrecorded_run(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ROBOTRAIN_RUNS_DIR", str(runs.folder / "runs"))
    reference = runs.submit("print('ready')")
    runs.wait_for_end(reference)
    return Path(reference["folder"])


def test_unrecorded_run_is_reported_and_never_removed(unrecorded_run: Path) -> None:
    assert [finding.state for finding in run_check("run folders")] == ["ok"]  # it may be being sent at this moment
    os.utime(unrecorded_run, (1, 1))
    _, finding = run_check("run folders")
    assert finding.state == "warn"
    assert finding.text.startswith(str(unrecorded_run))
    assert "succeeded" in finding.text
    assert finding.suggestions[0].text == f"rm -r {unrecorded_run}"


def test_old_folders_of_interrupted_commands_come_with_the_line_that_removes_them(unrecorded_run: Path) -> None:
    old, gone, new = (unrecorded_run.with_name(name) for name in (".a-1.0f.part", ".b-1.0f.gone", ".c-1.0f.part"))
    for folder in (old, gone, new):
        folder.mkdir()
    for folder in (old, gone):
        os.utime(folder, (1, 1))
    (finding,) = [finding for finding in run_check("run folders") if finding.state == "ok" and finding.suggestions]
    assert "2 folders" in finding.text
    assert {*finding.suggestions[0].text.split()} == {"rm", "-r", str(old), str(gone)}
