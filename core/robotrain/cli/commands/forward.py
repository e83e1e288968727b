"""`robotrain forward`: a port of a run, from this machine."""

import re
import socket
from typing import Annotated

import typer

from robotrain.cli.arguments import NamedRunArgument, StepOption, argument
from robotrain.cli.command_factory import make_app
from robotrain.cli.output import print_message, print_result
from robotrain.cli.run_access import find_ssh_login, format_run, make_forward_line, open_accessible_run
from robotrain.cli.terminal import run_on_terminal
from robotrain.errors import EXIT_INTERRUPTED, Rejected, Suggestion
from robotrain.messages import Messages

make_problem = Messages(__file__)

MAX_PORT = 65535


def forward(
    ctx: typer.Context,
    run: NamedRunArgument,
    port: Annotated[str, argument("PORT", "The port of the run; HERE:PORT leads to it from another one here.")],
    step: StepOption = "",
) -> None:
    """Reach a port of a run, such as that of TensorBoard, from here, until Ctrl-C.

    robotrain forward latest 6006
    """
    here, there = _parse_ports(port)
    record, platform = open_accessible_run(ctx, run, step, "forward")
    found = platform.make_forwarding(record.reference, here, there)
    if found.command is not None:
        _check_is_free(here, there, format_run(run, step) if step else record.run)
    print_result(f"http://{found.address}")
    if found.command is None:
        print_message("there is nothing to forward: this machine reaches it")
        if login := find_ssh_login():
            print_message(f"To open it on yours, run there:\n  {make_forward_line(here, login, found.address)}")
        return
    print_message("Ctrl-C stops it")
    code = run_on_terminal(found.command)
    if code not in (0, EXIT_INTERRUPTED):  # what it printed says why
        raise Rejected([make_problem("forwarding-ended", run=record.run, code=code)])


def _parse_ports(text: str) -> tuple[int, int]:
    """Return the port of this machine and that of the run. Raise Rejected."""
    found = re.fullmatch(r"(?:([0-9]{1,5}):)?([0-9]{1,5})", text, re.ASCII)
    here, there = (int(found[1] or found[2]), int(found[2])) if found else (0, 0)
    if not (0 < here <= MAX_PORT and 0 < there <= MAX_PORT):
        raise Rejected([make_problem("port-invalid", given=text)])
    return here, there


def _check_is_free(here: int, there: int, run: str) -> None:
    """Raise Rejected if a program of this machine has the port, or this user may not take it."""
    try:
        with socket.create_server(("127.0.0.1", here)):
            return
    except OSError as error:
        why = error.strerror or str(error)
    with socket.create_server(("127.0.0.1", 0)) as free:
        another = Suggestion(f"robotrain forward {run} {free.getsockname()[1]}:{there}", "from a port that is free")
    raise Rejected([make_problem("port-taken", another, given=str(here), why=why)])


app = make_app(forward)
