"""Implied sources that a job needs only if its data say so: data first, then what they need."""

import dataclasses

import pytest
from robotrain_runtime.contract.document import JobSource
from robotrain_runtime.contract.event import Download
from robotrain_runtime.preflight import preflight_remotely

SHOW = """
import os, pathlib
print([pathlib.Path(folder, "numbers.txt").read_text() for folder in os.environ["PRETEND_DATA"].split(":")])
"""
GONE = "wrong network It is far away."


@pytest.fixture
def implying_job(job, tmp_path):
    """Make a document of data, as words or in a folder that only the run reads, and of weights that it may need."""

    def make(data: str, weights: str = GONE, *, later: bool = False):
        (tmp_path / "later").mkdir(exist_ok=True)
        (tmp_path / "later/numbers.txt").write_text(data)
        made = job(SHOW, carried=["a"] if later else [data])
        uncertain = JobSource(role="backbone", kind="words", uri=weights, implied=True, uncertain=True)
        own = JobSource(role="dataset", kind="folder", uri=f"shelf:{tmp_path}/later")
        return dataclasses.replace(made, sources=(*([own] if later else made.sources), uncertain))

    return make


@pytest.mark.parametrize("later", [False, True])
def test_weights_that_the_data_do_not_need_are_dropped_in_one_line(run, implying_job, later):
    ran = run(implying_job("states", later=later))
    assert ran.exit_code == 0, ran.outcome
    assert "['states']" in ran.ordinary
    (line,) = (line for line in ran.ordinary if "not downloaded" in line)
    assert line.startswith(GONE)


def test_weights_that_the_data_need_and_nobody_has_end_the_run_in_a_sentence(run, implying_job):
    ran = run(implying_job("cameras", later=True))
    assert ran.outcome["reason"].startswith("It is far away")
    assert (ran.outcome["state"], ran.outcome["fault"]) == ("failed", "network")
    assert not ran.of_kind(Download)


def test_weights_that_the_data_need_are_fetched(run, implying_job):
    ran = run(implying_job("cameras", "even"))
    assert ran.exit_code == 0, ran.outcome
    assert "['cameras', 'even']" in ran.ordinary


def test_data_that_cannot_be_read_are_the_only_problem(run, implying_job):
    ran = run(implying_job("wrong data They are locked."))
    assert ran.outcome["reason"] == "They are locked"


@pytest.mark.parametrize(
    ("data", "titles"), [("states", []), ("cameras", ["It is far away"]), ("wrong data No.", ["No"])]
)
def test_a_check_from_another_machine_asks_only_for_what_is_needed(
    plugins_on_path, implying_job, tmp_path, data, titles
):
    made = implying_job(data)
    assert [finding.title for finding in preflight_remotely(made, tmp_path / "cache")] == titles
