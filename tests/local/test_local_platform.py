"""The local platform as others see it: what it declares, and what asking it imports."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from planned_jobs import job
from problem_assertions import check_problems
from robotrain_local.platform import LOCAL
from robotrain_local.settings import LocalSettings
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
    answer.check_problems(3, "source-not-accepted --policy-model azureml:arm:3")


BUILDS = (
    *((build, "") for build in ("auto", "cpu", "xpu", "cu118", "cu126", "cu130", "rocm6.4", "rocm6.2.4")),
    *(
        (build, "value-invalid --torch-backend")
        for build in ("cuda", "cu12.6", "CPU", "gpu", "rocm", "cpu; rm", "cu126 --index x")
    ),
)


@pytest.mark.parametrize(("build", "problem"), BUILDS)
def test_build_of_pytorch_is_one_that_there_is(build: str, problem: str) -> None:
    check_problems(LOCAL.plans.check(job(), LocalSettings(torch_backend=build)), *filter(None, [problem]))


def test_build_of_pytorch_reaches_the_run_unless_an_environment_is_given(robotrain: Robotrain, pusht: Path) -> None:
    words = ("render", "--platform", "local", "--dataset-path", pusht, "--torch-backend")
    assert '"torch_backend": "cu126"' in robotrain(*words, "cu126").stdout
    answer = robotrain(*words, "cpu", "--environment", "/opt/env")
    answer.check_problems(2, "option-without-effect --torch-backend")


def test_settings_are_described_and_start_with_their_flags() -> None:
    declared = {parameter.flag: parameter for parameter in get_parameters(LOCAL.settings)}
    assert list(declared)[:4] == ["--environment", "--runs-dir", "--tracking-uri", "--torch-backend"]
    assert list(declared)[4:8] == ["--blob-credential-file", "--hub-token-file", "--secret", "--cache-gib"]
    assert list(declared)[7:] == ["--cache-gib", "--download-mib"]
    assert all(parameter.param.help for parameter in declared.values())
    assert "MLFLOW_TRACKING_URI" not in declared["--tracking-uri"].env


def test_being_asked_about_imports_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", ASKED], capture_output=True, text=True, check=True)
    assert not {"subprocess", "zipfile", "pydantic", "platformdirs", "robotrain_runtime.preflight"} & set(
        done.stdout.split()
    )
