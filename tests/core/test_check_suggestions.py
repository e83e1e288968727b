"""Rejections suggest alternatives that the platform accepts."""

import pytest
from fake_engine import set_run_state
from robotrain.errors import Problem, Stage, Suggestion, format_problem
from robotrain.store import plans


@pytest.mark.parametrize(("platform", "is_offered"), [("fake", True), ("plain", False)])
def test_a_kind_that_the_platform_refuses_is_no_way_out(robotrain, fake_platform, plain_platform, platform, is_offered):
    job = ("-d", "u/d", "--no-pin", "--dry-run", "--policy-path", "https://acc.blob.core.windows.net/box/p")
    answer = robotrain("submit", "--platform", platform, *job)
    answer.check_problems(2, "source-invalid --policy-path")
    assert ("--policy-url" in answer.stderr) == is_offered


def test_resume_of_a_run_that_reached_its_steps_is_refused_at_once(robotrain, fake_platform):
    run = robotrain("submit", "--platform", "fake", "-d", "u/d", "--no-pin", "--training-steps", "4").stdout.strip()
    set_run_state(fake_platform, run, "succeeded", checkpoints=[2, 4])
    robotrain("resume", run, "--no-pin").check_problems(2, "steps-reached")
    assert len(list((fake_platform / "jobs").iterdir())) == 1
    more = robotrain("resume", run, "--no-pin", "--training-steps", "8")
    assert more.exit_code == 0
    assert dict(plans.read_stored_plan(more.stdout.strip()).plan.job.parameters)["training_steps"] == 8


def test_remarks_stand_below_each_other_but_not_behind_a_line_that_is_very_long():
    ways = (Suggestion("az " + "x" * 200, "long"), Suggestion("--a", "short"), Suggestion("--longer", "other"))
    problem = Problem(code="c", stage=Stage.CHECK, title="t", suggestions=ways)
    assert format_problem(problem).splitlines()[1:] == [
        f"  use   az {'x' * 200} (long)",
        "  or    --a      (short)",
        "  or    --longer (other)",
    ]
