"""The rules of `--secret NAME=REFERENCE` that all platforms share."""

import json

import pytest
from robotrain.cluster.secrets import check_secrets, is_reserved_variable
from robotrain.errors import format_problem
from robotrain.store import run_values

TOKEN = "hf_" + "aB3" * 11
KEY = "0123456789abcdef" * 2


def find_problems(secrets: dict[str, str], platform: tuple[str, ...] = ()):
    def parse(name: str, reference: str) -> None:
        if reference == "bad":
            raise ValueError("It is not a name.")

    return [*check_secrets(json.dumps(secrets), parse, "STORED", platform)]


@pytest.mark.parametrize(
    "name", ["API_TOKEN", "_x", "HF_TOKEN", "AZURE_OPENAI_API_KEY", "ENVIRONMENT_KEY", "http_proxy"]
)
def test_a_variable_of_the_program_may_be_a_secret(name: str) -> None:
    assert find_problems({name: "stored"}, ("AZURE_CLIENT_ID", "ENGINE_")) == []


@pytest.mark.parametrize(
    "name",
    [
        *("PATH", "HOME", "PYTHONPATH", "PYTHONSTARTUP", "LD_PRELOAD", "ROBOTRAIN_STATE", "MLFLOW_TRACKING_TOKEN"),
        *("AZURE_CLIENT_ID", "ENGINE_TOKEN"),  # the platform's
        *("MY-TOKEN", "1X", "A B", "ÄPI"),
    ],
)
def test_a_variable_that_something_else_reads_may_not(name: str) -> None:
    (problem,) = find_problems({name: "stored"}, ("AZURE_CLIENT_ID", "ENGINE_"))
    assert (problem.code, problem.stage.exit_code) == ("variable-invalid", 2)
    assert [way.text for way in problem.suggestions] == ["--secret NAME=STORED"]


@pytest.mark.parametrize("reference", [TOKEN, KEY, f"name:{KEY}", "bad"])
def test_a_reference_that_is_none_is_refused_and_not_shown(reference: str) -> None:
    (problem,) = find_problems({"API_TOKEN": reference})
    assert (problem.code, problem.where) == ("secret-reference-invalid", "--secret API_TOKEN")
    assert [way.text for way in problem.suggestions] == ["--secret NAME=STORED"]
    assert reference.rpartition(":")[2] not in format_problem(problem)


def test_a_token_in_place_of_the_name_is_not_shown() -> None:
    (problem,) = find_problems({TOKEN: "x"})
    assert TOKEN not in format_problem(problem)


def test_all_problems_are_found_at_once() -> None:
    assert len(find_problems({"PATH": "a", "B": "bad", "C": "good"})) == 2


def test_a_platforms_prefix_is_one_only_with_its_underscore() -> None:
    assert is_reserved_variable("ENGINE_X", ["ENGINE_"])
    assert not is_reserved_variable("ENGINES", ["ENGINE_", "ENGINE"])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('{"API_TOKEN": "file:/x", "OTHER": "a"}', "API_TOKEN=<redacted>,OTHER=a"),
        ('{"a": 1}', '{"a": 1}'),
        ("plain", "plain"),
    ],
)
def test_a_table_with_something_hidden_is_shown_by_its_names(text: str, shown: str) -> None:
    assert run_values.format_value(text) == shown
