"""The environment of the user's program: beside that of the run, told to the work, and never removed meanwhile."""

import dataclasses
import sys
from pathlib import Path

import pretend_index
import pytest
from robotrain_runtime.contract import document, plugin_loader
from robotrain_runtime.contract.event import StageEvent
from robotrain_runtime.environments import environment, program_environment, uv_program
from robotrain_runtime.preflight import run_preflight

SAY = """
import os, subprocess, sys
python = os.environ.get("ROBOTRAIN_PROGRAM_PYTHON")
print("program", python)
if python:
    subprocess.run([python, "-c", "import moves; print('moves', moves.SAYS)"], check=True)
"""
HOLD = """
import fcntl, os, pathlib
lock = pathlib.Path(os.environ["ROBOTRAIN_PROGRAM_PYTHON"]).parents[1].with_suffix(".lock")
with lock.open("r+") as file:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        print("free")
    except OSError:
        print("held")
"""
needs_uv = pytest.mark.skipif(uv_program.find_uv(Path("/nowhere")) is None, reason="no uv on this machine")


@pytest.fixture
def shelf(tmp_path) -> Path:
    """A folder of wheels."""
    return pretend_index.wheel(tmp_path / "wheels", "moves", "1.0", says="hello").parent


@pytest.fixture
def program_job(job, shelf):
    """Make a document with a lock of the wheel: `program_job("print(1)", hash="0" * 64)`."""

    def make(program: str = SAY, digest: str = "", python: str = "", **placement):
        digest = digest or pretend_index.sha256(shelf / "moves-1.0-py3-none-any.whl")
        made = job(program, **{"environment": None, **placement})
        container_plugins = {**made.container_plugins, "workload.pretend": "pretend_program"}
        lock = f"# 1 packages\n--only-binary :all:\nmoves==1.0 \\\n    --hash=sha256:{digest}\n"
        return dataclasses.replace(made, container_plugins=container_plugins, program_lock=lock, program_python=python)

    return make


@pytest.fixture
def offline(shelf) -> dict[str, str]:
    """Variables with which uv finds only the wheels of the shelf."""
    return {"UV_FIND_LINKS": str(shelf), "UV_OFFLINE": "1"}


@needs_uv
@pytest.mark.slow
def test_the_environment_of_the_program_is_built_after_that_of_the_run(run, program_job, offline):
    ran = run(program_job(), **offline)
    assert ran.exit_code == 0, ran.lines
    assert "moves hello" in ran.ordinary
    states = [(stage.name, stage.state) for stage in ran.of_kind(StageEvent) if stage.name == "environment"]
    assert states == [("environment", "started"), ("environment", "done")] * 2
    again = run(program_job(HOLD), **offline)
    assert (again.exit_code, again.ordinary[-1]) == (0, "held"), again.lines


@needs_uv
@pytest.mark.slow
def test_a_program_whose_packages_cannot_be_installed_fails_the_run(run, program_job, offline):
    ran = run(program_job(digest="0" * 64), **offline)
    assert ran.exit_code != 0
    assert "could not be built" in ran.outcome["reason"]
    assert "moves" in ran.outcome["reason"]
    assert not [stage for stage in ran.of_kind(StageEvent) if stage.name == "work"]


@needs_uv
@pytest.mark.slow
def test_an_environment_of_the_user_is_that_of_the_program(run, program_job, small_environment, offline):
    program = "import os, sys; print(os.environ['ROBOTRAIN_PROGRAM_PYTHON'], sys.executable)"
    ran = run(program_job(program, environment=str(small_environment)), **offline)
    assert ran.exit_code == 0, ran.lines
    python, own = ran.ordinary[-1].split()
    assert python == str(small_environment / "bin/python")
    assert not own.startswith(str(small_environment))


def test_a_job_whose_program_needs_a_missing_python_is_refused(program_job, plugins_on_path):
    findings = run_preflight(program_job(python="3.2"))
    assert [finding.code for finding in findings] == ["python-missing"]
    assert "3.2" in findings[0].title


def test_the_disk_space_of_both_environments_counts(program_job, plugins_on_path, tmp_path):
    made = program_job()
    assert program_environment.count_missing_gib(made) == pytest.approx(0.02)
    assert program_environment.count_missing_gib(dataclasses.replace(made, program_lock="")) == pytest.approx(0.01)
    document = program_job(environment=sys.executable)
    assert program_environment.count_missing_gib(document) == pytest.approx(0.01)


def test_only_a_workload_with_a_program_keeps_the_environment_for_it(job, program_job, plugins_on_path):
    plain, own = job(), program_job(environment="/venv", torch_backend="cpu")
    assert plugin_loader.get_run_placement(plain) == plain.placement
    assert plugin_loader.get_program_python(plain) is None
    placement = plugin_loader.get_run_placement(own)
    assert (placement.environment, placement.torch_backend) == (None, None)
    assert plugin_loader.get_program_python(own) == Path("/venv/bin/python")


def test_a_document_without_a_lock_reads_and_writes_as_before(job, program_job):
    plain, own = job(), program_job(python="3.12")
    assert "program" not in document.format_document(plain).replace('"program": "pass"', "")
    assert document.parse_document(document.format_document(plain)) == plain
    assert document.parse_document(document.format_document(own)) == own


def test_two_locks_have_environments_of_their_own(program_job, plugins_on_path, tmp_path):
    folders = set()
    for version in ("3.11", "3.12"):
        made = program_job(python=version)
        made = dataclasses.replace(made, program_lock=f"# Python {version}\n{made.program_lock}")
        with program_environment.temporary_lock(made) as required:
            folders.add(environment.get_environment_folder(required.lock, tmp_path / "cache"))
    assert len(folders) == 2
