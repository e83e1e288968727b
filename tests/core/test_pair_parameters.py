"""Parameters and settings with `pairs`: an option once for each NAME=VALUE, a table in files, JSON as one text."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from plugin_sources import PLATFORM, make_workload
from robotrain_runtime.plugin import load_pairs

WORKLOAD = make_workload(
    "brew",
    'set_env: Annotated[str | None, Param(help="variables of the brewer", form="pairs")] = None',
    roles='{"dataset": Role()}',
    container_plugin='"brew_work"',
)
SETTING = 'secrets: Annotated[str | None, Param(help="secrets of the job", flag="--secret", form="pairs")] = None'
OPTIONS = """
    options: Annotated[
        str | None,
        Param(help="options of the engine", flag="--option", metavar="NAME[=VALUE]", form="pairs", bare_names=True,
              lookup="engine_variables:find_options"),
    ] = None
"""
VARIABLES = """
import json, os

def find_options():
    text = os.environ.get("ENGINE_COLOUR")
    return (json.dumps({"colour": text, "size": "small"}), "ENGINE_COLOUR") if text else None
"""
AWKWARD = [
    "a,b",
    "k=v=w",
    "\"quoted\" 'too'",
    "two\nlines",
    "{x} {{y}} ${Z}",
    r"loss[=: ]+([0-9.eE+-]+)",
    "é 月 🚀",
    "",
    " ",
]


@pytest.fixture(autouse=True)
def brew(install):
    install("acme-brew", {"workload.brew": "brew_work"}, brew_work=WORKLOAD)
    source = PLATFORM.replace("    replicas: Annotated", f"    {SETTING}{OPTIONS}    replicas: Annotated")
    source = source.replace('lerobot-train": YES', 'brew": YES')
    install("robotrain-plain", {"platform.plain": "plain_plugin"}, plain_plugin=source, engine_variables=VARIABLES)


@pytest.fixture
def explain(robotrain):
    """The row of `set_env`, or of another value, that `explain` shows."""

    def run(*words, name="set_env"):
        answer = robotrain("explain", "--platform", "plain", "--json", *words)
        assert answer.exit_code == 0, answer.stderr
        return next(row for row in answer.json["values"] if row["name"] == name)

    return run


@pytest.fixture
def pairs(robotrain):
    """The names and values of `set_env` in the job document."""

    def run(*words):
        answer = robotrain("render", "--platform", "plain", *words)
        assert answer.exit_code == 0, answer.stderr
        document, _ = json.JSONDecoder().raw_decode(answer.stdout[answer.stdout.index("{") :])
        return load_pairs(document["parameters"]["set_env"])

    return run


def write_job(**parameters):
    Path("job.yaml").write_text(yaml.safe_dump({"workload": "brew", "parameters": parameters}, sort_keys=False))


def test_option_is_given_once_for_each_name_and_keeps_their_order(explain):
    row = explain("brew", "--set-env", "Z=1", "--set-env", "A=x=y,z", "--set-env=M=")
    assert (row["value"], row["origin"]) == ('{"Z": "1", "A": "x=y,z", "M": ""}', "flag --set-env")


def test_value_may_hold_anything(pairs):
    expected = {f"A{number}": text for number, text in enumerate(AWKWARD)}
    assert pairs("brew", *(f"--set-env={name}={text}" for name, text in expected.items())) == expected
    assert pairs("brew", *(f"--set=set_env.{name}={text}" for name, text in expected.items())) == expected
    assert pairs("brew", "--set", f"set_env={json.dumps(expected)}") == expected
    write_job(set_env=expected)
    assert pairs("job.yaml") == expected
    pairs("job.yaml", "--save-as", "saved.yaml")
    assert pairs("saved.yaml") == expected


def test_value_of_a_file_stays_as_it_is_written(pairs):
    texts = {f"A{at}": text for at, text in enumerate(("1e-4", "true", "no", "0x10", "1_000", "2026-11-23", "'null'"))}
    table = "".join(f"{name}: {text}, " for name, text in texts.items())
    Path("job.yaml").write_text(f"workload: brew\nparameters: {{set_env: {{{table}B: null}}}}\n")
    assert pairs("job.yaml") == {name: text.strip("'") for name, text in texts.items()}


def test_names_of_several_layers_are_joined_and_a_text_is_the_whole(pairs, explain, monkeypatch):
    write_job(set_env={"A": "file", "B": "file"})
    flags = ("job.yaml", "--set-env", "C=flag", "--set-env", "A=flag")
    assert pairs(*flags) == {"A": "flag", "B": "file", "C": "flag"}
    assert explain(*flags)["overrode"][0] == {
        "value": '{"A": "file", "B": "file"}',
        "origin": "job file job.yaml:4",
    }
    assert pairs("job.yaml", "--set", "set_env.B=set", "--set-env", "C=1") == {"A": "file", "B": "set", "C": "1"}
    assert pairs("job.yaml", "--set", 'set_env={"C": "1"}') == {"C": "1"}
    assert pairs("job.yaml", "--set", "set_env={}") == {}
    monkeypatch.setenv("ROBOTRAIN_SET_ENV", '{"A": "variable", "D": "variable"}')
    assert pairs("job.yaml") == {"A": "file", "D": "variable", "B": "file"}


def test_setting_of_a_platform_and_its_table_in_robotrain_toml(explain):
    Path("robotrain.toml").write_text('[platforms.plain.secrets]\nHF_TOKEN = "hub-credential"\nN = 3\n')
    row = explain("brew", "--secret", "WANDB_API_KEY=wandb-credential", name="secrets")
    assert row["value"] == '{"HF_TOKEN": "hub-credential", "N": "3", "WANDB_API_KEY": "wandb-credential"}'


def test_mapping_in_a_python_call(robotrain):
    import robotrain.api

    rows = robotrain.api.explain(workload="brew", platform="plain", set_env={"A": "x,y", "rate": 1e-4})
    assert next(row["value"] for row in rows if row["name"] == "set_env") == '{"A": "x,y", "rate": "0.0001"}'


def test_malformed_or_repeated_name_is_one_problem(robotrain):
    for words, problem in (
        (["--set-env", "A"], "value-invalid --set-env"),
        (["--set-env", "=1"], "value-invalid --set-env"),
        (["--set-env", "A=1", "--set-env", "A=1"], "value-invalid --set-env"),
        (["--set-env", "A=1", "--set", "set_env.A=2"], "options-conflict --set set_env.A"),
        (["--set", "set_env.A=1", "--set", "set_env.A=2"], "options-conflict --set set_env.A"),
        (["--set-env", "A=1", "--set", "set_env={}"], "options-conflict --set set_env"),
        (["--set", "set_env=A=1"], "value-invalid --set set_env"),
        (["--set", 'set_env={"A": 1}'], "value-invalid --set set_env"),
        (["--set", 'set_env={"A": "1", "A": "2"}'], "value-invalid --set set_env"),
        (["--set", "set_env=" + "[" * 50_000], "value-invalid --set set_env"),
        (["--set-env"], "usage --set-env"),
        (["--set-env", "--platform"], "flag-without-value --set-env"),
    ):
        answer = robotrain("explain", "brew", "--platform", "plain", *words)
        answer.check_problems(2, problem)
        assert answer.stderr.count("error:") == 1, words


def test_malformed_table_of_a_file_is_rejected_with_its_line(robotrain):
    for table in ("{'A=B': x}", "{' ': x}", "{A: [1]}", "{A: {B: 1}}", "A=1"):
        Path("job.yaml").write_text(f"workload: brew\nparameters:\n  set_env: {table}\n")
        robotrain("explain", "job.yaml", "--platform", "plain").check_problems(2, "value-invalid job.yaml:3")


def test_malformed_text_below_a_table_is_told(robotrain, monkeypatch):
    monkeypatch.setenv("ROBOTRAIN_SET_ENV", "A=1")
    answer = robotrain("explain", "brew", "--platform", "plain", "--set-env", "B=1")
    answer.check_problems(2, "value-invalid ROBOTRAIN_SET_ENV")


def test_value_that_is_a_secret_is_refused_and_the_name_of_one_is_not(robotrain, explain):
    token = "hf_" + "aB3dE5gH7jK9mN1pQ3sT5"
    answer = robotrain("explain", "brew", "--platform", "plain", "--set-env", f"A={token}")
    answer.check_problems(2, "secret-in-job --set-env")
    assert token not in answer.stderr
    value = explain("brew", "--secret", "HF_TOKEN=hub-credential", name="secrets")["value"]
    assert value == '{"HF_TOKEN": "hub-credential"}'


def test_help_and_completion_show_the_option(robotrain):
    text = robotrain("submit", "brew", "--platform", "plain", "--help-all").stdout
    assert "--set-env NAME=VALUE" in text
    assert "Variables of the brewer.  [repeatable]" in " ".join(text.split()).replace(" [rep", "  [rep")


def test_schema_takes_what_the_reader_takes(robotrain):
    schema = jsonschema.Draft202012Validator(robotrain("schema", "brew", "--platform", "plain").json)
    for value, fits in (
        ({"A": "x,y", "b": 2, "c": None}, True),
        ({}, True),
        ('{"A": "1"}', True),
        ("", True),
        ({"a": {"b": "c"}}, False),
    ):
        assert schema.is_valid({"workload": "brew", "parameters": {"set_env": value}}) == fits, value
        write_job(set_env=value)
        assert (robotrain("explain", "--platform", "plain", "job.yaml").exit_code == 0) == fits, value


def test_saved_job_has_a_table(explain):
    explain("brew", "--set-env", "A=1", "--set-env", "B=x: y", "--save-as", "saved.yaml")
    assert yaml.safe_load(Path("saved.yaml").read_text())["parameters"] == {"set_env": {"A": "1", "B": "x: y"}}


def test_load_pairs_takes_objects_of_texts_alone():
    for text in ("[]", "1", '{"A": 1}', '{"A": {}}', '{"": "1"}', '{"A=B": "1"}', "{", "[" * 9_000):
        with pytest.raises(ValueError):
            load_pairs(text)
    assert load_pairs(None) == load_pairs("") == {}


def test_explain_hides_secrets_and_nothing_else(explain, monkeypatch):
    token = "hf_" + "aB3dE5gH7jK9mN1pQ3sT5"
    for secrets in (f'{{"A": "{token}"}}', f'{{"A": "{token}"', f"A={token}"):
        monkeypatch.setenv("ROBOTRAIN_SECRETS", secrets)
        row = explain("brew", "--set", 'secrets={"HF_TOKEN": "hub"}', name="secrets")
        assert row["value"] == '{"HF_TOKEN": "hub"}'
        assert token not in json.dumps(row)
    monkeypatch.setenv("ROBOTRAIN_SECRETS", '{"WANDB_API_KEY": "other"}')
    row = explain("brew", "--secret", "HF_TOKEN=hub", name="secrets")
    assert row["overrode"][0]["value"] == '{"WANDB_API_KEY": "other"}'


@pytest.fixture
def engine_options(robotrain, monkeypatch):
    """The values of a setting with bare names and a lookup, and where `explain` says that they are from."""
    monkeypatch.setenv("ENGINE_COLOUR", "red")

    def run(*words):
        answer = robotrain("explain", "brew", "--platform", "plain", "--json", *words)
        assert answer.exit_code == 0, answer.stderr
        row = next(row for row in answer.json["values"] if row["name"] == "options")
        return load_pairs(row["value"]), row["origin"]

    return run


def test_bare_name_has_an_empty_value(engine_options):
    options, origin = engine_options("--option", "fast", "--option", "size=big", "--option", "colour=")
    assert (options, origin) == ({"colour": "", "size": "big", "fast": ""}, "flag --option")


def test_lookup_of_pairs_is_the_weakest_layer(engine_options, monkeypatch):
    assert engine_options() == ({"colour": "red", "size": "small"}, "looked up ENGINE_COLOUR")
    assert engine_options("--option", "size=big")[0] == {"colour": "red", "size": "big"}
    monkeypatch.delenv("ENGINE_COLOUR")
    assert engine_options("--option", "size=big")[0] == {"size": "big"}


def test_name_without_value_is_refused_where_a_value_is_needed(robotrain):
    robotrain("render", "brew", "--platform", "plain", "--set-env", "A").check_problems(2, "value-invalid --set-env")
