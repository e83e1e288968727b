"""The attempts at a run: each start of its batch job on a node, as `attempts.jsonl` in the run folder records it.

An attempt writes a line when it begins, and others when it has ended; the last one counts. What a killed attempt did
not write is missing, and a torn line is skipped.
"""

import json
import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from robotrain_runtime.contract.document_limits import MAX_OUTCOME_BYTES
from robotrain_runtime.contract.failure import EXIT_RETRY, is_outside_end
from robotrain_runtime.contract.files import write_atomically
from robotrain_runtime.contract.json_values import convert_fields, parse_json

ATTEMPTS_FILE = "attempts.jsonl"
EVENTS_FILE = "events.jsonl"
OUTCOME_FILE = "outcome.json"
LOG_FILE = "log.txt"


class AttemptProgress(NamedTuple):
    """How far a run has come."""

    step: int = 0
    """The highest step that the work has reported; 0 for none."""
    checkpoint: int = 0
    """The step of the last checkpoint; 0 for none."""
    restored: int = 0
    """The step of the last checkpoint when the work began last, which may be one that was fetched from elsewhere."""


@dataclass(frozen=True)
class AttemptEnd:
    """How an attempt ended, and what continues the run."""

    state: str
    """`succeeded`, `failed`, `cancelled` (it was stopped), or `killed`: the runtime left no outcome."""
    exit_code: int
    step: int = 0
    checkpoint: int = 0
    continued_by: str = ""
    """`slurm`: Slurm by itself; `requeue`: Slurm, which was asked; `node`: a new job, sent by the node; empty: nothing.
    """
    why: str = ""
    """A sentence: why it is continued so, or why it is not."""
    time: float = 0.0
    restored: int = 0
    """The step that the attempt went on from; 0 for none, or if it did not get so far."""

    @property
    def may_pass(self) -> bool:
        """Whether another attempt may do better."""
        return self.state == "cancelled" or self.was_killed or self.exit_code == EXIT_RETRY

    @property
    def was_killed(self) -> bool:
        """Whether the runtime, or its work, was ended from outside; for lack of memory as well."""
        return self.state == "killed" or (self.state == "failed" and is_outside_end(self.exit_code))


@dataclass(frozen=True)
class Attempt:
    """A start of a batch job. Times are seconds since the epoch."""

    job: str
    """Its number; that of an element of an array is `12_3`."""
    restart: int
    """How often Slurm had requeued the job before."""
    node: str
    began: float
    step: int = 0
    """The highest step that earlier attempts had reached."""
    checkpoint: int = 0
    end: AttemptEnd | None = None
    """None while it runs, or if it was killed together with its batch program."""


def get_restart_count() -> int:
    """Return how often Slurm has started the job of this process again."""
    return int(os.environ.get("SLURM_RESTART_COUNT") or 0)


def begin_attempt(folder: Path, job: str) -> Attempt:
    """Record that this process begins to work as a job. Raise OSError."""
    progress = read_progress(folder)
    (folder / OUTCOME_FILE).unlink(missing_ok=True)  # of an earlier attempt
    attempt = Attempt(
        job=job,
        restart=get_restart_count(),
        node=os.environ.get("SLURMD_NODENAME") or os.uname().nodename,
        began=time.time(),
        step=progress.step,
        checkpoint=progress.checkpoint,
    )
    fields = {name: value for name, value in asdict(attempt).items() if name != "end"}
    _append_line(folder, {"event": "began", **fields})
    return attempt


def end_attempt(folder: Path, attempt: Attempt, end: AttemptEnd) -> None:
    """Record how an attempt ended. Raise OSError."""
    key = {"job": attempt.job, "restart": attempt.restart}
    _append_line(folder, {"event": "ended", **key, **asdict(end), "time": time.time()})


def _append_line(folder: Path, record: dict[str, Any]) -> None:
    handle = os.open(folder / ATTEMPTS_FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(handle, f"\n{json.dumps(record)}\n".encode())  # a torn line may stand before it
        os.fsync(handle)
    finally:
        os.close(handle)


def read_attempts(folder: Path) -> list[Attempt]:
    """Return the attempts that began in a run folder, in their order. Raise OSError."""
    return parse_attempts(_read_lines(folder / ATTEMPTS_FILE))


def parse_attempts(lines: Iterable[str]) -> list[Attempt]:
    """Return the attempts in the lines of `attempts.jsonl`, in their order."""
    attempts: dict[tuple[str, int], Attempt] = {}
    for attempt_line in lines:
        with suppress(ValueError, KeyError, TypeError):
            record = parse_json(attempt_line)
            event, key = record["event"], (record["job"], record["restart"])
            if event == "began":
                attempts[key] = convert_fields(Attempt, record)
            elif key in attempts:
                attempts[key] = replace(attempts[key], end=convert_fields(AttemptEnd, record))
    return list(attempts.values())


def _read_lines(path: Path) -> Iterator[str]:
    with suppress(FileNotFoundError), path.open(encoding="utf-8", errors="replace") as file:
        yield from file


STEP_PATTERN = re.compile(r'"event": "(metrics|checkpoint)".*"step": (\d+)')
WORK_PATTERN = re.compile(r'"event": "stage".*"name": "work", "state": "started"')


def read_progress(folder: Path) -> AttemptProgress:
    """Return how far the attempts at a run have come, by their events. Raise OSError."""
    step = checkpoint = restored = 0
    for event_line in _read_lines(folder / EVENTS_FILE):
        if match := STEP_PATTERN.search(event_line):
            if match[1] == "checkpoint":
                checkpoint = max(checkpoint, int(match[2]))
            else:
                step = max(step, int(match[2]))
        elif WORK_PATTERN.search(event_line):
            restored = checkpoint
    return AttemptProgress(step, checkpoint, restored)


def has_later_start(folder: Path, attempt: Attempt) -> bool:
    """Return whether the job of an attempt was started again meanwhile, after Slurm lost its node. Raise OSError."""
    return any(
        other_attempt.job == attempt.job and other_attempt.restart > attempt.restart
        for other_attempt in read_attempts(folder)
    )


def read_outcome_state(folder: Path) -> str:
    """Return the state of the outcome that the runtime left; empty for none."""
    return read_outcome(folder).get("state", "")


def is_nobodys_end(folder: Path, attempt: Attempt, end: AttemptEnd) -> bool:
    """Return whether an attempt failed as its nodes did, by a stop or a loss that nobody asked for.

    Only the first of a row that came no further. Raise OSError.
    """
    if end.exit_code != EXIT_RETRY or read_outcome(folder).get("fault", "") not in ("", "stopped"):
        return False
    other_ends = (
        other_attempt.end
        for other_attempt in read_attempts(folder)
        if (other_attempt.job, other_attempt.restart) != (attempt.job, attempt.restart)
    )
    end_key = (EXIT_RETRY, end.step, end.checkpoint)
    return not any(
        other_end and (other_end.exit_code, other_end.step, other_end.checkpoint) == end_key for other_end in other_ends
    )


def read_outcome(folder: Path) -> dict[str, str]:
    """Return the outcome that the runtime left, by its fields; nothing if there is none."""
    with suppress(OSError, ValueError), (folder / OUTCOME_FILE).open("rb") as file:
        outcome = json.loads(file.read(MAX_OUTCOME_BYTES))
        return {name: str(value) for name, value in outcome.items()} if isinstance(outcome, dict) else {}
    return {}


def describe_end(folder: Path, code: int) -> AttemptEnd:
    """Return how the attempt ended whose runtime has just exited. Raise OSError.

    :param code: its exit code, negative for a signal.
    """
    state = read_outcome_state(folder) or "killed"
    progress = read_progress(folder)
    exit_code = code if code >= 0 else 128 - code
    return AttemptEnd(state, exit_code, progress.step, progress.checkpoint, restored=progress.restored)


def record_failure(folder: Path, exit_code: int, reason: str) -> None:
    """Record that a run which was stopped has failed. Raise OSError."""
    outcome = {"state": "failed", "exit_code": exit_code, "reason": reason, "fault": "configuration"}
    write_atomically(folder / OUTCOME_FILE, json.dumps(outcome, indent=1).encode())
