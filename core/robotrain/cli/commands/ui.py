"""`robotrain ui`: open the pages of a run in a browser: its tracking, and the platform's own."""

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import webbrowser
from pathlib import Path

import typer
from robotrain_runtime.contract import child_python
from robotrain_runtime.environments.uv_program import find_uv

from robotrain.cli.arguments import JsonOption, RunArgument, open_run
from robotrain.cli.command_factory import make_app
from robotrain.cli.output import print_json, print_message, print_result
from robotrain.cli.run_access import find_ssh_login, make_forward_line
from robotrain.cli.watch import run_summary
from robotrain.errors import Rejected, Suggestion
from robotrain.messages import Messages
from robotrain.model.platform_features import RunAccess
from robotrain.model.reference import LOGIN_KEY
from robotrain.redaction import redact_if_secret, redact_sentence
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
POLL_SECONDS, STOP_SECONDS = 0.2, 5.0
MAX_OUTPUT = 2000
"""Bytes of a server's output that are shown if it does not start."""


def ui(ctx: typer.Context, run: RunArgument = "", json: JsonOption = False) -> None:
    """Open MLflow and the platform's page of a run in a browser; without one, print their addresses.

    MLflow on this machine is served until Ctrl-C; over SSH, with the line that forwards its port.

    robotrain ui latest
    """
    record, platform = open_run(ctx, run)
    tracking = run_summary.read_run_log(record, platform)[0].tracking or {}
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
        _serve(server, path, has_browser)
        return
    if command:
        print_result(command)
    host = record.reference.get(LOGIN_KEY, "") if command else ""
    if host:
        print_message(f"Run the command on {host}, and here:\n  {make_forward_line(MLFLOW_PORT, host)}")
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


def _serve(command: str, path: str, has_browser: bool) -> None:
    """Serve MLflow until Ctrl-C, and open one of its pages once it answers; without a browser, say how to reach it.

    Raise Rejected if it ends by itself.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = [*shlex.split(command), "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    variables = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # seven processes less
    is_downloaded = " mlflow@" in command
    how_long = ", which uv downloads the first time, in a minute or two" if is_downloaded else ""
    print_message(f"starting MLflow{how_long} …")
    with tempfile.TemporaryFile() as output:
        try:
            server = subprocess.Popen(
                words,
                cwd=child_python.NEUTRAL_FOLDER,  # the server imports from the folder in which it starts
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                process_group=0,
            )
        except OSError as error:
            raise _make_unstarted_error(command, error.strerror or str(error)) from None
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # shells start what is in the background deaf
            signal.signal(number, signal.default_int_handler)
        try:
            while server.poll() is None and not _is_answering(port):
                time.sleep(POLL_SECONDS)
            was_stopped = server.returncode is None and _show_page(server, port, path, has_browser)
        finally:
            _stop_group(server)
        if not was_stopped:
            output.seek(max(0, output.tell() - MAX_OUTPUT))
            raise _make_unstarted_error(command, output.read().decode(errors="replace").strip())


def _show_page(server: subprocess.Popen[bytes], port: int, path: str, has_browser: bool) -> bool:
    """Open a page of a server, and wait; return True for Ctrl-C, False if the server ended by itself."""
    address = f"http://127.0.0.1:{port}/{path}"
    try:
        print_result(address)
        if has_browser:
            webbrowser.open(address)
        else:
            forward_line = make_forward_line(port, find_ssh_login() or "USER@HOST")
            print_message(f"No browser on this machine. To open the address on yours, run there:\n  {forward_line}")
        print_message("Ctrl-C stops it")
        server.wait()
    except KeyboardInterrupt:
        print_message("\nMLflow is stopped")
        return True
    return False


def _is_answering(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _stop_group(server: subprocess.Popen[bytes]) -> None:
    """Stop a process and those that it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(server.pid, number)
            server.wait(STOP_SECONDS)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue


def _make_unstarted_error(command: str, reason: str) -> Rejected:
    way = Suggestion(command, "serves it")
    reason = redact_sentence(reason)
    return Rejected([make_problem("ui-not-started", way, why=reason)])


app = make_app(ui)
