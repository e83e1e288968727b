"""Start a program on each node of a job, with the platform's command for that, and end as the nodes ended.

`python -m robotrain_workloads.nodes.starter --count 2 --launcher '["srun", …]' --ends FOLDER -- -m MODULE ARGUMENTS`
"""

import argparse
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from robotrain_runtime.contract.event import EVENTS_DESCRIPTOR
from robotrain_runtime.contract.failure import EXIT_RETRY
from robotrain_runtime.process.stop import STOPPED_STATUS, end_with_parent

from robotrain_workloads.exit_status import exit_with_status
from robotrain_workloads.nodes import node_group
from robotrain_workloads.nodes.node_group import NODE_STOP_SIGNAL, JobNodes, NodeEnd

LINGER_SECONDS = 60.0
"""How long the platform's command may outlive the programs of all nodes."""
POLL_SECONDS = 1.0
CONSEQUENCE = re.compile(r"(?i)connection (was )?(closed|reset)\b|broken pipe|\bncclRemoteError\b|\bDistNetworkError\b")
"""The error of a process whose connection to another one was lost."""


def main(arguments: Sequence[str]) -> None:
    """Start the nodes. Raise SystemExit with the status of the node that failed first."""
    separator = arguments.index("--")
    parser = argparse.ArgumentParser(prog="starter")
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--launcher", type=json.loads, required=True, help="the platform's command, as JSON")
    parser.add_argument("--ends", type=Path, required=True, help="a folder that all nodes see")
    parser.add_argument("--stops-by-file", action="store_true", help="the program looks there for a stop")
    own, program = parser.parse_args(arguments[:separator]), arguments[separator + 1 :]
    shutil.rmtree(own.ends, ignore_errors=True)  # of an earlier attempt
    host, attempt = socket.gethostname(), uuid.uuid4().hex
    ends = own.ends / attempt  # a node that was lost may still report the end of an earlier attempt
    ends.mkdir(parents=True)
    group = JobNodes(count=own.count, address=host, port=node_group.find_free_port(), id=attempt, ends=str(ends))
    os.environ[node_group.NODES_VARIABLE] = group.to_json()
    os.environ.pop(EVENTS_DESCRIPTOR, None)  # a number of this process: nodes print their events
    print(f"starting {own.count} nodes with {own.launcher[0]}, which meet at {host}:{group.port}", flush=True)
    try:
        launch = NodeLaunch([*own.launcher, sys.executable, *program], group, stops_by_file=own.stops_by_file)
    except OSError as error:
        why = f"the nodes are not started, because {host} cannot run {own.launcher[0]}: {error.strerror}"
        raise SystemExit(f"error: {why} (on the PATH of the job there)") from None
    code = launch.wait()
    ended, started = node_group.read_ends(ends), node_group.list_started(ends)
    shutil.rmtree(own.ends, ignore_errors=True)
    status, text = choose_end(ended, started, code, own.count, launch.is_stopped)
    if text:
        print(text.rstrip("\n"), flush=True)
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
        """Return the exit code of the command; it is ended if it outlives all nodes."""
        ended_at = float("inf")
        while True:
            try:
                return self._process.wait(POLL_SECONDS)
            except subprocess.TimeoutExpired:
                pass
            if len(node_group.read_ends(Path(self._group.ends))) >= self._group.count:
                ended_at = min(ended_at, time.monotonic())
            if time.monotonic() - ended_at > LINGER_SECONDS:
                print(f"all nodes ended {LINGER_SECONDS:.0f} s ago: the command that started them is ended", flush=True)
                self._process.kill()

    def _handle_stop(self, number: int, frame: FrameType | None) -> None:
        self.is_stopped = True
        if hasattr(self, "_process"):
            self._forward_stop()

    def _forward_stop(self) -> None:
        if self._stops_by_file:
            node_group.request_stop(self._group.ends)
        else:
            self._process.send_signal(NODE_STOP_SIGNAL)


def choose_end(
    ends: Sequence[NodeEnd], started: Sequence[str], code: int, count: int, is_stopped: bool
) -> tuple[int, str]:
    """Return the exit status, and what is printed about it: that of the node that failed first.

    A node that lost its connection, or that was ended and says nothing, fails because another one did, or was lost:
    then a retry may succeed.

    :param ends: those of the nodes that reported one, in their order.
    :param started: the names of the nodes whose programs were started.
    :param code: the exit code of the platform's command.
    """
    failed = [end for end in ends if end.status not in (0, STOPPED_STATUS)]
    causes = [end for end in failed if end.text and not CONSEQUENCE.search(end.text)]
    has_stopped = any(end.status == STOPPED_STATUS for end in ends)
    if causes or (failed and len(ends) >= count and (is_stopped or not has_stopped)):
        first = (causes or failed)[0]
        return first.status, f"on the node {first.node}:\n{first.text}" if first.node and first.text else first.text
    if is_stopped:
        return STOPPED_STATUS, ""
    if has_stopped:  # not through this process
        return EXIT_RETRY, "error: the platform stopped the nodes"
    if len(ends) >= count:
        return 0, ""
    status = EXIT_RETRY if ends else (128 - code if code < 0 else code) or 1
    return status, f"error: {_explain_missing(ends, started, count)}"


def _explain_missing(ends: Sequence[NodeEnd], started: Sequence[str], count: int) -> str:
    """Return what became of the nodes that reported no end."""
    if len(started) < count:
        what = f"{count - len(started)} of {count} nodes did not start the program"
        return f"{what}: each must see the run folder and the cache, as the first one does"
    lost = Counter(started) - Counter(end.node for end in ends)
    text = f"{count - len(ends)} of {count} nodes ended without a report: {', '.join(lost)} was lost or killed"
    last = next((lines[-1] for end in ends if (lines := end.text.strip().splitlines())), "")
    return f"{text}, and then the connection to it: {last}" if last else text


if __name__ == "__main__":
    main(sys.argv[1:])
