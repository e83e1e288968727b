"""A training whose machine is lost, and that is started again on an empty one."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from azure_stand_in.fixtures import azure, azure_session
from robotrain_runtime.contract import checkpoint, document
from robotrain_runtime.contract.event import Outcome, Published, Tracking
from robotrain_runtime.data_environment import ENVIRONMENT as DATA
from small_training import SMALL, STEPS, Trained, read_lines_until

__all__ = ["azure", "azure_session"]

pytestmark = [pytest.mark.slow, pytest.mark.long]

TOTAL, EVERY = 160, 40


@pytest.fixture
def machine(azure, training, training_environment, tracking_database, pusht, tmp_path, monkeypatch):
    """Start the one document: `machine("wf-7")`; the tracking server alone outlives a machine."""
    data = [str(DATA.lock), "--python", DATA.python, "--cache", str(tmp_path / "cache")]
    subprocess.run([sys.executable, "-m", "robotrain_runtime", "environment", *data], check=True, capture_output=True)
    for name, value in {**azure.environ, "OMP_NUM_THREADS": "1"}.items():
        monkeypatch.setenv(name, value)
    azure.blobs.put("elsewhere", {})
    url = azure.url("elsewhere", tmp_path.name)
    place = {
        "environment": training_environment,
        "tracking_uri": tracking_database(tmp_path / "mlflow.db"),
        "submission": "THE_SUBMISSION",
    }
    parameters = STEPS | {
        "training_steps": TOTAL,
        "save_freq": EVERY,
        "log_freq": 10,
        "eval_freq": 0,
        "publish_url": url,
    }
    made = training(pusht, SMALL["act"], place, **parameters)
    container_plugins = {**made.container_plugins, "target.blob_url": "robotrain_sources.blob_url.target"}
    (tmp_path / "job.json").write_text(
        document.format_document(dataclasses.replace(made, container_plugins=container_plugins))
    )
    started: list[subprocess.Popen[str]] = []

    def start(submission: str) -> subprocess.Popen[str]:
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", "robotrain_runtime", "run", str(tmp_path / "job.json")],
                env={**os.environ, "THE_SUBMISSION": submission},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        )
        return started[-1]

    start.url = url
    yield start
    for process in started:
        kill_machine(process)


def kill_machine(process) -> None:
    """Everything on the machine ends at once."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with process:
        pass


def wait_for_end(process, tmp_path: Path) -> Trained:
    stdout, _ = process.communicate(timeout=300)
    return Trained(process.returncode, stdout.splitlines(), tmp_path / "work", tmp_path / "mlflow.db")


@pytest.mark.usefixtures("cold")
def test_it_resumes_from_what_it_published_as_the_same_tracking_run(machine, tmp_path):
    process = machine("wf-7")
    before = list(read_lines_until(process, f'"to": "{machine.url}/'))
    before += read_lines_until(process, '"event": "metrics"')
    kill_machine(process)
    shutil.rmtree(tmp_path / "work")
    shutil.rmtree(tmp_path / "cache/data", ignore_errors=True)  # its environments are built from PyPI, far from here

    ran = wait_for_end(machine("wf-7"), tmp_path)
    assert ran.exit_code == 0, "\n".join(ran.lines)
    (note,) = [text for text in ran.notes if "restored from" in text]
    step = int(note.rpartition("/")[2])
    assert note == f"resuming from step {step} of an earlier attempt, restored from {machine.url}/{step:06}"
    assert 0 < step < TOTAL
    assert any(f"was interrupted: resuming from step {step}" in text for text in ran.notes)
    assert min(ran.read_metric()) == step + 10
    assert ran.events(Published)[-1].to == f"{machine.url}/{TOTAL:06}"

    made = checkpoint.read_manifest(ran.work / f"outputs/checkpoints/{TOTAL:06}")
    (first,) = [json.loads(line.partition(" ")[2])["run_id"] for line in before if '"event": "tracking"' in line]
    assert (made.submission, made.tracking) == ("wf-7", first)
    assert [event.run_id for event in ran.events(Tracking)] == [first]
    assert ran.ask("select run_uuid, status from runs") == [(first, "FINISHED")]
    steps = [row[0] for row in ran.ask("select step from metrics where key = 'train/loss' order by step")]
    assert (steps[0], steps[-1]) == (10, TOTAL)

    shutil.rmtree(tmp_path / "work")
    other = wait_for_end(machine("wf-8"), tmp_path)
    (outcome,) = other.events(Outcome)
    assert outcome.exit_code == 4
    assert outcome.reason.endswith(f"it holds {EVERY:06} of another submission of this run (wf-7)")
    assert not (tmp_path / "work/outputs").exists()
