"""The search for an image's Python: any `/bin/sh`, whatever PATH is, and what it says where there is none."""

import subprocess
import sys
from pathlib import Path

import pytest
from robotrain.cluster import spec

ARGUMENTS = ("-I", "-c", "import sys; print(sys.argv[1:])", "a b", "$HOME `id`")
SHELLS = [shell for shell in ("/bin/dash", "/bin/bash") if Path(shell).exists()]


@pytest.fixture
def search(tmp_path, monkeypatch):
    """Run the search with programs in a folder on PATH and in one that is not: `search(python3=…, hidden=…)`."""
    monkeypatch.setattr(spec, "USUAL_PATHS", ())

    def run(shell: str = "/bin/sh", **programs: str) -> "subprocess.CompletedProcess[str]":
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        for name, text in programs.items():
            path = tmp_path / name if name == "hidden" else folder / name
            path.write_text(f"#!/bin/sh\n{text}\n")
            path.chmod(0o755)
        command = [shell, "-c", spec.make_python_search([str(tmp_path / "hidden")]), "robotrain", *ARGUMENTS]
        return subprocess.run(command, env={"PATH": str(folder)}, capture_output=True, text=True)

    return run


WORKS = f'exec {sys.executable} "$@"'
OLD = 'echo "3.8.18"; exit 1'
FOUND = {
    "on PATH": {"python3": WORKS},
    "python only": {"python": WORKS},
    "not on PATH, as in Isaac Lab's image": {"hidden": WORKS},
    "an old one is passed over": {"python3": OLD, "hidden": WORKS},
    "one that does not start is passed over": {"python3": "exit 126", "python": WORKS},
}


@pytest.mark.parametrize("programs", FOUND.values(), ids=FOUND)
def test_python_is_found_and_gets_the_arguments_unchanged(search, programs):
    done = search(**programs)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", f"{list(ARGUMENTS[3:])}\n")


def test_without_one_any_shell_says_what_it_tried(search, tmp_path):
    for shell in SHELLS:
        done = search(shell, python3=OLD)
        assert (done.returncode, done.stdout) == (127, ""), shell
        assert done.stderr.endswith(f"Tried: python3 (3.8.18) python (none) {tmp_path}/hidden (none)\n"), shell


def test_python_without_a_part_of_its_library_is_passed_over(search, tmp_path):
    lacking = tmp_path / "lacking"
    (lacking / "ssl.py").parent.mkdir()
    (lacking / "ssl.py").write_text("raise ImportError\n")
    bad = f'shift; PYTHONPATH={lacking} exec {sys.executable} "$@"'  # without -I
    assert search(python3=bad, hidden=WORKS).returncode == 0
