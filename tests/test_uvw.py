"""The wrapper `uvw` at its start: it brings uv where a machine has none, and says so in one line."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """Return a folder with the wrapper, and beside it a PATH without uv and without a Python that starts."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for command in ("sh", "dirname", "rm"):
        (folder / command).symlink_to(shutil.which(command) or "")
    write_program(folder / "python3", "exit 1")
    shutil.copy(ROOT / "uvw", tmp_path)
    return tmp_path


def write_program(file: Path, line: str) -> None:
    file.write_text(f"#!/bin/sh\n{line}\n")
    file.chmod(0o755)


def start(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    environ = {"PATH": str(folder / "bin")}
    line = [folder / "uvw", *(words or ("--version",))]
    return subprocess.run(line, env=environ, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("name", ["python3", "python"])
def test_a_machine_without_a_new_python_is_told_which_it_needs(bare: Path, name: str) -> None:
    write_program(bare / "bin" / name, "exit 1")
    ended = start(bare)
    assert ended.returncode == 4
    assert "Python 3.11" in ended.stderr


def test_the_first_start_says_what_it_waits_for_and_later_ones_nothing(bare: Path) -> None:
    uv = bare / ".uv" / "bin" / "uv"
    install = f"mkdir -p {uv.parent}; printf '#!/bin/sh\\necho uv' > {uv}; chmod +x {uv}"
    (bare / "bin" / "python3").unlink()
    pip = f'PATH=/usr/bin:/bin; case "$*" in *pip*) {install} ;; *venv*) exit 1 ;; esac'
    write_program(bare / "bin" / "python3", pip)
    first, second = start(bare), start(bare)
    assert (first.stdout, second.stdout) == ("uv\n", "uv\n")
    assert first.stderr.count("\n") == 1
    assert all(words in first.stderr for words in ("downloading uv", "usually takes"))
    assert second.stderr == ""


def test_in_any_folder_it_runs_what_its_clone_has(bare: Path) -> None:
    write_program(bare / "bin/uv", 'echo "$*"')
    assert start(bare, "run", "robotrain", "status").stdout.split("\n")[0] == f"run --project {bare} robotrain status"
    assert start(bare, "sync", "-q").stdout == "sync -q\n"
