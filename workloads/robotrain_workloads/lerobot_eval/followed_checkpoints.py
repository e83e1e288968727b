"""Checkpoints of a training that still runs: each is evaluated once it is complete. Standard library only."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.event import Note, emit_event

from robotrain_workloads.lerobot_eval import policy_checkpoints

POLL_SECONDS = 1.0


def follow_checkpoints(
    folder: Path, step_selection: str, end_file: Path, wait: Callable[[float], object] = time.sleep
) -> Iterator[tuple[Path, int]]:
    """Yield the complete checkpoints in a folder, each once, the lowest step first, and how many are known by then.

    Which one is the last is only known at the end.

    :param step_selection: as `checkpoint.select_steps` takes it.
    :param end_file: the file that appears once the training has ended. If its folder is gone, nobody will write it.
    """
    done_steps = set[int]()
    seen_steps = set[int]()
    is_waiting = False
    while True:
        has_ended = end_file.exists() or not end_file.parent.is_dir()  # asked first: all that was saved is listed then
        checkpoints = policy_checkpoints.list_sealed(policy_checkpoints.list_complete(folder))
        chosen_steps = [
            step
            for step in checkpoint.select_steps(checkpoints, step_selection)
            if has_ended or _is_selected(step, step_selection)
        ]
        for step in sorted(seen_steps - checkpoints.keys() - done_steps):
            note_removed(step)
            done_steps.add(step)
        seen_steps |= {*chosen_steps}
        if remaining_steps := [step for step in chosen_steps if step not in done_steps]:
            done_steps.add(remaining_steps[0])
            is_waiting = False
            yield checkpoints[remaining_steps[0]], len(seen_steps)
        elif has_ended:
            return
        else:
            if not is_waiting:
                print("waiting for the next checkpoint of the training", flush=True)
            is_waiting = True
            wait(POLL_SECONDS)


def note_removed(step: int) -> None:
    """Send a warning about a checkpoint that was removed before it had scores."""
    note_text = f"the checkpoint of step {step} was removed before it was evaluated: it has no scores"
    emit_event(Note(level="warning", text=note_text))


def _is_selected(step: int, step_selection: str) -> bool:
    return step_selection == checkpoint.ALL or step % int(step_selection) == 0
