"""A login node without the Python of the training environment says so before a job is sent."""

import pytest
from planned_jobs import job
from robotrain.model.plan import Payload
from robotrain_runtime.environments import interpreter
from robotrain_runtime.machine.disk_cache import COMPLETE
from robotrain_slurm.platform import SlurmPlatform
from robotrain_slurm.preflight.pythons import check_pythons, list_needed_pythons
from robotrain_slurm.settings import SlurmSettings

PAYLOAD = Payload.from_files({"robotrain_runtime/__init__.py": b""})
PLUGINS = {"workload.lerobot-train": "robotrain_workloads.lerobot_train.container"}


@pytest.fixture
def list_needed(tmp_path):
    def list_needed(**changes):
        settings = SlurmSettings(runs_dir=str(tmp_path / "runs"), cache_dir=str(tmp_path / "cache"), **changes)
        return list_needed_pythons(SlurmPlatform().render(job(), settings, "run", PAYLOAD, PLUGINS))

    return list_needed


def test_python_that_is_missing_here_is_told_until_the_environment_is_built(list_needed, tmp_path, monkeypatch):
    needed = list_needed()
    ((folder, version),) = needed.items()
    assert version == "3.12"
    monkeypatch.setattr(interpreter, "find_interpreter", {"3.12": None}.__getitem__)
    (problem,) = check_pythons(needed)
    assert (problem.code, problem.severity) == ("slurm-python-missing", "warning")
    assert problem.suggestions[0].text == "--module python/3.12"
    (tmp_path / "cache/environments").mkdir(parents=True)
    built = tmp_path / folder
    assert built.parent == tmp_path / "cache/environments"
    built.mkdir()
    (built / COMPLETE).touch()
    assert [*check_pythons(needed)] == []


def test_python_that_is_here_is_no_problem(monkeypatch, tmp_path):
    monkeypatch.setattr(interpreter, "find_interpreter", {"3.12": tmp_path}.__getitem__)
    assert [*check_pythons({"/no/such": "3.12"})] == []


@pytest.mark.parametrize(
    "changes",
    [
        {"modules": "python/3.12"},
        {"environment": "/my/env"},
        {"stage": True},
        {"container": "apptainer", "image": "/images/lerobot.sif"},
    ],
    ids=str,
)
def test_python_that_comes_from_elsewhere_is_not_looked_for(list_needed, changes):
    assert list_needed(**changes) == {}


def test_lines_of_the_user_may_bring_a_python(list_needed, tmp_path):
    lines = tmp_path / "lines.sh"
    lines.write_text("export PATH=/opt/python-3.12/bin:$PATH\n")
    assert list_needed(prologue=str(lines)) == {}


def test_jobs_that_carry_their_files_need_it_as_well(list_needed):
    assert list_needed(storage="node")
