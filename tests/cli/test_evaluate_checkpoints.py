"""`submit --evaluate-checkpoints`: a training and the evaluation of its checkpoints, as one pipeline."""

import json
from pathlib import Path

import pytest
from problem_assertions import check_problems

CAMERA = Path(__file__).parents[2] / "examples/pusht-camera"
PUSHT = ("--env", "pusht")
SIZE = ("--training-steps", "400", "--save-freq", "100")


@pytest.fixture
def dry_run(robotrain, pusht, fake_platform):
    """Plan a training on fake."""
    words = ("--platform", "fake", "--dataset-path", pusht, *SIZE)
    return lambda *options, command=("submit", "--dry-run"): robotrain(*command, *words, *options)


@pytest.fixture
def plan_steps(dry_run):
    """The planned steps of a dry run, by name."""

    def plan(*options: object):
        answer = dry_run("--json", *options)
        assert answer.exit_code == 0, answer.stderr
        return {step["name"]: step for step in json.loads(answer.json["files"]["pipeline.json"]["text"])["steps"]}

    return plan


EVALUATED = {
    ("--evaluate-checkpoints",): "all",
    ("--evaluate-checkpoints", "200"): "200",
    ("--set", "parameters.evaluate_checkpoints=200"): "200",
}


@pytest.mark.parametrize(("words", "which"), EVALUATED.items())
def test_a_training_is_followed_by_one_evaluation_of_its_checkpoints(plan_steps, words, which):
    steps = plan_steps(*words, "--eval-episodes", "5", "--seed", "3", *PUSHT)
    assert [*steps] == ["train", "evaluate"]
    train, evaluate = (steps[name]["parameters"] for name in steps)
    assert (train["evaluate_checkpoints"], train["seed"], train["save_freq"]) == (which, 3, 100)
    assert (evaluate["checkpoints"], evaluate["env"], evaluate["eval_episodes"]) == (which, "pusht", 5)
    assert steps["evaluate"]["inputs"] == [{"role": "policy", "step": "train"}]


def test_results_are_kept_where_checkpoints_are(plan_steps):
    steps = plan_steps("--evaluate-checkpoints", "--publish-url", "/shared/runs", *PUSHT)
    assert [steps[step]["parameters"]["publish_url"] for step in ("train", "evaluate")] == ["/shared/runs"] * 2


def test_a_repository_of_checkpoints_takes_no_results(robotrain, pusht):
    words = ("--evaluate-checkpoints", "--publish-url", "hf://mine/policy", "--dataset-path", pusht, *SIZE, *PUSHT)
    answer = robotrain("explain", "--platform", "local", "--json", *words)
    assert answer.exit_code == 0, answer.stderr
    values = {row["name"]: row["value"] for row in answer.json["values"]}
    assert (values["train.publish_url"], values["evaluate.publish_url"]) == ("hf://mine/policy", None)


def test_the_evaluation_registers_the_best_checkpoint(plan_steps, tmp_path):
    steps = plan_steps("--evaluate-checkpoints", "-r", "pusher", *PUSHT)
    assert steps["train"]["parameters"]["register_checkpoint"] is None
    assert steps["evaluate"]["parameters"]["register_model"] == "pusher"
    job = tmp_path / "job.yaml"
    job.write_text("parameters: {evaluate_checkpoints: all, env: pusht, register_model: filed}\n")
    for words, model in (((), "filed"), (("-r", "typed"), "typed"), (("--register-model", "typed"), "typed")):
        assert plan_steps(job, *words)["evaluate"]["parameters"]["register_model"] == model


def test_a_job_file_has_the_values_of_both(plan_steps, tmp_path):
    job = tmp_path / "job.yaml"
    job.write_text("workload: lerobot-train\nparameters: {evaluate_checkpoints: 200, env: pusht, starts: easy}\n")
    steps = plan_steps(job)
    assert steps["evaluate"]["parameters"]["checkpoints"] == "200"
    assert steps["evaluate"]["parameters"]["starts"] == "easy"
    assert plan_steps(job, "--starts", "[[1, 2, 3, 4, 0]]")["evaluate"]["parameters"]["starts"] == "[[1, 2, 3, 4, 0]]"


def test_none_evaluates_no_checkpoint_of_a_job_file_that_wants_them_evaluated(dry_run, tmp_path):
    job = tmp_path / "job.yaml"
    job.write_text("workload: lerobot-train\nparameters: {evaluate_checkpoints: 200}\n")
    answer = dry_run(job, "--evaluate-checkpoints", "none", "--json")
    assert answer.exit_code == 0, answer.stderr
    assert "pipeline.json" not in answer.json["files"]
    words = ("--set", "evaluate_checkpoints=none")
    dry_run(job, *words, "--over", "seed=1,2", command=("sweep", "--dry-run")).check_problems(0)


def test_without_the_option_a_training_is_one_job(robotrain, pusht, fake_platform):
    answer = robotrain("submit", "--dry-run", "--json", "--platform", "fake", "--dataset-path", pusht)
    assert answer.exit_code == 0, answer.stderr
    assert "pipeline.json" not in answer.json["files"]


def test_steps_are_changed_by_their_names(plan_steps):
    steps = plan_steps("--evaluate-checkpoints", *PUSHT, "--set", "evaluate.seed=7", "--set", "train.batch_size=4")
    assert (steps["evaluate"]["parameters"]["seed"], steps["train"]["parameters"]["batch_size"]) == (7, 4)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--evaluate-checkpoints", "150", *PUSHT), "checkpoints-not-scored"),
        (("--evaluate-checkpoints", "often", *PUSHT), "value-invalid"),
        (("--evaluate-checkpoints", "1234567890123", *PUSHT), "value-invalid"),
        (("--evaluate-checkpoints", *PUSHT, "--reward-model", "sarm"), "checkpoints-not-scored"),
        (("--evaluate-checkpoints", *PUSHT, "--save-as", "job.yaml"), "options-conflict"),
        (("--evaluate-checkpoints", *PUSHT, "-r", "a", "--register-model", "b"), "options-conflict --register-model"),
        (("--evaluate-checkpoints", "--success-threshold", "0.5"), "option-without-effect"),
        (PUSHT, "option-unknown"),
    ],
)
def test_what_cannot_be_scored_is_refused(dry_run, options, problem):
    dry_run(*options).check_problems(2, problem)


def test_a_sweep_has_no_scores_of_checkpoints(dry_run):
    answer = dry_run("--evaluate-checkpoints", "--over", "seed=1,2", command=("sweep", "--dry-run"))
    answer.check_problems(2, "options-conflict --evaluate-checkpoints")


def test_a_variable_does_not_ask_for_scores(dry_run, monkeypatch):
    monkeypatch.setenv("ROBOTRAIN_EVALUATE_CHECKPOINTS", "200")
    dry_run().check_problems(2, "value-invalid")


def test_what_the_training_will_make_is_compared_with_the_environment(dry_run):
    dry_run("--evaluate-checkpoints", "--env", "aloha").check_problems(4, "data-unusable step evaluate")


def test_an_adapter_is_evaluated_with_its_base(robotrain, fake_platform):
    words = ("--evaluate-checkpoints", *PUSHT, "--platform", "fake", "--dry-run", "--json")
    answer = robotrain("submit", CAMERA / "adapter.yaml", *words)
    assert answer.exit_code == 0, answer.stderr
    steps = json.loads(answer.json["files"]["pipeline.json"]["text"])["steps"]
    evaluate = next(step for step in steps if step["name"] == "evaluate")
    assert str(CAMERA / "base") in [source["uri"] for source in evaluate["sources"] if source["role"] == "backbone"]


def test_an_evaluation_needs_no_weights_that_its_training_starts_from(robotrain, fake_platform, tmp_path):
    (tmp_path / "mine.pth").write_bytes(b"weights")
    words = ("--dataset-path", CAMERA / "dataset", "--evaluate-checkpoints", "--platform", "fake")
    for options in ((), ("--backbone-path", tmp_path / "mine.pth")):
        answer = robotrain("submit", *words, *options, "--dry-run", "--json")
        assert answer.exit_code == 0, answer.stderr
        steps = json.loads(answer.json["files"]["pipeline.json"]["text"])["steps"]
        roles = [[source["role"] for source in step["sources"] if source["role"] == "backbone"] for step in steps]
        assert roles == [["backbone"], []]


def test_scores_without_an_environment_are_explained(dry_run):
    dry_run("--evaluate-checkpoints").check_problems(0, "checkpoints-replayed")


def test_other_trainings_say_that_nothing_evaluates_them(robotrain, pusht, fake_platform):
    answer = robotrain("submit", "isaac-train", "--platform", "fake", "--evaluate-checkpoints", "--dry-run")
    check_problems(answer.stderr, "option-unknown --evaluate-checkpoints")


def test_values_of_both_steps_are_explained(robotrain, pusht, fake_platform):
    words = ("--platform", "fake", "--dataset-path", pusht, *SIZE, "--evaluate-checkpoints", "200", *PUSHT)
    answer = robotrain("explain", "--json", *words)
    assert answer.exit_code == 0, answer.stderr
    values = {row["name"]: row["value"] for row in answer.json["values"]}
    assert (values["train.evaluate_checkpoints"], values["evaluate.checkpoints"]) == ("200", "200")


def test_a_native_pipeline_mounts_the_checkpoints(robotrain, pusht, dag_platform, tmp_path):
    words = ("--platform", "dag", "--dataset-path", pusht, *SIZE, "--evaluate-checkpoints", *PUSHT)
    answer = robotrain("render", *words, "--to", tmp_path / "plan")
    assert answer.exit_code == 0, answer.stderr
    rendered = "".join(file.read_text() for file in (tmp_path / "plan").rglob("*.json"))
    assert "/checkpoints" in rendered
