"""Settings that are tables of names and values: one text on the command line, a table in files."""

from pathlib import Path

import jsonschema
import pytest
import yaml
from problem_assertions import check_rejected
from robotrain.plugin import parse_pairs

SOURCES = "sources: {dataset: {local_path: x}}\n"


@pytest.fixture
def labels(robotrain, cloud_platform):
    """The value of `labels` and where it came from."""

    def run(*args):
        answer = robotrain("explain", "--platform", "cloud", "--json", *args)
        assert answer.exit_code == 0, answer.stderr
        row = next(row for row in answer.json["values"] if row["name"] == "labels")
        return row["value"], row["origin"]

    return run


@pytest.fixture
def explain(robotrain, cloud_platform):
    return lambda *args: robotrain("explain", "--platform", "cloud", *args)


def test_table_as_text_of_a_flag(labels):
    text = "team=arm,cost=4=2,empty="
    assert labels("--dataset-path", "x", "--labels", text) == (text, "flag --labels")
    assert labels("--dataset-path", "x", "--set", f"labels={text}") == (text, "flag --set labels")


def test_table_of_a_job_file_keeps_its_order(labels):
    Path("job.yaml").write_text(
        SOURCES + "platforms:\n  cloud:\n    labels: {zeta: 1e3, team: arm=1, not: null, no: ''}\n"
    )
    assert labels("job.yaml") == ("zeta=1e3,team=arm=1", "job file job.yaml:4")
    Path("job.yaml").write_text(SOURCES + "platforms:\n  cloud:\n    labels: b=1,a=2\n")
    assert labels("job.yaml") == ("b=1,a=2", "job file job.yaml:4")


def test_table_of_robotrain_toml_and_its_profiles(labels):
    Path("robotrain.toml").write_text(
        '[platforms.cloud.labels]\nzeta = 3\nteam = "arm"\n[profiles.big.platforms.cloud]\nlabels = {big = true}\n'
    )
    assert labels("--dataset-path", "x") == ("zeta=3,team=arm", "robotrain.toml [platforms.cloud]")
    value, origin = labels("--dataset-path", "x", "--profile", "big")
    assert (value, origin) == ("big=true", "robotrain.toml [profiles.big.platforms.cloud]")


def test_two_layers_are_not_merged(labels):
    Path("robotrain.toml").write_text('[platforms.cloud.labels]\nzeta = "1"\n')
    Path("job.yaml").write_text(SOURCES + "platforms: {cloud: {labels: {team: arm}}}\n")
    assert labels("job.yaml")[0] == "team=arm"
    Path("job.yaml").write_text(SOURCES + "platforms: {cloud: {labels: {}}}\n")
    assert labels("job.yaml")[0] == "zeta=1"


def test_mapping_in_a_python_call(cloud_platform):
    import robotrain.api

    rows = robotrain.api.explain(platform="cloud", dataset_path="x", labels={"team": "arm", "n": 3})
    assert next(row["value"] for row in rows if row["name"] == "labels") == "team=arm,n=3"
    with check_rejected("value-invalid"):
        robotrain.api.explain(platform="cloud", dataset_path="x", tier={"a": 1})


def test_saved_job_keeps_the_table(labels, robotrain):
    Path("robotrain.toml").write_text('[platforms.cloud.labels]\nteam = "arm"\ncost = 3\n')
    labels("--dataset-path", "x", "--save-as", "saved.yaml")
    Path("robotrain.toml").unlink()
    assert labels("saved.yaml")[0] == "team=arm,cost=3"


def test_malformed_text_is_rejected(explain):
    for text in ("team", " =arm", "team=arm,", "team=arm,team=leg"):
        explain("--dataset-path", "x", "--labels", text).check_problems(2, "value-invalid --labels")


def test_table_that_has_no_text_form_is_rejected_with_its_line(explain):
    for table in ("'a,b': x", "' ': x", "a: x,y", "a: {b: c}", "a: [b]"):
        Path("job.yaml").write_text(SOURCES + f"platforms:\n  cloud:\n    labels:\n      team: arm\n      {table}\n")
        explain("job.yaml").check_problems(2, "value-invalid job.yaml:5")


def test_table_of_robotrain_toml_that_has_no_text_form_is_rejected(explain):
    for toml in ('"a,b" = "x"', 'a = "x,y"', "a = [1]", "a = {b = 1}"):
        Path("robotrain.toml").write_text(f"[platforms.cloud.labels]\n{toml}\n")
        explain("--dataset-path", "x").check_problems(2, "value-invalid robotrain.toml [platforms.cloud]")


def test_table_for_another_setting_is_rejected(explain):
    Path("job.yaml").write_text(SOURCES + "platforms:\n  cloud:\n    tier:\n      a: b\nparameters: {seed: {a: 1}}\n")
    explain("job.yaml").check_problems(2, "value-invalid job.yaml:5", "value-invalid job.yaml:6")


def test_table_for_another_platform_is_not_checked(robotrain, cloud_platform):
    Path("job.yaml").write_text(SOURCES + "platforms: {cloud: {labels: {team: arm}}}\n")
    assert robotrain("render", "--platform", "local", "job.yaml").exit_code == 0


def test_the_schema_takes_what_the_reader_takes(robotrain, cloud_platform):
    schema = jsonschema.Draft202012Validator(robotrain("schema", "lerobot-train", "--platform", "cloud").json)
    for value, fits in (
        ("a=1,b=2", True),
        ({"a": "1", "b": 2, "c": None}, True),
        ({}, True),
        ("", True),
        ({"a": {"b": "c"}}, False),
    ):
        job = {"sources": {"dataset": {"local_path": "x"}}, "platforms": {"cloud": {"labels": value}}}
        assert schema.is_valid(job) == fits, value
        Path("job.yaml").write_text(yaml.safe_dump(job))
        assert (robotrain("render", "--platform", "cloud", "job.yaml").exit_code == 0) == fits, value


def test_parse_pairs():
    assert parse_pairs(" b = 1 ,a=2=3,c=") == {"b": "1", "a": "2=3", "c": ""}
    assert list(parse_pairs("b=1,a=2")) == ["b", "a"]
    assert parse_pairs(None) == parse_pairs("") == {}
    with pytest.raises(ValueError) as raised:
        parse_pairs("hunter2")
    assert "hunter2" not in str(raised.value)
