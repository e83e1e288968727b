"""Several processes that train together, one a GPU: `accelerate launch` with one response to a stop or a failure.

`python -m robotrain_workloads.lerobot_train.multi_gpu_launcher --count 2 --mixed-precision no -- LAUNCHER OPTIONS`
"""

import argparse
import importlib
import json
import os
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from robotrain_runtime.process.stop import STOPPED_STATUS, signal_group

from robotrain_workloads.lerobot import device, process_group
from robotrain_workloads.lerobot.process_group import ProcessAgreement

LAUNCHER = f"{__package__}.launcher"
ACCELERATE_SETTINGS = {"compute_environment": "LOCAL_MACHINE", "distributed_type": "MULTI_GPU", "num_machines": 1}
TORCH_SIGNALS = "SIGHUP,SIGQUIT"  # SIGTERM is ours


def main(arguments: Sequence[str]) -> None:
    """Train with several processes. Raise SystemExit with the status of the one that failed first."""
    separator = arguments.index("--")
    parser = argparse.ArgumentParser(prog="processes")
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--mixed-precision", required=True)
    own, launcher = parser.parse_args(arguments[:separator]), arguments[separator + 1 :]
    with tempfile.TemporaryDirectory(prefix="robotrain-training-") as folder:
        agreement = ProcessAgreement(Path(folder))
        os.environ[process_group.AGREEMENT_VARIABLE] = folder
        stop_handler = LaunchStopHandler(agreement)
        config = Path(folder, "accelerate.json")  # without it accelerate reads the user's own settings
        config.write_text(json.dumps(ACCELERATE_SETTINGS))
        command = make_accelerate_options(own.count, own.mixed_precision, device.count_threads(own.count), config)
        print(" ".join(["accelerate launch", *command, "-m", LAUNCHER, "…"]), flush=True)
        failures = _launch_processes(command, launcher, folder)
        status = _choose_status(failures, agreement, own.count)
    process_group.exit_with_status(STOPPED_STATUS if stop_handler.is_requested else status)


def make_accelerate_options(count: int, mixed_precision: str, threads: int, config: Path) -> list[str]:
    """Return the options of `accelerate launch`. The port is a free one, so that runs do not collide."""
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
    """Handler of SIGTERM: before the first step everything ends at once."""

    def __init__(self, agreement: ProcessAgreement) -> None:
        self.is_requested = False
        self._agreement = agreement
        signal.signal(signal.SIGTERM, self._handle)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the runtime forwards it as SIGTERM

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self._agreement.started.exists():
            raise SystemExit(STOPPED_STATUS)
        if not self.is_requested:
            process_group.print_line("stopping: saving a checkpoint first")
            self._agreement.stop_requested.touch()
        self.is_requested = True


def _launch_processes(command: Sequence[str], launcher: Sequence[str], folder: str) -> Mapping[int, Any]:
    launch: Any = importlib.import_module("accelerate.commands.launch")
    errors: Any = importlib.import_module("torch.distributed.elastic.multiprocessing.errors")
    arguments = launch.launch_command_parser().parse_args([*command, "-m", LAUNCHER])
    arguments.training_script_args = list(launcher)
    arguments.signals_to_handle, arguments.log_dir = TORCH_SIGNALS, folder  # options of torchrun
    try:
        launch.launch_command(arguments)
    except errors.ChildFailedError as error:
        for failure in error.failures.values():
            signal_group(failure.pid, signal.SIGKILL)  # a killed rank leaves data-loading processes in its group
        return dict(error.failures)
    return {}


def _choose_status(failures: Mapping[int, Any], agreement: ProcessAgreement, count: int) -> int:
    """Return the status of the rank that failed first, and print its error: later ones only follow from it."""
    if not failures:
        return 0
    codes = {rank: int(failure.exitcode) for rank, failure in failures.items()}
    if killed := [rank for rank, code in codes.items() if code < 0 and -code != signal.SIGTERM]:
        rank = min(killed, key=lambda number: (codes[number] != -signal.SIGKILL, number))
        print(f"rank {rank} of {count} was ended by signal {-codes[rank]}", flush=True)
        return codes[rank]
    if failure_text := agreement.failure:
        print(failure_text.rstrip("\n"), flush=True)
    first = min(failures, key=lambda rank: (codes[rank] < 0, failures[rank].timestamp))
    return codes[first]


if __name__ == "__main__":
    main(sys.argv[1:])
