"""Checkpoints of a training that still runs: each is evaluated once it is complete. Standard library only."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.event import Note, emit_event

from robotrain_workloads.lerobot_eval import policy_checkpoints

POLL_SECONDS = 1.0


def follow_checkpoints(
    folder: Path, which: str, until: Path, wait: Callable[[float], object] = time.sleep
) -> Iterator[tuple[Path, int]]:
    """Yield the complete checkpoints in a folder, each once, the lowest step first, and how many are known by then.

    Those that `which` selects are meant (`checkpoint.select_steps`); which one is the last is only known at the end.

    :param until: the file that appears once the training has ended. If its folder is gone, nobody will write it.
    """
    done = set[int]()
    seen = set[int]()
    is_waiting = False
    while True:
        has_ended = until.exists() or not until.parent.is_dir()  # asked first: all that was saved is listed then
        checkpoints = policy_checkpoints.list_sealed(policy_checkpoints.list_complete(folder))
        chosen = [
            step for step in checkpoint.select_steps(checkpoints, which) if has_ended or _is_selected(step, which)
        ]
        for step in sorted(seen - checkpoints.keys() - done):
            note_removed(step)
            done.add(step)
        seen |= {*chosen}
        if left := [step for step in chosen if step not in done]:
            done.add(left[0])
            is_waiting = False
            yield checkpoints[left[0]], len(seen)
        elif has_ended:
            return
        else:
            if not is_waiting:
                print("waiting for the next checkpoint of the training", flush=True)
            is_waiting = True
            wait(POLL_SECONDS)


def note_removed(step: int) -> None:
    """Send a warning about a checkpoint that was removed before it had scores."""
    text = f"the checkpoint of step {step} was removed before it was evaluated: it has no scores"
    emit_event(Note(level="warning", text=text))


def _is_selected(step: int, which: str) -> bool:
    return which == checkpoint.ALL or step % int(which) == 0
