"""What preflight says of a machine that cannot run the job, and of one that can."""

import dataclasses
import os
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from problem_assertions import check_refusals
from robotrain_runtime.contract.container_plugin import PythonEnvironment
from robotrain_runtime.contract.document import Placement
from robotrain_runtime.environments import environment_check, uv_program
from robotrain_runtime.preflight import run_preflight

needs_uv = pytest.mark.skipif(uv_program.find_uv(Path("/nowhere")) is None, reason="no uv on this machine")
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture
def needed_environment(tmp_path) -> PythonEnvironment:
    lock = tmp_path / "lock.txt"
    lock.write_text("# nothing\n")
    return PythonEnvironment(lock=lock, python=VERSION, gib=0.001)


def check_environment(wanted: PythonEnvironment, cache: Path | str, environment: str | None = None):
    return list(
        environment_check.find_environment_problems(
            wanted, Placement(work="/w", cache=str(cache), environment=environment)
        )
    )


def test_a_machine_that_can_has_nothing_to_say_and_is_left_as_it_was(plugins_on_path, job, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "numbers.txt").touch()
    made, before = job(sources=[tmp_path / "data"]), sorted(tmp_path.rglob("*"))
    assert run_preflight(made) == []
    assert sorted(tmp_path.rglob("*")) == before


def test_every_source_and_the_data_that_is_here_is_looked_at(plugins_on_path, job, tmp_path):
    (tmp_path / "empty").mkdir()
    findings = run_preflight(job(sources=["nowhere", tmp_path / "empty"]))
    check_refusals(findings, "source-unreachable nowhere", "data-unusable")


@needs_uv
def test_what_a_carrier_brings_is_looked_at_before_the_job_is_sent(plugins_on_path, job, tmp_path):
    messages: list[str] = []
    made = job(carried=["wrong network It is far away.", "odd", "even"], ready=False, environment=None)
    findings = run_preflight(made, messages.append)
    assert [(finding.code, finding.fault) for finding in findings] == [
        ("source-unreachable", "network"),
        ("data-unusable", "data"),
    ]
    check_refusals(findings, "source-unreachable", "data-unusable")
    assert len(messages) == 1
    assert "building the environment that data is fetched in" in messages[0]
    assert len(list((tmp_path / "cache" / "environments").glob("[!.]*[!k]"))) == 1  # not the run's own
    assert run_preflight(made, messages.append) == findings
    assert len(messages) == 1
    assert not (tmp_path / "cache" / "data").exists()


def test_a_job_whose_sources_all_lie_here_builds_nothing_before_it_is_sent(plugins_on_path, job, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "numbers.txt").touch()
    run_preflight(job(sources=[tmp_path / "data"], environment=None), pytest.fail)
    assert not (tmp_path / "cache").exists()


def test_sources_that_lie_here_are_compared_too(plugins_on_path, job, tmp_path):
    for name in ("odd", "even"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "numbers.txt").write_text(name)
    check_refusals(run_preflight(job(sources=[tmp_path / "odd", tmp_path / "even"])), "data-unusable")


@needs_uv
def test_no_environment_is_built_to_look_with_where_none_can_be(plugins_on_path, job, monkeypatch):
    monkeypatch.setenv("ROBOTRAIN_PYTHON", "/no/such/python")
    findings = run_preflight(job(carried=["a"], ready=False), pytest.fail)
    check_refusals(findings, "python-missing")
    assert not any("--environment" in way.text for way in findings[0].suggestions)


def test_a_half_that_cannot_be_imported_is_a_finding(job):
    made = job()
    gone = dict.fromkeys(made.container_plugins, "robotrain_sources.gone")
    check_refusals(run_preflight(dataclasses.replace(made, container_plugins=gone)), "half-missing")


def test_an_environment_that_is_not_there(needed_environment, tmp_path):
    findings = check_environment(needed_environment, tmp_path, str(tmp_path / "gone"))
    check_refusals(findings, f"environment-unusable --environment {tmp_path / 'gone'}")


def test_an_environment_without_what_the_job_needs(needed_environment, tmp_path, small_environment):
    needs = dataclasses.replace(needed_environment, required_packages={"lerobot": "0.6"})
    check_refusals(check_environment(needs, tmp_path, str(small_environment)), "environment-unusable --environment")


@pytest.mark.parametrize(("version", "fits"), [("0.6.1", True), ("0.6", True), ("0.5.9", False), ("0.60.0", False)])
def test_an_environment_with_another_version(needed_environment, tmp_path, version, fits):
    import venv

    venv.create(tmp_path / "venv", with_pip=False, symlinks=True)
    info = next((tmp_path / "venv").glob("lib/python*/site-packages")) / f"lerobot-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: lerobot\nVersion: {version}\n")
    findings = check_environment(
        dataclasses.replace(needed_environment, required_packages={"lerobot": "0.6"}), tmp_path, str(tmp_path / "venv")
    )
    assert (findings == []) == fits


@pytest.mark.parametrize("version", ["3.12", "3.10-3.14"])
def test_no_python_names_the_ways_to_get_one(needed_environment, tmp_path, monkeypatch, version):
    monkeypatch.setenv("ROBOTRAIN_PYTHON", "/no/such/python")
    findings = check_environment(dataclasses.replace(needed_environment, python=version), tmp_path)
    check_refusals(findings, "python-missing")


def test_a_full_disk_names_the_folder_what_is_free_and_what_is_needed(needed_environment, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=6 * 1024**3))
    findings = check_environment(dataclasses.replace(needed_environment, gib=1e7), tmp_path / "cache" / "deep")
    check_refusals(findings, "disk-full")
    assert findings[0].given == str(tmp_path / "cache" / "deep")


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_cache_that_cannot_be_written(needed_environment, tmp_path):
    (tmp_path / "cache").mkdir(mode=0o500)
    (finding,) = check_environment(needed_environment, tmp_path / "cache")
    assert finding.code == "cache-not-writable"


def test_a_lock_for_another_machine_says_so_and_nothing_else(needed_environment, tmp_path, monkeypatch):
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    needed_environment = dataclasses.replace(
        needed_environment, platform="Linux-x86_64", required_packages={"lerobot": "0.6"}, gib=1e7
    )
    check_refusals(check_environment(needed_environment, tmp_path), "lock-platform")
