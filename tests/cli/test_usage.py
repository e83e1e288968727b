"""What a wrong command line says: everything at once, by name, with the way out, and never a secret."""

import json
import subprocess
from pathlib import Path

import pytest
from problem_assertions import check_problems

BLOB = "https://acc.blob.core.windows.net/box/p"


def render(robotrain, *args):
    return robotrain("render", "--platform", "plain", *args)


@pytest.fixture(autouse=True)
def with_plain(plain_platform):
    pass


X, ON_PLAIN, LOCAL = ("--dataset-path", "x"), ("--platform", "plain"), ("--platform", "local")


@pytest.mark.parametrize(
    ("words", "problems"),
    [
        (("submit", *X), ["platform-missing"]),
        (
            ("submit", "lerobot-trian", "--platform", "locl", *X),
            ["plugin-not-loaded --platform locl", "word-unknown lerobot-trian"],
        ),
        (
            ("render", *ON_PLAIN, *X, "--stepz", "5", "--batch-sise=4", "--frobnicate"),
            ["option-unknown --stepz", "option-unknown --batch-sise", "option-unknown --frobnicate"],
        ),
        (("render", *LOCAL, *X, "--zone", "north"), ["option-unknown --zone"]),
        (
            ("render", "lerobot-eval", *LOCAL, "--task", "reach-v3"),
            ["option-unknown --task", "source-missing", "source-missing"],
        ),
        (("render", *LOCAL, *X, "--stream"), ["option-unknown --stream"]),
        (("render", *ON_PLAIN, *X, "--policy.dim_model=32"), ["option-unknown --policy.dim_model"]),
        (("render", *ON_PLAIN, "--dataset-path", "--json"), ["flag-without-value --dataset-path"]),
        (("render", *ON_PLAIN, *X, "--steps", "5", "--training-steps", "6"), ["option-repeated --training-steps"]),
        (("render", *ON_PLAIN, *X, "--no-val-split", "--val-split", "0.2"), ["options-conflict"]),
        (("render", *ON_PLAIN), ["source-missing"]),
        (
            ("render", *LOCAL, *X, "--policy-repo-id", "u/a", "--policy-repo-id", "u/b"),
            ["source-repeated", "sources-conflict"],
        ),
        (("render", *ON_PLAIN, "a.yaml", "b.yaml"), ["word-repeated", "file-unreadable a.yaml"]),
        (("logs", "--raw", "--json"), ["usage"]),
        (("render", *ON_PLAIN, *X, "--", "--steps=4"), ["option-owned after -- --steps"]),
        (("render", *ON_PLAIN, *X, "--", "--zone=north"), ["option-elsewhere after -- --zone"]),
        (("submit", *ON_PLAIN, *X, "--", "--wait"), ["option-elsewhere after -- --wait"]),
        (
            ("submit", "lerobot-eval", *LOCAL, "--policy-path", ".", "--policy-repo-id", "b/c"),
            ["source-repeated --policy-repo-id b/c", "source-missing"],
        ),
        (
            ("submit", "lerobot-eval", *LOCAL, "--success-threshold", "70"),
            ["value-invalid --success-threshold 70", "source-missing", "source-missing"],
        ),
        (("render", *ON_PLAIN, *X, "--batch-size", "0"), ["value-invalid --batch-size 0"]),
        (
            ("render", *ON_PLAIN, *X, "--replicas", "0", "--training-steps", "4.5", "--register-checkpoint", "a b"),
            [
                "value-invalid --replicas 0",
                "value-invalid --training-steps 4.5",
                "value-invalid --register-checkpoint a b",
            ],
        ),
        (("render", *ON_PLAIN, *X, "--learning-rate", "nan"), ["value-invalid --learning-rate nan"]),
        (("render", *ON_PLAIN, *X, "--val-split", "1"), ["value-invalid --val-split 1"]),
        (("render", *ON_PLAIN, *X, "--policy-type", "octo"), ["value-invalid --policy-type octo"]),
        (("render", *ON_PLAIN, "--dataset-asset", "azureml:a"), ["source-invalid --dataset-asset azureml:a"]),
        (
            ("submit", *LOCAL, "--env", "pusht", "--eval-episodes", "2"),
            ["option-unknown --env", "option-unknown --eval-episodes"],
        ),
        (("render", *ON_PLAIN, *X, "--batch-size"), ["usage --batch-size"]),
        (("render", *LOCAL, *X, "--tracking-uri", "http://[abc"), ["value-invalid --tracking-uri"]),
        (("submti",), ["command-unknown"]),
        (("status", "nosuch"), ["run-unknown"]),
        (("explain", "command", *LOCAL, "--lr", "1e-4", "--", "true"), ["option-unknown --lr"]),
        (
            ("explain", "command", *LOCAL, "--layers-per-block", "3", "--", "true"),
            ["option-unknown --layers-per-block"],
        ),
        (
            ("submit", *ON_PLAIN, *X, "--workload", "lerobot-train"),
            ["option-unknown --workload"],
        ),
        (("submit", "--workload", *ON_PLAIN, *X), ["option-unknown --workload"]),
        (("--wait", "submit", "lerobot-eval"), ["option-unknown --wait"]),
        (("eval", "--env", "pusht"), ["command-unknown"]),
        (("explain", "--platform", "PLATFORM", *X), ["plugin-not-loaded --platform PLATFORM"]),
        (("explain", "--platform", "skypilot", *X), ["plugin-not-loaded --platform skypilot"]),
        (("explain", "job.yaml", *LOCAL), ["file-unreadable job.yaml"]),
        (("explain", *LOCAL, *X, "--training-steps", "20k"), ["value-invalid --training-steps 20k"]),
        (("explain", *LOCAL, *X, "--training-steps", "1.2345k"), ["value-invalid --training-steps 1.2345k"]),
        (("--tail", "5", "--no-plugins", "logs", "last"), ["option-unknown --tail"]),
        (("--strict", "plugins"), ["option-unknown --strict"]),
    ],
)
def test_wrong_line_is_refused(robotrain, words, problems):
    robotrain(*words).check_problems(2, *problems)


def test_platform_of_the_environment_is_used(robotrain, monkeypatch):
    monkeypatch.setenv("ROBOTRAIN_PLATFORM", "plain")
    assert robotrain("render", *X).exit_code == 0
    assert robotrain("render", "--platform", "", *X).exit_code == 0


def test_flag_of_a_platform_that_swallows_the_platform_is_reported(command):
    words = ("render", "--runs-dir", "--platform", "local", "--dataset-path", "x")
    answer = subprocess.run([*command, *words], capture_output=True, text=True, timeout=20, check=False)
    assert answer.returncode == 2
    check_problems(answer.stderr, "flag-without-value --runs-dir")


def test_problems_of_all_stages_are_reported_and_the_earliest_decides_the_exit_code(robotrain):
    answer = render(robotrain, "--blob-url", BLOB + "?sig=x", "-r", "model", "--batch-size", "0", "--nonsense")
    codes = ("option-unknown", "source-invalid", "value-invalid", "feature-not-there")
    answer.check_problems(2, *codes)
    assert render(robotrain, "--blob-url", BLOB, "-r", "model").exit_code == 3


def test_source_given_twice_is_a_warning(robotrain):
    answer = render(robotrain, "--blob-url", BLOB, "--blob-url", BLOB + "/")
    answer.check_problems(0, "source-doubtful")


def test_sources_keep_the_order_typed_across_flags(robotrain):
    answer = render(
        robotrain, "--blob-url", BLOB + "1", "--dataset-asset", "azureml:a:1", "--blob-url", BLOB + "2", "--json"
    )
    job = json.loads(answer.json["files"]["job.json"]["text"])
    uris = [source["uri"] for source in job["sources"] if not source.get("implied")]
    assert uris == [BLOB + "1", "azureml:a:1", BLOB + "2"]


def test_arguments_after_the_dashes_reach_the_trainer_in_order(robotrain):
    answer = render(robotrain, "--dataset-path", "x", "--json", "--", "--policy.dim_model=32", "--tolerance_s", "0.1")
    assert answer.exit_code == 0
    job = json.loads(answer.json["files"]["job.json"]["text"])
    assert job["trainer_args"] == ["--policy.dim_model=32", "--tolerance_s", "0.1"]


def test_a_job_file_of_the_other_ending_is_the_only_one_that_is_offered(robotrain, plain_platform):
    for file in ("job.yaml", "job2.yaml", "a.yaml"):
        Path(file).write_text("sources: {dataset: [{local_path: data}]}\n")
    Path("job.yaml").write_text("workload: nosuch\n")
    answer = robotrain("explain", "job.yml", "--platform", "local", "--json")
    assert [way["text"] for way in answer.json["problems"][0]["instead"]] == ["job.yaml"]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("job.yaml", "plain"), "--platform plain"),
        (("job.yml",), "job.yaml"),
        (("job.yaml", "--batch", "8"), "--batch-size"),
    ],
)
def test_common_mistakes_are_answered_with_the_line_to_type(robotrain, plain_platform, words, line):
    for folder in ("proj", "episodes", "lab/cups"):
        Path(folder).mkdir(parents=True)
    for file in ("job.yaml", "proj/job.yaml"):
        Path(file).write_text("sources: {dataset: [{local_path: data}]}\n")
    Path("bags.yaml").write_text("state_topic: /joints\n")
    answer = robotrain("explain", "--platform", "local", "--json", *words)
    assert answer.exit_code == 2
    assert line in [way["text"] for problem in answer.json["problems"] for way in problem["instead"]]


def test_a_checkpoint_without_steps_left_names_the_number_of_steps(robotrain):
    words = ("--training-steps", "20", "--resume-from", "/runs/checkpoints/000020")
    answer = robotrain("explain", *LOCAL, "-d", "lab/cups", *words)
    answer.check_problems(3, "nothing-left-to-train --training-steps 20")


def test_refused_source_names_the_platforms_that_take_it(robotrain, plain_platform):
    answer = robotrain("submit", "--platform", "local", "--dataset-asset", "azureml:pusht-episodes:3")
    answer.check_problems(3, "source-not-accepted --dataset-asset azureml:pusht-episodes:3")


def test_feature_at_its_default_is_accepted(robotrain):
    options = ("--num-gpus", "1", "--mixed-precision", "no")
    assert robotrain("render", "--platform", "local", "--dataset-path", "x", *options).exit_code == 0
