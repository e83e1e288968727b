"""What OSMO supports and rejects, on the command line."""

import pytest
from robotrain_osmo.capabilities import OPTION_HINTS
from robotrain_osmo.settings import OsmoSettings
from robotrain_runtime.contract.parameter import get_parameters
from robotrain_workloads.lerobot_train.parameters import TrainParameters

ON_OSMO = ("--platform", "osmo", "--pool", "gpu-pool", "--tracking-uri", "none")


def refused(robotrain, *words: str) -> str:
    answer = robotrain("render", *ON_OSMO, *words)
    assert answer.exit_code in (2, 3)
    return answer.stderr


def test_refused_publish_url_suggests_one_that_osmo_writes(robotrain) -> None:
    report = refused(robotrain, "-d", "a/b", "--publish-url", "ftp://host/runs")
    assert "--publish-url azure://ACCOUNT/CONTAINER/PREFIX" in report


@pytest.mark.parametrize(
    "flag",
    ["--workflow", "--use-local-osmo", "--from-blob", "--config-preview", "--instance-type", "--dataset-root"],
)
def test_option_of_another_tool_suggests_that_of_robotrain(robotrain, flag: str) -> None:
    report = refused(robotrain, "-d", "a/b", flag, "x")
    assert OPTION_HINTS[flag] in " ".join(report.split())
    assert "mounted" not in report


def test_hints_name_no_existing_option() -> None:
    own = {
        flag for declared in (OsmoSettings, TrainParameters) for one in get_parameters(declared) for flag in one.flags
    }
    assert not own & OPTION_HINTS.keys()
    assert all(OPTION_HINTS.values())


def test_machine_type_as_the_platform_suggests_gpu_platform(robotrain) -> None:
    answer = robotrain("render", "--platform", "gpu_platform_2x", "-d", "a/b")
    assert "--gpu-platform gpu_platform_2x" in answer.stderr


@pytest.mark.parametrize("words", [(), ("--gpu-platform", "gpu_platform"), ("--gpu-platform", "h100")])
def test_default_platform_of_the_pool_is_noted(robotrain, words):
    answer = robotrain("render", "--platform", "osmo", "--pool", "default", "-d", "a/b", *words)
    assert answer.exit_code == 0, answer.stderr
    noted = [line for line in answer.stderr.splitlines() if "[default-used]" in line]
    assert [line for line in noted if "--gpu-platform" in line] == noted
    assert ("OSMO_PLATFORM=NAME" in answer.stderr, len(noted)) == ((True, 1) if not words else (False, 0))
