"""Names of tasks and libraries, checked against the list of the job's version of Isaac Lab."""

from typing import Any

import pytest
from job_documents import check_job
from problem_assertions import check_problems
from robotrain.errors import Problem
from robotrain.model.workload import Workload
from robotrain_workloads.isaac import tasks
from robotrain_workloads.isaac_train.workload import ISAAC_TRAIN
from robotrain_workloads.isaac_validate.workload import ISAAC_VALIDATE

UNKNOWN, NO_AGENT, DOUBTFUL = "task-unknown --task", "task-without-agent --task", "task-doubtful --task"


def find_problems(
    task: str, version: str, *args: str, workload: Workload = ISAAC_TRAIN, **values: Any
) -> list[Problem]:
    """Return what the check says of a task with rsl_rl."""
    problems = check_job(workload, args=args, task=task, isaac_version=version, **{"backend": "rsl_rl", **values})
    return [problem for problem in problems if problem.where != "--checkpoint-uri"]


CASES = {
    # version, task and what else differs, with the code of what is said and what to type instead
    ("3.0", "Isaac-Cartpole-Direct"): ("", []),
    ("3.0", "Isaac-Velocity-Rough-Anymal-C-v0"): (
        UNKNOWN,
        ["--task IsaacContrib-Velocity-Rough-AnymalC", "--isaac-version 2.3"],
    ),
    ("3.0", "Isaac-Velocity-Rough-Anymal-C-Play-v0"): (
        UNKNOWN,
        ["--task IsaacContrib-Velocity-Rough-AnymalC", "--isaac-version 2.3"],
    ),
    ("3.0", "Isaac-Cartpole-RGB-v0"): (
        UNKNOWN,
        ["--isaac-version 2.3"],
    ),
    ("3.0", "Isaac-Quadcopter-Direct-v0"): (UNKNOWN, ["--isaac-version 2.3"]),
    ("3.0", "Isaac-Cartpol-Direct"): (UNKNOWN, ["--task Isaac-Cartpole-Direct"]),
    ("3.0", "isaac-ant-v0"): (UNKNOWN, ["--task Isaac-Ant"]),
    ("3.0", "Isaac-Of-My-Own"): (UNKNOWN, ["--pass-unknown"]),
    ("3.0", "Lab-Cup-Stacking-v0"): ("", []),
    ("3.0", "Isaac-DrLegs-Walk-v0"): (DOUBTFUL, ["--task IsaacContrib-DrLegs-Walk"]),
    ("3.0", "IsaacContrib-Velocity-Flat-AnymalC"): (DOUBTFUL, ["-- physics=newton_mjwarp"]),
    ("3.0", "IsaacContrib-Velocity-Flat-AnymalC", "physics=newton_mjwarp"): ("", []),
    ("2.3", "Isaac-Cartpole-Direct-v0"): ("", []),
    ("2.3", "Isaac-Cartpole-Direct"): (UNKNOWN, ["--task Isaac-Cartpole-Direct-v0", "--isaac-version 3.0"]),
    ("2.3", "IsaacContrib-Franka-Pour"): (UNKNOWN, ["--isaac-version 3.0"]),
    ("2.3", "Isaac-Cartpol-v0"): (UNKNOWN, ["--task Isaac-Cartpole-v0"]),
    ("2.3", "Isaac-Shadow-Hand-Over-Direct-v0"): (NO_AGENT, ["--backend skrl"]),
    ("2.3", "Isaac-Repose-Cube-Shadow-Vision-Direct-v0"): (DOUBTFUL, ["-- --enable_cameras"]),
    ("2.3", "Isaac-Repose-Cube-Shadow-Vision-Direct-v0", "--enable_cameras"): ("", []),
    ("2.3", "Isaac-Repose-Cube-Shadow-Vision-Direct-v0", "--video"): ("", []),
}


@pytest.mark.parametrize(("case", "expected"), CASES.items(), ids=[" ".join(case) for case in CASES])
def test_a_task_is_checked_against_the_list_of_the_version(
    case: tuple[str, ...], expected: tuple[str, list[str]]
) -> None:
    version, task, *args = case
    code, ways = expected
    problems = find_problems(task, version, *args)
    check_problems(problems, *filter(None, [code]))
    assert [way.text for problem in problems for way in problem.suggestions] == ways
    is_refused = version == "3.0" and task.startswith("Isaac") and code == UNKNOWN
    assert [problem.severity for problem in problems if problem.where == "--task"] == [
        "error" if is_refused else "warning"
    ] * bool(code)


@pytest.mark.parametrize("workload", [ISAAC_TRAIN, ISAAC_VALIDATE], ids=lambda workload: workload.name)
def test_a_library_that_the_task_has_no_agent_for_is_refused(workload: Workload) -> None:
    (problem,) = find_problems("Isaac-Fourbar-Pole-Swingup", "3.0", workload=workload, backend="skrl")
    check_problems([problem], NO_AGENT)
    assert [way.text for way in problem.suggestions] == ["--backend rsl_rl"]


@pytest.mark.parametrize(
    ("args", "values"),
    [
        ((), {"pass_unknown": True}),
        ((), {"isaaclab_path": "/opt/IsaacLab"}),
        (("--external_callback", "my_tasks.register"), {}),
    ],
)
def test_a_task_that_may_come_with_the_job_is_not_refused(args: tuple[str, ...], values: dict[str, Any]) -> None:
    assert find_problems("Isaac-Of-My-Own", "3.0", *args, **values) == []
    (problem,) = find_problems("Isaac-Cartpol", "3.0", *args, **values)
    check_problems([problem], UNKNOWN)
    assert problem.severity == "warning"


def test_the_list_of_3_0_says_what_a_task_needs() -> None:
    listed = tasks.list_tasks("3.0")
    cartpole = listed["Isaac-Cartpole-Direct"]
    assert cartpole.list_libraries() == ["rl_games", "rsl_rl", "sb3", "skrl", "torchrl"]
    assert cartpole.default == "rsl_rl"
    assert cartpole.simulator == ""
    assert any(asset.endswith("Classic/Cartpole/cartpole.usd") for asset in cartpole.assets)
    assert listed["IsaacContrib-Velocity-Flat-AnymalC"].newton == "newton_mjwarp"
    for name, task in listed.items():
        assert not any("://" in asset or asset.startswith("/") for asset in task.assets), name
