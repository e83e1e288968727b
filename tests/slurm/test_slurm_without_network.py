"""A node without a network: what the job needs was staged on the login node."""

import json
import os
import shutil

import pytest
from hub_stand_in import HubStandIn
from robotrain.run_folder.scheduler_plan import format_become_python
from robotrain_slurm.spec import script

pytestmark = pytest.mark.slow

PROGRAM = """
import pathlib, socket, sys, idna
dataset, outputs, port = sys.argv[1:]
print("words", len(pathlib.Path(dataset, "data/words.txt").read_text()), idna.__version__)
try:
    socket.create_connection(("127.0.0.1", int(port)), 1)
    print("there is a network")
except OSError:
    print("there is no network")
pathlib.Path(outputs, "results.json").write_text('{"score": 1}')
"""


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A Hub with one dataset; the environment of a job does not name it."""
    with HubStandIn() as stand_in:
        monkeypatch.setenv("HF_ENDPOINT", stand_in.address)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
        stand_in.repository("lab/words", {"meta/info.json": b"{}", "data/words.txt": b"hello " * 1000}, kind="dataset")
        yield stand_in


@pytest.fixture
def submit(lab, hub, robotrain, monkeypatch, tmp_path):
    """Submit a program with packages and a dataset of the Hub, to nodes that have no network at all."""
    code = tmp_path / "code"
    code.mkdir()
    (code / "program.py").write_text(PROGRAM)
    (code / "requirements.txt").write_text("idna==3.10\n")
    monkeypatch.setattr(
        script,
        "format_become_python",
        lambda *words: format_become_python(*words).replace("exec /bin/sh", "exec unshare --net /bin/sh"),
    )
    if not shutil.which("unshare") or os.system("unshare --net true"):
        pytest.skip("this user may not make a network of its own")

    def submit(*options):
        folders = ("--runs-dir", tmp_path / "runs", "--cache-dir", tmp_path / "cache")
        sources = ("--dataset-repo-id", "lab/words", "--code", code, "--gpus", 0, "--cpus", 1, "--memory", "1G")
        packages = ("--requirements", code / "requirements.txt")
        command = ("python3", "program.py", "{dataset}", "{outputs}", hub.port)
        return robotrain(
            "submit", "command", "--platform", "slurm", *folders, *sources, *packages, *options, "--", *command
        )

    return submit


def read_log(tmp_path):
    (log,) = (tmp_path / "runs").glob("*/log.txt")
    return log.read_text()


def test_staged_job_runs_without_a_network(submit, hub, tmp_path):
    answer = submit("--stage", "--wait")
    answer.check(0, "fetching the data")
    log = read_log(tmp_path)
    assert "words 6000 3.10\nthere is no network\n" in log
    request_count = len(hub.requests)
    assert request_count > 0
    assets = submit("--assets-only", "--stage", "--json").json["assets"]
    assert assets[0].startswith(f"lab/words {tmp_path / 'cache'}/data/huggingface/")
    downloads = [request for request in hub.requests[request_count:] if "/resolve/" in request]
    assert downloads == []


def test_same_job_without_staging_cannot_read_its_data(submit, tmp_path):
    answer = submit("--wait")
    assert answer.exit_code == 5
    (outcome,) = (tmp_path / "runs").glob("*/outcome.json")
    assert "words" not in read_log(tmp_path).partition("work")[2]
    assert json.loads(outcome.read_text())["fault"] in ("network", "configuration")
