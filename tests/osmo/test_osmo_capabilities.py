"""What OSMO supports and rejects, on the command line."""

import pytest
from osmo_plans import ONE, TWO
from robotrain_osmo.platform import OPTION_HINTS
from robotrain_osmo.settings import OsmoSettings
from robotrain_runtime.contract.parameter import get_parameters
from robotrain_workloads.lerobot_train.parameters import TrainParameters

ON_OSMO = ("--platform", "osmo", "--pool", "gpu-pool", "--tracking-uri", "none")


def refused(robotrain, *words: str) -> str:
    answer = robotrain("render", *ON_OSMO, *words)
    assert answer.exit_code in (2, 3)
    return answer.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("-d", "lerobot/aloha_sim_insertion_human"),
        ("--blob-url", ONE, "--blob-url", TWO),
        ("--dataset-path", "data", "--storage-account", "acc"),
        ("--dataset-name", "pusht", "--storage-account", "acc"),
        ("--dataset-name", "pusht", "--dataset-bucket", "mine", "--server", "6.3"),
        ("-d", "lerobot/pusht", "--policy-repo-id", "user/pretrained-act"),
        ("-d", "lerobot/pusht", "--policy-url", ONE),
        ("-d", "lerobot/pusht", "--init-from-policy-model", ONE),
        ("-d", "lerobot/pusht", "--resume-from", ONE),
        ("-d", "lerobot/pusht", "--resume-from", "s3://robots/runs/before-1/checkpoints/000400"),
        ("-d", "lerobot/pusht", "--publish-url", "azure://acc/runs/pusht"),
        ("-d", "lerobot/pusht", "--num-gpus", "2", "--mixed-precision", "bf16"),
    ],
)
def test_these_jobs_can_run(robotrain, words: tuple[str, ...]) -> None:
    assert robotrain("explain", *ON_OSMO, *words).exit_code == 0


@pytest.mark.parametrize(
    ("words", "way"),
    [
        (("--dataset-asset", "azureml:pusht:3"), "use   --blob-url https://"),
        (("-d", "a/b", "--init-from-policy-model", "azureml:act:7"), "use   --init-from-policy-model https://"),
    ],
)
def test_assets_of_a_workspace_are_declined_with_the_reason_and_the_way_out(robotrain, words, way) -> None:
    told = refused(robotrain, *words)
    assert "can only be mounted by a job of its workspace." in told
    assert way in told


def test_a_folder_to_publish_to_would_be_gone_with_the_pod(robotrain) -> None:
    told = refused(robotrain, "-d", "a/b", "--publish-url", "/checkpoints")
    assert "[feature-not-there]" in told
    assert "--publish-url https://" in told


def test_one_that_osmo_cannot_write_to_names_what_it_can(robotrain) -> None:
    told = refused(robotrain, "-d", "a/b", "--publish-url", "ftp://host/runs")
    assert "--publish-url azure://ACCOUNT/CONTAINER/PREFIX" in told


@pytest.mark.parametrize(
    "flag", ["--workflow", "--use-local-osmo", "--from-blob", "--config-preview", "--instance-type"]
)
def test_an_option_of_other_tools_is_answered_with_ours(robotrain, flag: str) -> None:
    told = refused(robotrain, "-d", "a/b", flag, "x")
    assert OPTION_HINTS[flag].split(":")[0].split("`")[0].strip() in told


def test_no_data_is_said_to_be_mounted(robotrain) -> None:
    told = refused(robotrain, "-d", "a/b", "--dataset-root", "x")
    assert "--work-dir" in told
    assert "mounted" not in told


def test_no_option_is_declined_that_there_is() -> None:
    own = {
        flag for declared in (OsmoSettings, TrainParameters) for one in get_parameters(declared) for flag in one.flags
    }
    assert not own & OPTION_HINTS.keys()
    assert all(OPTION_HINTS.values())


def test_a_kind_of_machine_as_the_platform_is_answered_with_its_own_option(robotrain) -> None:
    answer = robotrain("render", "--platform", "gpu_platform_2x", "-d", "a/b")
    assert "--gpu-platform gpu_platform_2x" in answer.stderr


def test_a_strangers_workload_is_packed_the_same_way() -> None:
    from robotrain_osmo.platform import CAPABILITIES

    assert CAPABILITIES.workload("somebodys-own")


@pytest.mark.parametrize("words", [(), ("--gpu-platform", "gpu_platform"), ("--gpu-platform", "h100")])
def test_the_platform_of_the_pool_that_nobody_chose_is_noted(robotrain, words):
    answer = robotrain("render", "--platform", "osmo", "--pool", "default", "-d", "a/b", *words)
    assert answer.exit_code == 0, answer.stderr
    noted = [line for line in answer.stderr.splitlines() if "[default-used]" in line]
    assert [line for line in noted if "--gpu-platform" in line] == noted
    assert ("OSMO_PLATFORM=NAME" in answer.stderr, len(noted)) == ((True, 1) if not words else (False, 0))
