"""The workload that a job means which names none: it says so itself."""

import pytest
from plugin_sources import make_workload

WORK = make_workload("aaa", default="True")


@pytest.fixture
def second_default_workload(install) -> None:
    """A second workload that says that it is the default, the first by its name."""
    install("robotrain-aaa", {"workload.aaa": "aaa_work"}, aaa_work=WORK)


def test_the_first_by_name_of_several_is_used_and_that_is_said(robotrain, second_default_workload):
    answer = robotrain("explain", "--platform", "local", "--json")
    answer.check_problems(0, "workload-defaults")
    assert answer.json["workload"] == "aaa"


def test_a_workload_that_is_named_needs_no_default(robotrain, second_default_workload):
    answer = robotrain("explain", "lerobot-train", "-d", "lerobot/pusht", "--platform", "local")
    assert (answer.exit_code, "[workload-defaults]" in answer.stderr) == (0, False)


def test_without_a_default_the_workloads_are_offered(robotrain):
    answer = robotrain("--without", "workload.lerobot-train", "explain", "--platform", "local")
    answer.check_problems(2, "workload-missing")
