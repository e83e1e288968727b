"""The nodes that work on one job together: how torchrun's agents on them meet, and how each node's work ended.

A platform starts a job either once, with a command that starts a program on every node (`Placement.node_launcher`), or
on every node. Whoever starts a node's program describes the group in `NODES_VARIABLE`.
"""

import json
import os
import signal
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NamedTuple

from robotrain_runtime.contract.files import write_atomically
from robotrain_runtime.process.stop import STOPPED_STATUS

NODES_VARIABLE = "ROBOTRAIN_NODES"
"""The environment variable that describes the group, in each program that a node of several runs."""
NODE_STOP_SIGNAL = signal.SIGUSR1
"""What asks the program of a node to stop: a platform's command passes it on, while SIGTERM may end all at once."""
JOIN_SECONDS = 7200
"""How long nodes wait for one another: pods may start far apart."""
STARTED_SUFFIX = ".started"
STATIC_PORT = 29_500
"""Where the nodes of a platform meet that starts the job on each of them: torch's own default."""
STOP_FILE = "stop"
"""In the folder for the ends of nodes: it is there once they are to stop."""
REQUEST_SECONDS = 10.0
"""How long a stop of the run may take to reach all nodes: a platform may send SIGTERM to their programs itself."""
POLL_SECONDS = 0.25


@dataclass(frozen=True, kw_only=True)
class JobNodes:
    """The nodes of a job."""

    count: int
    address: str
    """The host that torchrun's agents meet at: that of the first node."""
    port: int
    id: str
    rank: int | None = None
    """The rank of this node; None where torchrun's agents agree on ranks (c10d)."""
    ends: str = ""
    """The folder, which all nodes see, for how the work of each ended; empty where the platform hears of it."""

    def to_json(self) -> str:
        """Return the text of `NODES_VARIABLE`."""
        return json.dumps(asdict(self))

    def make_torchrun_options(self, processes: int) -> list[str]:
        """Return the options of torchrun for a node with so many processes."""
        options = [f"--nnodes={self.count}", f"--nproc-per-node={processes}", "--max-restarts=0"]
        if self.rank is None:
            meeting = ["--rdzv-backend=c10d", f"--rdzv-endpoint={self.address}:{self.port}"]
            return [*options, *meeting, f"--rdzv-id={self.id}", f"--rdzv-conf=join_timeout={JOIN_SECONDS}"]
        meeting = [f"--master-addr={self.address}", f"--master-port={self.port}", f"--node-rank={self.rank}"]
        return [*options, *meeting, f"--rdzv-conf=timeout={JOIN_SECONDS}"]


def read_group(environ: Mapping[str, str] = os.environ) -> JobNodes | None:
    """Return the group that this process works in; None for a job of one node."""
    group_json = environ.get(NODES_VARIABLE)
    return JobNodes(**json.loads(group_json)) if group_json else None


def make_alone() -> JobNodes:
    """Return the one node of a job of one."""
    return JobNodes(count=1, address="127.0.0.1", port=find_free_port(), id="", rank=0)


def join_group(environ: Mapping[str, str] = os.environ) -> JobNodes:
    """Return the group with the rank of this node, which works with no other name than that of the group's first host.

    Where the platform gives no rank, the node of that host is the first, and the others count in the order that they
    start: a rank is a file that only one of them creates. Raise OSError if there is no rank left.
    """
    group = read_group(environ) or make_alone()
    if group.rank is not None:
        return group
    ranks = range(group.count) if socket.gethostname() == group.address else range(1, group.count)
    for rank in ranks:
        with suppress(FileExistsError), Path(group.ends, f"rank-{rank}").open("x"):
            return replace(group, rank=rank)
    raise OSError(f"{socket.gethostname()} is none of the {group.count} nodes, of which {group.address} is the first")


def request_stop(folder: str | Path) -> None:
    """Ask all nodes to stop: those that look for it, and nobody else. Raise OSError."""
    Path(folder, STOP_FILE).touch()


def is_stop_requested(folder: str) -> bool:
    """Return whether the nodes are to stop."""
    try:
        return bool(folder) and STOP_FILE in os.listdir(folder)  # unlike stat, never from a cache
    except OSError:
        return False


def find_free_port() -> int:
    """Return a port of this machine that no process listens on now."""
    with socket.socket() as listener:
        listener.bind(("", 0))
        return int(listener.getsockname()[1])


class NodeEnd(NamedTuple):
    """How the work of a node ended."""

    status: int
    """The exit status, negative for a signal."""
    text: str
    """Why it failed; empty for success."""
    time: float
    """When; for a program that was stopped when it was told to."""
    node: str = ""
    """The name of its machine."""
    rank: int | None = None
    """None where torchrun's agents agree on ranks."""


def report_start(folder: str) -> None:
    """Record that this node runs its program, for the process that started it. Raise OSError."""
    write_atomically(Path(folder, f"{_name_program()}{STARTED_SUFFIX}"), b"")


def list_started(folder: Path) -> list[str]:
    """Return the names of the nodes whose programs were started."""
    return sorted(file.name.rpartition("-")[0] for file in folder.glob(f"*{STARTED_SUFFIX}"))


def report_end(group: JobNodes, status: int, error_text: str, timestamp: float | None = None) -> None:
    """Record how the work of this node ended, for the process that started it. Raise OSError.

    :param timestamp: when, if not now.
    """
    end = NodeEnd(status, error_text, time.time() if timestamp is None else timestamp, socket.gethostname(), group.rank)
    write_atomically(Path(group.ends, f"{_name_program()}.json"), json.dumps(end._asdict()).encode())


def report_stop(group: JobNodes, status: int, timestamp: float) -> int:
    """Record that the work of this node was stopped; return the exit status of this process. Raise OSError.

    It is 0 if the run was asked to stop: a platform ends all nodes where one fails, while others may still save their
    work. A stop of this node alone is a failure, or the others would wait for it.

    :param status: `STOPPED_STATUS`, or how the program ended if that says whether its work was saved.
    """
    deadline = time.monotonic() + REQUEST_SECONDS
    while not (is_requested := is_stop_requested(group.ends)) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    report_end(group, status if is_requested else STOPPED_STATUS, "", timestamp)
    return 0 if is_requested else STOPPED_STATUS


def _name_program() -> str:
    return f"{socket.gethostname()}-{os.getpid()}"


def read_ends(folder: Path) -> list[NodeEnd]:
    """Return how the nodes ended that have, those that ended first in front."""
    ends = []
    for file in folder.glob("*.json"):
        with suppress(OSError, ValueError, TypeError):
            ends.append(NodeEnd(**json.loads(file.read_text("utf-8"))))
    return sorted(ends, key=lambda end: end.time)
