"""Secrets of a program on this machine: a file that only its owner may read, and nothing that robotrain keeps."""

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from local_runs import Runs
from problem_assertions import check_problems
from robotrain_local.settings import LocalSettings

VALUE = "correct-horse-battery"
SHOW = "import os; value = os.environ['API_TOKEN']; print('value', value, len(value))"


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    file = tmp_path / "mine" / "token"
    file.parent.mkdir()
    file.touch(mode=0o600)
    file.write_text(f"{VALUE}\n")
    return file


@pytest.mark.parametrize("reference", ["hunter2", "mine/token", "./token", ""])
def test_what_is_no_absolute_path_may_be_the_secret_itself_and_is_not_shown(robotrain, pusht, reference: str) -> None:
    words = ("--platform", "local", "--dataset-path", pusht, "--secret", f"API_TOKEN={reference}")
    answer = robotrain("render", *words)
    answer.check_problems(2, "secret-reference-invalid --secret API_TOKEN")
    assert not reference or reference not in answer.stderr


def test_a_file_that_others_may_read_is_refused_with_the_command_that_helps(runs: Runs, secret_file: Path) -> None:
    runs.settings = LocalSettings(environment=runs.settings.environment, secrets=f'{{"API_TOKEN": "{secret_file}"}}')
    assert list(runs.local.preflight(runs.plan("pass"))) == []
    secret_file.chmod(0o640)
    check_problems(runs.local.preflight(runs.plan("pass")), "secret-exposed")
    secret_file.unlink()
    check_problems(runs.local.preflight(runs.plan("pass")), "secret-unreadable --secret")


@pytest.mark.parametrize("setting", ["hub_token_file", "blob_credential_file"])
def test_a_file_with_credentials_that_is_not_there_is_refused(runs: Runs, secret_file: Path, setting: str) -> None:
    runs.settings = replace(runs.settings, **{setting: str(secret_file)})
    assert list(runs.local.preflight(runs.plan("pass"))) == []
    secret_file.unlink()
    flag = f"--{setting.replace('_', '-')}"
    check_problems(runs.local.preflight(runs.plan("pass")), f"credential-file-missing {flag}")


def test_a_file_below_the_home_folder_is_found_there(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    runs.settings = LocalSettings(secrets='{"API_TOKEN": "~/.secrets/api"}')
    assert '"API_TOKEN": "/home/me/.secrets/api"' in runs.plan("pass").files["job.json"].decode()


@pytest.mark.slow  # builds an environment
def test_a_program_sees_its_secret_and_no_file_of_robotrain_has_it(
    command: tuple[str, ...], secret_file: Path, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    words = ("submit", "command", "--platform", "local", "--stream", "--secret", f"API_TOKEN={secret_file}")
    environ = {**os.environ, "ROBOTRAIN_STATE": str(state)}
    done = subprocess.run([*command, *words, "--", "python3", "-c", SHOW], capture_output=True, text=True, env=environ)
    shown = done.stdout + done.stderr
    assert done.returncode == 0, shown
    assert f"value <redacted> {len(VALUE)}" in shown
    files = [path for path in state.rglob("*") if path.is_file()]
    assert [path for path in files if VALUE.encode() in path.read_bytes()] == []
    assert any(path.name == "mlflow.db" for path in files)
    assert VALUE not in shown
