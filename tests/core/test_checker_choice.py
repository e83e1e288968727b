"""Which Python is asked about the options of a job, and what is said of one that cannot be."""

import hashlib
import importlib.metadata
import json
import os
import sys
import textwrap
from pathlib import Path

import pytest
from pretend_index import sha256, wheel
from robotrain_runtime.environments import uv_program


def test_checker_of_another_version_is_named_and_not_used(ask, song_folder, tmp_path):
    (song_folder / "song.txt").write_text("typer==0.0.1 \\\n    --hash=sha256:00\n")
    answer = ask(f"--log={tmp_path}/log")
    assert (answer.exit_code, "[checker-unusable]" in answer.stderr) == (0, True)
    assert {importlib.metadata.version("typer"), "0.0.1"} <= {*answer.stderr.replace(",", "").split()}
    assert not (tmp_path / "log").exists()


@pytest.mark.parametrize(
    "text", ["/no/such/python", "/" + "long" * 70, "program"], ids=["a missing one", "a long one", "one that fails"]
)
def test_checker_of_the_command_line_must_work(ask, text, tmp_path):
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    answer = ask(words=("submit", "--dry-run", "--checker", text if text.startswith("/") else program))
    answer.check_problems(2, "checker-unusable --checker")


def test_checker_is_chosen_by_the_flag_then_the_variable_then_the_users_file(ask, monkeypatch, tmp_path):
    log = tmp_path / "log"
    none = ("submit", "--dry-run", "--checker", "none")
    assert ask(f"--log={log}", words=none).exit_code == 0
    monkeypatch.setenv("ROBOTRAIN_CHECKER", "none")
    ask(f"--log={log}")
    assert not log.exists()
    ask(f"--log={log}", words=("submit", "--dry-run", "--checker", sys.executable))
    assert len(log.read_text().splitlines()) == 1
    monkeypatch.delenv("ROBOTRAIN_CHECKER")
    write_user_file(f'checker = "{sys.prefix}"\n')
    ask(f"--log={log}", "--pitch=c")
    assert len(log.read_text().splitlines()) == 2


def test_relative_path_in_the_users_file_is_no_program_of_a_project(ask, monkeypatch, tmp_path):
    monkeypatch.delenv("ROBOTRAIN_CHECKER")
    write_user_file('checker = "venv"\n')
    Path("venv/bin").mkdir(parents=True)
    Path("venv/bin/python").write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    Path("venv/bin/python").chmod(0o755)
    ask().check_problems(0, "checker-unusable")
    assert not (tmp_path / "ran").exists()


@pytest.mark.slow
@pytest.mark.parametrize("usable", [True, False])
def test_environment_that_the_job_runs_in_is_asked(ask, monkeypatch, tmp_path, usable):
    monkeypatch.delenv("ROBOTRAIN_CHECKER")
    log, environment = tmp_path / "log", sys.prefix if usable else str(tmp_path)
    answer = ask(f"--log={log}", words=("submit", "--dry-run", "--environment", environment), platform="local")
    assert log.exists() == usable
    assert "options-unchecked" not in answer.stderr


def write_user_file(text):
    file = Path(os.environ["XDG_CONFIG_HOME"], "robotrain/config.toml")
    file.parent.mkdir(parents=True)
    file.write_text(textwrap.dedent(text))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("chekcer = 'none'\n", "file-unknown-key"),
        ("checker = 3\n", "file-malformed"),
        ("checker = \n", "file-malformed"),
    ],
)
def test_mistakes_in_the_users_file_are_named_and_stop_nothing(ask, monkeypatch, text, code):
    monkeypatch.delenv("ROBOTRAIN_CHECKER")
    write_user_file(text)
    ask().check_problems(0, code)


@pytest.mark.parametrize(
    ("file", "text", "code"),
    [
        (".env", "ROBOTRAIN_CHECKER=./trap\n", "setting-not-trusted"),
        (".env.local", "ROBOTRAIN_CHECKER=./trap\n", "setting-not-trusted"),
        ("robotrain.toml", 'checker = "./trap"\n', "file-unknown-key"),
    ],
)
def test_file_of_a_project_does_not_choose_the_checker(ask, monkeypatch, file, text, code, tmp_path):
    monkeypatch.delenv("ROBOTRAIN_CHECKER")
    Path("trap").write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    Path("trap").chmod(0o755)
    Path(file).write_text(text)
    ask().check_problems(2, f"{code} {file}")
    assert not (tmp_path / "ran").exists()


def test_without_a_checker_a_note_says_what_is_left_and_what_closes_the_gap(ask, monkeypatch):
    monkeypatch.delenv("ROBOTRAIN_CHECKER")
    ask().check_problems(0, "options-unchecked")


@pytest.fixture
def built(monkeypatch, song_folder, tmp_path):
    """An environment of the lock in the cache."""
    monkeypatch.delenv("ROBOTRAIN_CHECKER", raising=False)
    folder = tmp_path / "cache/environments/0123456789abcdef"
    (folder / "lib/python3/site-packages/typer-1.dist-info").mkdir(parents=True)
    (folder / "bin").mkdir()
    (folder / "bin/python").symlink_to(sys.executable)
    digest = hashlib.sha256((song_folder / "song.txt").read_bytes()).hexdigest()
    (folder / "robotrain-complete.json").write_text(json.dumps({"lock_digest": digest}))
    return folder


def test_built_environment_of_the_lock_is_found_whatever_its_build(ask, built):
    answer = ask("--answer=refuse", "--pitch=h")
    answer.check_problems(4, "options-refused -- --pitch=h")
    assert str(built) in answer.stderr


def test_command_without_the_option_names_the_variable(ask, robotrain, fake_platform, monkeypatch):
    monkeypatch.setenv("ROBOTRAIN_CHECKER", "none")
    run = ask(words=("submit",)).json["run"]
    monkeypatch.delenv("ROBOTRAIN_CHECKER")
    answer = robotrain("resubmit", run, "--dry-run")
    answer.check_problems(0, "options-unchecked")
    assert "--checker" not in answer.stderr


def test_built_environment_whose_python_is_gone_is_none(ask, built, tmp_path):
    (built / "bin/python").unlink()
    (built / "bin/python").symlink_to(tmp_path / "gone")
    answer = ask("--answer=refuse", "--pitch=h")
    assert answer.exit_code == 0
    assert "--checker build" in answer.stderr


@pytest.mark.slow
@pytest.mark.skipif(uv_program.find_uv(Path("/nowhere")) is None, reason="no uv on this machine")
def test_missing_environment_is_built_on_request_and_asked_from_then_on(ask, monkeypatch, song_folder, tmp_path):
    monkeypatch.delenv("ROBOTRAIN_CHECKER")
    tiny = wheel(tmp_path, "tiny_arm", "1.0")
    (song_folder / "song.txt").write_text(f"tiny-arm @ {tiny.as_uri()} --hash=sha256:{sha256(tiny)}\n")
    log = tmp_path / "log"
    assert "--checker build" in ask(f"--log={log}").stderr
    assert not log.exists()
    built = ask(f"--log={log}", words=("submit", "--dry-run", "--checker", "build"))
    assert built.exit_code == 0, built.stderr
    assert "Installed 1 package" in built.stderr
    assert len(log.read_text().splitlines()) == 1
    assert "[" not in ask(f"--log={log}", "--pitch=c").stderr
    assert len(log.read_text().splitlines()) == 2


def test_job_file_does_not_choose_the_checker(robotrain, song_folder, fake_platform, monkeypatch):
    monkeypatch.delenv("ROBOTRAIN_CHECKER")
    Path("job.yaml").write_text("workload: sing\nchecker: ./trap\n")
    answer = robotrain("submit", "job.yaml", "--platform", "fake", "--dry-run")
    answer.check_problems(2, "file-unknown-key job.yaml:2")
