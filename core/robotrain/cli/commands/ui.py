"""`robotrain ui`: open the pages of a run in a browser: its tracking, and the platform's own."""

import getpass
import os
import re
import shlex
import shutil
import socket
import sys
import webbrowser
from pathlib import Path
from typing import NoReturn

import typer
from robotrain_runtime.contract import child_python
from robotrain_runtime.environments.uv_program import find_uv

from robotrain.cli.arguments import JsonOption, RunArgument, open_run
from robotrain.cli.command_factory import make_app
from robotrain.cli.output import get_results, print_json, print_message, print_result
from robotrain.cli.watch import run_view
from robotrain.errors import Rejected, Suggestion
from robotrain.messages import Messages
from robotrain.model.platform_features import RunAccess
from robotrain.model.reference import LOGIN_KEY
from robotrain.redaction import redact_if_secret
from robotrain.store.files import get_cache_folder

make_problem = Messages(__file__)

ADDRESS = re.compile(r"https?://\S+")
SERVER = re.compile(
    r"(?P<program>\S+)(?: -m mlflow|(?: tool run)? (?P<package>mlflow@[0-9][\w.]*)) ui --backend-store-uri sqlite:\S+"
)
"""A command that serves MLflow from a file of this machine. The run's log has it, and whatever the job prints."""
TRAINING_VIEW = "model-metrics?workflowType=machine_learning"
"""The charts of a run, in MLflow's mode for model training: without the word it shows that for language models."""
MLFLOW_PORT = 5000
"""The port that MLflow's own command serves on."""


def ui(ctx: typer.Context, run: RunArgument = "", json: JsonOption = False) -> None:
    """Open MLflow and the platform's page of a run in a browser; without one, print their addresses.

    MLflow on this machine is served until Ctrl-C; over SSH, with the line that forwards its port.

    robotrain ui latest
    """
    record, platform = open_run(ctx, run)
    tracking = run_view.read_run_log(record, platform)[0].tracking or {}
    tracking_address = redact_if_secret(str(tracking.get("ui") or ""))
    path = f"#/experiments/{tracking.get('experiment_id')}/runs/{tracking.get('run_id')}/{TRAINING_VIEW}"
    if tracking and tracking_address == tracking["uri"]:  # a server of MLflow's own
        tracking_address = f"{tracking_address.rstrip('/')}/{path}"
    pages = {
        "tracking": tracking_address,
        "page": redact_if_secret(platform.get_engine_for(RunAccess).find_page(record.reference)),
    }
    pages = {name: page_address for name, page_address in pages.items() if ADDRESS.fullmatch(page_address)}
    command = "" if "tracking" in pages else tracking_address
    runs_here = platform.capabilities.feature("runs_here")  # else its server is elsewhere
    server = make_server_command(command) if runs_here else ""
    if not (pages or command):
        raise Rejected([make_problem("page-missing", run=record.run, platform=record.platform)])
    served_address = f"http://127.0.0.1:{MLFLOW_PORT}/{path}" if command else None
    if json:
        addresses = {"tracking": served_address, "page": None, **pages}
        return print_json({"run": record.run, **addresses, "command": server or command or None})
    has_browser = _has_browser()
    for address in dict.fromkeys(pages.values()):
        print_result(address)
        if has_browser:
            webbrowser.open(address)
    if server:
        _serve(server, path)
    if command:
        print_result(command)
    host = record.reference.get(LOGIN_KEY, "") if command else ""
    if host:
        print_message(f"Run the command on {host}, and here:\n  {_make_forward_line(MLFLOW_PORT, host)}")
        print_message(f"then open {served_address}")
    elif command and runs_here:
        print_message("This machine has no uv to serve MLflow with: install it (https://docs.astral.sh/uv).")
    elif command:
        print_message("Run the command where the files of the run are.")
    elif not has_browser:
        print_message("No browser on this machine. Open the address on yours.")


def _has_browser() -> bool:
    """Return whether a browser can open a window; one for terminals would take over this one."""
    if sys.platform.startswith("linux") and not {"BROWSER", "DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys():
        return False
    try:
        return bool(webbrowser.get())
    except webbrowser.Error:
        return False


def make_server_command(logged_command: str) -> str:
    """Return a command of this machine that serves the MLflow of a run; empty if nothing here does.

    :param logged_command: what the run's log says: only a Python of robotrain's cache is taken from it.
    """
    if not (match := SERVER.fullmatch(logged_command)):
        return ""
    program, package = match["program"], match["package"]
    if package is None:
        is_ours = Path(program).is_relative_to(get_cache_folder()) and ".." not in program
        return logged_command if is_ours and os.access(program, os.X_OK) else ""
    uv = "uvx" if shutil.which("uvx") else f"{uv} tool run" if (uv := find_uv(get_cache_folder())) else ""
    return uv and uv + logged_command[match.start("package") - 1 :]


def _find_ssh_login() -> str:
    """Return the options and the login of `ssh` to this machine, as the server sees it; empty outside of SSH."""
    words = os.environ.get("SSH_CONNECTION", "").split()
    if len(words) != 4:
        return ""
    host, port = words[2:]
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # an account without a name
        user = "USER"
    return f"{f'-p {port} ' if port != '22' else ''}{user}@{host}"


def _make_forward_line(port: int, login: str) -> str:
    """Return the command with which another machine reaches a port of this one."""
    return f"ssh -N -L {port}:127.0.0.1:{port} {login}"


def _serve(command: str, path: str) -> NoReturn:
    """Print the address of a page of MLflow, and become its server. Raise Rejected if it cannot be started."""
    with socket.create_server(("127.0.0.1", 0)) as free_server:
        port = free_server.getsockname()[1]
    print_result(f"http://127.0.0.1:{port}/{path}")
    if not _has_browser():
        forward_line = _make_forward_line(port, _find_ssh_login() or "USER@HOST")
        print_message(f"No browser on this machine. To open the address on yours, run there:\n  {forward_line}")
    is_downloaded = " mlflow@" in command
    how_long = ", which uv downloads the first time, in a minute or two" if is_downloaded else ""
    print_message(f"starting MLflow{how_long}; Ctrl-C stops it")
    words = [*shlex.split(command), "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    variables = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # seven processes less
    os.chdir(child_python.NEUTRAL_FOLDER)  # the server imports from the folder in which it starts
    get_results().flush()
    try:
        os.execvpe(words[0], words, variables)
    except OSError as error:
        way = Suggestion(command, "serves it")
        raise Rejected([make_problem("ui-not-started", way, why=f"{error.strerror}.")]) from None


app = make_app(ui)
