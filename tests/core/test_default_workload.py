"""The workload that a job means which names none: its distribution claims it as that."""

import pytest
from plugin_sources import make_workload

WORK = make_workload("aaa")


@pytest.fixture
def second_default_workload(install) -> None:
    """A second workload that is claimed as the default, the first by its name."""
    claims = {"workload.aaa": "aaa_work", "default-workload.aaa": "aaa_work"}
    install("robotrain-aaa", claims, aaa_work=WORK)


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
