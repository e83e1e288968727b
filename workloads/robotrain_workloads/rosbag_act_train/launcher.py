"""Start the processes that train together, one a GPU: `python -m ….launcher --count 2 SETTINGS`.

A stop reaches all of them, which agree on the step to save. When one fails, the others are ended, and the status is
that of the first.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType

from robotrain_workloads.lerobot import device, process_group

TRAINER = "robotrain_workloads.rosbag_act_train.trainer"
GRACE_SECONDS = 10.0
"""How long the others may take to end on their own when one has failed."""
POLL_SECONDS = 0.1


class RankLauncher:
    """The processes, from their start to their end."""

    def __init__(self, count: int, settings: str, folder: Path) -> None:
        self._stops = 0
        environ = {
            "OMP_NUM_THREADS": str(device.count_threads(count)),
            **os.environ,
            "WORLD_SIZE": str(count),
            process_group.AGREEMENT_VARIABLE: str(folder),
        }
        command = [sys.executable, "-m", TRAINER, settings]
        self._processes: list[subprocess.Popen[bytes]] = []
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._handle_stop)
        for rank in range(count):
            own = {**environ, "RANK": str(rank), "LOCAL_RANK": str(rank)}
            self._processes.append(subprocess.Popen(command, env=own, start_new_session=True))

    def run(self) -> int:
        """Wait for all; return the status of the one that failed first, else 0."""
        first: int | None = None
        end_at = float("inf")
        while any([process.poll() is None for process in self._processes]):
            codes = [code for process in self._processes if (code := process.returncode)]
            if codes and first is None:
                first, end_at = min(codes), time.monotonic() + GRACE_SECONDS
            if time.monotonic() > end_at:
                self._send(signal.SIGKILL)
            time.sleep(POLL_SECONDS)
        codes = [code for process in self._processes if (code := process.returncode)]
        return first if first is not None else min(codes, default=0)

    def _handle_stop(self, number: int, frame: FrameType | None) -> None:
        self._stops += 1
        self._send(signal.SIGTERM if self._stops == 1 else signal.SIGKILL)

    def _send(self, number: int) -> None:
        for process in self._processes:
            if process.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, number)


def main(arguments: Sequence[str]) -> None:
    """Train with several processes. Raise SystemExit with the status of the one that failed first."""
    parser = argparse.ArgumentParser(prog="launcher")
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("settings")
    own = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="robotrain-ranks-") as folder:
        status = RankLauncher(own.count, own.settings, Path(folder)).run()
        if failure := process_group.ProcessAgreement(Path(folder)).failure:
            print(failure.rstrip("\n"), flush=True)
    process_group.exit_with_status(status)


if __name__ == "__main__":
    main(sys.argv[1:])
