"""`robotrain ui`: open the pages of a run in a browser: its tracking, and the platform's own."""

import getpass
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

from robotrain.cli.arguments import JsonOption, RunArgument, open_run
from robotrain.cli.command_factory import make_app
from robotrain.cli.output import get_results, is_terminal, print_json, print_message, print_result
from robotrain.cli.watch import run_summary
from robotrain.errors import Rejected, Suggestion
from robotrain.messages import Messages
from robotrain.model.run import LOGIN_KEY
from robotrain.redaction import redact_if_secret, redact_sentence
from robotrain.store.files import get_cache_folder

make_problem = Messages(__file__)

ADDRESS = re.compile(r"https?://\S+")
SERVER = re.compile(r"(?P<program>\S+)(?P<run> tool run)? mlflow@[0-9][\w.]* ui --backend-store-uri sqlite:\S+")
"""A command that serves MLflow from a file of this machine. The run's log has it, and whatever the job prints."""
MLFLOW_PORT = 5000
"""The port that MLflow's own command serves on."""
POLL_SECONDS, STOP_SECONDS = 0.2, 5.0
MAX_OUTPUT = 2000
"""Bytes of a server's output that are shown if it does not start."""


def ui(ctx: typer.Context, run: RunArgument = "", json: JsonOption = False) -> None:
    """Open MLflow and the platform's page of a run in a browser; without one, print their addresses.

    MLflow on this machine is served until Ctrl-C; in a terminal over SSH, with the line that forwards its port.

    robotrain ui last
    """
    record, platform = open_run(ctx, run)
    tracking = run_summary.read_run_log(record, platform)[0].tracking or {}
    shown = redact_if_secret(str(tracking.get("ui") or ""))
    pages = {"tracking": shown, "page": redact_if_secret(platform.find_page(record.reference))}
    pages = {name: text for name, text in pages.items() if ADDRESS.fullmatch(text)}
    command = "" if "tracking" in pages else shown
    if json:
        return print_json({"run": record.run, "tracking": None, "page": None, **pages, "command": command or None})
    if not (pages or command):
        raise Rejected([make_problem("page-missing", run=record.run, platform=record.platform)])
    has_browser = _has_browser()
    for address in dict.fromkeys(pages.values()):
        print_result(address)
        if has_browser:
            webbrowser.open(address)
    is_here = platform.capabilities.feature("runs_here")  # else its server is elsewhere
    is_used_over_ssh = is_terminal(get_results()) and _find_ssh_login()  # a script would wait for ever
    if command and (has_browser or is_used_over_ssh) and is_here and is_known_server(command):
        _serve(command, f"#/experiments/{tracking.get('experiment_id')}/runs/{tracking.get('run_id')}", has_browser)
        return
    if command:
        print_result(command)
    host = record.reference.get(LOGIN_KEY, "") if command else ""
    if has_browser and not host:
        return
    if command and (is_here or host):
        line = _make_forward_line(MLFLOW_PORT, host or _find_ssh_login() or "USER@HOST")
        here = "No browser on this machine. Run the command here, and on yours:"
        print_message(f"Run the command on {host}, and here:" if host else here)
        print_message(f"  {line}\nthen open http://127.0.0.1:{MLFLOW_PORT}")
    elif command:
        print_message("Run the command where the files of the run are.")
    else:
        print_message("No browser on this machine. Open the address on yours.")


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
    return f"ssh -N -L {port}:127.0.0.1:{port} {login}"


def _has_browser() -> bool:
    """Return whether a browser can open a window; one for terminals would take over this one."""
    if sys.platform.startswith("linux") and not {"BROWSER", "DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys():
        return False
    try:
        return bool(webbrowser.get())
    except webbrowser.Error:
        return False


def is_known_server(command: str) -> bool:
    """Return whether a command serves MLflow by uv of this machine or of robotrain's cache."""
    if not (match := SERVER.fullmatch(command)):
        return False
    if not match["run"]:
        return match["program"] == "uvx"
    program = Path(match["program"])
    return shutil.which("uv") == str(program) or program.is_relative_to(get_cache_folder())


def _serve(command: str, path: str, has_browser: bool) -> None:
    """Serve MLflow until Ctrl-C, and open one of its pages once it answers; over SSH, say how to reach it.

    Raise Rejected if it ends by itself.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = [*shlex.split(command), "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    variables = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # seven processes less
    print_message("starting MLflow, which uv downloads the first time …")
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
        for number in (signal.SIGTERM, signal.SIGHUP):
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
        if has_browser:
            print_result(address)
            webbrowser.open(address)
        else:
            line = _make_forward_line(port, _find_ssh_login())
            print_result(f"No browser on this machine. On yours, run:\n  {line}\nthen open {address}")
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


def _make_unstarted_error(command: str, why: str) -> Rejected:
    way = Suggestion(command, "serves it")
    why = redact_sentence(why)
    return Rejected([make_problem("ui-not-started", way, why=why)])


app = make_app(ui)
