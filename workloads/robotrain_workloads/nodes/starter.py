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

from robotrain_runtime.contract import failure
from robotrain_runtime.contract.event import EVENTS_DESCRIPTOR
from robotrain_runtime.contract.failure import EXIT_RETRY
from robotrain_runtime.process.stop import STOPPED_STATUS, end_with_parent

from robotrain_workloads.exit_status import WorkFailed, exit_with_status
from robotrain_workloads.nodes import node_group
from robotrain_workloads.nodes.node_group import NODE_STOP_SIGNAL, JobNodes, NodeEnd

CONSEQUENCE = re.compile(
    r"(?i)connection (was )?(likely )?(closed|reset)\b|broken pipe|\bncclRemoteError\b|\bDist(Network|Store)Error\b"
    r"|\bRendezvous\w*Error\b|\bSignalException\b|the nodes did not meet"
)
"""The error of a process whose connection to another one was lost, or never made."""
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
    status, error_text = choose_end(node_ends, started_nodes, code, options.count, launch.is_stopped)
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
            if is_decided(node_ends, self._group.count, self.is_stopped):
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


def is_decided(ends: Sequence[NodeEnd], count: int, is_stopped: bool) -> bool:
    """Return whether the run ends whatever other nodes do: all have ended, or one as no other may go on without it."""
    return len(ends) >= count or (not is_stopped and any(end.status for end in ends))


def choose_end(
    ends: Sequence[NodeEnd], started_nodes: Sequence[str], code: int, count: int, is_stopped: bool
) -> tuple[int, str]:
    """Return the exit status, and what is printed about it, whose last line names the node.

    :param ends: those of the nodes that reported one, in their order.
    :param started_nodes: the names of the nodes whose programs were started.
    :param code: the exit code of the platform's command.
    :param is_stopped: whether the run was asked to stop.
    """
    failed_ends = [end for end in ends if end.status not in (0, STOPPED_STATUS)]
    stops = [] if is_stopped else [end for end in ends if end.status == STOPPED_STATUS]
    causes = [
        end
        for end in failed_ends
        if failure.is_outside_end(end.status) or (end.text and not CONSEQUENCE.search(end.text))
    ]
    is_lost = len(ends) < count
    if not (causes or stops or is_lost or is_stopped):
        causes = failed_ends  # they blame one another
    first_failure = min(causes, key=lambda end: (not failure.is_outside_end(end.status), end.time), default=None)
    if first_failure and (
        failure.is_outside_end(first_failure.status) or not any(end.time < first_failure.time for end in stops)
    ):
        return first_failure.status, _describe_failure(first_failure, count)
    if is_stopped:
        return (
            (failed_ends[0].status, _describe_failure(failed_ends[0], count)) if failed_ends else (STOPPED_STATUS, "")
        )
    if is_lost and not first_failure:
        is_early = len(started_nodes) < count and failure.is_outside_end(code)
        status = EXIT_RETRY if ends or is_early else (128 - code if code < 0 else code) or 1
        return status, f"error: {_explain_missing(ends, started_nodes, count, is_early=is_early)}"
    if stops and (left_ends := [end for end in ends if end.status == 0 and end.time < stops[0].time]):
        return EXIT_RETRY, f"error: node {_name_node(left_ends[0], count)} ended with 0, and the others waited for it"
    if stops:
        failure_note = (
            f"; then {_describe_failure(first_failure, count).splitlines()[-1].removeprefix('error: ')}"
            if first_failure
            else ""
        )
        return EXIT_RETRY, f"error: node {_name_node(stops[0], count)} was stopped, but not the run{failure_note}"
    return 0, ""


def _name_node(end: NodeEnd, count: int) -> str:
    """Return a node as messages name it: by its rank, where it has one, and its machine."""
    if end.rank is None:
        return end.node or "unknown"
    return f"{end.rank} of {count}" + f" ({end.node})" * bool(end.node)


def _describe_failure(end: NodeEnd, count: int) -> str:
    """Return the text of an end, whose last line names the node; empty for none."""
    error_lines = end.text.strip().splitlines()
    if not error_lines:
        return ""
    reason = failure.explain_output(error_lines).removeprefix(failure.ERROR_PREFIX)
    return "\n".join(
        [*(error_lines if len(error_lines) > 1 else ()), failure.NODE_END.format(_name_node(end, count), reason)]
    )


def _explain_missing(ends: Sequence[NodeEnd], started: Sequence[str], count: int, *, is_early: bool) -> str:
    """Return what became of the nodes that reported no end."""
    if len(started) < count:
        missing_text = f"{count - len(started)} of {count} nodes did not start the program"
        if is_early:
            return f"{missing_text}: one was stopped or killed before"
        return f"{missing_text}: each must see the run folder and the cache, as the first one does"
    lost_nodes = Counter(started) - Counter(end.node for end in ends)
    lost_text = (
        f"{count - len(ends)} of {count} nodes ended without a report: {', '.join(lost_nodes)} was lost or killed"
    )
    last_line = next((error_lines[-1] for end in ends if (error_lines := end.text.strip().splitlines())), "")
    return f"{lost_text}, and then the connection to it: {last_line}" if last_line else lost_text


if __name__ == "__main__":
    main(sys.argv[1:])
