"""What preflight says of a machine that cannot run the job, and of one that can."""

import dataclasses
import os
import sys
from pathlib import Path

import pytest
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


def check_environment(wanted: PythonEnvironment, cache: Path | str, given: str | None = None):
    return list(
        environment_check.find_environment_problems(wanted, Placement(work="/w", cache=str(cache), environment=given))
    )


def test_a_machine_that_can_has_nothing_to_say_and_is_left_as_it_was(plugins_on_path, job, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "numbers.txt").touch()
    made, before = job(sources=[tmp_path / "data"]), sorted(tmp_path.rglob("*"))
    assert run_preflight(made) == []
    assert sorted(tmp_path.rglob("*")) == before


def test_every_source_and_the_data_that_is_here_is_looked_at(plugins_on_path, job, tmp_path):
    (tmp_path / "empty").mkdir()
    found = run_preflight(job(sources=["nowhere", tmp_path / "empty"]))
    assert [finding.code for finding in found] == ["source-unreachable", "data-unusable"]
    assert found[0].given == "nowhere"


@needs_uv
def test_what_a_carrier_brings_is_looked_at_before_the_job_is_sent(plugins_on_path, job, tmp_path):
    messages: list[str] = []
    made = job(carried=["wrong network It is far away.", "odd", "even"], ready=False, environment=None)
    found = run_preflight(made, messages.append)
    assert [(finding.code, finding.fault) for finding in found] == [
        ("source-unreachable", "network"),
        ("data-unusable", "data"),
    ]
    assert found[1].ways == ("leave out the odd ones",)
    assert len(messages) == 1
    assert "building the environment that data is fetched in" in messages[0]
    assert len(list((tmp_path / "cache" / "environments").glob("[!.]*[!k]"))) == 1  # not the run's own
    assert run_preflight(made, messages.append) == found
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
    (finding,) = run_preflight(job(sources=[tmp_path / "odd", tmp_path / "even"]))
    assert finding.title == "odd numbers do not go with others"


@needs_uv
def test_no_environment_is_built_to_look_with_where_none_can_be(plugins_on_path, job, monkeypatch):
    monkeypatch.setenv("ROBOTRAIN_PYTHON", "/no/such/python")
    (finding,) = run_preflight(job(carried=["a"], ready=False), pytest.fail)
    assert finding.code == "python-missing"
    assert not any("--environment" in way for way in finding.ways)


def test_a_half_that_cannot_be_imported_is_a_finding(job):
    made = job()
    (finding,) = run_preflight(dataclasses.replace(made, halves=dict.fromkeys(made.halves, "robotrain_sources.gone")))
    assert (finding.code, "robotrain_sources.gone" in finding.title) == ("half-missing", True)
    assert any(way.startswith("robotrain render ") for way in finding.ways)


def test_an_environment_that_is_not_there(needed_environment, tmp_path):
    (finding,) = check_environment(needed_environment, tmp_path, str(tmp_path / "gone"))
    assert (finding.code, finding.where) == ("environment-unusable", "--environment")
    assert str(tmp_path / "gone") in finding.given


def test_an_environment_without_what_the_job_needs(needed_environment, tmp_path, small_environment):
    needs = dataclasses.replace(needed_environment, required_packages={"lerobot": "0.6"})
    (finding,) = check_environment(needs, tmp_path, str(small_environment))
    assert "lerobot" in finding.why
    assert any("uv pip install" in way for way in finding.ways)


@pytest.mark.parametrize(("version", "fits"), [("0.6.1", True), ("0.6", True), ("0.5.9", False), ("0.60.0", False)])
def test_an_environment_with_another_version(needed_environment, tmp_path, version, fits):
    import venv

    venv.create(tmp_path / "venv", with_pip=False, symlinks=True)
    info = next((tmp_path / "venv").glob("lib/python*/site-packages")) / f"lerobot-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: lerobot\nVersion: {version}\n")
    found = check_environment(
        dataclasses.replace(needed_environment, required_packages={"lerobot": "0.6"}), tmp_path, str(tmp_path / "venv")
    )
    assert (found == []) == fits


@pytest.mark.parametrize(("version", "newest", "package"), [("3.12", "3.12", "3.12"), ("3.10-3.14", "3.14", "3")])
def test_no_python_names_the_ways_to_get_one(needed_environment, tmp_path, monkeypatch, version, newest, package):
    monkeypatch.setenv("ROBOTRAIN_PYTHON", "/no/such/python")
    (finding,) = check_environment(dataclasses.replace(needed_environment, python=version), tmp_path)
    assert finding.code == "python-missing"
    ways = (f"apt install python{package} ", f"uv python install {newest}", f"--module python/{newest}")
    ways = (*ways, f"pyenv install {newest}", "--environment")
    assert all(way in found for way, found in zip(ways, finding.ways, strict=True))


def test_a_full_disk_names_the_folder_what_is_free_and_what_is_needed(needed_environment, tmp_path):
    (finding,) = check_environment(dataclasses.replace(needed_environment, gib=1e7), tmp_path / "cache" / "deep")
    assert finding.code == "disk-full"
    assert "1e+07 GiB needed" in finding.title
    assert finding.given == str(tmp_path / "cache" / "deep")


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
    (finding,) = check_environment(needed_environment, tmp_path)
    assert finding.code == "lock-platform"
    assert all(machine in finding.title for machine in ("Linux-x86_64", "Darwin-arm64"))
    assert finding.ways[0] == "--environment PATH   your own environment with lerobot 0.6"
    command = f"uv venv --python {VERSION} PATH && uv pip install --python PATH 'lerobot==0.6.*'"
    assert finding.ways[1].startswith(f"{command} ")
    torch = Placement(work="", cache=str(tmp_path / "cache"), torch_backend="cpu")
    assert "--torch-backend" in next(environment_check.find_environment_problems(needed_environment, torch)).why
