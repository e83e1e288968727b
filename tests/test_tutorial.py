"""docs/plugin-tutorial.md, done as it is written: its files, its commands, and what they print."""

import os
import re
import subprocess
import sys
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
def shell(tmp_path, training_environment, monkeypatch) -> Iterator[page_session.Shell]:
    """In a folder with a clone of robotrain beside it: its wheels, and its examples."""
    uv = os.environ.get("UV", "uv")
    dist = tmp_path / "robotrain/dist"
    subprocess.run([uv, "build", "--quiet", "--all-packages", "--wheel", "--out-dir", dist, ROOT], check=True)
    (tmp_path / "robotrain/examples").symlink_to(ROOT / "examples")
    cache = tmp_path / "robotrain-shelf/shelf/.cache"
    cache.mkdir(parents=True)
    (cache / "environments").symlink_to(Path(training_environment).parent)  # 4 GB less to download
    monkeypatch.setattr(page_session, "LINE_SECONDS", BLOCK_SECONDS)
    environ = {"ROBOTRAIN_STATE": str(tmp_path / "state")}
    if "UV" in os.environ:  # where `uv run` started the tests, and it may be on no PATH
        environ["PATH"] = f"{Path(uv).parent}{os.pathsep}{os.environ['PATH']}"
    shell = page_session.Shell(tmp_path, environ)
    yield shell
    shell.close()


def steps() -> Iterator[tuple[str, str, str]]:
    """Each block: its language, its text, and what it prints where that follows."""
    blocks = BLOCK.findall(TUTORIAL.read_text())
    for (language, text), (after, result) in zip(blocks, [*blocks[1:], ("", "")], strict=True):
        if language != "text":
            yield language, text, result if after == "text" else ""


def find_missing_lines(wanted: str, said: str) -> list[str]:
    """The lines that were not printed, in their order; `…` stands for anything."""
    printed = iter(said.splitlines())
    patterns = [(line, ".*".join(map(re.escape, line.split("…")))) for line in wanted.splitlines()]
    return [line for line, pattern in patterns if not any(re.fullmatch(f"{pattern}\\s*", one) for one in printed)]


@pytest.mark.slow
@pytest.mark.long  # installs, trains, and runs the kits
def test_the_tutorial_does_what_it_says(shell, tmp_path):
    for language, text, wanted in steps():
        if language == "sh":
            result, code = shell.type(text)
            assert not find_missing_lines(wanted, result), result
            assert code == 0 or wanted, result
        else:
            path = tmp_path / "robotrain-shelf" / re.match(r"# (\S+)\n", text)[1]
            path.write_text(text.partition("\n")[2])


def write_box(folder: Path) -> Path:
    """The platform without a shared disk, installed as its files lie there; its own file."""
    information = folder / "robotrain_shelf-1.0.0.dist-info"
    for path in (folder / "robotrain_shelf", folder / "tests", information):
        path.mkdir()
    for language, text, _ in steps():
        if language == "python" and (path := re.match(r"# (\S+)\n", text)[1]).endswith("box.py"):
            (folder / path).write_text(text.partition("\n")[2])
    needs = "Requires-Dist: robotrain-core\nRequires-Dist: robotrain-runtime\n"
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: robotrain-shelf\nVersion: 1.0.0\n{needs}")
    (information / "entry_points.txt").write_text("[robotrain]\nplatform.box = robotrain_shelf.box\n")
    return folder / "robotrain_shelf/box.py"


def test_a_platform_without_a_shared_disk_has_at_most_150_lines(tmp_path):
    lines = [line for line in write_box(tmp_path).read_text().splitlines() if line.strip()]
    assert len(lines) <= 150


KIT_OF_THE_BOX = "complete or submitted_plan or creates_one_run or mapped or passing_failure or downloaded"


@pytest.mark.slow
@pytest.mark.parametrize(
    "chosen", [KIT_OF_THE_BOX, pytest.param(f"not ({KIT_OF_THE_BOX})", marks=pytest.mark.long)], ids=["most", "rest"]
)
def test_a_platform_without_a_shared_disk_passes_the_kit(tmp_path, chosen):
    write_box(tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", chosen],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout or "not (" in chosen
