"""The command line in this process, in folders of the test's own."""

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import pytest

KEPT = ("ROBOTRAIN_TEST_", "ROBOTRAIN_CACHE")
"""Names that begin so are the author's own; environments that take long to build lie in the cache."""


class Answer(NamedTuple):
    """What a command answered."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """Its result, printed with `--json`."""
        return json.loads(self.stdout)

    @property
    def codes(self) -> list[str]:
        """Those of the problems that a command printed with `--json`."""
        return [problem["code"] for problem in self.problems]

    @property
    def problems(self) -> list[dict[str, Any]]:
        """Those that it printed with `--json`."""
        return list(self.json.get("problems", ())) if self.stdout.startswith("{") else []

    @property
    def told(self) -> str:
        """Everything that it printed."""
        return self.stdout + self.stderr

    def __str__(self) -> str:
        return f"exit code {self.exit_code}\n{self.stdout}\n{self.stderr}"


def run(*words: object) -> Answer:
    """`robotrain WORD…` in this process. Raises what the command line let through: it never should."""
    from typer.testing import CliRunner

    from robotrain.cli.app import app

    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Answer(result.exit_code, result.stdout, result.stderr)


def own_folders(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder and a state below `folder`, and no name of whoever runs the test."""
    for name in [name for name in os.environ if name.startswith("ROBOTRAIN_") and not name.startswith(KEPT)]:
        monkeypatch.delenv(name)
    here = folder / "here"
    here.mkdir(parents=True)
    monkeypatch.setenv("ROBOTRAIN_STATE", str(folder / "state"))
    monkeypatch.chdir(here)
    return here
