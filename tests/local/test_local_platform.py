"""The local platform as others see it: what it declares, and what asking it imports."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from robotrain_local.platform import LocalPlatform
from robotrain_runtime.contract.parameter import get_parameters

Robotrain = Callable[..., Any]
ASKED = """
import pluggy, robotrain.plugins.hookspecs, sys
before = set(sys.modules)
import robotrain_local.platform
print(*sorted(set(sys.modules) - before))
"""


def test_an_azureml_model_is_declined_with_a_reason_and_a_way_out(robotrain: Robotrain, pusht: Path) -> None:
    answer = robotrain("render", "--platform", "local", "--dataset-path", pusht, "--policy-model", "azureml:arm:3")
    assert answer.exit_code == 3
    assert "local does not accept azureml models" in answer.stderr
    assert "download it (az ml model download)" in answer.stderr


@pytest.mark.parametrize("build", ["auto", "cpu", "xpu", "cu118", "cu126", "cu130", "rocm6.4", "rocm6.2.4"])
def test_a_build_of_pytorch_can_be_chosen(robotrain: Robotrain, pusht: Path, build: str) -> None:
    answer = robotrain("render", "--platform", "local", "--dataset-path", pusht, "--torch-backend", build)
    assert f'"torch_backend": "{build}"' in answer.stdout


@pytest.mark.parametrize("build", ["cuda", "cu12.6", "CPU", "gpu", "rocm", "cpu; rm", "cu126 --index x"])
def test_what_is_no_build_of_pytorch_is_refused_at_once(robotrain: Robotrain, pusht: Path, build: str) -> None:
    answer = robotrain("submit", "--platform", "local", "--dataset-path", pusht, "--torch-backend", build)
    assert answer.exit_code == 2
    assert "[torch-backend-unknown]" in answer.stderr
    assert "--torch-backend cpu" in answer.stderr


def test_a_build_of_pytorch_says_nothing_about_an_environment_that_is_given(robotrain: Robotrain, pusht: Path) -> None:
    both = ("--torch-backend", "cpu", "--environment", "/opt/env")
    answer = robotrain("render", "--platform", "local", "--dataset-path", pusht, *both)
    assert answer.exit_code == 2
    assert "leave out --environment" in answer.stderr


def test_settings_are_described_and_start_with_their_flags() -> None:
    declared = {parameter.flag: parameter for parameter in get_parameters(LocalPlatform.settings)}
    assert list(declared)[:4] == ["--environment", "--runs-dir", "--tracking-uri", "--torch-backend"]
    assert list(declared)[4:8] == ["--blob-credential-file", "--hub-token-file", "--git-token-file", "--secret"]
    assert list(declared)[8:] == ["--cache-gib", "--download-mib"]
    assert all(parameter.param.help for parameter in declared.values())
    assert "MLFLOW_TRACKING_URI" not in declared["--tracking-uri"].env


def test_being_asked_about_imports_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", ASKED], capture_output=True, text=True, check=True)
    assert not {"subprocess", "zipfile", "pydantic", "platformdirs", "robotrain_runtime.preflight"} & set(
        done.stdout.split()
    )
