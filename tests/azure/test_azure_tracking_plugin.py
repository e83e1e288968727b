"""Calls of a tracking plugin in the container: of a fake one, and of Azure's as it is packed."""

import io
import subprocess
import sys
import zipfile

import pytest
from robotrain.submission.packing import pack_modules
from robotrain_azure.workspace import CONTAINER_PLUGINS
from robotrain_runtime.contract.event import Outcome
from robotrain_runtime.environments import run_environment
from robotrain_runtime.tracking import preflight
from robotrain_runtime.tracking.preflight import TrackingCheck
from robotrain_runtime.tracking.tracker import Tracker
from tracked_document import tracked_job

PRETENDED = """
import time
from robotrain_runtime.contract.problem import make_data_problem
def accepts(uri):
    return uri.startswith("pretended://")
def preflight_address(uri):
    {look}
"""
FOUND = 'yield make_data_problem(f"nobody may track at {uri}", "ask", "wait", code="azure-role-missing")'


@pytest.fixture
def check_plugin(tmp_path, monkeypatch):
    """Run the check of a tracking plugin with the body `look`: its findings."""

    def run(look: str, uri: str = "pretended://x"):
        (tmp_path / "pretended_tracking.py").write_text(PRETENDED.format(look=look))
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "pretended_tracking", raising=False)
        job = tracked_job({"tracking.pretended": "pretended_tracking"}, tracking_uri=uri)
        return TrackingCheck(job).wait_for_findings()

    return run


def test_a_tracking_plugin_brings_its_findings(check_plugin):
    (finding,) = check_plugin(FOUND)
    assert (finding.title, finding.fault) == ("nobody may track at pretended://x", "data")
    assert [way.text for way in finding.suggestions] == ["ask", "wait"]


def test_a_tracking_plugin_without_findings_is_no_error(check_plugin):
    assert check_plugin("return ()") == []


def test_a_tracking_plugin_that_hangs_is_not_waited_for(check_plugin, monkeypatch):
    monkeypatch.setattr(preflight, "PLUGIN_SECONDS", 0.1)
    monkeypatch.setattr(preflight, "ANSWER_SLACK_SECONDS", 0.1)
    (finding,) = check_plugin("time.sleep(60)")
    code = (finding.code, finding.fault, finding.why)
    assert code == ("tracking-unreachable", "network", "It did not answer within 0.1 s.")


def test_a_tracking_plugin_that_fails_is_reported_with_its_error(check_plugin):
    (finding,) = check_plugin("raise ValueError('torn')")
    assert finding.why == "The check failed: ValueError: torn."


def test_an_address_that_no_plugin_accepts_is_checked_by_robotrain(check_plugin, tmp_path):
    (tmp_path / "mlflow.db").write_text("no database at all")
    (finding,) = check_plugin(FOUND, f"sqlite:///{tmp_path}/mlflow.db")
    assert finding.why == f"{tmp_path}/mlflow.db is not an SQLite database."


def test_the_tracking_process_receives_the_names_of_its_plugins():
    assert (
        run_environment.make_program_environ(tracked_job(tracking_uri="x"))["ROBOTRAIN_TRACKING_HALVES"]
        == "robotrain_azure.tracking"
    )
    assert "ROBOTRAIN_TRACKING_HALVES" not in run_environment.make_program_environ(tracked_job({}, tracking_uri="x"))


def test_what_the_environment_says_about_patience_wins(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "61")
    python = tmp_path / "python"
    python.write_text(
        '#!/bin/sh\necho "error: $MLFLOW_HTTP_REQUEST_TIMEOUT $MLFLOW_HTTP_REQUEST_MAX_RETRIES"; exit 3\n'
    )
    python.chmod(0o755)
    notes: list[str] = []
    environ = run_environment.make_program_environ(tracked_job({}, tracking_uri="x"))
    tracker = Tracker(
        python, "x", system_metrics=False, environ=environ, on_event=lambda record: notes.append(record.event.text)
    )
    tracker.close(Outcome(state="succeeded", exit_code=0))
    for reader in tracker._readers:
        reader.join(60)
    assert notes == ["the run is not tracked, or only partly: 61 3"]


def test_the_payload_of_the_tracking_plugin_is_whole(tmp_path):
    with zipfile.ZipFile(io.BytesIO(pack_modules(CONTAINER_PLUGINS.values()).archive)) as archive:
        archive.extractall(tmp_path)
        names = archive.namelist()
    code = (
        "import sys; from robotrain_azure import tracking as plugin; from robotrain_azure import arm;"
        "assert plugin.accepts('azureml-workspace://a/b/c');"
        "plugin.ui('azureml-workspace://a/b/c', '1', '2'); plugin.registry('azureml-workspace://a/b/c');"
        "assert not {'azure', 'requests', 'mlflow'} & sys.modules.keys()"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert not [name for name in names if name.endswith(("azure/preflight_checks.py", "azure/settings.py"))]
