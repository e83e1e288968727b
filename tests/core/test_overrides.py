"""`--set KEY=VALUE`: named as in a job file, on the level of flags, coerced as a flag is, and never in silence."""

import json
from functools import partial
from pathlib import Path

import pytest
from plugin_sources import PLATFORM, make_workload
from problem_assertions import check_rejected
from robotrain import api

FOLDER = ("--dataset-path", "data")


@pytest.fixture
def explain(explain_values):
    return partial(explain_values, "--platform", "local")


@pytest.mark.parametrize(
    ("text", "name", "value", "origin"),
    [
        ("batch_size=8", "batch_size", 8, "flag --set batch_size"),
        ("parameters.batch_size=8", "batch_size", 8, "flag --set parameters.batch_size"),
        ("batch-size=8", "batch_size", 8, "flag --set batch_size"),
        (" batch_size =8", "batch_size", 8, "flag --set batch_size"),
        ("runs_dir=/runs", "runs_dir", "/runs", "flag --set runs_dir"),
        ("platforms.local.runs_dir=/runs", "runs_dir", "/runs", "flag --set platforms.local.runs_dir"),
        ("job_name=a=b=c", "job_name", "a=b=c", "flag --set job_name"),
        ("batch_size=", "batch_size", 32, "default"),
    ],
)
def test_a_value_is_set_by_its_name_alone_or_in_a_job_file(explain, text, name, value, origin):
    row = explain(*FOLDER, "--set", text)[name]
    assert (row["value"], row["origin"]) == (value, origin)


def test_a_relative_folder_starts_from_the_working_folder(explain):
    assert explain(*FOLDER, "--set", "runs_dir=runs")["runs_dir"]["value"] == str(Path.cwd() / "runs")


def test_set_is_as_strong_as_a_flag(explain, monkeypatch):
    monkeypatch.setenv("BATCH_SIZE", "3")
    Path("job.yaml").write_text("sources: {dataset: [{local_path: data}]}\nparameters: {batch_size: 4}\n")
    row = explain("job.yaml", "--set", "batch_size=5")["batch_size"]
    assert [row["value"], *(loser["value"] for loser in row["overrode"])] == [5, "4", "3", "32"]


@pytest.mark.parametrize(
    ("name", "text"),
    [("batch_size", " 8 "), ("learning_rate", "nan"), ("system_metrics", "yes"), ("policy_type", "007")],
)
def test_value_is_converted_as_that_of_a_flag(robotrain, name, text):
    if name == "system_metrics":
        Path("job.yaml").write_text(f"parameters: {{{name}: '{text}'}}\n")
        options = ["job.yaml"]
    else:
        options = [f"--{name.replace('_', '-')}", text]
    command = ("explain", "--platform", "local", *FOLDER, "--json")
    other, by_set = robotrain(*command, *options), robotrain(*command, "--set", f"{name}={text}")
    assert by_set.exit_code == other.exit_code
    if by_set.exit_code == 0:
        assert by_set.json["job"] == other.json["job"]
    else:
        assert by_set.json["problems"][0]["title"] == other.json["problems"][0]["title"]


def test_sources(robotrain, plain_platform):
    Path("job.yaml").write_text("sources: {dataset: [{local_path: data}]}\n")
    key = "sources.dataset.data_asset"
    sets = ("--set", f"{key}=azureml:a:1", "--set", "sources.dataset.local_path=b")
    rows = robotrain("explain", "--platform", "plain", "job.yaml", *sets, "--json").json["values"]
    datasets = [row for row in rows if row["name"] == "dataset"]
    assert [(row["value"], row["origin"]) for row in datasets] == [
        ("data_asset azureml:a:1", f"flag --set {key}"),
        (f"local_path {Path.cwd() / 'b'}", "flag --set sources.dataset.local_path"),
    ]
    assert [loser["value"] for loser in datasets[0]["overrode"]] == ["data"]


MISTAKES = {
    "batch_sise=8": "--set batch_size=VALUE",
    "parameters.batch_sise=8": "--set parameters.batch_size=VALUE",
    "steps=8": "--set training_steps=VALUE",
    "platforms.local.runsdir=8": "--set platforms.local.runs_dir=VALUE",
    "sources.dataset.local=x": "--set sources.dataset.local_path=VALUE",
    "sources.datasets.local_path=x": "--set sources.dataset.local_path=VALUE",
    "trainer_args=[1]": "-- --NAME=VALUE …",
    "batch_size": "--set KEY=VALUE",
    "policy.type=diffusion": "--set policy_type=VALUE",
    "n_action_steps=8": "",
    "policy.n_action_steps=8": "",
    "workload=lerobot-train": "",
}


def test_unknown_key_is_rejected_with_the_nearest(robotrain):
    sets = [word for text in MISTAKES for word in ("--set", text)]
    answer = robotrain("explain", "--platform", "local", "--json", *FOLDER, *sets)
    assert answer.exit_code == 2
    ways = [[way["text"] for way in problem["instead"]] for problem in answer.json["problems"]]
    assert ways == [[way] if way else [] for way in MISTAKES.values()]
    answer = robotrain(
        "explain", "--platform", "local", *FOLDER, "--set", "platforms.plain.zone=x", "--set", "a.b.c.d=8"
    )
    answer.check_problems(2, "value-unknown --set platforms.plain.zone", "value-unknown --set a.b.c.d")
    answer = robotrain("explain", "--platform", "local", *FOLDER, "--set", "platforms.local.gpus=1")
    answer.check_problems(2, "value-unknown --set platforms.local.gpus")
    assert "runs_dir" not in answer.stderr  # its table alone is like that of another key


@pytest.mark.parametrize(
    ("words", "place"),
    [
        (("--batch-size", "8", "--set", "batch_size=8"), "--set batch_size"),
        (("--no-val-split", "--set", "val_split=0.2"), "--set val_split"),
        (("--no-system-metrics", "--set", "system_metrics=yes"), "--set system_metrics"),
        (("--set", "seed=1", "--set", "parameters.seed=1"), "--set parameters.seed"),
        (("--set", "sources.dataset.local_path=x"), "--set sources.dataset.local_path"),
        (("--set", 'trainer_args=["--wandb.notes=1"]', "--", "--wandb.notes=2"), "--set trainer_args"),
        (("--set", "trainer_args=[]", "--set", "trainer_args=[]"), "--set trainer_args"),
    ],
)
def test_two_values_of_one_key_conflict(robotrain, words, place):
    answer = robotrain("explain", "--platform", "local", *FOLDER, *words)
    answer.check_problems(2, f"options-conflict {place}")


def test_all_problems_are_reported_at_once(robotrain):
    answer = robotrain("explain", "--platform", "local", "--json", "--set", "x=1", "--set", "seed=x", "--set", "y")
    codes = [problem["code"] for problem in answer.json["problems"]]
    assert sorted(codes) == ["source-missing", "value-invalid", "value-invalid", "value-unknown"]


def test_flag_instead_of_a_pair_is_the_only_problem(robotrain):
    answer = robotrain("explain", "--platform", "local", *FOLDER, "--json", "--set", "--batch-size")
    assert [problem["code"] for problem in answer.json["problems"]] == ["flag-without-value"]


AMBIGUOUS = make_workload("dig", 'replicas: Annotated[int, Param(flag="--helpers")] = 1')


def test_ambiguous_name_is_rejected_with_both_keys(robotrain, install):
    install("acme-dig", {"workload.dig": "acme_dig"}, acme_dig=AMBIGUOUS)
    source = PLATFORM.replace('"lerobot-train": YES', '"dig": YES')
    install("robotrain-plain", {"platform.plain": "plain_plugin"}, plain_plugin=source)
    clash = "names-clash ROBOTRAIN_REPLICAS"  # which `--set` does not depend on
    words = ("explain", "dig", "--platform", "plain", "--set")
    robotrain(*words, "replicas=2").check_problems(2, "set-ambiguous --set replicas", clash)
    robotrain(*words, "platforms.plain.replicas=2").check_problems(2, clash)
    call = partial(api.explain, workload="dig", platform="plain")
    with check_rejected("set-ambiguous replicas"):
        call(replicas=2)
    rows = {row["name"]: row["value"] for row in call(**{"platforms.plain.replicas": 2})}
    assert rows["replicas"] == 2


@pytest.mark.parametrize("command", [("render",), ("submit", "--dry-run")])
def test_commands_that_take_a_job_have_set(robotrain, plain_platform, command):
    words = ("--platform", "plain", "--set", "sources.dataset.local_path=data", "--set", "batch_size=8", "--json")
    answer = robotrain(*command, *words)
    assert answer.exit_code == 0, answer.stderr
    assert json.loads(answer.json["files"]["job.json"]["text"])["parameters"]["batch_size"] == 8
