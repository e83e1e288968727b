"""What Azure ML refuses on the command line, and the option that it names instead."""

import pytest

ON_AZUREML = (
    *("--platform", "azureml", "--subscription-id", "s", "--resource-group", "g", "--workspace-name", "w-1"),
    *("--compute", "k8s-a"),
)
HUB = ("-d", "lerobot/pusht")
A = "https://acc.blob.core.windows.net/box/p"


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
        ((*HUB, "--image", "notag"), "is not an image with a tag"),
        ((*HUB, "--image", "x:1@sha256:12"), "[value-invalid]"),
        (("--blob-url", "http://bad"), "use   --blob-url https://"),
        ((*HUB, "--bogus"), "has no option --bogus"),
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
        (("--policy-model", "act:7"), "use   --policy-model azureml:NAME:VERSION"),
        (("--wandb",), "use   --secret WANDB_API_KEY=NAME --key-vault VAULT"),
    ],
)
def test_unsupported_option_suggests_a_supported_one(robotrain, nobody, words, expected: str) -> None:
    answer = robotrain("render", *ON_AZUREML, *HUB, *words)
    assert answer.exit_code in (2, 3)
    assert expected in answer.stderr
    assert "s3cr3t" not in answer.stderr
