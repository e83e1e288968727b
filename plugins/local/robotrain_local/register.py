"""Registering what a run left: asked of the runtime, which finds the run's environment and the registry."""

import json
import os
import subprocess
import sys
from pathlib import Path

from robotrain import run_folder
from robotrain.problem import SENTENCE, Instead, Problem, Rejected, Stage
from robotrain.redaction import redact
from robotrain_runtime import reason
from robotrain_runtime.event import Registered

from robotrain_local import folder as files
from robotrain_local import spec
from robotrain_local.render import JOB

COMMAND = "register"


def register(folder: Path, name: str, step: int | None) -> Registered:
    """Make the checkpoint of `step`, or the last, or the policy that was evaluated, a version of the model `name`.

    Raises Rejected.
    """
    asked = [COMMAND, JOB, name, *(() if step is None else ("--step", str(step)))]
    done = _runtime(folder, asked, own=_knows(folder))
    if done.returncode:
        raise Rejected(
            [_refused(folder, name, step, _why(done.stderr) or f"It ended with exit code {done.returncode}.")]
        )
    try:
        return Registered(**json.loads(done.stdout.splitlines()[-1]))
    except (ValueError, IndexError, TypeError):
        raise Rejected([_refused(folder, name, step, "The runtime did not say which version it became.")]) from None


def _knows(folder: Path) -> bool:
    """Whether the run's own runtime can register.

    It is asked first, because its halves and its lock are those the run had; that of an older run cannot.
    """
    return _runtime(folder, [COMMAND, "--help"], own=True).returncode == 0


def _runtime(folder: Path, arguments: list[str], own: bool) -> "subprocess.CompletedProcess[str]":
    """own: the runtime that came with the run, not the one that is installed here."""
    environ = {name: value for name, value in os.environ.items() if name not in spec.STRAY}
    return subprocess.run(
        [sys.executable, "-P", "-m", "robotrain_runtime", *arguments],
        cwd=folder,
        env=environ | ({"PYTHONPATH": str(folder / files.UNPACKED)} if own else {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def _why(narrated: str) -> str:
    """What it said last, which is why it could not; or why it broke."""
    _, said, why = f"\n{narrated}".rpartition("\nerror: ")
    return why.strip() if said else reason.of_output(narrated.splitlines())


def _refused(folder: Path, name: str, step: int | None, why: str) -> Problem:
    evaluated = run_folder.evaluated(folder)
    last = "the policy that it evaluated" if evaluated else "its last checkpoint"
    which = last if step is None or evaluated else f"the checkpoint of step {step}"
    return Problem(
        code="not-registered",
        stage=Stage.SUBMIT,
        title=f"{which} could not be registered as {name}",
        given=folder.name,
        why="\n".join(redact(line, longest=SENTENCE) for line in why.splitlines()),
        instead=(Instead(f"robotrain outputs {folder.name}", "shows what it left"),),
    )
