"""The JSON Schema of job.yaml takes what the reader takes, and refuses what it refuses, as far as a schema can say."""

import json
import re
from pathlib import Path
from typing import ClassVar

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from plugin_sources import make_workload
from robotrain import api
from robotrain.errors import Rejected, Stage, select_errors
from robotrain_runtime.contract.parameter import get_parameters
from robotrain_workloads.lerobot_train.workload import LEROBOT_TRAIN

ROOT = Path(__file__).parents[2]
DEPENDENT = ("lerobot_version", "policy_type", "reward_model")
PARAMETERS = {
    parameter.name: parameter
    for parameter in get_parameters(LEROBOT_TRAIN.parameters)
    if parameter.name not in DEPENDENT
}


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
def find_misfits(robotrain):
    """Find the parameters of a job that do not fit the schema of trainings on this machine; `is_valid` is of it too."""
    validator = jsonschema.Draft202012Validator(robotrain("schema", "lerobot-train", "--platform", "local").json)

    def find(job):
        return {error.absolute_path[1] for error in validator.iter_errors(job)}

    find.is_valid = validator.is_valid
    return find


def find_refused(text):
    """Return where the reader refuses a job file, each place once."""
    Path("job.yaml").write_text(text, encoding="utf-8")
    try:
        api.explain(platform="local", job="job.yaml")
    except Rejected as rejected:
        errors = [error for error in select_errors(rejected.problems) if error.stage < Stage.CHECK]
        return {error.where for error in errors if error.code != "source-missing"}
    return set()


def find_refused_parameters(text):
    """Return the parameters of a job file that the reader refuses."""
    places = [re.fullmatch(r"job\.yaml:(\d+)", where) for where in find_refused(text)]
    lines = [int(place[1]) - 1 for place in places if place]
    table = next(value for key, value in yaml.compose(text).value if key.value == "parameters")
    spans = {key.value: (key.start_mark.line, value.end_mark.line) for key, value in table.value}
    return {name for name, (first, last) in spans.items() for line in lines if first <= line < max(last, first + 1)}


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**6), 10**6),
    st.integers(-2, 3),
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(0, 1),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    st.from_regex(r"[+-]?[0-9_]{1,3}(\.[0-9_]{0,2})?([eE][+-]?[0-9]{1,2})?", fullmatch=True),
    st.sampled_from(["act", "bf16", "cuda", "Yes", "off", "TRUE", "tRuE", "1", "0", "n", "", " 8 ", "a/b", "auto"]),
)
of_all_parameters = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    max_examples=5,
    phases=[Phase.reuse, Phase.generate],  # to shrink so many values takes minutes
)


def can_be_expressed(parameter, value):
    """Whether a schema can tell if the reader takes this: not of numbers in quotes, of what secrets look like, of
    tables as one text, or of programs, which a project's file may not choose.
    """
    if (
        parameter.param.names == "program"
        or parameter.param.program_texts
        or parameter.param.form in ("pairs", "table")
    ):
        return False
    if isinstance(value, float):
        return parameter.bare_type is float
    if isinstance(value, str):
        return bool(parameter.choices) or (parameter.bare_type is str and value.isprintable())
    return not parameter.param.pattern


@of_all_parameters
@given(values=st.fixed_dictionaries(dict.fromkeys(PARAMETERS, SCALARS)))
def test_a_value_fits_the_schema_where_the_reader_takes_it(find_misfits, values):
    job = {"parameters": values}
    refused, misfits = find_refused_parameters(yaml.safe_dump(job)), find_misfits(job)
    assert misfits <= refused
    assert not [name for name in refused - misfits if can_be_expressed(PARAMETERS[name], values[name])]


@of_all_parameters
@given(
    texts=st.fixed_dictionaries(
        dict.fromkeys(PARAMETERS, st.from_regex(r"[0-9a-zA-Z+._][0-9a-zA-Z+._-]{0,5}", fullmatch=True))
    )
)
def test_a_plain_word_fits_the_schema_where_the_reader_takes_it(find_misfits, texts):
    written = "parameters:\n" + "".join(f"  {name}: {text}\n" for name, text in texts.items())
    assert find_misfits(read_as_editor(written)) <= find_refused_parameters(written)


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


def test_a_file_fits_the_schema_where_the_reader_takes_it(find_misfits):
    fits = {text: find_misfits.is_valid(read_as_editor(text)) for text in (*GOOD, *WRONG)}
    assert fits == dict.fromkeys(GOOD, True) | dict.fromkeys(WRONG, False)
    assert {text: not find_refused(text) for text in fits} == fits


def test_every_job_of_the_repository_fits(robotrain):
    jobs = jsonschema.Draft202012Validator(robotrain("schema").json)
    pipelines = jsonschema.Draft202012Validator(robotrain("pipeline", "schema").json)
    others = ("metadata.yaml", "config.yaml")  # of a bag, and of a workload
    files = [file for file in sorted((ROOT / "examples").rglob("*.yaml")) if file.name not in others]
    assert files
    for file in files:
        validator = pipelines if file.name == "pipeline.yaml" else jobs
        validator.validate(read_as_editor(file.read_text()))
        validator.validate(yaml.safe_load(file.read_text()))


@pytest.mark.parametrize("workload", ["lerobot-train", "command"])  # that of all takes a second
def test_schema_is_valid(robotrain, workload):
    schema = robotrain("schema", workload, "--platform", "local").json
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(schema)


def test_schema_has_help_defaults_and_bounds(robotrain):
    schema = robotrain("schema", "lerobot-train", "--platform", "local").json
    parameters = schema["properties"]["parameters"]["properties"]
    assert parameters["batch_size"]["description"] == "samples a step, on each GPU"
    assert parameters["batch_size"]["default"] == 32
    assert parameters["batch_size"]["anyOf"][0]["exclusiveMinimum"] == 0
    assert {"act", "smolvla"} < {*parameters["policy_type"]["anyOf"][0]["enum"]}
    kinds = schema["$defs"]["lerobot-train.dataset"]["properties"]
    assert "azureml:NAME:VERSION" in kinds["data_asset"]["description"]
    assert set(schema["properties"]["platforms"]["properties"]) == {"local"}


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


MULTIPLES = "from pydantic import Field, PlainValidator\n" + make_workload(
    "race",
    'width: Annotated[int, Param(help="of the image", gt=0), Field(multiple_of=8)] = 64',
    "laps: Annotated[int | None, PlainValidator(int), Param()] = None",
)


def test_annotations_of_pydantic_are_in_the_schema(robotrain, install):
    install("acme-race", {"workload.race": "acme_race"}, acme_race=MULTIPLES)
    race = jsonschema.Draft202012Validator(robotrain("schema", "race").json)
    assert race.is_valid({"parameters": {"width": 72, "laps": 3}})
    assert race.is_valid({"parameters": {"width": "72", "laps": None}})
    assert not race.is_valid({"parameters": {"width": 71}})
    assert not race.is_valid({"parameters": {"width": 0}})


def test_unknown_name_is_rejected(robotrain):
    robotrain("schema", "lerobot-trian").check_problems(2, "plugin-not-loaded")
    robotrain("schema", "--platform", "locl").check_problems(2, "plugin-not-loaded")


def test_failing_plugin_is_left_out_of_the_schema(robotrain, install):
    install("acme-broken", {"workload.broken": "acme_broken"}, acme_broken="raise RuntimeError('no')")
    answer = robotrain("schema")
    assert answer.exit_code == 0
    assert "acme-broken" in answer.stderr
    output = json.loads(answer.stdout)["properties"]["workload"]["anyOf"][0]["enum"]
    assert "lerobot-train" in output
    assert "broken" not in output
