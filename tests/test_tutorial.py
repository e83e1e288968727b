"""docs/plugin-tutorial.md, done as it is written: its commands, and what they print."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pages import page_session

ROOT = Path(__file__).parents[1]
TUTORIAL = ROOT / "docs/plugin-tutorial.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCK_SECONDS = 3600.0
"""The longest that a block may take: it may install, train and run the kits."""


@pytest.fixture
def shell(tmp_path, environments_folder, monkeypatch) -> Iterator[page_session.Shell]:
    """In a folder with a clone of robotrain beside it: its wheels, and its examples."""
    uv = os.environ.get("UV", "uv")
    dist = tmp_path / "robotrain/dist"
    subprocess.run([uv, "build", "--quiet", "--all-packages", "--wheel", "--out-dir", dist, ROOT], check=True)
    (tmp_path / "robotrain/examples").symlink_to(ROOT / "examples")
    monkeypatch.setattr(page_session, "LINE_SECONDS", BLOCK_SECONDS)
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "environments").symlink_to(environments_folder)  # 4 GB less to download
    environ = {"ROBOTRAIN_STATE": str(tmp_path / "state"), "ROBOTRAIN_CACHE_DIR": str(cache)}
    environ["ROBOTRAIN_RUNS_DIR"] = str(tmp_path / "runs")
    if "UV" in os.environ:  # where `uv run` started the tests, and it may be on no PATH
        environ["PATH"] = f"{Path(uv).parent}{os.pathsep}{os.environ['PATH']}"
    shell = page_session.Shell(tmp_path, environ)
    yield shell
    shell.close()


def list_steps() -> Iterator[tuple[str, str]]:
    """Each block of commands, and what it prints where that follows."""
    blocks = BLOCK.findall(TUTORIAL.read_text())
    for (language, text), (next_language, next_text) in zip(blocks, [*blocks[1:], ("", "")], strict=True):
        if language == "sh":
            yield text, next_text if next_language == "text" else ""


def find_missing_lines(expected: str, output: str) -> list[str]:
    """The lines that were not printed, in their order; `…` stands for anything."""
    printed = iter(output.splitlines())
    patterns = [(line, ".*".join(map(re.escape, line.split("…")))) for line in expected.splitlines()]
    return [text for text, pattern in patterns if not any(re.fullmatch(f"{pattern}\\s*", line) for line in printed)]


@pytest.mark.slow
@pytest.mark.long  # installs, trains, and runs the kits
def test_the_tutorial_does_what_it_says(shell):
    for text, expected in list_steps():
        output, code = shell.type(text)
        assert not find_missing_lines(expected, output), output
        assert code == 0 or expected, output
