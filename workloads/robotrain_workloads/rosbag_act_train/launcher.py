"""Start the processes that train together, one a GPU: `python -m ….launcher --count 2 SETTINGS`.

A stop reaches all of them, which agree on the step to save. When one fails, the others are ended, and the status is
that of the first.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from robotrain_runtime.process.stop import ChildGroup, StopForwarder

from robotrain_workloads.exit_status import exit_with_status
from robotrain_workloads.lerobot import device
from robotrain_workloads.lerobot_training import process_group

TRAINER = "robotrain_workloads.rosbag_act_train.trainer"
GRACE_SECONDS = 10.0
"""How long the others may take to end on their own when one has failed."""
POLL_SECONDS = 0.1


def run_ranks(count: int, settings: str, folder: Path) -> int:
    """Start the processes and wait for all; return the status of the one that failed first, else 0."""
    stop = StopForwarder(grace_seconds=float("inf"))
    environ = {
        "OMP_NUM_THREADS": str(device.count_threads(count)),
        **os.environ,
        "WORLD_SIZE": str(count),
        process_group.AGREEMENT_VARIABLE: str(folder),
    }
    command = [sys.executable, "-m", TRAINER, settings]
    for rank in range(count):
        stop.groups.append(ChildGroup(command, environ={**environ, "RANK": str(rank), "LOCAL_RANK": str(rank)}))
    first = 0
    while any([group.exit_code is None for group in stop.groups]):
        if not first and (first := _find_status(stop.groups)):
            stop.limit_time(GRACE_SECONDS)
        stop.kill_overdue()
        time.sleep(POLL_SECONDS)
    return first or _find_status(stop.groups)


def _find_status(groups: Sequence[ChildGroup]) -> int:
    """Return the status of the processes that have failed, a signal's first; 0 for none."""
    return min((code for group in groups if (code := group.exit_code)), default=0)


def main(arguments: Sequence[str]) -> None:
    """Train with several processes. Raise SystemExit with the status of the one that failed first."""
    parser = argparse.ArgumentParser(prog="launcher")
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("settings")
    own = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="robotrain-ranks-") as folder:
        status = run_ranks(own.count, own.settings, Path(folder))
        if failure := process_group.ProcessAgreement(Path(folder)).failure:
            print(failure.rstrip("\n"), flush=True)
    exit_with_status(status)


if __name__ == "__main__":
    main(sys.argv[1:])
