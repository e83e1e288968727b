"""Several processes that train together, one a GPU: `accelerate launch`, with one answer to a stop and to a failure.

`python -m robotrain_workloads.lerobot_train.multi_gpu_launcher --count 2 --mixed-precision no -- LAUNCHER'S OPTIONS`
"""

import argparse
import importlib
import json
import os
import resource
import signal
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

from robotrain_workloads.lerobot import device
from robotrain_workloads.lerobot_train.process_group import (
    AGREEMENT_VARIABLE,
    STOPPED_STATUS,
    ProcessAgreement,
    print_line,
)

LAUNCHER = f"{__package__}.launcher"
CONFIG_NAME = "accelerate.json"
ACCELERATE_SETTINGS = {"compute_environment": "LOCAL_MACHINE", "distributed_type": "MULTI_GPU", "num_machines": 1}
TORCH_SIGNALS = "SIGHUP,SIGQUIT"  # SIGTERM is ours


def main(arguments: Sequence[str]) -> None:
    """Train with so many processes. Raises SystemExit with the status of the one that failed first."""
    at = arguments.index("--")
    given, launcher = _parse_own_options(arguments[:at]), arguments[at + 1 :]
    with tempfile.TemporaryDirectory(prefix="robotrain-training-") as folder:
        agreement = ProcessAgreement(Path(folder))
        os.environ[AGREEMENT_VARIABLE] = folder
        stopping = LaunchStopHandler(agreement)
        config = Path(folder, CONFIG_NAME)
        config.write_text(
            json.dumps(ACCELERATE_SETTINGS)
        )  # else accelerate reads what the user once answered to its questions
        command = make_accelerate_options(given.count, given.mixed_precision, device.count_threads(given.count), config)
        print(" ".join(["accelerate launch", *command, "-m", LAUNCHER, "…"]), flush=True)
        failures = _launch_processes(command, launcher, folder)
        status = _choose_status(failures, agreement, given.count)
    _exit_with_status(STOPPED_STATUS if stopping.is_requested else status)


def make_accelerate_options(count: int, mixed_precision: str, threads: int, config: Path) -> list[str]:
    """What `accelerate launch` is told. The port is a free one: runs on the same machine do not meet."""
    return [
        "--multi_gpu",
        f"--num_processes={count}",
        "--num_machines=1",
        f"--mixed_precision={mixed_precision}",
        "--dynamo_backend=no",
        "--gpu_ids=all",
        "--main_process_port=0",
        f"--num_cpu_threads_per_process={threads}",
        f"--config_file={config}",
    ]


class LaunchStopHandler:
    """Hears SIGTERM. asked: whether it came while there was something to save; before, everything ends at once."""

    def __init__(self, agreement: ProcessAgreement) -> None:
        self.is_requested = False
        self._agreement = agreement
        signal.signal(signal.SIGTERM, self._handle)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the runtime hears it too, and passes it on as SIGTERM

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self._agreement.has_started:
            raise SystemExit(STOPPED_STATUS)
        if not self.is_requested:
            print_line("told to stop: saving a checkpoint first")
            self._agreement.request_stop()
        self.is_requested = True


def _launch_processes(command: Sequence[str], launcher: Sequence[str], folder: str) -> Mapping[int, Any]:
    """The failures, by rank."""
    launch: Any = importlib.import_module("accelerate.commands.launch")
    errors: Any = importlib.import_module("torch.distributed.elastic.multiprocessing.errors")
    given = launch.launch_command_parser().parse_args([*command, "-m", LAUNCHER])
    given.training_script_args = list(launcher)
    given.signals_to_handle, given.log_dir = TORCH_SIGNALS, folder  # of torchrun, which accelerate passes on
    try:
        launch.launch_command(given)
    except errors.ChildFailedError as failed:
        _kill_process_groups(failure.pid for failure in failed.failures.values())
        return dict(failed.failures)
    return {}


def _kill_process_groups(ranks: Iterable[int]) -> None:
    """A rank that was killed leaves the processes that loaded its data; each rank leads a group."""
    for rank in ranks:
        with suppress(ProcessLookupError):
            os.killpg(rank, signal.SIGKILL)


def _choose_status(failures: Mapping[int, Any], agreement: ProcessAgreement, count: int) -> int:
    """The status of the rank that failed first, which is said: those that failed with it say less."""
    if not failures:
        return 0
    codes = {rank: int(failure.exitcode) for rank, failure in failures.items()}
    killed = [rank for rank, code in codes.items() if code < 0 and -code != signal.SIGTERM]
    if killed:
        rank = min(killed, key=lambda one: (codes[one] != -signal.SIGKILL, one))
        print(f"rank {rank} of {count} was ended by signal {-codes[rank]}", flush=True)
        return codes[rank]
    if said := agreement.failure:
        print(said.rstrip("\n"), flush=True)
    first = min(failures, key=lambda rank: (codes[rank] < 0, failures[rank].timestamp))
    return codes[first]


def _exit_with_status(status: int) -> None:
    """End as that rank did, so that the runtime can tell what a signal means."""
    if status < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if -status != signal.SIGKILL:
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    raise SystemExit(status)


def _parse_own_options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="processes")
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--mixed-precision", required=True)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
