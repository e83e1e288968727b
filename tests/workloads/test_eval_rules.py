"""Rules of an evaluation: all problems at once, each with a suggestion."""

import dataclasses
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from job_documents import check_job
from problem_assertions import check_problems
from robotrain_runtime.contract.document import JobSource
from robotrain_workloads.lerobot import episode_numbers
from robotrain_workloads.lerobot_eval import references
from robotrain_workloads.lerobot_eval.inputs import held_out
from robotrain_workloads.lerobot_eval.workload import LEROBOT_EVAL

POLICY = JobSource(role="policy", kind="local_path", uri="/policy")
REFERENCE = JobSource(role="reference", kind="local_path", uri="/reference")
DATASET = JobSource(role="dataset", kind="local_path", uri="/data")


def check_rules(*sources, args=(), **parameters) -> dict[str, list]:
    """The problems of a job by their codes."""
    problems_by_code: dict[str, list] = {}
    for problem in check_job(LEROBOT_EVAL, *sources, args=args, **parameters):
        assert problem.suggestions or problem.severity == "note", f"{problem.title}: no way out"
        problems_by_code.setdefault(problem.code, []).append(problem)
    return problems_by_code


def test_a_policy_with_something_to_do_is_enough():
    assert check_rules(POLICY, DATASET) == {}
    assert check_rules(POLICY, env="pusht") == {}
    assert check_rules(POLICY, DATASET, env="aloha", args=["--env.task=AlohaTransferCube-v0"]) == {}
    assert check_rules(DATASET, builtin_policy=True, env="pusht") == {}


def test_all_missing_values_are_reported_at_once():
    problems_by_code = check_rules(
        success_threshold=0.5, record_video=True, replay_episodes="all", args=["--env.fps=5"]
    )
    assert set(problems_by_code) == {"source-missing", "option-without-effect"}
    flags = ["--success-threshold", "--record-video", "--replay-episodes", "--"]
    assert [problem.where for problem in problems_by_code["option-without-effect"]] == flags
    episodes = next(
        problem for problem in problems_by_code["source-missing"] if problem.message == "source-missing.episodes"
    )
    assert [way.text for way in episodes.suggestions] == [
        "--dataset-repo-id OWNER/NAME",
        "--env pusht",
        "robotrain status RUN",
    ]


def test_an_untrained_policy_needs_a_dataset_and_is_not_registered():
    assert set(check_rules(POLICY, DATASET, builtin_policy=True)) == {"sources-conflict"}
    assert set(check_rules(builtin_policy=True, env="pusht")) == {"source-missing"}
    assert set(check_rules(DATASET, builtin_policy=True, register_model="m")) == {"option-without-effect"}
    assert not check_rules(DATASET, builtin_policy=True, replay_episodes="held-out")  # as a training would


def test_a_confirmation_needs_several_checkpoints_and_other_starts():
    start, other = [1, 2, 3, 4, 0.5], [5, 6, 7, 8, 0.5]
    several = {"env": "pusht", "checkpoints": "all", "eval_episodes": 1, "confirm": 1}
    assert check_rules(POLICY, **several) == check_rules(POLICY, **several, starts="easy") == {}
    assert check_rules(POLICY, **several, starts=json.dumps([start, other])) == {}
    assert set(check_rules(POLICY, **several, starts=json.dumps([start, start]))) == {"confirmation-not-fresh"}
    assert set(check_rules(POLICY, **several | {"checkpoints": None})) == {"confirmation-not-fresh"}
    assert "option-without-effect" in check_rules(POLICY, DATASET, checkpoints="all", confirm=1)


def test_a_comparison_says_how_many_episodes_it_may_need():
    (note,) = check_rules(POLICY, REFERENCE, env="pusht")["comparison-planned"]
    check_problems([note], "comparison-planned")
    more = check_rules(POLICY, REFERENCE, REFERENCE, env="pusht", detect=0.1)["comparison-planned"]
    assert more[0].severity == "note"
    assert more[0].title != note.title
    assert "a difference of 20 points is found with a probability of about 100, 81 or 57%" in note.why.lower()
    assert "20, 40 or 60% of the starts" in note.why
    (short,) = check_rules(POLICY, REFERENCE, env="pusht", at_most=40)["comparison-planned"]
    assert "about 41, 26 or 18%" in short.why
    (gate,) = check_rules(POLICY, REFERENCE, env="pusht", margin=0.1)["comparison-planned"]
    assert "probability" not in gate.why


@pytest.mark.parametrize(
    ("parameters", "refused"),
    [
        ({"at_most": 5}, "value-out-of-range --at-most"),
        ({"starts": json.dumps([[1, 2, 3, 4, 0.5]] * 20)}, "value-out-of-range --starts"),
        ({"checkpoints": "all"}, "checkpoints-not-scored --checkpoints"),
        ({"margin": 0.1, "equal_within": 0.1}, "options-conflict --margin"),
        ({"allow_floor": True}, "option-without-effect --allow-floor"),
    ],
    ids=["too few", "one start", "checkpoints", "two questions", "no gate"],
)
def test_what_cannot_be_compared_is_refused(parameters, refused):
    problems_by_code = check_rules(POLICY, REFERENCE, env="pusht", **parameters)
    problems_by_code.pop("comparison-planned", None)
    check_problems([problem for problems in problems_by_code.values() for problem in problems], refused)


def test_a_comparison_takes_no_dataset_and_no_untrained_policy_and_needs_an_environment():
    problems_by_code = check_rules(POLICY, REFERENCE, DATASET)
    assert set(problems_by_code) == {"sources-conflict", "value-missing", "comparison-planned"}
    problems_by_code = check_rules(REFERENCE, DATASET, env="pusht", builtin_policy=True)
    check_problems(
        problems_by_code["sources-conflict"], "sources-conflict --builtin-policy", "sources-conflict dataset"
    )
    assert set(check_rules(POLICY, REFERENCE)) == {"source-missing", "comparison-planned"}


def test_a_policy_is_not_its_own_reference():
    itself = JobSource(role="reference", kind=POLICY.kind, uri=POLICY.uri)
    check_problems(check_rules(POLICY, itself, env="pusht")["sources-conflict"], "sources-conflict reference")


@pytest.mark.parametrize("name", references.PARAMETERS)
def test_options_of_a_comparison_need_a_policy_to_compare_with(name):
    (problem,) = check_rules(POLICY, env="pusht", **{name: 1})["option-without-effect"]
    assert problem.where == f"--{name.replace('_', '-')}"
    assert problem.suggestions[0].text == "--reference-run RUN"


@pytest.mark.parametrize("parameter", [{"starts": "easy"}, {"success_threshold": 0.0}, {"env_workers": 0}])
def test_options_of_rollouts_need_an_environment(parameter):
    assert set(check_rules(POLICY, DATASET, **parameter)) == {"option-without-effect"}
    assert check_rules(POLICY, env="pusht", **parameter) == {}


@pytest.mark.parametrize("text", ["one", "3-1", "1,,2", "all,3"])
def test_invalid_episodes_are_refused(text):
    (problem,) = check_rules(POLICY, DATASET, replay_episodes=text)["value-invalid"]
    assert problem.suggestions[0].text == "--replay-episodes EPISODES"


@settings(max_examples=25)
@given(some.lists(some.tuples(some.integers(0, 50), some.integers(0, 9)), min_size=1))
def test_episodes_are_those_that_the_text_names(parts):
    text = ", ".join(str(first) if not more else f"{first}-{first + more}" for first, more in parts)
    meant = sorted({number for first, more in parts for number in range(first, first + more + 1)})
    assert episode_numbers.select_episodes(held_out.parse_episodes(text), 60) == meant
    with pytest.raises(ValueError, match=f"no episode {meant[-1]}"):
        episode_numbers.select_episodes(held_out.parse_episodes(text), meant[-1])


INVALID_STARTS = {
    "name": "hard",
    "two numbers": "[[1,2]]",
    "unknown range": '{"tum": [0, 1]}',
    "nested": "[" * 9999,
    "too many": json.dumps([[256, 400, 200, 300, 0.8]] * 40_000),
    "outside": '{"distance": [5000, 6000]}',
    "outside behind": '{"turn": [0, 1e5], "agent_behind": [200, 400]}',
}


@pytest.mark.parametrize("text", INVALID_STARTS.values(), ids=INVALID_STARTS)
def test_invalid_starts_are_refused(text):
    (problem,) = check_rules(POLICY, env="pusht", starts=text)["value-invalid"]
    check_problems([dataclasses.replace(problem, given=problem.given[:60])], "value-invalid --starts")


def test_only_pusht_lets_its_starts_be_chosen():
    for ranges in ('{"turn": [-0.1, 0.1]}', '{"turn": [-4, 4], "distance": [0, 100]}'):
        assert check_rules(POLICY, env="pusht", starts=ranges) == {}
    assert set(check_rules(POLICY, env="aloha", starts="easy")) == {"value-invalid"}


@settings(max_examples=25)
@given(some.recursive(some.none() | some.booleans() | some.floats() | some.text("turn"), some.lists, max_leaves=9))
def test_any_json_is_accepted_or_refused_with_a_reason(said):
    assert set(check_rules(POLICY, env="pusht", starts=json.dumps(said))) <= {"value-invalid"}


@pytest.mark.parametrize("argument", ["pool", "--policy.=1"])
def test_only_options_of_the_policy_and_the_environment_follow_the_dashes(argument):
    assert set(check_rules(POLICY, env="pusht", args=[argument])) == {"option-unknown"}
    assert check_rules(POLICY, env="pusht", args=["--policy.n_action_steps=4", "--env.fps=5"]) == {}


def test_an_environment_has_options_that_are_known_here():
    problems_by_code = check_rules(POLICY, env="pusht", args=["--env.obs_tpe=state", "--policy.chunk_size=8"])
    check_problems(problems_by_code["option-unknown"], "option-unknown -- --env.obs_tpe=state")
    assert set(check_rules(POLICY, env="aloha", args=["--env.fps=0"])) == {"script-option-invalid"}


def test_a_reward_that_no_episode_or_every_episode_reaches_is_refused():
    (refused,) = check_rules(POLICY, env="pusht", success_reward=2.0)["value-out-of-range"]
    assert refused.suggestions[0].text == "--success-reward 1"
    assert check_rules(POLICY, env="aloha", success_reward=2.0) == {}
    refused = check_rules(POLICY, env="aloha", success_reward=0.0)["value-out-of-range"]
    check_problems(refused, "value-out-of-range --success-reward")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("--policy-path", ".", "--env", "pusth", "--env-steps", "9"), "value-invalid --env pusth"),
        (
            ("--policy-path", ".", "--env", "pusht", "--", "--eval.batch_size", "3"),
            "option-owned after -- --eval.batch_size",
        ),
    ],
)
def test_invalid_value_is_not_reported_as_missing(robotrain, words, problem):
    robotrain("submit", "lerobot-eval", "--platform", "local", *words).check_problems(2, problem)


def test_starts_may_be_plain_values_in_a_job_file_and_a_call(robotrain, tmp_path):
    from robotrain import api, errors

    file = tmp_path / "job.yaml"
    job = "workload: lerobot-eval\nsources: {policy: {local_path: /p}}\nparameters:\n  env: pusht\n  starts: "
    file.write_text(job + "{distance: [40, 80.5]}\n")
    rows = robotrain("explain", str(file), "--platform", "local", "--json").json["values"]
    assert json.loads(next(row["value"] for row in rows if row["name"] == "starts")) == {"distance": [40, 80.5]}
    rows = api.explain(str(file), platform="local", starts=[[256, 400, 200, 300, 0.8]])
    assert next(row["value"] for row in rows if row["name"] == "starts") == "[[256, 400, 200, 300, 0.8]]"
    with pytest.raises(
        errors.Rejected, match=r"--env takes one of pusht, aloha, metaworld, libero \(use --env pusht\)"
    ):
        api.explain(str(file), platform="local", env="pusth")


def test_tasks_are_those_that_the_environment_has():
    assert check_rules(POLICY, env="metaworld", env_tasks="push-v3, easy") == {}
    assert check_rules(POLICY, env="libero", env_tasks="libero_spatial,libero_10/3") == {}
    assert set(check_rules(POLICY, env="metaworld")) == {"value-missing"}
    (problem,) = check_rules(POLICY, env="metaworld", env_tasks="pusch-v3")["value-invalid"]
    assert problem.suggestions[0].text == "--env-tasks push-v3"
    assert set(check_rules(POLICY, env="pusht", env_tasks="push-v3")) == {"option-without-effect"}
    assert set(check_rules(POLICY, env="metaworld", args=["--env.task=push-v3"])) == {"option-owned"}
    problems_by_code = check_rules(POLICY, env="metaworld", env_tasks="push-v3", starts="easy", env_steps=501)
    assert set(problems_by_code) == {"value-invalid", "value-out-of-range"}
