"""A Python of the wanted version is found wherever people have it; one that does not run is not taken."""

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from robotrain_runtime.environments import interpreter, uv_program
from robotrain_runtime.process.stop import StopSignal

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
REAL = sys.executable


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def python(tmp_path):
    """Put a Python that runs, or a pretended one, somewhere below the test's folder."""

    def make(place: str, text: str = f'exec "{REAL}" "$@"') -> Path:
        return program(tmp_path / place, text)

    return make


@pytest.fixture(autouse=True)
def no_python(tmp_path, monkeypatch):
    """A machine with an empty home and an empty PATH, and a runtime under another Python."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    for name in ("PYENV_ROOT", "UV_PYTHON_INSTALL_DIR", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "none"))


def find_python() -> Path | None:
    """What is found below the test's folder; what this machine has in /usr/bin does not count."""
    path = interpreter.find_interpreter(VERSION)
    return path if path and "test" in str(path) else None


@pytest.mark.parametrize(
    "place",
    [
        f"bin/python{VERSION}",
        f".pyenv/versions/{VERSION}.4/bin/python",
        f".local/share/uv/python/cpython-{VERSION}.9-linux-x86_64-gnu/bin/python{VERSION}",
    ],
)
def test_a_python_is_found_on_the_path_in_pyenv_and_in_uv(python, place):
    there = python(place)
    assert find_python() == there


def test_a_pyenv_version_that_is_not_active_is_found_behind_a_shim_that_does_not_run(python):
    python(f"bin/python{VERSION}", f"echo 'pyenv: python{VERSION}: command not found' >&2; exit 127")
    there = python(f".pyenv/versions/{VERSION}.4/bin/python")
    assert find_python() == there


def test_the_newest_of_pyenv_is_taken(python):
    python(f".pyenv/versions/{VERSION}.4/bin/python")
    there = python(f".pyenv/versions/{VERSION}.12/bin/python")
    assert find_python() == there


def test_pyenv_is_searched_in_another_folder(python, tmp_path, monkeypatch):
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "tools"))
    there = python(f"tools/versions/{VERSION}.4/bin/python")
    assert find_python() == there


def test_the_override_wins_and_stands_alone(python, monkeypatch):
    python(f"bin/python{VERSION}")
    there = python("mine/python")
    monkeypatch.setenv("ROBOTRAIN_PYTHON", str(there))
    assert interpreter.find_interpreter(VERSION) == there
    monkeypatch.setenv("ROBOTRAIN_PYTHON", "/no/such/python")
    assert interpreter.find_interpreter(VERSION) is None


@pytest.mark.parametrize("text", ["echo 2.7", "exit 127", "kill -9 $$", "echo nonsense"])
def test_another_version_or_one_that_breaks_is_not_taken(python, text):
    python(f"bin/python{VERSION}", text)
    assert find_python() is None


def test_of_a_range_the_python_we_run_under_is_the_first_choice(python, tmp_path, monkeypatch):
    python("bin/python3")
    ours = python("ours/python")
    monkeypatch.setattr(sys, "executable", str(ours))
    assert interpreter.find_interpreter("3.10-3.14") == ours


def test_of_a_range_whatever_is_there_will_do(python):
    there = python("bin/python3", "echo 3.13")
    assert interpreter.find_interpreter("3.13-3.14") == there


def test_outside_a_range_none_is_taken(python, monkeypatch):
    there = python("bin/python3", "echo 3.15")
    assert interpreter.find_interpreter("3.14-3.14") != there
    monkeypatch.setenv("ROBOTRAIN_PYTHON", str(there))
    assert interpreter.find_interpreter("3.10-3.14") is None


def test_versions_of_a_range_are_numbers_not_texts():
    assert interpreter.list_allowed_versions("3.9-3.11") == ["3.11", "3.10", "3.9"]
    assert interpreter.list_allowed_versions("3.12") == ["3.12"]


def test_two_builds_at_once_fetch_uv_once(tmp_path, monkeypatch):
    fetched = []

    def install(command, **options) -> int:
        folder = Path(command[command.index("--target") + 1])
        fetched.append(folder)
        time.sleep(0.1)  # until the other build is there
        program(folder / "bin/uv", "exit 0")
        return 0

    monkeypatch.setattr(uv_program.child, "run_program", install)
    monkeypatch.setattr(uv_program, "find_python_with_pip", lambda: Path(REAL))
    with ThreadPoolExecutor(2) as builds:
        paths = list(builds.map(lambda _: uv_program.fetch_uv(tmp_path, StopSignal()), range(2)))
    assert len(fetched) == 1
    assert paths == [tmp_path / "uv" / uv_program.get_uv_version() / "bin/uv"] * 2
    assert paths[0].exists()
