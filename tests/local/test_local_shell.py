"""A shell of a local run: its folder, its Python, its variables and secrets."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from local_runs import Runs
from robotrain.model.reference import Reference

pytestmark = pytest.mark.slow  # real processes

LOOK = """
import json, os, sys
names = ("PYTHONPATH", "PYTHONSAFEPATH", "MLFLOW_RUN_ID", "MLFLOW_TRACKING_URI", "ROBOTRAIN_GRACE_SECONDS", "TOKEN")
seen = [sys.prefix, [os.environ.get(name) for name in names]]
"""


def call_in_shell(runs: Runs, reference: Reference, *words: str) -> "subprocess.CompletedProcess[str]":
    """What a command does in the shell of a run."""
    command = runs.local.make_shell(reference, words, has_terminal=False)
    assert command.note == ""
    return subprocess.run(command.words, cwd=command.folder, env=command.environ, capture_output=True, text=True)


def test_command_has_the_python_the_variables_and_the_secrets_of_the_program(
    runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_RUN_ID", "another")
    (secret := tmp_path / "token").touch(mode=0o600)
    secret.write_text("correct-horse-battery\n")
    runs.settings = replace(runs.settings, secrets=json.dumps({"TOKEN": str(secret)}))
    seen = tmp_path / "seen.json"
    reference = runs.submit(f"{LOOK}\njson.dump(seen, open({str(seen)!r}, 'w'))")
    assert runs.wait_for_end(reference).state == "succeeded"
    done = call_in_shell(runs, reference, "python", "-c", f"{LOOK}\nprint(json.dumps([*seen, os.getcwd()]))")
    assert json.loads(done.stdout) == [*json.loads(seen.read_text()), reference["folder"]], done.stderr
    assert "correct-horse-battery" in done.stdout


def test_shell_of_the_user_is_opened_and_ends_as_it_does(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    reference = runs.submit("pass")
    monkeypatch.setenv("SHELL", "/bin/false")
    assert call_in_shell(runs, reference).returncode == 1


def test_run_that_cannot_be_read_has_a_shell_that_says_what_it_lacks(runs: Runs) -> None:
    reference = runs.submit("pass")
    runs.wait_for_end(reference)
    Path(reference["folder"], "job.json").write_text("{")
    command = runs.local.make_shell(reference, ("true",), has_terminal=False)
    assert (command.folder, command.environ) == (reference["folder"], None)
    assert "cannot be read" in command.note
