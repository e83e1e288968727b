"""A rendered workflow runs: unpacked, started, and restarted from the checkpoints that OSMO copied."""

import os
import subprocess
import sys
from pathlib import Path

import osmo_plans
import pytest
from osmo_stand_in import OsmoStandIn
from robotrain.model.job import Job
from robotrain.submission.packing import pack_modules
from robotrain_osmo.platform import OSMO

pytestmark = pytest.mark.slow

OWN = Path(__file__).with_name("container_plugins")
PLUGIN_MODULES = {"workload.goes-on": "goes_on.container"}
WORKS = """
import os, pathlib, sys
from robotrain_runtime.contract.event import emit_event
from robotrain_runtime.contract.event import Checkpoint
parent = pathlib.Path(os.environ["CHECKPOINTS"])
print("reads", sorted(os.listdir(os.environ["DATA"])), flush=True)
if parent.exists():
    print("goes on from", sorted(path.name for path in parent.iterdir()), flush=True)
    sys.exit(0)
folder = parent / "000200"
(folder / "model").mkdir(parents=True)
(folder / "model" / "weights.txt").write_text("w")
(parent / "000400").mkdir()
(parent / "last").symlink_to("000600")  # for which `osmo data upload` would skip the whole folder, with exit code 0
emit_event(Checkpoint(step=200, path=str(folder), model="model"))
print("is cut short", flush=True)
sys.exit(75)
"""
URL = "azure://account1/lerobot-datasets/pusht"


@pytest.fixture
def sent_workflow(osmo: OsmoStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.syspath_prepend(OWN)
    return send(osmo, tmp_path)


def send(osmo: OsmoStandIn, scratch: Path, program: str = WORKS, **overrides: str) -> str:
    """The id of a workflow. given: settings."""
    osmo.configure(max_retry_per_task=1)
    parameters = (("program", program), ("publish_url", "s3://robots/runs"))
    job = Job(workload="goes-on", parameters=parameters, sources=(osmo_plans.source("osmo_dataset", "pusht"),))
    run, settings = job.run_name(1), osmo_plans.settings(storage_account="account1", pool="default", **overrides)
    made = OSMO.plans.render(job, settings, run, pack_modules(PLUGIN_MODULES.values()), PLUGIN_MODULES)
    (scratch / "workflow.yaml").write_bytes(made.files["workflow.yaml"])
    command("workflow", "submit", str(scratch / "workflow.yaml"), "-p", "default")
    return f"{run}-1"


def command(*words: str) -> str:
    """The output of `osmo`."""
    return subprocess.run(["osmo", *words], check=True, capture_output=True, text=True).stdout


def run_workflow(osmo: OsmoStandIn, workflow: str) -> str:
    """The output until it ends."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # uv is there: none is fetched
    osmo.run(workflow, environ={"PATH": path}, timeout=120)
    return command("workflow", "logs", workflow)


def test_restarted_task_resumes_from_the_complete_copied_checkpoint(osmo, sent_workflow: str) -> None:
    osmo.put(URL, {"pusht/meta/info.json": b"{}", "pusht/data/x.parquet": b"x"})
    log = run_workflow(osmo, sent_workflow)
    assert "reads ['data', 'meta']" in log, log
    assert log.index("is cut short") < log.index("goes on from ['000200']")
    assert osmo.workflows[sent_workflow].status == "COMPLETED"
    assert "cannot be accessed by OSMO" not in log
    assert "checkpoints/000200/robotrain-checkpoint.json" in osmo.objects(f"s3://robots/runs/{sent_workflow}")


def test_dataset_of_an_older_osmo_is_mounted(
    osmo: OsmoStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(OWN)
    osmo.configure(client="6.3.1", service="6.3.1")
    osmo.configure(buckets=["lerobot-datasets"])
    for name in ("data", "meta"):
        (tmp_path / "pusht" / name).mkdir(parents=True)
        (tmp_path / "pusht" / name / "file").write_text(name)
    osmo.store.upload(osmo.store.dataset("lerobot-datasets/pusht"), str(tmp_path / "pusht"))
    assert "reads ['data', 'meta']" in run_workflow(osmo, send(osmo, tmp_path, server="6.3"))


def test_empty_dataset_is_reported_before_the_work(osmo, sent_workflow: str) -> None:
    log = run_workflow(osmo, sent_workflow)
    assert f"{URL} was mounted empty" in log
    assert "is cut short" not in log


def test_program_gets_the_secret_of_a_credential_under_its_own_name(
    osmo: OsmoStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(OWN)
    osmo.put(URL, {"pusht/meta/info.json": b"{}"})
    osmo.credentials["team"] = {"api_token": "correct-horse-battery"}
    program = "import os; print([name for name in os.environ if 'API_TOKEN' in name], os.environ['API_TOKEN'])"
    log = run_workflow(osmo, send(osmo, tmp_path, program, secrets='{"API_TOKEN": "team"}'))
    assert "['API_TOKEN'] <redacted>" in log, log
    assert "correct-horse-battery" not in log
