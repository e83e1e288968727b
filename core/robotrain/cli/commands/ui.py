"""`robotrain ui`: open the pages of a run in a browser: its tracking, and the platform's own."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
import webbrowser
from typing import TYPE_CHECKING

import typer

from robotrain.cli.app import make_app
from robotrain.cli.arguments import JsonOption, RunArgument, open_run
from robotrain.cli.output import print_json, print_message, print_result
from robotrain.errors import Problem, Rejected, Stage, Suggestion
from robotrain.redaction import redact_if_secret

if TYPE_CHECKING:
    from types import FrameType

ADDRESS = re.compile(r"https?://\S+")
POLL_SECONDS, STOP_SECONDS = 0.2, 5.0
MAX_OUTPUT = 2000
"""Bytes of a server's output that are shown if it does not start."""


def ui(ctx: typer.Context, run: RunArgument = "", json: JsonOption = False) -> None:
    """Open MLflow and the platform's page of a run in a browser; without one, print their addresses.

    MLflow of this machine is served until Ctrl-C.

    robotrain ui last
    """
    from robotrain.cli.watch import run_summary

    record, platform = open_run(ctx, run)
    tracking = run_summary.read_run_log(record, platform)[0].tracking or {}
    shown = redact_if_secret(str(tracking.get("ui") or ""))
    pages = {"tracking": shown, "page": redact_if_secret(platform.find_page(record.reference))}
    pages = {name: text for name, text in pages.items() if ADDRESS.fullmatch(text)}
    command = "" if "tracking" in pages else shown
    if json:
        return print_json({"run": record.run, "tracking": None, "page": None, **pages, "command": command or None})
    if not (pages or command):
        title, way = f"{record.run} has no page to open", Suggestion(f"robotrain status {record.run}")
        why = f"Its tracking is off or has not begun, and {record.platform} has no page of it."
        raise Rejected([Problem(code="page-missing", stage=Stage.SUBMIT, title=title, why=why, suggestions=(way,))])
    has_browser = _has_browser()
    for address in dict.fromkeys(pages.values()):
        print_result(address)
        if has_browser:
            webbrowser.open(address)
    if command and has_browser and platform.capabilities.feature("runs_here"):  # else its server is elsewhere
        _serve(command, f"#/experiments/{tracking.get('experiment_id')}/runs/{tracking.get('run_id')}")
    elif command:
        print_result(command)
    if not has_browser:
        print_message(f"there is no browser here: {'run the command' if command else 'open the address'} where one is")


def _has_browser() -> bool:
    """Return whether a browser can open a window; one for terminals would take over this one."""
    if sys.platform.startswith("linux") and not {"BROWSER", "DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys():
        return False
    try:
        return bool(webbrowser.get())
    except webbrowser.Error:
        return False


def _serve(command: str, path: str) -> None:
    """Serve MLflow until Ctrl-C, and open one of its pages once it answers. Raise Rejected if it does not start."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = [*shlex.split(command), "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    variables = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # seven processes that a reader needs not
    print_message("starting MLflow, which uv downloads the first time …")
    with tempfile.TemporaryFile() as output:
        try:
            server = subprocess.Popen(
                words, env=variables, stdin=subprocess.DEVNULL, stdout=output, stderr=output, process_group=0
            )
        except OSError as error:
            raise _make_unstarted_error(command, error.strerror or str(error)) from None
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _raise_interrupt)
        try:
            while not _is_answering(port):
                if server.poll() is not None:
                    output.seek(max(0, output.tell() - MAX_OUTPUT))
                    raise _make_unstarted_error(command, output.read().decode(errors="replace").strip())
                time.sleep(POLL_SECONDS)
            print_result(f"http://127.0.0.1:{port}/{path}")
            webbrowser.open(f"http://127.0.0.1:{port}/{path}")
            print_message("Ctrl-C stops it")
            server.wait()
        except KeyboardInterrupt:
            print_message("\nMLflow is stopped")
        finally:
            _stop_group(server)


def _raise_interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


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
    from robotrain.redaction import redact_sentence

    title, way = "MLflow did not start", Suggestion(command, "serves it")
    why = redact_sentence(why)
    return Rejected([Problem(code="ui-not-started", stage=Stage.SUBMIT, title=title, why=why, suggestions=(way,))])


app = make_app(ui)
