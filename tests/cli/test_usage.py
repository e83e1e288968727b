"""What a wrong command line says: everything at once, by name, with the way out, and never a secret."""

import json
import subprocess
from pathlib import Path

import pytest

BLOB = "https://acc.blob.core.windows.net/c/p"


def render(robotrain, *args):
    return robotrain("render", "--platform", "plain", *args)


@pytest.fixture(autouse=True)
def with_plain(plain_platform):
    pass


X, ON_PLAIN, LOCAL = ("--dataset-path", "x"), ("--platform", "plain"), ("--platform", "local")


@pytest.mark.parametrize(
    ("words", "facts"),
    [
        (("submit", *X), ["--platform local", "--platform plain"]),
        (("submit", "lerobot-trian", "--platform", "locl", *X), ["use   --platform local", "use   lerobot-train"]),
        (
            ("render", *ON_PLAIN, *X, "--stepz", "5", "--batch-sise=4", "--frobnicate"),
            ["option --stepz", "use   --steps", "use   --batch-size", "no option --frobnicate", "3 problems"],
        ),
        (
            ("render", *LOCAL, *X, "--zone", "north"),
            ["--zone is an option of platform plain", "or    --platform plain"],
        ),
        (("render", *ON_PLAIN, *X, "--secret", "A=b"), ["--secret is an option of platform", "on plain"]),
        (("render", *LOCAL, *X, "--image", "a:1"), ["container platform", "--environment PATH"]),
        (("render", *LOCAL, *X, "--config-preview", "y"), ["local takes no --config-preview"]),
        (("render", "lerobot-eval", *LOCAL, "--task", "reach-v3"), ["takes no --task", "use   --env-tasks reach-v3"]),
        (("render", *LOCAL, *X, "--stream"), ["--stream is an option of other commands only", "submit, pipeline"]),
        (("render", *ON_PLAIN, *X, "--policy.dim_model=32"), ["after `--`"]),
        (
            ("render", *ON_PLAIN, "--dataset-path", "--json"),
            ["--dataset-path needs a value, but the next word is --json"],
        ),
        (
            ("render", *ON_PLAIN, *X, "--steps", "5", "--training-steps", "6"),
            ["--training-steps (also --steps) is given 2 times"],
        ),
        (("render", *ON_PLAIN, *X, "--no-val-split", "--val-split", "0.2"), ["contradict"]),
        (("render", *ON_PLAIN), ["needs a dataset", "--dataset-path", "--blob-url"]),
        (("render", *ON_PLAIN, *X, "-d", "lerobot/pusht"), ["--dataset-id"]),
        (("render", *ON_PLAIN, "--blob-url", BLOB, "-d", "lerobot/pusht"), ["--dataset-id"]),
        (
            ("render", *ON_PLAIN, "-d", "u/a", "-d", "u/b"),
            ["only once", "leave out all but ONE: --dataset-repo-id u/a or --dataset-repo-id u/b"],
        ),
        (("render", *ON_PLAIN, "a.yaml", "b.yaml"), ["one job at a time"]),
        (("logs", "--raw", "--json"), ["--raw and --json cannot be used together"]),
        (("render", *ON_PLAIN, *X, "--", "--steps=4"), ["trainer-arg-owned"]),
        (("render", *ON_PLAIN, *X, "--", "--policy.type=act"), ["trainer-arg-owned"]),
        (
            ("render", *ON_PLAIN, *X, "--", "--zone=north"),
            ["--zone is an option of platform plain, not of the trainer", "before --"],
        ),
        (("submit", *ON_PLAIN, *X, "--", "--wait"), ["--wait is an option of robotrain, not of the trainer"]),
        (("submit", *ON_PLAIN, *X, "--", "-d", "u/d"), ["-d is an option of robotrain, not of the trainer"]),
        (("render", *LOCAL, *X, "--", "--pool", "gp", "--image", "x"), ["cluster", "container platform"]),
        (
            ("submit", "lerobot-eval", *LOCAL, "--policy-path", "a", "--policy-repo-id", "b/c"),
            [
                "--policy-path and --policy-repo-id name 2",
                "leave out all but ONE: --policy-path a or --policy-repo-id b/c",
            ],
        ),
        (("submit", "lerobot-eval", *LOCAL, "--success-threshold", "70"), ["use   --success-threshold 0.7"]),
        (("render", *ON_PLAIN, *X, "--batch-size", "0"), ["--batch-size takes a whole number greater than 0"]),
        (
            ("render", *ON_PLAIN, *X, "--training-steps", "4.5"),
            ["--training-steps takes a whole number greater than 0"],
        ),
        (("render", *ON_PLAIN, *X, "--learning-rate", "nan"), ["--learning-rate takes a number greater than 0"]),
        (("render", *ON_PLAIN, *X, "--val-split", "1"), ["--val-split takes a number at least 0 and less than 1"]),
        (("render", *ON_PLAIN, *X, "--policy-type", "octo"), ["--policy-type takes one of act, diffusion"]),
        (
            ("render", *ON_PLAIN, *X, "--register-checkpoint", "a b"),
            ["takes a name of letters, digits, `_`, `.` and `-`"],
        ),
        (("render", *ON_PLAIN, *X, "--replicas", "0"), ["--replicas takes a whole number greater than 0"]),
        (
            ("render", *ON_PLAIN, "--dataset-asset", "azureml:a"),
            ["--dataset-asset takes azureml data assets; this value is invalid", "use   --"],
        ),
        (
            ("submit", *LOCAL, "--env", "pusht", "--eval-episodes", "2"),
            ["--env, --eval-episodes are options of workload lerobot-eval"],
        ),
    ],
)
def test_wrong_line_is_refused_with_the_facts_and_what_to_type(robotrain, words, facts):
    answer = robotrain(*words)
    assert answer.exit_code == 2
    for fact in facts:
        assert fact in answer.stderr


@pytest.mark.parametrize(
    ("words", "code", "where", "way"),
    [
        (("render", *ON_PLAIN, *X, "--batch-size", "0"), "value-invalid", "--batch-size", None),
        (("render", *ON_PLAIN, *X, "--batch-size"), "flag-without-value", "--batch-size", "--batch-size INT"),
        (
            ("render", *ON_PLAIN, "--dataset-path", "--batch-size", "3"),
            "flag-without-value",
            "--dataset-path",
            "--dataset-path FOLDER",
        ),
        (("render", *LOCAL, *X, "--tracking-uri", "http://[abc"), "tracking-address-malformed", "--tracking-uri", None),
        (("submit", "--platfrom", "local", *X), "option-unknown", "--platfrom", "--platform local"),
        (
            ("submit", *LOCAL, "--env", "pusht", "--eval-episodes", "2"),
            "workload-elsewhere",
            "--env",
            "robotrain submit lerobot-eval …",
        ),
        (("submti",), "command-unknown", "", "robotrain submit --json"),
        (("status", "nosuch"), "run-unknown", "", "robotrain submit job.yaml --platform PLATFORM"),
    ],
)
def test_one_mistake_is_one_problem_with_its_place_and_suggestion(robotrain, words, code, where, way):
    answer = robotrain(*words, "--json")
    (problem,) = answer.json["problems"]
    assert (answer.exit_code, problem["code"], problem["where"]) == (2, code, where)
    assert [one["text"] for one in problem["instead"]] == ([way] if way else [])


def test_input_of_other_workloads_names_them(robotrain):
    answer = robotrain("render", *LOCAL, *X, "--code", ".", "--json")
    (problem,) = answer.json["problems"]
    assert problem["code"] == "option-elsewhere"
    assert "robotrain submit command …" in [one["text"] for one in problem["instead"]]


@pytest.mark.parametrize(
    ("option", "code", "way"),
    [
        (("--lr", "1e-4"), "option-elsewhere", "--param lr=1e-4"),  # of other workloads
        (("--layers-per-block", "3"), "option-unknown", "--param layers_per_block=3"),
    ],
)
def test_option_of_a_program_of_the_user_is_a_parameter_of_the_job(robotrain, option, code, way):
    answer = robotrain("explain", "command", *LOCAL, *option, "--json", "--", "true")
    (problem,) = answer.json["problems"]
    assert (problem["code"], problem["instead"][0]["text"]) == (code, way)


@pytest.mark.parametrize("words", [(), ("--platform", "")])
def test_platform_of_the_environment_is_used(robotrain, monkeypatch, words):
    monkeypatch.setenv("ROBOTRAIN_PLATFORM", "plain")
    assert robotrain("render", *words, *X).exit_code == 0


def test_workload_as_an_option_is_answered_with_the_line(robotrain):
    for words, meant in (
        (("--workload", "lerobot-eval"), "lerobot-eval"),
        (("--workload=lerobot-evil",), "lerobot-eval"),
    ):
        robotrain("submit", "--platform", "plain", *words).check(2, f"use   robotrain submit {meant} …")
    assert "use   robotrain submit WORKLOAD …" in robotrain("submit", "--workload", "--platform", "plain").stderr


def test_flag_of_a_platform_that_swallows_the_platform_is_reported(command):
    words = ("render", "--runs-dir", "--platform", "local", "--dataset-path", "x")
    answer = subprocess.run([*command, *words], capture_output=True, text=True, timeout=20, check=False)
    assert answer.returncode == 2
    assert "--runs-dir needs a value, but the next word is --platform" in answer.stderr


def test_problems_of_all_stages_are_reported_and_the_earliest_decides_the_exit_code(robotrain):
    answer = render(robotrain, "--blob-url", BLOB + "?sig=x", "-r", "model", "--batch-size", "0", "--nonsense")
    assert answer.exit_code == 2
    for code in ("option-unknown", "blob-url-invalid", "value-invalid", "feature-not-there"):
        assert code in answer.stderr
    assert render(robotrain, "--blob-url", BLOB, "-r", "model").exit_code == 3


def test_source_given_twice_is_a_warning(robotrain):
    render(robotrain, "--blob-url", BLOB, "--blob-url", BLOB + "/").check(0, "given twice")


def test_sources_keep_the_order_typed_across_flags(robotrain):
    answer = render(
        robotrain, "--blob-url", BLOB + "1", "--dataset-asset", "azureml:a:1", "--blob-url", BLOB + "2", "--json"
    )
    job = json.loads(answer.json["files"]["job.json"]["text"])
    given = [source["uri"] for source in job["sources"] if not source.get("implied")]
    assert given == [BLOB + "1", "azureml:a:1", BLOB + "2"]


def test_arguments_after_the_dashes_reach_the_trainer_in_order(robotrain):
    answer = render(robotrain, "--dataset-path", "x", "--json", "--", "--policy.dim_model=32", "--tolerance_s", "0.1")
    assert answer.exit_code == 0
    job = json.loads(answer.json["files"]["job.json"]["text"])
    assert job["trainer_args"] == ["--policy.dim_model=32", "--tolerance_s", "0.1"]


@pytest.mark.parametrize(
    ("words", "way"),
    [
        (("--wait", "submit", "lerobot-eval"), "robotrain submit lerobot-eval --wait"),
        (("eval", "--env", "pusht"), "robotrain submit lerobot-eval …"),
        (("lerobot-train",), "robotrain submit lerobot-train …"),
    ],
)
def test_word_before_or_in_place_of_the_command_is_answered_with_the_line(robotrain, words, way):
    robotrain(*words).check(2, f"use   {way}")


@pytest.mark.parametrize("name", ["PLATFORM", "NAME"])
def test_placeholder_of_the_documents_is_no_platform(robotrain, plain_platform, name):
    answer = robotrain("explain", "--platform", name, "--dataset-path", "x", "--json")
    (problem,) = answer.json["problems"]
    assert (answer.exit_code, problem["code"]) == (2, "platform-not-loaded")
    assert {"--platform local", "--platform plain"} <= {way["text"] for way in problem["instead"]}


def test_unknown_platform_is_answered_with_how_to_install_one(robotrain, plain_platform):
    (problem,) = robotrain("explain", "--platform", "skypilot", "--dataset-path", "x", "--json").json["problems"]
    assert "installed: " in problem["title"]
    assert any("install" in way["text"] and "PACKAGE" in way["text"] for way in problem["instead"])


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("proj",), "proj/job.yaml"),
        (("./episodes",), "--dataset-path ./episodes"),
        (("lerobot/pusht",), "--dataset-repo-id lerobot/pusht"),
        (("https://lab.blob.core.windows.net/data/day",), "--blob-url https://lab.blob.core.windows.net/data/day"),
        (("train",), "lerobot-train"),
        (("job.yaml", "plain"), "--platform plain"),
        (("job.yaml", "batch_size=8"), "--set batch_size=8"),
        (("job.yaml", "policy.chunk_size=8"), "-- --policy.chunk_size=8"),
        (("isaac-train", "agent.seed=3"), "-- agent.seed=3"),
        (("job.yaml", "--set", "batch_size", "8"), "--set batch_size=VALUE"),
        (("job.yaml", "--", "chunk_size=8"), "--policy.chunk_size=8"),
        (("--file", "job.yaml"), "robotrain submit job.yaml …"),
        (("job.yml",), "job.yaml"),
        (("nowhere.yaml",), "job.yaml"),
        (("job.yaml", "--batch", "8"), "--batch-size 8"),
        (("--dataset", "lab/cups/"), "--dataset-path lab/cups/"),
        (("--dataset-repo-id", "a/b", "--gpus=2"), "--num-gpus 2"),
        (("--mlflow-tracking-uri", "http://host:5000"), "--tracking-uri http://host:5000"),
    ],
)
def test_common_mistakes_are_answered_with_the_line_to_type(robotrain, plain_platform, words, line):
    for folder in ("proj", "episodes", "lab/cups"):
        Path(folder).mkdir(parents=True)
    for file in ("job.yaml", "proj/job.yaml"):
        Path(file).write_text("sources: {dataset: [{local_path: data}]}\n")
    answer = robotrain("explain", "--platform", "local", "--json", *words)
    assert answer.exit_code == 2
    assert line in [way["text"] for problem in answer.json["problems"] for way in problem["instead"]]


def test_missing_job_file_is_answered_with_init(robotrain):
    (problem,) = robotrain("explain", "job.yaml", "--platform", "local", "--json").json["problems"]
    assert [way["text"] for way in problem["instead"]] == ["robotrain init …"]


@pytest.mark.parametrize("words", [("-",), ("/dev/stdin",), ("/dev/fd/63",), ("lerobot-train", "-")])
def test_standard_input_is_no_job_file(robotrain, words):
    (problem,) = robotrain("submit", *words, *ON_PLAIN, "--json").json["problems"]
    assert (problem["code"], "standard input" in problem["title"]) == ("standard-input", True)
    assert [way["text"] for way in problem["instead"]] == ["robotrain submit job.yaml"]


@pytest.mark.parametrize(
    ("words", "way"),
    [
        (("--training-steps", "20k"), "--training-steps 20000"),
        (("--training-steps", "1.5M"), "--training-steps 1500000"),
        (("--training-steps", "1e3"), "--training-steps 1000"),
        (("--training-steps", "1.2345k"), None),
        (("--seed", "9e9"), None),
        (("--device", "gpu"), "--device cuda"),
    ],
)
def test_value_in_another_notation_is_answered_with_the_one_to_type(robotrain, words, way):
    answer = robotrain("explain", "--platform", "local", "--json", "-d", "lab/cups", *words)
    (problem,) = answer.json["problems"]
    assert (answer.exit_code, problem["code"]) == (2, "value-invalid")
    assert [one["text"] for one in problem["instead"]] == ([way] if way else [])


def test_a_checkpoint_without_steps_left_names_the_number_of_steps(robotrain):
    words = ("--training-steps", "20", "--resume-from", "/runs/checkpoints/000020")
    answer = robotrain("explain", "--platform", "local", "--json", "-d", "lab/cups", *words)
    (problem,) = (one for one in answer.json["problems"] if one["code"] == "no-steps-left")
    assert (problem["where"], problem["given"]) == ("--training-steps", "20")
    assert "/runs/checkpoints/000020" in problem["why"]


def test_refused_source_names_the_platforms_that_take_it(robotrain, plain_platform):
    answer = robotrain("submit", "--platform", "local", "--dataset-asset", "azureml:pusht-episodes:3")
    assert answer.exit_code == 3
    lines = answer.stderr.splitlines()
    assert lines[0].startswith("error: local does not accept ")
    assert lines[0].endswith("[source-not-accepted]")
    assert lines[1].strip() == "--dataset-asset azureml:pusht-episodes:3"
    assert "--blob-url https://" in answer.stderr
    assert "--platform plain" in answer.stderr
    assert "(accepts data_asset)" in answer.stderr


def test_feature_at_its_default_is_accepted(robotrain):
    options = ("--num-gpus", "1", "--mixed-precision", "no")
    assert robotrain("render", "--platform", "local", "--dataset-path", "x", *options).exit_code == 0
