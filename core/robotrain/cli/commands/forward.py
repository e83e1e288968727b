"""`robotrain forward`: a port of a run, from this machine."""

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

import typer

from robotrain.cli.arguments import NamedRunArgument, StepOption, argument
from robotrain.cli.command_factory import make_app
from robotrain.cli.output import print_message, print_result
from robotrain.cli.run_access import find_ssh_login, format_run, make_forward_line, open_accessible_run
from robotrain.cli.terminal import run_on_terminal
from robotrain.errors import EXIT_INTERRUPTED, Rejected, Suggestion
from robotrain.messages import Messages
from robotrain.model.platform_features import RunAccess

make_problem = Messages(__file__)

MAX_PORT = 65535
LISTENING = "0A"
"""The state of a socket that listens, in /proc/net."""
LOOK_SECONDS = 0.25
"""Between two looks at whether the port listens."""


def forward(
    ctx: typer.Context,
    run: NamedRunArgument,
    port: Annotated[str, argument("PORT", "The port of the run; HERE:PORT leads to it from another one here.")],
    step: StepOption = "",
) -> None:
    """Reach a port of a run, such as that of TensorBoard, from here, until Ctrl-C.

    robotrain forward latest 6006
    """
    local_port, run_port = _parse_ports(port)
    record, platform = open_accessible_run(ctx, run, step, "forward")
    forwarding = platform.get_engine_for(RunAccess).make_forwarding(record.reference, local_port, run_port)
    if forwarding.command is not None:
        _check_is_free(local_port, run_port, format_run(run, step) if step else record.run)
    if forwarding.command is None:
        _check_is_known(forwarding.address, record.run)
        print_result(f"http://{forwarding.address}")
        print_message("there is nothing to forward: this machine reaches it")
        if login := find_ssh_login():
            print_message(
                f"To open it on yours, run there:\n  {make_forward_line(local_port, login, forwarding.address)}"
            )
        return
    with _announce(local_port, f"http://{forwarding.address}"):
        code = run_on_terminal(forwarding.command)
    if code not in (0, EXIT_INTERRUPTED):  # what it printed says why
        raise Rejected([make_problem("forwarding-ended", run=record.run, code=code)])


def _parse_ports(port_text: str) -> tuple[int, int]:
    """Return the port of this machine and that of the run. Raise Rejected."""
    match = re.fullmatch(r"(?:([0-9]{1,5}):)?([0-9]{1,5})", port_text, re.ASCII)
    local_port, run_port = (int(match[1] or match[2]), int(match[2])) if match else (0, 0)
    if not (0 < local_port <= MAX_PORT and 0 < run_port <= MAX_PORT):
        raise Rejected([make_problem("port-invalid", given=port_text)])
    return local_port, run_port


@contextmanager
def _announce(port: int, address: str) -> Iterator[None]:
    """Print an address once a port of this machine listens: what forwards it may end before, and then says why."""
    has_ended = threading.Event()

    def print_once_open() -> None:
        while not has_ended.wait(LOOK_SECONDS):
            if _is_listening(port):
                print_result(address)
                return print_message("Ctrl-C stops it")

    looking = threading.Thread(target=print_once_open, daemon=True)
    looking.start()
    try:
        yield
    finally:
        has_ended.set()
        looking.join()


def _is_listening(port: int) -> bool:
    """Return whether a program of this machine listens on a port, without a connection to it where that can be read."""
    try:
        tables = [Path(f"/proc/net/{name}").read_text(encoding="ascii") for name in ("tcp", "tcp6")]
    except OSError:  # not on Linux
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=LOOK_SECONDS):
            return True
        return False
    sockets = (socket_line.split() for table in tables for socket_line in table.splitlines()[1:])
    return any(int(words[1].rpartition(":")[2], 16) == port and words[3] == LISTENING for words in sockets)


def _check_is_known(address: str, run: str) -> None:
    """Raise Rejected if this machine does not know the host of an address that it should reach by itself."""
    host = address.rpartition(":")[0]
    try:
        socket.getaddrinfo(host, None)
    except OSError:
        raise Rejected([make_problem("node-unknown", run=run, host=host)]) from None


def _check_is_free(local_port: int, run_port: int, run: str) -> None:
    """Raise Rejected if a program of this machine has the port, or this user may not take it."""
    try:
        with socket.create_server(("127.0.0.1", local_port)):
            return
    except OSError as error:
        reason = error.strerror or str(error)
    with socket.create_server(("127.0.0.1", 0)) as free:
        free_port_way = Suggestion(
            f"robotrain forward {run} {free.getsockname()[1]}:{run_port}", "from a port that is free"
        )
    raise Rejected([make_problem("port-taken", free_port_way, given=str(local_port), why=reason)])


app = make_app(forward)
