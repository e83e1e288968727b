"""The command of a container, and what is missing for one before a job is sent."""

import json
import re

import pytest
from planned_jobs import job, source
from problem_assertions import check_problems
from robotrain_slurm.node import container
from slurm_pipelines import ENGINE

DIGEST = "@sha256:" + "ab" * 32


def read_container(plan) -> dict:
    return json.loads(plan.files["slurm.json"])["jobs"][0]["own"]["container"]


@pytest.mark.parametrize(
    ("image", "pyxis", "apptainer"),
    [
        ("pytorch/pytorch:2.11", "pytorch/pytorch:2.11", "docker://pytorch/pytorch:2.11"),
        (f"pytorch/pytorch:2.11{DIGEST}", "pytorch/pytorch:2.11", f"docker://pytorch/pytorch{DIGEST}"),
        (f"nvcr.io/nvidia/x{DIGEST}", f"nvcr.io#nvidia/x{DIGEST}", f"docker://nvcr.io/nvidia/x{DIGEST}"),
        ("lab:5000/x:1", "lab:5000#x:1", "docker://lab:5000/x:1"),
        ("/images/x.sqsh", "/images/x.sqsh", "/images/x.sqsh"),
    ],
)
def test_image_is_named_as_the_tool_does(make_plan, image, pyxis, apptainer):
    for tool, name in (("pyxis", pyxis), ("apptainer", apptainer)):
        assert read_container(make_plan(container=tool, image=image))["image"] == name


def test_plan_names_the_image_and_all_folders_of_the_job(make_plan):
    settings = {
        "runs_dir": "/shared/runs",
        "cache_dir": "/shared/cache",
        "container": "pyxis",
        "tracking_uri": "sqlite:////shared/tracking/mlflow.db",
        "hub_token_file": "/home/a/token",
        "secrets": '{"WANDB_API_KEY": "/home/a/wandb"}',
    }
    training = job(source("local_path", "/data/pusht"), publish_url="/shared/published")
    plan = make_plan(training, **settings)
    rendered = read_container(plan)
    assert rendered["tool"] == "pyxis"
    assert re.fullmatch(r"pytorch/pytorch:[\w.-]+", rendered["image"])
    expected = {"/shared/runs/a-1", "/shared/cache", "/data/pusht", "/shared/tracking", "/home/a/token"}
    assert {*expected, "/home/a/wandb", "/shared/published"} <= {*rendered["mounts"], *rendered["folders"]}
    assert "slurm.json" in plan.shown
    other = make_plan(training, **settings, image="x/y:2")
    assert other.files[plan.spec] != plan.files[plan.spec]  # its comment tells them apart


def test_mounts_exist_and_none_is_in_another(tmp_path):
    for name in ("runs/a-1", "runs-2", "data"):
        (tmp_path / name).mkdir(parents=True)
    paths = [tmp_path / name for name in ("runs/a-1", "runs", "runs-2", "missing", "data", "data")]
    assert container.list_mounts(map(str, paths)) == [str(tmp_path / name) for name in ("data", "runs", "runs-2")]


def test_srun_gets_the_cores_of_the_job_and_all_variables(monkeypatch, tmp_path):
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "6")
    chosen = {"tool": "pyxis", "image": "a/b:1", "mounts": [], "folders": [str(tmp_path / "cache")]}
    command = container.make_container_command(chosen, "/runs/a", ["/bin/sh", "x"], {"PYTHONPATH": "/runs/a/payload"})
    assert command[0] == "srun"
    assert f"--container-mounts={tmp_path / 'cache'}:{tmp_path / 'cache'}" in command
    assert (tmp_path / "cache").is_dir()
    assert {"--cpus-per-task=6", "--export=ALL", "--no-container-entrypoint"} <= {*command}
    assert command[-4:] == ["/usr/bin/env", "PYTHONPATH=/runs/a/payload", "/bin/sh", "x"]


@pytest.mark.parametrize("gpus", ["0", ""])
def test_apptainer_gets_the_driver_only_with_gpus(gpus, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_GPUS", gpus)
    chosen = {"tool": "apptainer", "image": "/x.sif", "mounts": [], "folders": []}
    command = container.make_container_command(chosen, "/a", ["x"], {})
    assert ("--nv" in command) == bool(gpus)


@pytest.mark.parametrize(("tool", "program"), [("pyxis", "srun"), ("apptainer", "singularity")])
def test_cluster_without_the_tool_is_refused(tool, program, slurm, shared_disks, make_plan, monkeypatch, tmp_path):
    plan = make_plan(container=tool, image="a/b:1")
    folder = tmp_path / "bin"
    folder.mkdir(exist_ok=True)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    write_program(folder / "srun", "      --container=path")  # of Slurm itself, without pyxis
    check_problems(ENGINE.preflight(plan), f"slurm-container-missing --container {tool}")
    write_program(folder / program, "      --container-image=[USER@][REGISTRY#]IMAGE[:TAG]|PATH")
    assert [*ENGINE.preflight(plan)] == []


def write_program(path, printed):
    """Write a program that prints a line of its help."""
    path.write_text(f"#!/bin/sh\necho '{printed}'\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("module load cuda apptainer/1.3 || exit 1", ""),
        ("  module load singularity", ""),
        ("exec apptainer", "slurm-container-missing --container apptainer"),
    ],
)
def test_apptainer_that_a_job_loads_is_not_looked_for_here(slurm, shared_disks, make_plan, tmp_path, line, code):
    (tmp_path / "lines.sh").write_text(f"{line}\n")
    plan = make_plan(container="apptainer", image="a/b:1", prologue=str(tmp_path / "lines.sh"))
    check_problems(ENGINE.preflight(plan), *filter(None, [code]))
