"""After a failure: the next command has the option that the trainer refused, with what it takes if that is known."""

import json
import shlex

import pytest
from fake_engine import set_run_state
from robotrain_runtime.contract.event import Outcome, format_event

TRAIN = "submit --no-pin lerobot-train --platform fake --dataset-repo-id lerobot/pusht"
START = f"{TRAIN} --policy-repo-id lerobot/act_pusht"
"""Its type and its options are known on the machine of the job alone."""
ISAAC = "submit --no-pin isaac-train --backend rsl_rl --platform fake --task Isaac-Cartpole-Direct"
HYDRA = "ConfigAttributeError: Could not override 'agent.{0}'. Key '{0}' is not in struct"
STEPS = "The chunk size is the upper bound for the number of model invocations. Got {} for `n_action_steps` and {} for"
STEPS += " `chunk_size`."


@pytest.fixture
def fail(robotrain, fake_platform):
    """Submit a job, let it fail for a reason, and return its run, and the change that is suggested next."""

    def fail(line: str, reason: str) -> tuple[str, str]:
        answer = robotrain(*shlex.split(line))
        assert answer.exit_code == 0, answer.stderr
        run = answer.stdout.strip()
        end = Outcome(state="failed", exit_code=4, reason=reason, fault="configuration")
        set_run_state(fake_platform, run, "failed", log=[format_event(end)])
        (change,) = [text for text in robotrain("status", run, "--json").json["next"] if "resubmit" in text]
        return run, change.removeprefix(f"robotrain resubmit {run} ")

    return fail


REFUSED = [
    # a value that a rule of LeRobot refuses: which one fits, the user knows
    (
        f"{START} --policy-type act -- --policy.n_action_steps=200 --policy.dropout=0.2",
        f"LeRobot 0.6.1 rejects --policy.n_action_steps=200: {STEPS.format(200, 100)}",
        "-- --policy.n_action_steps=VALUE",
    ),
    # an option that the policy of the run does not have
    (
        f"{START} -- --policy.horizon=16 --policy.n_obs_steps=1",
        "LeRobot 0.6.1 has no option --policy.horizon",
        "--set 'trainer_args=[\"--policy.n_obs_steps=1\"]'",
    ),
    # a key that the rules only warn of
    (
        f"{ISAAC} -- agent.save_interva=50",
        HYDRA.format("save_interva"),
        "--set 'trainer_args=[\"agent.save_interval=50\"]'",
    ),
    # what nobody here knows
    (
        f"{START} -- --policy.vision_backbone=resnet18",
        "LeRobot 0.6.1 rejects --policy.vision_backbone=resnet18: it is Tuesday",
        "-- --policy.vision_backbone=VALUE",
    ),
]


@pytest.mark.parametrize(("line", "reason", "change"), REFUSED)
def test_option_that_the_trainer_refused_is_suggested(fail, line, reason, change):
    assert fail(line, reason)[1] == change


@pytest.mark.parametrize(("line", "reason", "change"), [row for row in REFUSED if "VALUE" not in row[2]])
def test_suggested_change_is_a_job_with_everything_else_as_it_was(fail, robotrain, line, reason, change):
    run, words = fail(line, reason)
    answer = robotrain("resubmit", run, "--dry-run", "--no-pin", *shlex.split(words))
    assert answer.exit_code == 0, answer.stderr
    changed = [stderr_line for stderr_line in answer.stderr.splitlines() if " → " in stderr_line]
    respelled = [
        stderr_line for stderr_line in changed if ": not set → " in stderr_line or stderr_line.endswith(" → not set")
    ]
    assert len(changed) == 1 or (len(changed) == len(respelled) == 2), answer.stderr
    assert words in robotrain("status", run).stdout


def test_remedy_of_the_run_itself_comes_before_the_rules(fail):
    line = f"{START} --policy-type act -- --policy.n_action_steps=200"
    reason = f"LeRobot 0.6.1 rejects --policy.n_action_steps=200: {STEPS.format(200, 100)} (--batch-size 4)"
    assert fail(line, reason)[1] == "--set batch_size=4"


def test_run_without_its_plan_names_the_option_alone(fail, robotrain, fake_platform):
    from robotrain.store import stored_job

    run, _ = fail(f"{START} -- --policy.n_action_steps=40", f"it rejects --policy.n_action_steps=40: {STEPS}")
    (stored_job.get_plan_folder(run) / "robotrain-plan.json").write_text(json.dumps({}))
    (change,) = [text for text in robotrain("status", run, "--json").json["next"] if "resubmit" in text]
    assert change == f"robotrain resubmit {run} -- --policy.n_action_steps=VALUE"
