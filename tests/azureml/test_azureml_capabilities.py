"""What Azure ML refuses on the command line, and the option that it names instead."""

import re

import pytest
from robotrain_azureml.capabilities import OPTION_HINTS
from robotrain_azureml.settings import AzureMLSettings
from robotrain_runtime.contract.parameter import get_parameters
from robotrain_workloads.lerobot_eval.parameters import EvalParameters as Evaluation
from robotrain_workloads.lerobot_train.parameters import TrainParameters

ON_AZUREML = (
    *("--platform", "azureml", "--subscription-id", "s", "--resource-group", "g", "--workspace-name", "w"),
    *("--compute", "k8s-a"),
)
HUB = ("-d", "lerobot/pusht")
A = "https://acc.blob.core.windows.net/c/p"


@pytest.fixture
def refused(robotrain, nobody):
    """What is expected of one that is not rendered, in its own words."""

    def run(*words: str, code: int = 2) -> str:
        answer = robotrain("render", *ON_AZUREML, *words)
        assert answer.exit_code == code, answer.stderr
        assert "marshmallow" not in answer.stderr
        return answer.stderr

    return run


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), "lerobot-train needs a dataset"),
        (("-d", "azureml:x:1"), "use   --dataset-asset azureml:x:1"),
        ((*HUB, "-p", "octo"), "--policy-type"),
        ((*HUB, "--training-steps", "abc"), "--training-steps"),
        ((*HUB, "--image", "notag"), "use   --image notag:TAG"),
        ((*HUB, "--image", "x:1@sha256:12"), "64 hex digits"),
        (("--blob-url", "http://bad"), "use   --blob-url https://"),
        ((*HUB, "--bogus"), "there is no option --bogus"),
        ((*HUB, "--mlflow-enable", "x"), "its own workspace; turn this off with --tracking-uri none"),
        ((*HUB, "--mlflow-tracking-uri", "x"), "a job is tracked in its own workspace"),
        ((*HUB, "--storage-account", "x"), "folders go to a datastore of the workspace: --datastore NAME"),
        ((*HUB, "--compute"), "--compute"),
    ],
)
def test_invalid_job_is_refused_before_anything_is_sent(refused, words, expected) -> None:
    assert expected in refused(*words)


@pytest.mark.parametrize("name", ["-a", "a b", "x" * 256, "${{a}}"])
def test_invalid_model_name_is_refused(refused, name: str) -> None:
    assert "--register-checkpoint" in refused(*HUB, f"--register-checkpoint={name}")


@pytest.mark.parametrize("name", ["_a", "A.b-c_d", "x" * 255])
def test_valid_model_name_is_accepted(robotrain, nobody, name: str) -> None:
    assert robotrain("explain", *ON_AZUREML, *HUB, "-r", name).exit_code == 0


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--publish-url", "/checkpoints"), "its declared output is always kept"),
        (("--publish-url", "azureml://datastores/d/paths/p"), "use   --publish-url https://ACCOUNT.blob."),
        (("--publish-url", f"{A}?sig=s3cr3t"), "[secret-in-job]"),
        (("--policy-model", "act:7"), "use   --policy-model azureml:act:7 ("),
        (("--policy-model", "models:/act/7"), "use   --policy-model azureml:act:7 ("),  # as `status` says it
        (("--init-from-policy-model", "act:7"), "use   --init-from-policy-model azureml:act:7 ("),
        (("--wandb",), "Jobs get no Weights & Biases key."),
    ],
)
def test_unsupported_option_suggests_a_supported_one(robotrain, nobody, words, expected: str) -> None:
    answer = robotrain("render", *ON_AZUREML, *HUB, *words)
    assert answer.exit_code in (2, 3)
    assert expected in answer.stderr
    assert "s3cr3t" not in answer.stderr


def test_option_of_another_tool_suggests_that_of_robotrain(refused) -> None:
    hints = {flag: hint for flag, hint in OPTION_HINTS.items() if flag.startswith("--")}  # others are variables
    parts = [list(hints)[at : at + 40] for at in range(0, len(hints), 40)]  # 50 problems are printed
    output = "".join(refused(*HUB, *(word for flag in flags for word in (flag, "x"))) for flags in parts)
    assert [flag for flag in hints if f"azureml takes no {flag} " not in output] == []
    given = {flag: re.sub(r"^use (--[a-z-]+) [A-Z]+$", r"\1 x", hint) for flag, hint in hints.items()}
    given = {flag: re.sub(r"^use (--[a-z-]+ [A-Z]+=[A-Z]+)$", r"\1", hint) for flag, hint in given.items()}
    assert [flag for flag, hint in given.items() if hint not in output] == []


@pytest.mark.parametrize("command", ["submit", "render", "explain"])
def test_hints_name_no_existing_option(robotrain, command: str) -> None:
    listed = re.findall(
        r"^  (-.*?)(?:  |$)", robotrain(command, "--platform", "azureml", "--help-all").stdout, re.MULTILINE
    )
    flags = {word.strip(",") for line in listed for word in line.split() if word.startswith("-")}
    assert {"--platform", "-i", "--compute", "--no-val-split"} <= flags
    assert not flags & OPTION_HINTS.keys()


def test_hints_suggest_existing_options() -> None:
    own = {
        flag
        for declared in (AzureMLSettings, TrainParameters, Evaluation)
        for one in get_parameters(declared)
        for flag in one.flags
    }
    suggested = [
        word.strip("`,;:.)") for hint in OPTION_HINTS.values() for word in hint.split() if word.startswith("--")
    ]
    beside = {
        "--blob-url",
        "--dataset-path",
        "--policy-model",
        "--platform",
        "--plan",
        "--to",
        "--dry-run",
        "--help-all",
    }
    beside |= {"--dataset-repo-id", "--policy-repo-id", "--sampler"}  # the last one of `robotrain sweep`
    assert set(suggested) <= own | beside
