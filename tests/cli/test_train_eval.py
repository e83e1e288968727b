"""`pipeline train-eval`: a pipeline from options, with the names of the seeds."""

import json
from pathlib import Path

import pytest

ROLLOUT = ("--env", "pusht", "--starts", "easy")


@pytest.fixture
def dry_run(robotrain, pusht, fake_platform):
    """Plan a pipeline on fake."""
    command = ("pipeline", "train-eval", "--platform", "fake", "--dataset-path", pusht, "--dry-run")
    return lambda *options: robotrain(*command, *options)


@pytest.fixture
def plan_steps(dry_run):
    """The planned steps of a dry run on fake, by name; the plan's run is under an empty name."""

    def plan(*options: object):
        answer = dry_run("--json", *options)
        assert answer.exit_code == 0, answer.stderr
        plan = json.loads(answer.json["files"]["pipeline.json"]["text"])
        return {step["name"]: step for step in plan["steps"]} | {"": plan["run"]}

    return plan


def test_trained_policy_is_evaluated_and_registered(plan_steps):
    steps = plan_steps(
        "--training-steps", "7", "--eval-episodes", "3", "-r", "pusht-act", *ROLLOUT, "--", "--tolerance_s=1"
    )
    assert list(steps) == ["train", "evaluate", ""]
    assert steps["train"]["parameters"]["training_steps"] == 7
    assert steps["train"]["parameters"]["register_checkpoint"] is None
    assert steps["train"]["trainer_args"] == ["--tolerance_s=1"]
    evaluate = steps["evaluate"]
    assert evaluate["inputs"] == [{"role": "policy", "step": "train"}]
    assert "trainer_args" not in evaluate
    assert (evaluate["parameters"]["eval_episodes"], evaluate["parameters"]["env"]) == (3, "pusht")
    assert [source["role"] for source in evaluate["sources"]] == ["policy", "dataset"]
    assert evaluate["parameters"]["register_model"] == "pusht-act"


def test_names_of_jobs_come_from_one_name(plan_steps):
    steps = plan_steps("-j", "shift", *ROLLOUT)
    assert [steps[name]["parameters"]["job_name"] for name in ("train", "evaluate")] == ["shift-train", "shift-eval"]
    assert steps[""].startswith("shift-")
    assert plan_steps()["train"]["parameters"]["job_name"] == "train-eval-train"
    assert plan_steps("--name", "pick", *ROLLOUT)["evaluate"]["parameters"]["job_name"] == "pick-eval"


def test_the_name_of_the_run_does_not_change_the_pipeline(plan_steps):
    assert (
        plan_steps("--name", "pick", *ROLLOUT)[""]
        == plan_steps("--name", "place", *ROLLOUT)[""]
        == plan_steps(*ROLLOUT)[""]
    )
    assert plan_steps("-j", "pick", *ROLLOUT)[""] != plan_steps(*ROLLOUT)[""]


def test_values_that_both_share_reach_both_and_others_one(plan_steps):
    steps = plan_steps("--dataset-id", "mine", "--device", "cpu", "--seed", "3", "--experiment-name", "of-training")
    assert {steps[name]["parameters"]["dataset_id"] for name in ("train", "evaluate")} == {"mine"}
    assert {steps[name]["parameters"]["device"] for name in ("train", "evaluate")} == {"cpu"}
    assert steps["train"]["parameters"]["seed"] == 3
    assert steps["evaluate"]["parameters"]["seed"] == 1000
    assert steps["evaluate"]["parameters"]["experiment_name"] is None


def test_steps_are_left_out(plan_steps):
    steps = plan_steps("--skip-inference", "-r", "model")
    assert (list(steps), steps["train"]["parameters"]["register_checkpoint"]) == (["train", ""], "model")
    steps = plan_steps("--skip-register", "--register-model-name", "model")
    assert (list(steps), steps["evaluate"]["parameters"]["register_model"]) == (["train", "evaluate", ""], None)


def test_a_job_file_describes_the_training(plan_steps, pusht):
    steps = plan_steps(pusht.parent / "job.yaml", *ROLLOUT)
    assert steps["train"]["parameters"]["batch_size"] == 64
    assert steps["evaluate"]["parameters"]["dataset_id"] == "pusht-mini"
    assert steps["evaluate"]["parameters"]["job_name"] == "pusht-mini-eval"


def test_a_name_of_the_job_names_both_steps_whichever_layer_gives_it(plan_steps, monkeypatch):
    Path("robotrain.toml").write_text("[parameters]\njob_name = 'project'\n")
    for words, name in (((), "project"), ((), "mine"), (("-j", "typed"), "typed")):
        steps = plan_steps(*ROLLOUT, *words)
        names = [steps[step]["parameters"]["job_name"] for step in ("train", "evaluate")]
        assert names == [f"{name}-train", f"{name}-eval"]
        monkeypatch.setenv("JOB_NAME", "mine")


def test_a_model_that_the_job_file_names_is_registered_after_the_evaluation(plan_steps, tmp_path):
    job = tmp_path / "job.yaml"
    job.write_text("parameters: {register_checkpoint: mine}\n")
    for words, model in (((), "mine"), (("--register-model", "other"), "other")):
        steps = plan_steps(job, *ROLLOUT, *words)
        assert steps["train"]["parameters"]["register_checkpoint"] is None
        assert steps["evaluate"]["parameters"]["register_model"] == model


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--skip-inference", "--success-threshold", "0.5"), "option-without-effect"),
        (("--success-threshold", "0.5"), "option-without-effect"),
        (("--with-register",), "value-missing"),
        (("--register-model", "a", "-r", "b"), "options-conflict"),
        (("--wait",), "options-conflict"),
        (("--timeout", "30"), "option-without-effect --timeout"),
        (("--wait", "--timeout", "soon"), "value-invalid"),
        (("--wait", "--poll-interval", "0"), "value-invalid --poll-interval 0"),
        (("--eval-episods", "3"), "option-unknown --eval-episods"),
        (("--native-only",), "feature-not-there"),
    ],
)
def test_conflicting_options_are_refused(dry_run, options, problem):
    dry_run(*options).check_problems(3 if problem == "feature-not-there" else 2, problem)


def test_given_policy_starts_the_training(dry_run, plan_steps, tmp_path):
    (tmp_path / "policy").mkdir()
    (tmp_path / "policy/config.json").write_text('{"type": "act"}')
    steps = plan_steps("--policy-path", tmp_path / "policy")
    assert [source["role"] for source in steps["train"]["sources"]] == ["dataset", "policy"]
    assert [source["kind"] for source in steps["evaluate"]["sources"] if source["role"] == "policy"] == ["step"]
    dry_run("--policy-path", tmp_path / "policy").check_problems(0, "pipeline-fine-tunes")


def test_missing_policy_is_explained():
    from pathlib import Path

    from robotrain.config.request import Request
    from robotrain.config.values import Layer, Origin, SourceText
    from robotrain.errors import Problem, Stage
    from robotrain.pipelines.train_eval import explain_missing_policy

    origin = Origin("flag", "--policy-repo-id")
    policy = SourceText(role="policy", kinds=("huggingface",), text="me/new", origin=origin, base=Path())
    missing = Problem(code="source-unpinned", stage=Stage.PREFLIGHT, title="it does not exist", given="me/new")
    explained = explain_missing_policy(missing, Request(line=Layer(sources=(policy,))))
    assert explained.suggestions[0].text == "leave out --policy-repo-id"
    assert explain_missing_policy(missing, Request()) == missing


def test_compute_of_a_step_is_offered_where_the_platform_has_one(robotrain):
    assert "--compute-evaluate" in robotrain("pipeline", "train-eval", "--platform", "azureml", "--help-all").stdout
    assert "--compute-evaluate" not in robotrain("pipeline", "train-eval", "--platform", "local", "--help-all").stdout


@pytest.mark.slow
def test_timeout_ends_the_wait_and_not_the_pipeline(robotrain, pusht, fake_platform, monkeypatch):
    import os

    monkeypatch.setenv("PYTHONPATH", os.environ["FAKE_SITE"])
    command = ("pipeline", "train-eval", "--platform", "fake", "--dataset-path", pusht)
    robotrain(*command, "--wait", "--timeout", "0.02", "--poll-interval", "1").check_problems(1, "wait-timeout")
    assert robotrain("status", "--json").json["state"] in ("pending", "running")
    assert robotrain("cancel", "--json").json["state"] == "cancelled"
