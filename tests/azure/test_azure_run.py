"""A whole run in a workspace, from its document: the work is pretended, all that speaks to Azure is not."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from azure_stand_in import Fault
from robotrain_runtime.contract import document, event
from robotrain_runtime.contract.event import Event, Registered, Tracking
from tracked_document import HERE, PLUGIN_MODULES, tracked_job

pytestmark = pytest.mark.slow

PRETENDED = Path(__file__).parents[1] / "runtime/container_plugins"
PROGRAM = "from pretend_training import *\ntrain(40, 20)"


@pytest.fixture
def run(tmp_path, azure, workspace, nobody, training_python, data_python):
    """Run the document, or do something else with it: the exit code, and the events or the output."""
    made = tracked_job(
        {"workload.pretend": "pretend_work", **PLUGIN_MODULES},
        parameters={"program": PROGRAM, "register": "pusher"},
        work=str(tmp_path / "work"),
        cache=str(data_python.parents[3]),
        environment=str(training_python.parents[1]),
    )
    (tmp_path / "job.json").write_text(document.format_document(made))

    def run(what: str = "run", *more: str) -> tuple[int, list[Event], str]:
        done = subprocess.run(
            [sys.executable, "-m", "robotrain_runtime", what, str(tmp_path / "job.json"), *more],
            env={**os.environ, **azure.workload_identity, "PYTHONPATH": str(PRETENDED), "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
        )
        events = [record.event for line in done.stdout.splitlines() if (record := event.parse_event(line))]
        return done.returncode, events, done.stdout + done.stderr

    return run


def test_it_is_tracked_and_its_last_checkpoint_is_registered_once(run, azure, workspace):
    code, events, output = run()
    assert code == 0, output
    (tracked,) = [event for event in events if isinstance(event, Tracking)]
    assert (tracked.uri, tracked.ui.partition("?")[0]) == (
        HERE.tracking_uri,
        f"https://ml.azure.com/runs/{tracked.run_id}",
    )
    (registered,) = [event for event in events if isinstance(event, Registered)]
    assert (registered.version, registered.step) == ("1", 40)
    assert {path.split("/")[1] for path in workspace.artifacts[tracked.run_id]} == {"000020", "000040"}
    code, _, output = run("register", "pusher")
    assert (code, json.loads(output.splitlines()[0])["version"]) == (0, "1"), output
    models = azure.manager.there.models[f"{HERE.resource}/pusher".lower()]
    assert [model["tags"]["checkpoint"] for model in models.values()] == ["000040"]


def test_a_missing_role_is_reported_before_the_work_begins(run, azure):
    azure.manager.faults.append(Fault("GET", status=403, code="AuthorizationFailed"))
    code, events, output = run()
    assert code == 4
    assert "AzureML Data Scientist" in output
    assert not [event for event in events if isinstance(event, Tracking)]
