"""A run of each workload is adopted from OSMO by a machine that never heard of it."""

import pytest
from adopted_workloads import JOBS, compare_adopted


@pytest.mark.parametrize("job", JOBS)
def test_status_of_an_adopted_run_is_that_of_its_machine(osmo, robotrain, tmp_path, monkeypatch, job):
    workload = job.removesuffix("-smolvla")
    kept = ("--publish-url", "azure://rtmemory/checkpoints/x") if workload in ("isaac-export", "lerobot-merge") else ()
    place = ("--platform", "osmo", "--pool", "default", "--no-pin", "--tracking-uri", "none")
    words = ("submit", workload, *place, *kept, *JOBS[job])
    compare_adopted(robotrain, monkeypatch, tmp_path / "other", words, lambda status: f"{status['run']}-1")
