"""The batch script that carries a plan, and what it unpacks on a node."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from planned_jobs import job
from robotrain.model.plan import Payload
from robotrain_runtime.contract.secret_rules import holds_secret
from robotrain_slurm.platform import SlurmPlatform
from robotrain_slurm.preflight.checks import check_size
from robotrain_slurm.settings import SlurmSettings
from robotrain_slurm.spec.submission_spec import SCRIPT_FILE

BATCH = """
import json, os, sys
print(json.dumps([os.getcwd(), sys.argv, os.environ["PYTHONPATH"], os.environ["ROBOTRAIN_SUBMISSION"]]))
"""


@pytest.fixture
def make_plan(tmp_path):
    """Render a job for nodes with disks of their own, with a payload that shows how it was started."""

    def make(more=b""):
        files = {"robotrain_slurm/__init__.py": b"", "robotrain_slurm/node/__init__.py": b""}
        payload = Payload.from_files({**files, "robotrain_slurm/node/batch.py": BATCH.encode(), "more": more})
        runs = str(tmp_path / "it's $HOME `here`")
        settings = SlurmSettings(runs_dir=runs, storage="node")
        training = job(publish_url="https://a.blob.core.windows.net/c/p")
        return SlurmPlatform().render(training, settings, "a-1", payload, {})

    return make


def test_script_unpacks_its_plan_and_becomes_the_program_of_the_node(make_plan, tmp_path):
    plan = make_plan()
    script = tmp_path / "slurm_script"
    script.write_bytes(plan.files[SCRIPT_FILE])
    for _ in range(2):  # the second time in the folder of an earlier start
        environ = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        output = subprocess.check_output(["/bin/bash", script], cwd="/tmp", env=environ, text=True)
        folder, arguments, path, submission = json.loads(output)
        assert folder == str(tmp_path / "it's $HOME `here`/a-1")
        assert arguments[0].endswith("robotrain_slurm/node/batch.py")
        assert path == f"{folder}/payload"
        assert len(submission) == 16
        for name in ("job.json", "slurm.json", "find-python.sh", SCRIPT_FILE):
            assert Path(folder, name).read_bytes() == plan.files[name]
        (Path(folder) / "checkpoints").mkdir(exist_ok=True)
    assert json.loads(plan.files["job.json"])["placement"]["submission"] == "ROBOTRAIN_SUBMISSION"


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives a folder to another user")
def test_script_runs_nothing_in_a_folder_of_another_user(make_plan, tmp_path):
    folder, script = tmp_path / "it's $HOME `here`/a-1", tmp_path / "slurm_script"
    folder.mkdir(parents=True)
    os.chown(folder, 54321, -1)
    script.write_bytes(make_plan().files[SCRIPT_FILE])
    environ = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(["/bin/bash", script], cwd="/tmp", env=environ, capture_output=True, text=True)
    assert done.returncode == 1
    assert "--runs-dir" in done.stderr
    assert [*folder.iterdir()] == []


def test_script_is_the_same_each_time_and_holds_nothing_like_a_secret(make_plan):
    noise = os.urandom(200_000)
    text = make_plan(noise).files[SCRIPT_FILE]
    assert text == make_plan(noise).files[SCRIPT_FILE]
    assert not holds_secret(text.decode())


def test_script_that_slurm_would_not_take_is_refused(make_plan):
    assert [*check_size(make_plan())] == []
    (problem,) = check_size(make_plan(os.urandom(2_200_000)))
    assert problem.code == "slurm-script-too-large"
    assert "MB" in problem.title
