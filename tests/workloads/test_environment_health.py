"""The health check of workload environments in `robotrain doctor`."""

import shutil
import sys
from pathlib import Path

import pytest
from built_environment import make_built_environment
from robotrain.doctor import health_checks
from robotrain.plugins.manager import Plugins
from robotrain_workloads.lerobot_eval.container import ENVIRONMENT as EVALUATION
from robotrain_workloads.lerobot_train.container import ENVIRONMENT


@pytest.fixture(autouse=True)
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def check_health(workload="lerobot-train"):
    (listed,) = [
        listed
        for listed in health_checks.list_checks(Plugins(), "local", online=False)
        if listed.check.name == workload
    ]
    return list(listed.check.run())


@pytest.mark.parametrize(("workload", "needed"), [("lerobot-train", ENVIRONMENT), ("lerobot-eval", EVALUATION)])
def test_an_environment_that_is_built_is_all_that_is_needed(cache, monkeypatch, workload, needed):
    built = make_built_environment(needed.lock, cache)
    monkeypatch.setenv("ROBOTRAIN_PYTHON", "/nowhere")
    (outcome,) = check_health(workload)
    assert outcome.state == "ok"
    assert str(built) in outcome.text


@pytest.mark.skipif(sys.platform != "linux", reason="the lock is for Linux")
def test_a_missing_python_is_a_failure_with_suggestions(monkeypatch):
    monkeypatch.setenv("ROBOTRAIN_PYTHON", "/nowhere/python")
    outcome, *_ = check_health()
    assert outcome.state == "fail"
    assert outcome.text.startswith(f"Python {ENVIRONMENT.python} is missing on this machine (ROBOTRAIN_PYTHON /nowhere")
    assert f"uv python install {ENVIRONMENT.python}" in [way.text for way in outcome.suggestions]


@pytest.mark.skipif(sys.platform != "linux", reason="the lock is for Linux")
def test_too_little_disk_stops_a_submit(monkeypatch):
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=10**9))
    assert "too little disk space" in " ".join(outcome.text for outcome in check_health() if outcome.state == "fail")


def test_a_users_own_environment_is_checked_instead(monkeypatch, tmp_path):
    monkeypatch.setenv("ROBOTRAIN_ENVIRONMENT", str(tmp_path))
    outcome, *_ = check_health()
    assert outcome.state == "fail"
    assert "the environment in --environment cannot run this job" in outcome.text
