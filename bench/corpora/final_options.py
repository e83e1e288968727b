"""What LeRobot is given for a line of robotrain, and what it says to it."""

import contextlib
import dataclasses
import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lines import HERE, Line

MARK, CRASH = "--", "crash"


class Typed:
    """Robotrain's command line in this process, in a folder with the data of the corpora."""

    def __init__(self, world: Path) -> None:
        self.world = world

    def run(self, *words: str) -> Any:
        """Return what a line of robotrain did. Raise what it raises."""
        from robotrain.cli.app import app
        from typer.testing import CliRunner

        with contextlib.chdir(self.world):
            result = CliRunner().invoke(app, list(words))
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def make_options(self, line: Line) -> list[str] | str:
        """Return the options that LeRobot's trainer gets for a line, or why robotrain makes none of what stands before
        `--`. What stands after it is not judged.
        """
        from robotrain_runtime.contract.document import parse_document
        from robotrain_workloads.lerobot_train import container

        before, after = line.split()
        answer = self.run("render", "--json", *line.place, *before)
        if answer.exit_code:
            return str(answer.stderr)
        document = parse_document(json.loads(answer.stdout)["files"]["job.json"]["text"])
        document = dataclasses.replace(document, trainer_args=tuple(after))
        data = {source: Path(source.uri) for source in document.sources if Path(source.uri).is_absolute()}
        try:
            work = container.work(document, data, self.world / "work")
        except (OSError, ValueError) as error:  # the job's machine would say so
            return f"{type(error).__name__}: {error}".replace(str(self.world), "…")
        last = len(work.arguments) - 1 - work.arguments[::-1].index(MARK)  # a launcher of several has one of its own
        options = list(work.arguments[last + 1 :])
        prefix = "reward_model" if document.parameters["reward_model"] else "policy"
        return [*options, f"--{prefix}.device=cpu"]


def ask_lerobot(python: Path, lists: Sequence[Sequence[str]], hub: Path) -> Iterator[dict[str, str]]:
    """Yield what a LeRobot says to each list of options. `hub`: a cache with the repositories that it reads."""
    answered = 0
    while answered < len(lists):
        for answer in _ask_once(python, lists[answered:], hub):
            answered += 1
            yield answer
        if answered < len(lists):  # it killed the program
            answered += 1
            yield {"stage": CRASH, "why": "it ends the process"}


def _ask_once(python: Path, lists: Sequence[Sequence[str]], hub: Path) -> Iterator[dict[str, str]]:
    environ = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(hub), "OMP_NUM_THREADS": "1"}
    environ |= {"TRANSFORMERS_OFFLINE": "1", "HF_MODULES_CACHE": str(hub.parent / "hub-modules")}
    command = [str(python), str(HERE / "ask_lerobot.py")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environ
    ) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(json.dumps(lists))
        process.stdin.close()
        for text in process.stdout:
            yield json.loads(text)
