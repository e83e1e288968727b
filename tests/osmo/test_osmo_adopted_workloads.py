"""A run is adopted from OSMO by a machine that never heard of it; one of each workload is adopted from Slurm."""

import pytest
from adopted_workloads import JOBS, compare_adopted


@pytest.mark.parametrize("job", ["lerobot-train-smolvla", "isaac-export"])
def test_status_of_an_adopted_run_is_that_of_its_machine(osmo, robotrain, tmp_path, monkeypatch, job):
    publish_options = ("--publish-url", "azure://rtmemory/checkpoints/x") if job == "isaac-export" else ()
    place = ("--platform", "osmo", "--pool", "default", "--no-pin", "--tracking-uri", "none")
    words = ("submit", job.removesuffix("-smolvla"), *place, *publish_options, *JOBS[job])
    compare_adopted(robotrain, monkeypatch, tmp_path / "other", words, lambda status: f"{status['run']}-1")
