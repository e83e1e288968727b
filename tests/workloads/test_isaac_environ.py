"""The environment variables that Isaac Lab gets on a cluster, and how its processes end."""

import os

import pytest
from robotrain.doctor import environment
from robotrain.model.health import HealthResult
from robotrain_runtime.contract.container_plugin import PROGRAM_PYTHON_VARIABLE
from robotrain_runtime.contract.event import parse_event
from robotrain_runtime.environments import uv_program
from robotrain_runtime.machine import hardware
from robotrain_workloads.isaac import installation
from robotrain_workloads.isaac_train import supervisor
from robotrain_workloads.isaac_train.workload import ISAAC_TRAIN
from robotrain_workloads.supervision import process_group


@pytest.fixture
def environ(monkeypatch):
    """Return the variables: `environ(user=0, cores=16, ranks=4, OMP_NUM_THREADS="2")`."""

    def make(user: int = 1000, cores: int = 16, ranks: int = 1, **variables: str) -> dict[str, str]:
        for name in (*installation.THREAD_VARIABLES, "OMNI_KIT_ALLOW_ROOT"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(os, "geteuid", lambda: user)
        monkeypatch.setattr(hardware, "count_cores", lambda: cores)
        return installation.make_environ(ranks)

    return make


def test_terms_are_accepted_in_every_form(environ):
    accepted = {name: value for name, value in environ().items() if name in installation.TERMS}
    assert accepted == {"ACCEPT_EULA": "Y", "PRIVACY_CONSENT": "Y", "OMNI_KIT_ACCEPT_EULA": "YES"}


@pytest.mark.parametrize(("user", "allowed"), [(0, "1"), (1000, None)])
def test_simulator_may_start_as_root_if_the_task_is_root(environ, user, allowed):
    assert environ(user=user).get("OMNI_KIT_ALLOW_ROOT") == allowed


@pytest.mark.parametrize(("cores", "ranks", "threads"), [(16, 1, "16"), (16, 4, "4"), (2, 4, "1")])
def test_processes_share_the_cores(environ, cores, ranks, threads):
    variables = environ(cores=cores, ranks=ranks)
    assert {variables[name] for name in installation.THREAD_VARIABLES} == {threads}


def test_threads_that_the_user_chose_are_kept(environ):
    assert environ(OMP_NUM_THREADS="3")["OMP_NUM_THREADS"] == "3"


def test_packages_of_robotrain_stay_out(environ):
    assert not {"PYTHONPATH", "PYTHONSAFEPATH"} & environ(PYTHONPATH="/x", PYTHONSAFEPATH="1").keys()


def test_a_complete_training_that_does_not_close_is_ended_and_succeeds(tmp_path, monkeypatch, capsys):
    program = tmp_path / "python"
    program.write_text(
        '#!/bin/sh\nwhile [ "$1" != --report ]; do shift; done\n'
        'printf \'{"event": "finished"}\\n\' >>"$2"\nexec sleep 60\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv(PROGRAM_PYTHON_VARIABLE, str(program))
    monkeypatch.setattr(process_group, "CLOSE_SECONDS", 0.0)
    monkeypatch.setattr(process_group, "POLL_SECONDS", 0.02)
    own = ["--backend", "rsl_rl", "--task", "T", "--work", str(tmp_path), "--checkpoints", str(tmp_path / "c")]
    assert supervisor.main([*own, "--", "--device=cpu"]) == 0
    (record,) = map(parse_event, capsys.readouterr().out.splitlines())
    assert (record.event.level, "was ended" in record.event.text) == ("info", True)


@pytest.mark.parametrize(("driver", "warned"), [("550.54.15", True), ("580.65.06", False)])
def test_doctor_names_a_driver_that_is_too_old_for_isaac_lab(monkeypatch, driver, warned):
    gpu = hardware.Gpu(name="NVIDIA L4", driver=driver, capability=(8, 9), uuid="GPU-1")
    monkeypatch.delenv(hardware.VISIBLE_DEVICES, raising=False)
    monkeypatch.setattr(hardware, "query_gpus", lambda: [gpu])
    monkeypatch.setattr(uv_program, "find_uv", lambda cache: None)
    environment._check_driver.cache_clear()
    results = list(environment.check_environment(ISAAC_TRAIN))
    environment._check_driver.cache_clear()
    assert [result.state for result in results if isinstance(result, HealthResult) and "CUDA 13.0" in result.text] == (
        ["warn"] if warned else []
    )
