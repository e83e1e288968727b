"""robotrain's command line, on a PBS that runs its jobs."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from pbs_world import PBSWorld


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PBSWorld:
    monkeypatch.setenv("ROBOTRAIN_STATE", str(tmp_path / "state"))
    return PBSWorld(tmp_path / "cluster", monkeypatch, runs=True)


@pytest.fixture
def robotrain(tmp_path: Path, cluster: PBSWorld) -> Callable[..., str]:
    def robotrain(*words: object, code: int = 0) -> str:
        command = [sys.executable, "-m", "robotrain", *map(str, words)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout if code == 0 else done.stdout + done.stderr

    return robotrain
