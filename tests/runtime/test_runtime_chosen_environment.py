"""A workload whose jobs choose the environment that they run in."""

import dataclasses
from pathlib import Path

import pytest
from robotrain_runtime.contract import plugin_loader
from robotrain_runtime.environments import environment

HERE = Path(__file__).parent / "halves"


@pytest.fixture
def measured(job, tmp_path):
    def make(lock: str = "", **given):
        publish = {"place": str(tmp_path), **({"lock": lock} if lock else {})}
        made = job("import sys; print(sys.orig_argv[0])", publish=publish, **given)
        return dataclasses.replace(made, halves={**made.halves, "workload.pretend": "pretend_measured"})

    return make


def test_it_is_as_the_half_says_of_the_job_and_otherwise_the_one_it_declares(halves_here, job, measured):
    assert plugin_loader.get_job_environment(job()).lock == HERE / "nothing.txt"
    assert plugin_loader.get_job_environment(measured()).lock == HERE / "nothing.txt"
    assert plugin_loader.get_job_environment(measured("carrying.txt")).lock == HERE / "carrying.txt"


@pytest.mark.slow
def test_the_work_runs_in_it(run, measured, tmp_path):
    ran = run(measured("carrying.txt", carried=["a"], environment=None))  # which the carrier has made ready
    assert ran.exit_code == 0, ran.lines
    built = environment.get_environment_folder(HERE / "carrying.txt", tmp_path / "cache")
    assert str(environment.get_python(built)) in ran.ordinary
