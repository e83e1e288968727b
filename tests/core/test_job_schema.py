"""The JSON Schema of job.yaml takes what the reader takes, and refuses what it refuses, as far as a schema can say."""

import json
import re
from pathlib import Path
from typing import ClassVar

import jsonschema
import pytest
import yaml
from plugin_sources import make_workload
from robotrain import api
from robotrain.errors import Rejected, Stage, select_errors

ROOT = Path(__file__).parents[2]


class EditorLoader(yaml.SafeLoader):
    """YAML 1.2, which editors read: `no` and dates are texts, `1e3` is a number."""

    yaml_implicit_resolvers: ClassVar = {}


for tag, pattern, start in (
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("int", r"^(?:[-+]?[0-9]+)$", "-+0123456789"),
    ("float", r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?)$", "-+.0123456789"),
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
):
    EditorLoader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(pattern), start)
EditorLoader.add_constructor("tag:yaml.org,2002:int", lambda loader, node: int(node.value))
EditorLoader.add_constructor("tag:yaml.org,2002:float", lambda loader, node: float(node.value))


def read_as_editor(text):
    return yaml.load(text, EditorLoader)


@pytest.fixture
def fits(robotrain):
    """Return whether a job fits the schema of trainings on this machine."""
    validator = jsonschema.Draft202012Validator(robotrain("schema", "lerobot-train", "--platform", "local").json)

    return validator.is_valid


def find_refused(text):
    """Return where the reader refuses a job file, each place once."""
    Path("job.yaml").write_text(text, encoding="utf-8")
    try:
        api.explain(platform="local", job="job.yaml")
    except Rejected as rejected:
        errors = [error for error in select_errors(rejected.problems) if error.stage < Stage.CHECK]
        return {error.where for error in errors if error.code != "source-missing"}
    return set()


GOOD = [
    "",
    "workload: lerobot-train\n",
    "workload:\n",
    "$schema: x.json\n",
    "sources:\n",
    "sources: {dataset: {local_path: x}}\n",
    "sources: {dataset: [{local_path: 7}, {blob_url: 'https://acc.blob.core.windows.net/data/p'}]}\n",
    "sources: {dataset: []}\n",
    "parameters:\n",
    "parameters: {policy_type: act, reward_model: }\n",
    "parameters: {mixed_precision: no, job_name: 5, dataset_id: 5, lerobot_version: '0.6.1'}\n",
    "trainer_args: [--wandb.notes, 5, --wandb.notes, true]\n",
    "trainer_args:\n",
    "platforms: {local: {runs_dir: 3}, fake: {pressure: high, wind: null}}\n",
    "platforms: {local: ~, fake: ~}\n",
]
WRONG = [
    "- a\n",
    "workload: nope\n",
    "parametres: {}\n",
    "platform: local\n",
    "parameters: [batch_size]\n",
    "parameters: {batch_size: [8]}\n",
    "parameters: {batch_sise: 8}\n",
    "parameters: {batch_size: 0}\n",
    "parameters: {batch_size: 1.5}\n",
    "parameters: {batch_size: eight}\n",
    "parameters: {val_split: 1}\n",
    "parameters: {reward_model: act}\n",
    "parameters: {system_metrics: 2}\n",
    "parameters: {register_checkpoint: a b}\n",
    "sources: {datasets: [{local_path: x}]}\n",
    "sources: {dataset: [{local: x}]}\n",
    "sources: {dataset: [{local_path: }]}\n",
    "sources: {dataset: [{local_path: [x]}]}\n",
    "sources: {dataset: x}\n",
    "trainer_args: --x\n",
    "trainer_args: [null]\n",
    "trainer_args: [[--x]]\n",
    "platforms: {local: {enviroment: x}}\n",
    "platforms: {local: 3}\n",
    "platforms: {local: {runs_dir: [x]}}\n",
]


def test_a_file_fits_the_schema_where_the_reader_takes_it(fits):
    answers = {text: fits(read_as_editor(text)) for text in (*GOOD, *WRONG)}
    assert answers == dict.fromkeys(GOOD, True) | dict.fromkeys(WRONG, False)
    assert {text: not find_refused(text) for text in answers} == answers


def test_every_job_of_the_repository_fits(robotrain):
    jobs = jsonschema.Draft202012Validator(robotrain("schema").json)
    pipelines = jsonschema.Draft202012Validator(robotrain("pipeline", "schema").json)
    others = ("metadata.yaml", "config.yaml")  # of a bag, and of a workload
    files = [file for file in sorted((ROOT / "examples").rglob("*.yaml")) if file.name not in others]
    assert files
    for file in files:
        validator = pipelines if file.name == "pipeline.yaml" else jobs
        validator.validate(read_as_editor(file.read_text()))


@pytest.mark.parametrize("workload", ["lerobot-train", "command"])  # that of all takes a second
def test_schema_is_valid(robotrain, workload):
    schema = robotrain("schema", workload, "--platform", "local").json
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(schema)


RACE = make_workload("race", "laps: Annotated[int, Param(gt=0)]", roles='{"checkpoint": Role(), "dataset": Role()}')


def test_parameters_follow_the_workload_that_a_file_names(robotrain, install, plain_platform):
    install("acme-race", {"workload.race": "acme_race"}, acme_race=RACE)
    every = jsonschema.Draft202012Validator(robotrain("schema").json)
    race = jsonschema.Draft202012Validator(robotrain("schema", "race").json)
    assert every.is_valid({"workload": "race", "parameters": {"laps": 3}})
    assert not every.is_valid({"workload": "race", "parameters": {"batch_size": 3}})
    assert not every.is_valid({"workload": "race", "parameters": {"laps": 0}})
    assert not every.is_valid({"workload": "race", "sources": {"dataset": [{"local_path": "x"}] * 2}})
    assert every.is_valid({"parameters": {"batch_size": 3}, "platforms": {"plain": {"replicas": 2}}})
    assert not every.is_valid({"platforms": {"plain": {"replicas": 0}}})
    assert race.is_valid({"parameters": {"laps": 3}, "platforms": {"plain": {"replicas": 2}}})
    assert not race.is_valid({"workload": "lerobot-train"})


def test_unknown_name_is_rejected(robotrain):
    robotrain("schema", "lerobot-trian").check_problems(2, "plugin-not-loaded")
    robotrain("schema", "--platform", "locl").check_problems(2, "plugin-not-loaded")


def test_failing_plugin_is_left_out_of_the_schema(robotrain, install):
    install("acme-broken", {"workload.broken": "acme_broken"}, acme_broken="raise RuntimeError('no')")
    answer = robotrain("schema")
    assert answer.exit_code == 0
    assert "acme-broken" in answer.stderr
    output = json.loads(answer.stdout)["properties"]["workload"]["enum"]
    assert "lerobot-train" in output
    assert "broken" not in output
