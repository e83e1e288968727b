"""The program that counts: `python -m counting.program SETTINGS`. One that is stopped saves and ends with 143."""

import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

from robotrain_runtime.contract import claim
from robotrain_runtime.contract.event import Checkpoint, Metrics, emit_event

NUMBERS_FILE = "numbers"


def main() -> None:
    """Count to the end, or until a stop."""
    settings = json.loads(sys.argv[1])
    count, pause, save_freq = settings["count"], settings["pause"], settings["save_freq"]
    stops: list[int] = []
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    time.sleep(settings["start_seconds"])
    signal.signal(signal.SIGTERM, lambda number, frame: stops.append(number))
    lines = Path(settings["from"], NUMBERS_FILE).read_text().splitlines() if settings["from"] else []
    for number in range(len(lines) + 1, count + 1):
        time.sleep(pause)
        lines.append(f"{number} {os.getpid()} {os.environ.get('SLURMD_NODENAME', '')}")
        emit_event(Metrics(values={}, step=number, total=count))
        if save_freq and (stops or number == count or not number % save_freq):
            save(Path(settings["folder"]), number, lines)
        if stops:
            sys.exit(143)


def save(folder: Path, number: int, lines: list[str]) -> None:
    """Save a checkpoint, unless another process does the work of this run by now."""
    claim.end_if_superseded()
    scratch, to = folder / f".{number}", folder / f"{number:06}"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    (scratch / NUMBERS_FILE).write_text("".join(f"{line}\n" for line in lines))
    shutil.rmtree(to, ignore_errors=True)
    scratch.rename(to)
    emit_event(Checkpoint(step=number, path=str(to)))


if __name__ == "__main__":
    main()
