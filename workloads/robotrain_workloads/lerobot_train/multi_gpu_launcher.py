"""Several processes that train together, one a GPU, which torchrun starts, with one response to a stop or a failure.

`python -m robotrain_workloads.lerobot_train.multi_gpu_launcher --count 2 -- LAUNCHER OPTIONS`
"""

import argparse
import contextlib
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from robotrain_runtime.contract import claim, failure
from robotrain_runtime.contract.failure import EXIT_RETRY
from robotrain_runtime.machine import hardware
from robotrain_runtime.process.stop import STOPPED_STATUS, is_alive, signal_group

from robotrain_workloads.exit_status import exit_with_status
from robotrain_workloads.lerobot_training import process_group
from robotrain_workloads.lerobot_training.process_group import ProcessAgreement
from robotrain_workloads.nodes import node_group
from robotrain_workloads.nodes.node_group import NODE_STOP_SIGNAL, JobNodes
from robotrain_workloads.nodes.starter import LINGER_SECONDS, POLL_SECONDS

LAUNCHER = f"{__package__}.launcher"
TORCH_SIGNALS = "SIGHUP,SIGQUIT"  # SIGTERM is ours
ANSWER_SECONDS = 60.0
"""How long what listens at the port of the nodes may take to answer as a store of PyTorch."""


def main(arguments: Sequence[str]) -> None:
    """Train with several processes. Raise SystemExit with the status of the one that failed first."""
    separator = arguments.index("--")
    parser = argparse.ArgumentParser(prog="processes")
    parser.add_argument("--count", type=int, required=True)
    options = parser.parse_args(arguments[:separator])
    launcher = arguments[separator + 1 :]
    nodes = node_group.read_group()
    if nodes and nodes.ends:
        node_group.report_start(nodes.ends)
        claim.start_watch()  # the process that started the nodes may be lost with its own
    with tempfile.TemporaryDirectory(prefix="robotrain-training-") as folder:
        agreement = ProcessAgreement(Path(folder))
        os.environ[process_group.AGREEMENT_VARIABLE] = folder
        stop_handler = LaunchStopHandler(agreement)
        LaunchWatch(agreement, options.count, nodes).start()
        failures: Mapping[int, Any] = {}
        memory_kills, error_text = failure.count_oom_kills(), ""
        try:
            spare_cores = 0 if nodes else 1
            os.environ[hardware.THREADS_VARIABLE] = str(hardware.count_threads(options.count, spare_cores))
            failures, error_text = _launch_node(nodes or node_group.make_alone(), options.count, launcher, folder)
        except SystemExit:
            if not stop_handler.stopped_at:
                raise
        status, reason = _choose_status(failures, agreement, options.count * (nodes.count if nodes else 1))
        is_done = all(agreement.list_ranks().values())
    status = status or int(bool(error_text))
    error_text = error_text or reason
    if status == -signal.SIGKILL and failure.count_oom_kills() > memory_kills:
        error_text += f": {failure.MEMORY_RAN_OUT}"
    if stop_handler.stopped_at:
        status, error_text = STOPPED_STATUS, ""
    elif nodes and not nodes.ends and not (status or is_done):  # else the starter knows of the stop
        status, error_text = EXIT_RETRY, "error: the platform stopped another node; this one has stopped with it"
    if nodes and nodes.ends:  # printed once for all nodes
        if stop_handler.stopped_at:
            exit_with_status(node_group.report_stop(nodes, status, stop_handler.stopped_at))
        node_group.report_end(nodes, status, error_text)
    elif error_text:
        print(error_text.rstrip("\n"), flush=True)
    exit_with_status(status)


class LaunchStopHandler:
    """Handler of SIGTERM: before the first step everything ends at once."""

    def __init__(self, agreement: ProcessAgreement) -> None:
        self.stopped_at = 0.0
        """When the first one came, in seconds since the epoch; 0 for none."""
        self._agreement = agreement
        for number in (signal.SIGTERM, NODE_STOP_SIGNAL):
            signal.signal(number, self._handle)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the runtime forwards it as SIGTERM

    def _handle(self, number: int, frame: FrameType | None) -> None:
        is_first, self.stopped_at = not self.stopped_at, self.stopped_at or time.time()
        if not self._agreement.started.exists():
            raise SystemExit(STOPPED_STATUS)
        if is_first:
            process_group.print_line("stopping: saving a checkpoint first")
            self._agreement.stop_requested.touch()


class LaunchWatch(threading.Thread):
    """Ends this process if it outlives all ranks that it started: torchrun's agents may wait for one another."""

    def __init__(self, agreement: ProcessAgreement, count: int, nodes: JobNodes | None) -> None:
        super().__init__(daemon=True)
        self._agreement = agreement
        self._count = count
        self._nodes = nodes

    def run(self) -> None:
        """Watch the ranks."""
        ended_at = float("inf")
        while time.monotonic() - ended_at < LINGER_SECONDS:
            time.sleep(POLL_SECONDS)
            try:
                ranks = self._agreement.list_ranks()
            except OSError:  # the folder is gone: this process ends
                return
            if len(ranks) == self._count and not any(map(is_alive, ranks)):
                ended_at = min(ended_at, time.monotonic())
        has_failed = not all(ranks.values())
        end_text = f"the launcher is ended: it outlived its {self._count} processes by {LINGER_SECONDS:.0f} s"
        process_group.print_line(end_text)
        if self._nodes and self._nodes.ends:
            node_group.report_end(self._nodes, int(has_failed), self._agreement.failure if has_failed else "")
        elif has_failed:
            process_group.print_line(self._agreement.failure.rstrip("\n"))
        os._exit(int(has_failed))


def _launch_node(nodes: JobNodes, count: int, launcher: Sequence[str], folder: str) -> tuple[Mapping[int, Any], str]:
    """Run the ranks of this node with torchrun; return those that failed, and why torchrun itself did."""
    from torch import distributed
    from torch.distributed import run as torchrun
    from torch.distributed.elastic import rendezvous

    options = [*nodes.make_torchrun_options(count), f"--signals-to-handle={TORCH_SIGNALS}", f"--log-dir={folder}"]
    process_group.print_line(" ".join(["torchrun", *options, "-m", LAUNCHER, "…"]))
    meeting = f"{nodes.address}:{nodes.port}"
    if nodes.rank is None and nodes.address != socket.gethostname():
        _wait_for_first_node(nodes)
    elif nodes.rank is None and _is_port_taken(nodes, distributed.TCPStore):
        return {}, f"error: the nodes cannot meet at {meeting}: another program has the port; submit it again"
    try:
        return _catch_failures(lambda: torchrun.run(torchrun.parse_args([*options, "-m", LAUNCHER, *launcher]))), ""
    except (rendezvous.RendezvousTimeoutError, distributed.DistStoreError):
        hours = node_group.JOIN_SECONDS // 3600
        return {}, f"error: not all of {nodes.count} nodes came to {meeting} within {hours} h: a rank never started"
    except (rendezvous.RendezvousError, distributed.DistNetworkError) as error:
        reason = " ".join(str(error.__cause__ or error).split())
        return {}, f"error: the nodes did not meet at {meeting}: is the port taken, or closed between them? {reason}"


def _wait_for_first_node(nodes: JobNodes) -> None:
    """Wait while the first node refuses connections: it starts later. torchrun would give up after a minute."""
    deadline, is_told = time.monotonic() + node_group.JOIN_SECONDS, False
    while time.monotonic() < deadline:
        try:
            with socket.create_connection((nodes.address, nodes.port), ANSWER_SECONDS):
                return
        except ConnectionRefusedError:
            if not is_told:
                process_group.print_line(f"waiting for the first node, {nodes.address}, to start")
            is_told = True
        except OSError:  # torchrun reports it
            return
        time.sleep(POLL_SECONDS)


def _is_port_taken(nodes: JobNodes, store: Any) -> bool:
    """Return whether a program that is none of the nodes listens at their port: torchrun waits for it without limit.

    :param store: PyTorch's class.
    """
    with socket.socket() as listener, contextlib.suppress(OSError):
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("", nodes.port))
        return False

    def connect() -> None:
        with contextlib.suppress(RuntimeError):  # torchrun reports it
            store(nodes.address, nodes.port, is_master=False, wait_for_workers=False)

    connection = threading.Thread(target=connect, daemon=True)
    connection.start()
    connection.join(ANSWER_SECONDS)
    return connection.is_alive()


def _catch_failures(launch: Callable[[], object]) -> Mapping[int, Any]:
    """Return the ranks that failed, by number."""
    from torch.distributed.elastic.multiprocessing import errors

    try:
        launch()
    except errors.ChildFailedError as error:
        for rank_failure in error.failures.values():
            signal_group(rank_failure.pid, signal.SIGKILL)  # a killed rank leaves data-loading processes in its group
        return dict(error.failures)
    return {}


def _choose_status(failures: Mapping[int, Any], agreement: ProcessAgreement, count: int) -> tuple[int, str]:
    """Return the status of the rank that failed first, and its error: later ones only follow from it."""
    if not failures:
        return 0, ""
    codes = {rank: int(rank_failure.exitcode) for rank, rank_failure in failures.items()}
    first_rank = min(failures, key=lambda rank: (codes[rank] < 0, failures[rank].timestamp))
    if killed_ranks := [rank for rank, code in codes.items() if code < 0 and -code != signal.SIGTERM]:
        first_rank = min(killed_ranks, key=lambda number: (codes[number] != -signal.SIGKILL, number))
    elif codes[first_rank] >= 0 or agreement.failure:
        return codes[first_rank], agreement.failure
    return codes[first_rank], f"rank {first_rank} of {count} was ended by signal {-codes[first_rank]}"


if __name__ == "__main__":
    main(sys.argv[1:])
