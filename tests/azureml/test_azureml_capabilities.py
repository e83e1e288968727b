"""What Azure ML takes and declines, as the command line tells it; with contract C.2 and C.3 in the strict reading."""

import re

import pytest
from azureml_plans import ONE, TWO, read_yaml
from robotrain_azureml.platform import CAPABILITIES, OPTION_HINTS
from robotrain_azureml.settings import AzureMLSettings
from robotrain_runtime.contract.parameter import get_parameters
from robotrain_workloads.lerobot_eval.parameters import EvalParameters as Evaluation
from robotrain_workloads.lerobot_train.parameters import TrainParameters

ON_AZUREML = (
    *("--platform", "azureml", "--subscription-id", "s", "--resource-group", "g", "--workspace-name", "w"),
    *("--compute", "k8s-a"),
)
HUB = ("-d", "lerobot/pusht")
SCOPE = "azureml://subscriptions/s/resourcegroups/r/workspaces/w"
A = "https://acc.blob.core.windows.net/c/p"

ASSETS = ("azureml:a:0", "azureml:a-b_c.d:7", f"{SCOPE}/data/n/versions/3", "azureml://registries/r/data/n/versions/1")
NO_ASSETS = (
    *("azureml:a", "azureml:a@latest", "azureml:a:v1", "azureml:a:01", "azureml:a:-1", "azureml:a:1:", "azureml:a:１"),
    *("azureml:a:1 ", "azureml://x/data/n/labels/latest", "azureml://x/models/n/versions/3", "user/ds", "", A),
)
ASSETS_OF_THE_REFERENCE_ALONE = (
    *("azureml:a:99999999999999999999", "azureml:a:b:3", "azureml::3", "azureml://x/data//versions/1"),
    "azureml://x/data/n/versions/a/versions/3",
)
"""Where the contract's table says LOOSE, or sets no bound."""

MODELS = ("azureml:a:0", f"{SCOPE}/models/n/versions/7", A)
NO_MODELS = ("azureml:a", "azureml:a:07", "azureml://x/data/n/versions/7", "models:/n/1", "runs:/x/y", "user/repo")
MODELS_OF_THE_REFERENCE_ALONE = ("azureml://x/models/n/versions/7", f"{A}?sig=1", "https://")


@pytest.fixture
def rendered(robotrain, nobody):
    """The job.yaml of a command line, read."""

    def run(*words: str) -> dict:
        answer = robotrain("render", *ON_AZUREML, *words, "--json")
        assert answer.exit_code == 0, answer.stderr
        return dict(read_yaml(answer.json["files"]["job.yaml"]["text"]))

    return run


@pytest.fixture
def refused(robotrain, nobody):
    """What is said of one that is not rendered, in its own words."""

    def run(*words: str, code: int = 2) -> str:
        answer = robotrain("render", *ON_AZUREML, *words)
        assert answer.exit_code == code, answer.stderr
        assert "marshmallow" not in answer.stderr
        return answer.stderr

    return run


@pytest.mark.parametrize("text", ASSETS)
def test_c2_a_data_asset_becomes_an_input_that_is_mounted(rendered, text: str) -> None:
    spec = rendered("--dataset-asset", text)
    entry = spec["inputs"]["dataset_asset_0"]
    assert (entry["type"], entry["mode"]) == ("uri_folder", "ro_mount")
    assert entry["path"].replace("/", ":").endswith(text.replace("/", ":").split(":data:")[-1])
    assert spec["environment_variables"]["DATASET_ASSETS"] == f'["{text}"]'


@pytest.mark.parametrize("text", NO_ASSETS + ASSETS_OF_THE_REFERENCE_ALONE)
def test_c2_what_names_no_version_of_one_is_refused_with_a_sentence(refused, text: str) -> None:
    told = refused("--dataset-asset", text)
    assert "--dataset-asset takes azureml data assets; this value is invalid" in told
    assert "use   --" in told


@pytest.mark.parametrize("text", MODELS)
def test_c3_a_model_to_start_from_is_downloaded_and_a_blob_folder_is_fetched(rendered, text: str) -> None:
    spec = rendered(*HUB, "--init-from-policy-model", text)
    assert spec["environment_variables"]["INIT_FROM_POLICY_MODEL_SOURCE"] == text
    entry = spec.get("inputs", {}).get("init_from_policy_model")
    assert (entry is None) == text.startswith("https")
    assert entry is None or (entry["type"], entry["mode"]) == ("custom_model", "download")


@pytest.mark.parametrize("text", NO_MODELS + MODELS_OF_THE_REFERENCE_ALONE)
def test_c3_what_names_no_version_of_one_is_refused_with_a_sentence(robotrain, nobody, text: str) -> None:
    answer = robotrain("render", *ON_AZUREML, *HUB, "--init-from-policy-model", text)
    assert answer.exit_code == (3 if text == "models:/n/1" else 2)
    assert "sig=1" not in answer.stderr
    assert "use   --init-from-policy-model " in answer.stderr


def test_the_same_asset_is_taken_here_and_declined_by_osmo_which_names_this_platform(robotrain, nobody) -> None:
    asset = ("--dataset-asset", "azureml:pusht-episodes:3")
    assert robotrain("render", *ON_AZUREML, *asset).exit_code == 0
    told = robotrain("render", "--platform", "osmo", "--pool", "p", "--tracking-uri", "none", *asset)
    assert told.exit_code == 3
    assert "osmo does not accept azureml data assets" in told.stderr
    assert "--platform azureml" in told.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("--blob-url", ONE, "--blob-url", TWO, "-r", "merged-pusht-model"),
        ("--dataset-path", "dataset", "--blob-url", ONE, "--dataset-asset", "azureml:a:1"),
        ("-d", "user/my-dataset", "--policy-repo-id", "user/pretrained-act", "--training-steps", "50000"),
        (*HUB, "--policy-model", "azureml:act:7"),
        (*HUB, "--policy-url", ONE),
        (*HUB, "--policy-path", "policy"),
        (*HUB, "--resume-from", ONE),
        (*HUB, "--publish-url", ONE),
        (*HUB, "-p", "diffusion", "--num-gpus", "2", "--mixed-precision", "bf16"),
    ],
)
def test_these_jobs_can_run(robotrain, nobody, words: tuple[str, ...]) -> None:
    answer = robotrain("explain", *ON_AZUREML, *words)
    assert answer.exit_code == 0, answer.stderr


def test_a_mix_of_datasets_keeps_the_order_in_which_they_were_given(rendered) -> None:
    spec = rendered("--dataset-asset", "azureml:b:2", "--blob-url", ONE, "--dataset-asset", "azureml:a:1")
    assert spec["environment_variables"]["DATASET_ASSETS"] == '["azureml:b:2", "azureml:a:1"]'
    assert [spec["inputs"][f"dataset_asset_{index}"]["path"] for index in (0, 1)] == ["azureml:b:2", "azureml:a:1"]


@pytest.mark.parametrize("other", [("--dataset-asset", "azureml:a:1"), ("--blob-url", ONE)])
def test_h2_12_a_hub_id_is_a_dataset_and_no_folder_name_beside_others(refused, other) -> None:
    told = refused(*HUB, *other)
    assert "both name the dataset" in told
    assert re.search(rf"use   --dataset-id NAME +\(as the local name beside {other[0]}\)", told)


def test_a_training_starts_at_one_place(refused) -> None:
    told = refused(*HUB, "--policy-repo-id", "me/act", "--init-from-policy-model", "azureml:act:7")
    assert "a training starts from one policy, but 2 are given" in told


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "lerobot-train needs a dataset"),
        (("-d", "azureml:x:1"), "use   --dataset-asset azureml:x:1"),
        ((*HUB, "-p", "pi0"), "--policy-type"),
        ((*HUB, "--training-steps", "abc"), "--training-steps"),
        ((*HUB, "--image", "notag"), "use   --image notag:TAG"),
        ((*HUB, "--image", "x:1@sha256:12"), "64 hex digits"),
        (("--blob-url", "http://bad"), "use   --blob-url https://"),
        ((*HUB, "--bogus"), "there is no option --bogus"),
        ((*HUB, "--compute"), "--compute"),
    ],
)
def test_i5_what_the_reference_submits_or_refuses_late_is_refused_before_anything_is_done(refused, words, said) -> None:
    assert said in refused(*words)


@pytest.mark.parametrize("flag", ["--dataset-asset", "--blob-url"])
def test_64_of_a_kind_are_taken_and_65_are_not(robotrain, nobody, flag: str) -> None:
    words = [(flag, f"azureml:a:{number}" if "asset" in flag else f"{A}/{number}") for number in range(65)]
    assert robotrain("explain", *ON_AZUREML, *sum(words[:64], ())).exit_code == 0
    answer = robotrain("explain", *ON_AZUREML, *sum(words, ()))
    assert (answer.exit_code, "at most 64" in answer.stderr) == (2, True)


@pytest.mark.parametrize("name", ["-a", "a b", "x" * 256, "${{a}}"])
def test_a_model_to_register_has_a_name_that_the_registry_takes(refused, name: str) -> None:
    assert "--register-checkpoint" in refused(*HUB, f"--register-checkpoint={name}")


@pytest.mark.parametrize("name", ["_a", "A.b-c_d", "x" * 255])
def test_other_names_are_taken_as_they_are(robotrain, nobody, name: str) -> None:
    assert robotrain("explain", *ON_AZUREML, *HUB, "-r", name).exit_code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--publish-url", "/checkpoints"), "its declared output is always kept"),
        (("--publish-url", "azureml://datastores/d/paths/p"), "use   --publish-url https://ACCOUNT.blob."),
        (("--publish-url", f"{A}?sig=s3cr3t"), "[secret-in-job]"),
        (("--policy-model", "act:7"), "use   --policy-model azureml:NAME:VERSION"),
        (("--init-from-policy-model", "act:7"), "use   --init-from-policy-model azureml:NAME:VERSION"),
        (("--wandb",), "Jobs get no Weights & Biases key."),
    ],
)
def test_what_cannot_be_had_names_what_can(robotrain, nobody, words, said: str) -> None:
    answer = robotrain("render", *ON_AZUREML, *HUB, *words)
    assert answer.exit_code in (2, 3)
    assert said in answer.stderr
    assert "s3cr3t" not in answer.stderr


def test_every_option_of_other_tools_is_answered_with_ours(refused) -> None:
    hints = {flag: said for flag, said in OPTION_HINTS.items() if flag.startswith("--")}  # others are variables
    parts = [list(hints)[at : at + 40] for at in range(0, len(hints), 40)]  # 50 problems are printed
    told = "".join(refused(*HUB, *(word for flag in flags for word in (flag, "x"))) for flags in parts)
    assert [flag for flag in hints if f"azureml takes no {flag} " not in told] == []
    given = {flag: re.sub(r"^use (--[a-z-]+) [A-Z]+$", r"\1 x", said) for flag, said in hints.items()}
    given = {flag: re.sub(r"^use (--[a-z-]+ [A-Z]+=[A-Z]+)$", r"\1", said) for flag, said in given.items()}
    assert [flag for flag, said in given.items() if said not in told] == []


@pytest.mark.parametrize(
    ("flag", "facts"),
    [
        ("--mlflow-enable", ("its own workspace", "--tracking-uri none")),
        ("--mlflow-tracking-uri", ("its own workspace", "--tracking-uri none")),
        ("--storage-account", ("a datastore of the workspace", "--datastore NAME")),
    ],
)
def test_the_answer_is_that_of_azure_ml(refused, flag: str, facts: tuple[str, ...]) -> None:
    told = refused(*HUB, flag, "x")
    assert [fact for fact in facts if fact not in told] == []


@pytest.mark.parametrize("command", ["submit", "render", "explain"])
def test_no_option_is_declined_that_there_is(robotrain, command: str) -> None:
    listed = re.findall(
        r"^  (-.*?)(?:  |$)", robotrain(command, "--platform", "azureml", "--help").stdout, re.MULTILINE
    )
    flags = {word.strip(",") for line in listed for word in line.split() if word.startswith("-")}
    assert {"--platform", "-i", "--compute", "--no-val-split"} <= flags
    assert not flags & OPTION_HINTS.keys()


def test_what_is_declined_is_answered_with_an_option_there_is() -> None:
    own = {
        flag
        for declared in (AzureMLSettings, TrainParameters, Evaluation)
        for one in get_parameters(declared)
        for flag in one.flags
    }
    told = [word.strip("`,;:.)") for said in OPTION_HINTS.values() for word in said.split() if word.startswith("--")]
    beside = {"--blob-url", "--dataset-path", "--policy-model", "--platform", "--plan", "--to", "--dry-run", "--help"}
    beside |= {"--dataset-repo-id", "--policy-repo-id", "--sampler"}  # the last one of `robotrain sweep`
    assert set(told) <= own | beside


def test_a_strangers_workload_is_packed_the_same_way() -> None:
    assert CAPABILITIES.workload("somebodys-own")
