"""Start a program on each node of a job, with the platform's command for that, and end as the nodes ended.

`python -m robotrain_workloads.nodes.starter --count 2 --launcher '["srun", …]' --ends FOLDER -- -m MODULE ARGUMENTS`
"""

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from robotrain_runtime.contract.event import EVENTS_DESCRIPTOR
from robotrain_runtime.process.stop import end_with_parent

from robotrain_workloads.exit_status import WorkFailed, exit_with_status
from robotrain_workloads.nodes import node_group, outcome
from robotrain_workloads.nodes.node_group import NODE_STOP_SIGNAL, JobNodes

LINGER_SECONDS = 60.0
"""How long the platform's command may go on once the end of the run is decided; twice as long after SIGTERM."""
POLL_SECONDS = 1.0


def main(arguments: Sequence[str]) -> None:
    """Start the nodes. Raise SystemExit with the status of the node that failed first."""
    separator = arguments.index("--")
    parser = argparse.ArgumentParser(prog="starter")
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--launcher", type=json.loads, required=True, help="the platform's command, as JSON")
    parser.add_argument("--ends", type=Path, required=True, help="a folder that all nodes see")
    parser.add_argument("--stops-by-file", action="store_true", help="the program looks there for a stop")
    options = parser.parse_args(arguments[:separator])
    program = arguments[separator + 1 :]
    shutil.rmtree(options.ends, ignore_errors=True)  # of an earlier attempt
    host = socket.gethostname()
    attempt = uuid.uuid4().hex
    ends_folder = options.ends / attempt  # a node that was lost may still report the end of an earlier attempt
    ends_folder.mkdir(parents=True)
    group = JobNodes(
        count=options.count, address=host, port=node_group.find_free_port(), id=attempt, ends=str(ends_folder)
    )
    os.environ[node_group.NODES_VARIABLE] = group.to_json()
    os.environ.pop(EVENTS_DESCRIPTOR, None)  # a number of this process: nodes print their events
    print(f"starting {options.count} nodes with {options.launcher[0]}, which meet at {host}:{group.port}", flush=True)
    try:
        launch = NodeLaunch([*options.launcher, sys.executable, *program], group, stops_by_file=options.stops_by_file)
    except OSError as error:
        message = f"the nodes are not started, because {host} cannot run {options.launcher[0]}: {error.strerror}"
        raise WorkFailed(f"{message} (on the PATH of the job there)") from None
    code = launch.wait()
    node_ends = node_group.read_ends(ends_folder)
    started_nodes = node_group.list_started(ends_folder)
    shutil.rmtree(options.ends, ignore_errors=True)
    status, error_text = outcome.choose_end(node_ends, started_nodes, code, options.count, launch.is_stopped)
    if error_text:
        print(error_text.rstrip("\n"), flush=True)
    exit_with_status(status)


class NodeLaunch:
    """The platform's command, as a child process. SIGTERM is passed on to the program of each node.

    It gets no other signal: it has a process group of its own, and is killed when this process ends.

    :param stops_by_file: whether the program looks for a stop, as a signal would reach what it has started.
    """

    def __init__(self, command: Sequence[str], group: JobNodes, *, stops_by_file: bool = False) -> None:
        self.is_stopped = False
        self._group, self._stops_by_file = group, stops_by_file
        signal.signal(signal.SIGTERM, self._handle_stop)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the runtime forwards it as SIGTERM
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=end_with_parent
        )
        if self.is_stopped:  # requested before the process existed
            self._forward_stop()

    def wait(self) -> int:
        """Return the exit code of the command; it is ended if it outlives all nodes, or one that the others need."""
        ended_at, is_told = float("inf"), False
        while True:
            try:
                return self._process.wait(POLL_SECONDS)
            except subprocess.TimeoutExpired:
                pass
            node_ends = node_group.read_ends(Path(self._group.ends))
            if outcome.is_decided(node_ends, self._group.count, self.is_stopped):
                ended_at = min(ended_at, time.monotonic())
            seconds_late = time.monotonic() - ended_at
            if seconds_late > 2 * LINGER_SECONDS or (
                seconds_late > LINGER_SECONDS and len(node_ends) >= self._group.count
            ):
                self._process.kill()
            elif seconds_late > LINGER_SECONDS and not is_told:
                self._process.terminate()  # a platform's command passes it on, to nodes that may still save
            if seconds_late > LINGER_SECONDS and not is_told:
                is_told = True
                print(f"{LINGER_SECONDS:.0f} s after the end the command that started the nodes is ended", flush=True)

    def _handle_stop(self, number: int, frame: FrameType | None) -> None:
        self.is_stopped = True
        if hasattr(self, "_process"):
            self._forward_stop()

    def _forward_stop(self) -> None:
        node_group.request_stop(self._group.ends)  # by which a node also tells this stop from one that nobody asked for
        if not self._stops_by_file:
            self._process.send_signal(NODE_STOP_SIGNAL)


if __name__ == "__main__":
    main(sys.argv[1:])
