"""A run of each workload is adopted from its run folder by a machine that never heard of it."""

import pytest
from adopted_workloads import JOBS, compare_adopted

SMALL = ("--gpus", "0", "--cpus", "1", "--memory", "1G", "--time", "10m", "--tracking-uri", "none", "--no-pin")


@pytest.mark.parametrize("job", JOBS)
def test_status_of_an_adopted_run_is_that_of_its_machine(slurm, robotrain, tmp_path, monkeypatch, job):
    folders = ("--runs-dir", str(tmp_path / "runs"), "--cache-dir", str(tmp_path / "cache"))
    words = ("submit", job.removesuffix("-smolvla"), "--platform", "slurm", *folders, *SMALL, *JOBS[job])
    runs = tmp_path / "runs"
    compare_adopted(robotrain, monkeypatch, tmp_path / "other", words, lambda status: str(runs / status["run"]))
