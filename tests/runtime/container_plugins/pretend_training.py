"""A pretended trainer: it counts, saves checkpoints as LeRobot does, and saves once more when it is stopped."""

import os
import signal
import sys
import time
from pathlib import Path

from robotrain_runtime.contract.event import Checkpoint, Metrics, emit_event

PARENT = Path(os.environ.get("PRETEND_WORK", "")) / "checkpoints"
asked: list[int] = []


def write(step: int, content: str = "") -> Path:
    """The files of a checkpoint."""
    folder = PARENT / f"{step:06}"
    for name in ("model/weights", "state/step"):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text(content or f"{name} of step {step}")
    return folder


def save(step: int, content: str = "") -> Path:
    """A checkpoint, its `last` link, and the event."""
    folder = write(step, content)
    link = PARENT / "last"
    link.unlink(missing_ok=True)
    link.symlink_to(folder.name)
    emit_event(Checkpoint(step=step, path=str(folder), model="model"))
    return folder


def train(total: int, every: int, seconds: float = 0.0) -> None:
    """Go on from where the last attempt was; exits with 143 once it was stopped and has saved."""
    signal.signal(signal.SIGTERM, lambda number, frame: asked.append(number))
    first = int(os.environ["PRETEND_STEP"]) + 1
    print(f"from step {first}", flush=True)
    print("ready", flush=True)
    for step in range(first, total + 1):
        time.sleep(seconds)
        emit_event(Metrics(values={"train/loss": 1 / step}, step=step, total=total))
        if asked or step % every == 0 or step == total:
            save(step)
        if asked:
            sys.exit(143)
