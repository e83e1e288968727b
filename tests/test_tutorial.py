"""docs/plugin-tutorial.md, done as it is written: its files, its commands, and what they print."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.long]  # installs, trains, and runs the kit

ROOT = Path(__file__).parents[1]
TUTORIAL = ROOT / "docs/plugin-tutorial.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OURS = ("PYTEST_", "ROBOTRAIN_", "VIRTUAL_ENV", "UV_PROJECT")


class Shell:
    """One that stays, as that of a person does."""

    def __init__(self, folder: Path) -> None:
        environ = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        environ["ROBOTRAIN_STATE"] = str(folder / "state")
        if uv := os.environ.get("UV"):  # where `uv run` started the tests, and it may be on no PATH
            environ["PATH"] = f"{Path(uv).parent}{os.pathsep}{environ['PATH']}"
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            ["bash"], stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, text=True, cwd=folder, env=environ
        )

    def type(self, lines: str) -> tuple[str, int]:
        """What they print, and the exit code of the last one."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{lines}printf '\\n@done@ %s\\n' $?\n")
        self.process.stdin.flush()
        said = ""
        for line in self.process.stdout:
            if line.startswith("@done@"):
                return said, int(line.split()[1])
            said += line
        raise AssertionError(f"the shell ended: {said}")


@pytest.fixture
def shell(tmp_path, training_environment) -> Iterator[Shell]:
    """In a folder with a clone of robotrain beside it: its wheels, and its examples."""
    uv = os.environ.get("UV", "uv")
    dist = tmp_path / "robotrain/dist"
    subprocess.run([uv, "build", "--quiet", "--all-packages", "--wheel", "--out-dir", dist, ROOT], check=True)
    (tmp_path / "robotrain/examples").symlink_to(ROOT / "examples")
    cache = tmp_path / "robotrain-shelf/shelf/.cache"
    cache.mkdir(parents=True)
    (cache / "environments").symlink_to(Path(training_environment).parent)  # 4 GB less to download
    shell = Shell(tmp_path)
    yield shell
    shell.process.kill()
    shell.process.communicate()


def steps() -> Iterator[tuple[str, str, str]]:
    """Each block: its language, its text, and what it prints where that follows."""
    blocks = BLOCK.findall(TUTORIAL.read_text())
    for (language, text), (after, said) in zip(blocks, [*blocks[1:], ("", "")], strict=True):
        if language != "text":
            yield language, text, said if after == "text" else ""


def unprinted(wanted: str, said: str) -> list[str]:
    """The lines that were not printed, in their order; `…` stands for anything."""
    printed = iter(said.splitlines())
    patterns = [(line, ".*".join(map(re.escape, line.split("…")))) for line in wanted.splitlines()]
    return [line for line, pattern in patterns if not any(re.fullmatch(f"{pattern}\\s*", one) for one in printed)]


def test_the_tutorial_does_what_it_says(shell, tmp_path):
    for language, text, wanted in steps():
        if language == "sh":
            said, code = shell.type(text)
            assert not unprinted(wanted, said), said
            assert code == 0 or wanted, said
        else:
            path = tmp_path / "robotrain-shelf" / re.match(r"# (\S+)\n", text)[1]
            path.write_text(text.partition("\n")[2])
