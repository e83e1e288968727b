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
    ("words", "said"),
    [
        (("submit", *X), ["--platform local", "--platform plain"]),
        (("submit", "lerobot-trian", "--platform", "locl", *X), ["use   --platform local", "use   lerobot-train"]),
        (
            ("render", *ON_PLAIN, *X, "--stepz", "5", "--batch-sise=4", "--frobnicate"),
            ["option --stepz", "use   --steps", "use   --batch-size", "no option --frobnicate", "3 problems"],
        ),
        (
            ("render", *LOCAL, *X, "--zone", "gale"),
            ["--zone is an option of platform plain", "use   --platform plain"],
        ),
        (("render", *LOCAL, *X, "--image", "a:1"), ["container platform"]),
        (("render", *LOCAL, *X, "--config-preview", "y"), ["local takes no --config-preview"]),
        (("render", *LOCAL, *X, "--stream"), ["--stream is an option of other commands only", "submit, pipeline"]),
        (("render", *ON_PLAIN, *X, "--policy.dim_model=3"), ["after `--`"]),
        (
            ("render", *ON_PLAIN, "--dataset-path", "--json"),
            ["--dataset-path needs a value, but the next word is --json"],
        ),
        (("render", *ON_PLAIN, *X, "--steps", "5", "--training-steps", "6"), ["--training-steps is given 2 times"]),
        (("render", *ON_PLAIN, *X, "--no-val-split", "--val-split", "0.2"), ["contradict"]),
        (("render", *ON_PLAIN), ["needs a dataset", "--dataset-path", "--blob-url"]),
        (("render", *ON_PLAIN, *X, "-d", "lerobot/pusht"), ["--dataset-id"]),
        (("render", *ON_PLAIN, "--blob-url", BLOB, "-d", "lerobot/pusht"), ["--dataset-id"]),
        (
            ("render", *ON_PLAIN, "-d", "u/a", "-d", "u/b"),
            ["only once", "use   --dataset-repo-id u/a (alone)\n  or    --dataset-repo-id u/b (alone)"],
        ),
        (("render", *ON_PLAIN, "a.yaml", "b.yaml"), ["one job at a time"]),
        (("render", *ON_PLAIN, *X, "--", "--steps=4"), ["trainer-arg-owned"]),
        (("render", *ON_PLAIN, *X, "--", "--policy.type=act"), ["trainer-arg-owned"]),
        (
            ("render", *ON_PLAIN, *X, "--", "--zone=gale"),
            ["--zone is an option of platform plain, not of the trainer", "before --"],
        ),
        (("submit", *ON_PLAIN, *X, "--", "--wait"), ["--wait is an option of robotrain, not of the trainer"]),
        (("submit", *ON_PLAIN, *X, "--", "-d", "u/d"), ["-d is an option of robotrain, not of the trainer"]),
        (("render", *LOCAL, *X, "--", "--pool", "gp", "--image", "x"), ["cluster", "container platform"]),
        (
            ("submit", "lerobot-eval", *LOCAL, "--policy-path", "a", "--policy-repo-id", "b/c"),
            ["--policy-path and --policy-repo-id name 2", "use   --policy-path a"],
        ),
        (("submit", "lerobot-eval", *LOCAL, "--success-threshold", "70"), ["use   --success-threshold 0.7"]),
        (("render", *ON_PLAIN, *X, "--batch-size", "0"), ["--batch-size takes a whole number greater than 0"]),
        (
            ("render", *ON_PLAIN, *X, "--training-steps", "4.5"),
            ["--training-steps takes a whole number greater than 0"],
        ),
        (("render", *ON_PLAIN, *X, "--learning-rate", "nan"), ["--learning-rate takes a number greater than 0"]),
        (("render", *ON_PLAIN, *X, "--val-split", "1"), ["--val-split takes a number at least 0 and less than 1"]),
        (("render", *ON_PLAIN, *X, "--policy-type", "pi0"), ["--policy-type takes one of act, diffusion"]),
        (
            ("render", *ON_PLAIN, *X, "--register-checkpoint", "a b"),
            ["takes a name of letters, digits, `_`, `.` and `-`"],
        ),
        (("render", *ON_PLAIN, *X, "--replicas", "0"), ["--replicas takes a whole number greater than 0"]),
    ],
)
def test_a_wrong_line_is_refused_with_what_is_wrong_and_what_to_type(robotrain, words, said):
    answer = robotrain(*words)
    assert answer.exit_code == 2
    for fact in said:
        assert fact in answer.stderr


def test_a_workload_that_was_forgotten_is_told_once(robotrain):
    answer = robotrain("submit", "--platform", "local", "--env", "pusht", "--eval-episodes", "2")
    assert answer.exit_code == 2
    assert answer.stderr.count("error:") == 1
    assert "--env, --eval-episodes are options of workload lerobot-eval" in answer.stderr
    assert "use   robotrain submit lerobot-eval" in answer.stderr


def test_the_environment_may_choose_the_platform(robotrain, monkeypatch):
    monkeypatch.setenv("ROBOTRAIN_PLATFORM", "plain")
    assert robotrain("render", "--dataset-path", "x").exit_code == 0


def test_a_workload_that_is_given_as_an_option_is_answered_with_the_line(robotrain):
    for words, meant in (
        (("--workload", "lerobot-eval"), "lerobot-eval"),
        (("--workload=lerobot-evil",), "lerobot-eval"),
    ):
        answer = robotrain("submit", "--platform", "plain", *words)
        assert (answer.exit_code, f"use   robotrain submit {meant} …" in answer.stderr) == (2, True), answer.stderr
    assert "use   robotrain submit WORKLOAD …" in robotrain("submit", "--workload", "--platform", "plain").stderr


def test_a_flag_of_a_platform_that_swallows_the_platform_is_told_and_ends(command):
    words = ("render", "--runs-dir", "--platform", "local", "--dataset-path", "x")
    answer = subprocess.run([*command, *words], capture_output=True, text=True, timeout=20, check=False)
    assert answer.returncode == 2
    assert "--runs-dir needs a value, but the next word is --platform" in answer.stderr


def test_problems_of_every_stage_come_in_one_report_and_the_earliest_stage_decides(robotrain):
    answer = render(robotrain, "--blob-url", BLOB + "?sig=x", "-r", "model", "--batch-size", "0", "--nonsense")
    assert answer.exit_code == 2
    for code in ("option-unknown", "blob-url-invalid", "value-invalid", "feature-not-there"):
        assert code in answer.stderr
    assert render(robotrain, "--blob-url", BLOB, "-r", "model").exit_code == 3


def test_at_most_64_sources(robotrain):
    many = [part for index in range(65) for part in ("--blob-url", f"{BLOB}{index}")]
    assert render(robotrain, *many[:-2]).exit_code == 0
    answer = render(robotrain, *many)
    assert answer.exit_code == 2
    assert "at most 64" in answer.stderr


def test_the_same_source_twice_warns(robotrain):
    answer = render(robotrain, "--blob-url", BLOB, "--blob-url", BLOB + "/")
    assert answer.exit_code == 0
    assert "given twice" in answer.stderr


def test_sources_keep_the_order_typed_across_flags(robotrain):
    answer = render(
        robotrain, "--blob-url", BLOB + "1", "--dataset-asset", "azureml:a:1", "--blob-url", BLOB + "2", "--json"
    )
    job = json.loads(answer.json["files"]["job.json"]["text"])
    assert [source["uri"] for source in job["sources"]] == [BLOB + "1", "azureml:a:1", BLOB + "2"]


def test_arguments_after_the_dashes_reach_the_trainer_in_order(robotrain):
    answer = render(robotrain, "--dataset-path", "x", "--json", "--", "--policy.dim_model=3", "--tolerance_s", "0.1")
    assert answer.exit_code == 0
    job = json.loads(answer.json["files"]["job.json"]["text"])
    assert job["trainer_args"] == ["--policy.dim_model=3", "--tolerance_s", "0.1"]


SECRET = "s3cr3tsignature"


@pytest.mark.parametrize(
    "args",
    [
        ("--blob-url", f"{BLOB}?sv=2024&sig={SECRET}"),
        ("--blob-url", f"https://user:{SECRET}@acc.blob.core.windows.net/c/p"),
        ("--blob-url", f"{BLOB}#{SECRET}"),
        ("-d", f"https://hf_{SECRET}abcdefgh@huggingface.co/datasets/u/d"),
        ("--dataset-asset", f"azureml:a:1?token={SECRET}"),
        ("--dataset-path", f"https://h/x?sig={SECRET}"),
        ("--dataset-path", "x", f"--hf-token={SECRET}"),
        ("--dataset-path", "x", "--hf-token", SECRET),
        ("--dataset-path", "x", "--batch-size", f"https://h/x?sig={SECRET}"),
        (f"https://h/x?sig={SECRET}", "--dataset-path", "x"),
        ("--dataset-path", "x", "--", f"--policy.type=https://h/x?sig={SECRET}"),
    ],
)
def test_nothing_secret_is_ever_echoed(robotrain, args):
    answer = robotrain("submit", "--platform", "plain", *args)
    assert answer.exit_code == 2
    assert SECRET not in answer.stdout + answer.stderr


def test_problems_as_data(robotrain):
    answer = render(robotrain, "--json", "--batch-size", "0", "--dataset-path", "x")
    assert answer.exit_code == 2
    (problem,) = answer.json["problems"]
    assert problem["code"] == "value-invalid"
    assert problem["where"] == "--batch-size"


def test_usage_errors_of_the_parser_come_in_the_same_form(robotrain):
    answer = render(robotrain, "--json", "--batch-size")
    assert answer.exit_code == 2
    assert answer.json["problems"][0]["code"] == "usage"
    assert "--batch-size" in answer.stderr


def test_an_unknown_command_offers_the_nearest(robotrain):
    answer = robotrain("submti", "--json")
    assert answer.exit_code == 2
    assert "use   robotrain submit" in answer.stderr
    assert answer.json["problems"][0]["code"] == "command-unknown"


def test_an_unknown_run_is_told_as_data_too(robotrain):
    answer = robotrain("status", "nosuch", "--json")
    assert answer.exit_code == 2
    assert answer.json["problems"][0]["code"] == "run-unknown"


def test_a_value_left_over_by_a_swallowed_flag_is_not_a_second_problem(robotrain):
    answer = render(robotrain, "--dataset-path", "--batch-size", "3", "--json")
    assert [problem["code"] for problem in answer.json["problems"]] == ["flag-without-value"]


def test_an_empty_platform_falls_back_to_the_environment(robotrain, monkeypatch):
    monkeypatch.setenv("ROBOTRAIN_PLATFORM", "plain")
    assert robotrain("render", "--platform", "", "--dataset-path", "x").exit_code == 0


TOKEN = "hf_abcdefghijklmnopqrstuvwx1234"


@pytest.mark.parametrize(
    "args",
    [
        ("--job-name", f"--https://u:{SECRET}@h/x"),
        ("--", "--policy.repo_id", f"https://u:{SECRET}@h/x"),
    ],
)
def test_a_secret_is_refused_where_a_plan_or_a_record_would_keep_it(robotrain, args):
    answer = render(robotrain, "--dataset-path", "x", *args)
    assert answer.exit_code == 2
    assert SECRET not in answer.stdout + answer.stderr
    assert TOKEN not in answer.stdout + answer.stderr


@pytest.mark.parametrize("args", [("platforms", TOKEN), ("status", TOKEN), ("submit", TOKEN + ".yaml"), (TOKEN,)])
def test_a_token_in_the_wrong_place_is_not_echoed(robotrain, args):
    answer = robotrain(*args)
    assert answer.exit_code == 2
    assert TOKEN not in answer.stdout + answer.stderr


@pytest.mark.parametrize("address", [f"https://h/x?token={SECRET}", f"https://h/x#{SECRET}", "http://[abc"])
def test_a_tracking_address_that_cannot_be_kept(robotrain, address):
    answer = robotrain("render", "--platform", "local", "--dataset-path", "x", "--tracking-uri", address)
    assert answer.exit_code == 2
    assert SECRET not in answer.stderr


@pytest.mark.parametrize(
    ("words", "way"),
    [
        (("--wait", "submit", "lerobot-eval"), "robotrain submit … --wait"),
        (("eval", "--env", "pusht"), "robotrain submit lerobot-eval …"),
        (("lerobot-train",), "robotrain submit lerobot-train …"),
    ],
)
def test_the_command_comes_first(robotrain, words, way):
    answer = robotrain(*words)
    assert answer.exit_code == 2
    assert f"use   {way}" in answer.stderr


@pytest.mark.parametrize("name", ["PLATFORM", "NAME"])
def test_the_placeholder_of_the_documents_is_no_platform(robotrain, plain_platform, name):
    answer = robotrain("explain", "--platform", name, "--dataset-path", "x", "--json")
    (problem,) = answer.json["problems"]
    assert (answer.exit_code, problem["code"]) == (2, "platform-not-loaded")
    assert {"--platform local", "--platform plain"} <= {way["text"] for way in problem["instead"]}


def test_a_platform_that_is_not_installed_is_answered_with_how_to_install_one(robotrain, plain_platform):
    (problem,) = robotrain("explain", "--platform", "slurm", "--dataset-path", "x", "--json").json["problems"]
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
def test_what_people_type_first_is_answered_with_the_line_to_type(robotrain, plain_platform, words, line):
    for folder in ("proj", "episodes", "lab/cups"):
        Path(folder).mkdir(parents=True)
    for file in ("job.yaml", "proj/job.yaml"):
        Path(file).write_text("sources: {dataset: [{local_path: data}]}\n")
    answer = robotrain("explain", "--platform", "local", "--json", *words)
    assert answer.exit_code == 2
    assert line in [way["text"] for problem in answer.json["problems"] for way in problem["instead"]]


def test_without_any_job_file_init_is_what_to_type(robotrain):
    (problem,) = robotrain("explain", "job.yaml", "--platform", "local", "--json").json["problems"]
    assert [way["text"] for way in problem["instead"]] == ["robotrain init"]


@pytest.mark.parametrize("words", [("-",), ("/dev/stdin",), ("/dev/fd/63",), ("lerobot-train", "-")])
def test_standard_input_is_no_job_file_and_that_is_all_that_is_said(robotrain, words):
    (problem,) = robotrain("submit", *words, *ON_PLAIN, "--json").json["problems"]
    assert (problem["code"], "standard input" in problem["title"]) == ("standard-input", True)
    assert [way["text"] for way in problem["instead"]] == ["robotrain submit job.yaml"]


def test_a_word_with_a_secret_is_not_repeated(robotrain):
    for secret, word in (
        ("hf_" + "a" * 34, "batch_size={}"),
        ("b" * 43 + "%3D", "https://lab.blob.core.windows.net/data/day?sv=2024&sig={}"),
    ):
        answer = robotrain("explain", "--platform", "local", "--dataset-path", "x", word.format(secret))
        assert answer.exit_code == 2
        assert secret not in answer.stderr


def test_a_misspelt_platform_option_is_one_problem(robotrain, pusht):
    answer = robotrain("submit", "lerobot-train", "--platfrom", "local", "--dataset-path", pusht, "--json")
    assert answer.exit_code == 2
    assert [(one["code"], one["instead"][0]["text"]) for one in answer.json["problems"]] == [
        ("option-unknown", "--platform local")
    ]


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
def test_a_value_in_another_notation_is_answered_with_the_one_to_type(robotrain, words, way):
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


def test_local_says_no_to_a_data_asset_and_who_takes_it(robotrain, plain_platform):
    answer = robotrain("submit", "--platform", "local", "--dataset-asset", "azureml:pusht-episodes:3")
    assert answer.exit_code == 3
    lines = answer.stderr.splitlines()
    assert lines[0].startswith("error: local does not accept ")
    assert lines[0].endswith("[source-not-accepted]")
    assert lines[1].strip() == "--dataset-asset azureml:pusht-episodes:3"
    assert "--blob-url https://" in answer.stderr
    assert "--platform plain" in answer.stderr
    assert "(accepts data_asset)" in answer.stderr


def test_not_yet_differs_from_no(robotrain, plain_platform):
    policy = ("--policy-url", "https://acc.blob.core.windows.net/data/p")
    answer = robotrain("submit", "--platform", "plain", "-d", "lerobot/pusht", *policy)
    assert answer.exit_code == 3
    assert answer.stderr.splitlines()[0].split("[")[0].strip().endswith("yet")


def test_a_feature_at_its_default_needs_nothing(robotrain):
    options = ("--num-gpus", "1", "--mixed-precision", "no")
    assert robotrain("render", "--platform", "local", "--dataset-path", "x", *options).exit_code == 0
