"""`--set KEY=VALUE`: named as in a job file, on the level of flags, coerced as a flag is, and never in silence."""

import json
from pathlib import Path

import pytest
from robotrain.config import overrides
from robotrain.config.job_file import FileSource, JobFile
from robotrain.config.provenance import Origin, Value
from robotrain.config.request import Request
from robotrain.config.resolve import resolve_job
from robotrain.errors import select_errors
from robotrain.plugins.manager import Plugins

FOLDER = ("--dataset-path", "data")


@pytest.fixture
def explain(robotrain):
    def run(*args):
        answer = robotrain("explain", "--platform", "local", "--json", *args)
        assert answer.exit_code == 0, answer.stderr
        return {row["name"]: row for row in answer.json["values"]}

    return run


def refused(robotrain, *args):
    answer = robotrain("explain", "--platform", "local", *args)
    assert answer.exit_code == 2
    return answer.stderr


@pytest.mark.parametrize("key", ["batch_size", "parameters.batch_size", " batch_size "])
def test_a_value_is_set_by_its_name_in_a_job_file_or_by_its_name_alone(explain, key):
    row = explain(*FOLDER, "--set", f"{key}=8")["batch_size"]
    assert (row["value"], row["origin"]) == (8, f"flag --set {key.strip()}")


@pytest.mark.parametrize("key", ["runs_dir", "platforms.local.runs_dir"])
def test_a_setting_of_the_platform(explain, key):
    row = explain(*FOLDER, "--set", f"{key}=runs")["runs_dir"]
    assert (row["value"], row["origin"]) == (str(Path.cwd() / "runs"), f"flag --set {key}")


def test_it_is_on_the_level_of_flags(explain, monkeypatch):
    monkeypatch.setenv("BATCH_SIZE", "3")
    Path("job.yaml").write_text("sources: {dataset: [{local_path: data}]}\nparameters: {batch_size: 4}\n")
    row = explain("job.yaml", "--set", "batch_size=5")["batch_size"]
    assert [row["value"], *(loser["value"] for loser in row["overrode"])] == [5, "4", "3", "32"]


def test_several_at_once(explain):
    rows = explain(*FOLDER, "--set", "batch_size=8", "--set", "seed=7", "--set", "system_metrics=off", "--seed=")
    assert (rows["batch_size"]["value"], rows["seed"]["value"], rows["system_metrics"]["value"]) == (8, 7, False)


@pytest.mark.parametrize("text", ["1e3", "0x10", "yes", "1.5", "0", "nan", "1_000", " 8 ", "007"])
@pytest.mark.parametrize("name", ["batch_size", "learning_rate", "system_metrics", "job_name", "policy_type"])
def test_it_is_coerced_as_the_flag_is(robotrain, name, text):
    if name == "system_metrics":
        Path("job.yaml").write_text(f"parameters: {{{name}: '{text}'}}\n")
        told = ["job.yaml"]
    else:
        told = [f"--{name.replace('_', '-')}", text]
    command = ("explain", "--platform", "local", *FOLDER, "--json")
    other, by_set = robotrain(*command, *told), robotrain(*command, "--set", f"{name}={text}")
    assert by_set.exit_code == other.exit_code
    if by_set.exit_code == 0:
        assert by_set.json["job"] == other.json["job"]
    else:
        assert by_set.json["problems"][0]["title"] == other.json["problems"][0]["title"]


def test_an_empty_value_counts_as_unset(explain):
    assert explain(*FOLDER, "--set", "batch_size=")["batch_size"]["origin"] == "default"


def test_everything_after_the_first_equals_sign_is_the_value(explain):
    assert explain(*FOLDER, "--set", "job_name=a=b=c")["job_name"]["value"] == "a=b=c"


def test_sources(robotrain, mars):
    Path("job.yaml").write_text("sources: {dataset: [{local_path: data}]}\n")
    key = "sources.dataset.data_asset"
    sets = ("--set", f"{key}=azureml:a:1", "--set", "sources.dataset.local_path=b")
    rows = robotrain("explain", "--platform", "mars", "job.yaml", *sets, "--json").json["values"]
    datasets = [row for row in rows if row["name"] == "dataset"]
    assert [(row["value"], row["origin"]) for row in datasets] == [
        ("data_asset azureml:a:1", f"flag --set {key}"),
        (f"local_path {Path.cwd() / 'b'}", "flag --set sources.dataset.local_path"),
    ]
    assert [loser["value"] for loser in datasets[0]["overrode"]] == ["data"]


def test_arguments_of_the_trainer(robotrain):
    Path("job.yaml").write_text("sources: {dataset: [{local_path: data}]}\ntrainer_args: [--policy.dim_model=1]\n")
    words = ("explain", "--platform", "local", "job.yaml", "--json")
    rows = robotrain(*words, "--set", 'trainer_args=["--policy.n_heads=1", "--policy.chunk_size=200"]').json["values"]
    arguments = [row for row in rows if row["name"] == "trainer_args"]
    assert [row["value"] for row in arguments] == ["--policy.n_heads=1", "--policy.chunk_size=200"]
    assert arguments[0]["origin"] == "flag --set trainer_args"
    assert [loser["value"] for loser in arguments[0]["overrode"]] == ["--policy.dim_model=1"]
    rows = robotrain(*words, "--set", "trainer_args=[]").json["values"]
    assert "trainer_args" not in [row["name"] for row in rows]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("batch_sise=8", "use   --set batch_size"),
        ("parameters.batch_sise=8", "use   --set parameters.batch_size"),
        ("steps=8", "use   --set training_steps"),
        ("batch-size=8", "use   --set batch_size"),
        ("runs-dir=8", "use   --set runs_dir"),
        ("platforms.local.runsdir=8", "use   --set platforms.local.runs_dir"),
        ("platforms.mars.crater=x", "The job is for local"),
        ("sources.dataset=x", "--set sources.dataset.local_path=…"),
        ("sources.dataset.local=x", "use   --set sources.dataset.local_path"),
        ("sources.datasets.local_path=x", "use   --set sources.dataset.local_path"),
        ("trainer_args=--x=1", "JSON list"),
        ("trainer_args=[1]", "JSON list"),
        ("workload=lerobot-train", "use   robotrain … WORKLOAD"),
        ("platform=local", "use   --platform NAME"),
        ("profile=x", "use   --profile NAME"),
        ("batch_size", "use   --set batch_size=VALUE"),
        ("=8", "use   --set KEY=VALUE"),
        ("batch_size=many", "--batch-size takes a whole number"),
        ("n_action_steps=8", "use   -- --policy.n_action_steps=8"),
        ("policy.n_action_steps=8", "use   -- --policy.n_action_steps=8"),
        ("policy.chunk_sise=8", "use   -- --policy.chunk_size=8"),
        ("policy.type=diffusion", "use   --set policy_type=diffusion"),
        ("policy.optimizer_lr=1e-5", "use   --set learning_rate=1e-5"),
        ("a.b.c.d=8", "there is no key 'a.b.c.d'"),
    ],
)
def test_what_cannot_be_set_is_said_with_the_nearest(robotrain, text, says):
    assert says in refused(robotrain, *FOLDER, "--set", text)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--batch-size", "8", "--set", "batch_size=8"), "--batch-size and --set batch_size"),
        (("--no-val-split", "--set", "val_split=0.2"), "--no-val-split and --set val_split"),
        (("--no-system-metrics", "--set", "system_metrics=yes"), "--no-system-metrics and --set system_metrics"),
        (("--set", "seed=1", "--set", "parameters.seed=1"), "--set seed and --set parameters.seed"),
        (("--set", "sources.dataset.local_path=x"), "--dataset-path and --set sources.dataset.local_path"),
        (("--set", 'trainer_args=["--x=1"]', "--", "--x=2"), "--x after -- and --set trainer_args"),
        (("--set", "trainer_args=[]", "--set", "trainer_args=[]"), "--set trainer_args and --set trainer_args"),
    ],
)
def test_two_that_say_one_thing_contradict_each_other(robotrain, words, says):
    assert f"{says} contradict each other" in refused(robotrain, *FOLDER, *words)


def test_everything_wrong_comes_at_once(robotrain):
    answer = robotrain("explain", "--platform", "local", "--json", "--set", "x=1", "--set", "seed=x", "--set", "y")
    codes = [problem["code"] for problem in answer.json["problems"]]
    assert sorted(codes) == ["set-malformed", "set-unknown-key", "source-missing", "value-invalid"]


def test_a_flag_in_the_place_of_the_pair_is_the_one_problem(robotrain):
    answer = robotrain("explain", "--platform", "local", *FOLDER, "--json", "--set", "--batch-size")
    assert [problem["code"] for problem in answer.json["problems"]] == ["flag-without-value"]


AMBIGUOUS = """
from dataclasses import dataclass
from typing import Annotated
from robotrain.plugin import Param, Workload, hook

@dataclass(frozen=True, kw_only=True)
class Parameters:
    rovers: Annotated[int, Param(flag="--helpers")] = 1

@hook
def robotrain_workloads():
    return [Workload(name="dig", summary="", parameters=Parameters, roles={}, container_plugin="x.y")]
"""


def test_a_name_that_two_have_is_said_in_full(mars, install):
    install("acme-dig", {"workload.dig": "acme_dig"}, acme_dig=AMBIGUOUS)
    workload, platform = Plugins().workload("dig"), Plugins().platform("mars")
    _, (problem,) = overrides.apply_overrides(Request(), ["rovers=2"], workload, platform)
    assert problem.code == "set-ambiguous"
    assert [way.text for way in problem.suggestions] == ["--set parameters.rovers=…", "--set platforms.mars.rovers=…"]
    request, problems = overrides.apply_overrides(Request(), ["platforms.mars.rovers=2"], workload, platform)
    assert not problems
    assert request.settings["rovers"].value == "2"


SECRET = "hf_abcdefghijklmnopqrstuvwx1234"


@pytest.mark.parametrize(
    "text",
    [
        SECRET,
        f"{SECRET}=1",
        f"job_name={SECRET}",
        f"https://u:{SECRET}@h/x=1",
        f"sources.dataset.blob_url=https://h/c?sig={SECRET}",
    ],
)
def test_no_secret_is_echoed(robotrain, text):
    answer = robotrain("explain", "--platform", "local", "--set", text, "--json")
    assert answer.exit_code == 2
    assert SECRET not in answer.stdout + answer.stderr


def test_over_a_job_that_was_sent_before(robotrain, tmp_path):
    plugins = Plugins()
    workload, platform, kinds = plugins.workload("lerobot-train"), plugins.platform("local"), plugins.source_kinds()
    said = Origin("run", "lerobot-train-1a2b3c4d-1")
    stored = JobFile(
        folder=Path("/"),
        workload=workload.name,
        sources=(FileSource(role="dataset", kind="local_path", text="/data/a", where=said.where, layer=said.layer),),
        parameters={"batch_size": Value("8", said), "seed": Value("7", said)},
    )
    request, problems = overrides.apply_overrides(
        Request(file=stored), ["batch_size=16", "sources.dataset.local_path=/data/b"], workload, platform, kinds
    )
    assert not problems
    resolution = resolve_job(request, workload, platform, kinds)
    assert not select_errors(resolution.problems)
    assert (resolution.job["batch_size"], resolution.job["seed"]) == (16, 7)
    assert [source.uri for source in resolution.job.sources] == ["/data/b"]
    assert str(resolution.parameters["seed"].origin) == "run lerobot-train-1a2b3c4d-1"
    assert str(resolution.inputs.overrode[0].origin) == "run lerobot-train-1a2b3c4d-1"


@pytest.mark.parametrize("command", [("render",), ("submit", "--dry-run")])
def test_every_command_that_takes_a_job_has_it(robotrain, mars, command):
    words = ("--platform", "mars", "--set", "sources.dataset.local_path=data", "--set", "batch_size=8", "--json")
    answer = robotrain(*command, *words)
    assert answer.exit_code == 0, answer.stderr
    assert json.loads(answer.json["files"]["job.json"]["text"])["parameters"]["batch_size"] == 8
