"""The command of a container, and what is refused before a job is sent."""

import json
import re
from dataclasses import replace

import pytest
from planned_jobs import job, source
from robotrain.model.plan import Payload
from robotrain_slurm.node import container
from robotrain_slurm.platform import SlurmPlatform
from robotrain_slurm.preflight.container import check_containers
from robotrain_slurm.settings import SlurmSettings
from robotrain_slurm.spec.check_job import check_job
from robotrain_slurm.spec.container import name_image
from robotrain_slurm.spec.submission_spec import SUBMISSION_FILE, BatchJob, JobContainer, SlurmSpec

DIGEST = "@sha256:" + "ab" * 32


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
def test_image_is_named_as_the_tool_does(image, pyxis, apptainer):
    assert (name_image(image, "pyxis"), name_image(image, "apptainer")) == (pyxis, apptainer)


def test_plan_names_the_image_and_all_folders_of_the_job():
    settings = SlurmSettings(
        runs_dir="/shared/runs",
        cache_dir="/shared/cache",
        container="pyxis",
        tracking_uri="sqlite:////shared/tracking/mlflow.db",
        hub_token_file="/home/a/token",
        secrets='{"WANDB_API_KEY": "/home/a/wandb"}',
    )
    training = job(source("local_path", "/data/pusht"), publish_url="/shared/published")
    plan = SlurmPlatform().render(training, settings, "a-1", Payload.from_files({}), {})
    rendered = json.loads(plan.files[SUBMISSION_FILE])["jobs"][0]["container"]
    assert rendered["tool"] == "pyxis"
    assert re.fullmatch(r"pytorch/pytorch:[\w.-]+", rendered["image"])
    expected = {"/shared/runs/a-1", "/shared/cache", "/data/pusht", "/shared/tracking", "/home/a/token"}
    assert {*expected, "/home/a/wandb", "/shared/published"} <= {*rendered["mounts"], *rendered["folders"]}
    assert SUBMISSION_FILE in plan.shown
    other = SlurmPlatform().render(training, replace(settings, image="x/y:2"), "a-1", Payload.from_files({}), {})
    assert other.files[plan.spec] != plan.files[plan.spec]  # its comment tells them apart


def test_mounts_exist_and_none_is_in_another(tmp_path):
    for name in ("runs/a-1", "runs-2", "data"):
        (tmp_path / name).mkdir(parents=True)
    given = [tmp_path / name for name in ("runs/a-1", "runs", "runs-2", "missing", "data", "data")]
    assert container.list_mounts(map(str, given)) == [str(tmp_path / name) for name in ("data", "runs", "runs-2")]


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


@pytest.mark.parametrize("tool", ["pyxis", "apptainer"])
def test_cluster_without_the_tool_is_refused(tool, slurm, monkeypatch, tmp_path):
    chosen = JobContainer(tool=tool, image="a/b:1")
    batch_job = BatchJob(name="a", script="a.sh", comment="", folder="", container=chosen)
    spec = SlurmSpec(run="a", folder="/runs/a", jobs=(batch_job,))
    files = {"a.sh": b"module load cuda\n"}
    (problem,) = check_containers(spec, files)
    assert (problem.code, problem.where, problem.given) == ("slurm-container-missing", "--container", tool)
    program = tmp_path / "bin" / ("srun" if tool == "pyxis" else "singularity")
    program.parent.mkdir(exist_ok=True)
    program.write_text("#!/bin/sh\necho '      --container-image=[USER@][REGISTRY#]IMAGE[:TAG]|PATH'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    assert [*check_containers(spec, files)] == []


@pytest.mark.parametrize("line", ["module load cuda apptainer/1.3 || exit 1", "  module load singularity"])
def test_apptainer_that_the_job_loads_as_a_module_is_not_looked_for_here(line, slurm):
    chosen = JobContainer(tool="apptainer", image="a/b:1")
    batch_job = BatchJob(name="a", script="a.sh", comment="", folder="", container=chosen)
    spec = SlurmSpec(run="a", folder="/runs/a", jobs=(batch_job,))
    assert [*check_containers(spec, {"a.sh": f"#!/bin/sh\n{line}\n".encode()})] == []
    (problem,) = check_containers(spec, {"a.sh": b"#!/bin/sh\nexec apptainer\n"})
    assert problem.suggestions[0].text == "--module apptainer"


def test_folder_that_cannot_be_mounted_is_refused():
    settings = SlurmSettings(container="apptainer", runs_dir="/shared/a,b")
    assert "slurm-mount-name" in [problem.code for problem in check_job(job(), settings)]
