"""Jobs of this machine with code of their own: what runs, and what is recorded of it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

IDENTITY = ("-c", "user.name=A", "-c", "user.email=a@example.org")
PROGRAM = "import os\nprint(os.getcwd())\nopen('made', 'w').close()\n"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A folder with a program that was changed after its commit."""
    made = tmp_path / "code"
    made.mkdir()
    (made / "train.py").write_text(PROGRAM)
    for words in (("init", "--quiet"), ("add", "--all"), (*IDENTITY, "commit", "--quiet", "--message", "work")):
        subprocess.run(["git", *words], cwd=made, check=True)
    (made / "train.py").write_text(f"{PROGRAM}# changed\n")
    return made


def run_robotrain(state: Path, *words: str) -> Any:
    environ = {**os.environ, "ROBOTRAIN_STATE": str(state)}
    command = [sys.executable, "-m", "robotrain", *words, "--json"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_a_run_has_a_copy_of_its_code_and_the_commit(repository: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    job = tmp_path / "job.yaml"
    job.write_text(f"workload: command\nrun: [{sys.executable}, train.py]\n")
    words = ("--platform", "local", "--tracking-uri", "none", "--code", str(repository), "--wait")
    run = run_robotrain(state, "submit", str(job), *words)["run"]
    assert not (repository / "made").exists()
    code = run_robotrain(state, "status", run)["code"]
    commit = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=repository, text=True).strip()
    assert (code["commit"], code["dirty"]) == (commit, True)
    assert "+# changed\n" in Path(code["difference"]).read_text()
    events = (state / "local" / run / "events.jsonl").read_text()
    assert f'"mlflow.source.git.commit": "{commit}"' in events
    assert '"mlflow.source.git.dirty": "true"' in events
    (repository / "train.py").write_text("raise SystemExit(1)\n")
    again = run_robotrain(state, "resubmit", run, "--wait")
    assert again["state"] == "succeeded", "the very same files ran, although the folder changed"
