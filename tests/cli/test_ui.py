"""`robotrain ui`: a run's tracking and its platform's page in a browser; MLflow of this machine is served."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.request
import webbrowser
from dataclasses import replace

import pytest
from robotrain_runtime.contract.event import Tracking

PAGE = "https://scripted.example/runs/1"
REMOTE = Tracking(uri="https://mlflow.example", experiment_id="1", run_id="r", ui="https://mlflow.example/#/runs/r")
LOCAL = Tracking(
    uri="sqlite:///x", experiment_id="1", run_id="r", ui="uvx mlflow@1.0 ui --backend-store-uri sqlite:///x"
)
VIEW = "model-metrics?workflowType=machine_learning"
SERVER = f"""#!{sys.executable}
import sys
from http.server import HTTPServer, SimpleHTTPRequestHandler
words = sys.argv[1:]
host, port = (words[words.index(flag) + 1] for flag in ("--host", "--port"))
HTTPServer((host, int(port)), SimpleHTTPRequestHandler).serve_forever()
"""


@pytest.fixture(autouse=True)
def unknown_browsers(monkeypatch):
    """The standard library looks for browsers once, in the variables of the first test that wants one."""
    monkeypatch.setattr(webbrowser, "_tryorder", None)
    monkeypatch.setattr(webbrowser, "_browsers", {})


@pytest.fixture
def opened_addresses(tmp_path, monkeypatch):
    """The addresses that a browser was asked to open."""
    file, browser = tmp_path / "opened", tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" >> {file}\n')
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", f"{browser} %s")
    return lambda: file.read_text().splitlines() if file.exists() else []


@pytest.fixture
def no_browser(monkeypatch):
    for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY", "SSH_CONNECTION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")


def test_pages_of_a_run_are_opened(scripted, robotrain, opened_addresses):
    scripted.run("train-1", REMOTE).set_flag("page", PAGE)
    answer = robotrain("ui")
    assert answer.exit_code == 0
    assert answer.stdout.splitlines() == opened_addresses() == [REMOTE.ui, PAGE]


def test_without_a_browser_addresses_are_printed(scripted, robotrain, no_browser):
    scripted.run("train-1", REMOTE).set_flag("page", PAGE)
    answer = robotrain("ui", "train-1")
    assert answer.stdout.splitlines() == [REMOTE.ui, PAGE]
    assert "No browser" in answer.stderr


def test_page_of_a_run_on_a_server_of_mlflow_shows_its_charts(scripted, robotrain, no_browser):
    scripted.run("train-1", replace(REMOTE, ui="https://mlflow.example"))
    assert robotrain("ui").stdout.strip() == f"https://mlflow.example/#/experiments/1/runs/r/{VIEW}"


def test_command_of_a_run_elsewhere_is_printed(scripted, robotrain, no_browser):
    scripted.run("train-1", LOCAL)
    assert robotrain("ui").stdout.strip() == LOCAL.ui
    served = f"http://127.0.0.1:5000/#/experiments/1/runs/r/{VIEW}"
    assert robotrain("ui", "--json").json == {"run": "train-1", "tracking": served, "page": None, "command": LOCAL.ui}
    assert "tracking    robotrain ui train-1" in robotrain("status").stdout


@pytest.mark.parametrize("browser", ["opened_addresses", "no_browser"])
def test_mlflow_of_a_run_on_another_machine_is_served_there(scripted, robotrain, request, browser):
    request.getfixturevalue(browser)
    scripted.run("train-1", LOCAL)
    if browser == "no_browser":
        assert "Run the command where the files of the run are." in robotrain("ui").stderr
    scripted.run("train-2", LOCAL, login="me@cluster")
    answer = robotrain("ui", "train-2")
    assert answer.stdout.strip() == LOCAL.ui
    assert "ssh -N -L 5000:127.0.0.1:5000 me@cluster\n" in answer.stderr
    assert "http://127.0.0.1:5000/#/experiments/1/runs/r/" in answer.stderr


def test_command_of_a_remote_log_is_not_run(scripted, robotrain, opened_addresses):
    scripted.run("train-1", LOCAL)
    answer = robotrain("ui")
    assert (answer.exit_code, answer.stdout.strip(), opened_addresses()) == (0, LOCAL.ui, [])


@pytest.mark.parametrize(
    "logged",
    ["touch mine", "/data/python -m mlflow ui --backend-store-uri sqlite:///x", "uvx mlflow@1.0 'ui"],
)
def test_only_a_known_server_of_mlflow_is_run(run_here, robotrain, opened_addresses, logged):
    """The log of a run has whatever its data prints."""
    run_here(replace(LOCAL, ui=logged))
    answer = robotrain("ui")
    assert (answer.exit_code, answer.stdout.strip(), opened_addresses()) == (0, logged, [])


def test_run_without_a_page_is_an_error(scripted, robotrain, opened_addresses):
    scripted.run("train-1").set_flag("page", "javascript:alert(1)")
    robotrain("ui").check_problems(1, "page-missing")
    assert opened_addresses() == []


@pytest.fixture
def run_here(scripted, tmp_path, monkeypatch):
    """Record a run that runs here, with a stand-in for uvx."""
    site = scripted.platform("far", features='{"runs_here": YES}')
    uvx = tmp_path / "bin/uvx"
    uvx.parent.mkdir()
    uvx.write_text(SERVER)
    uvx.chmod(0o755)
    monkeypatch.setenv("PATH", f"{uvx.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(site))

    return lambda tracking: scripted.run("train-1", tracking, platform="far")


@pytest.fixture
def serve(run_here, command):
    """Start `robotrain ui` for a run that runs here."""

    def start(tracking, *words, preexec_fn=None):
        run_here(tracking)
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen([*command, "ui", *words], **streams, preexec_fn=preexec_fn)

    return start


def read_page(address):
    """Return the status of a page, once its server answers."""
    while True:
        with contextlib.suppress(OSError), urllib.request.urlopen(address.partition("#")[0]) as page:
            return page.status
        time.sleep(0.05)


def test_mlflow_is_served_until_it_is_stopped(serve, opened_addresses):
    process = serve(LOCAL)
    address = process.stdout.readline().strip()
    assert address.endswith(f"/#/experiments/1/runs/r/{VIEW}")
    assert read_page(address) == 200
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGTERM
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(address.partition("#")[0])


@pytest.fixture
def over_ssh(no_browser, monkeypatch):
    monkeypatch.setenv("SSH_CONNECTION", "10.0.0.9 55555 10.0.0.4 2222")
    monkeypatch.setenv("LOGNAME", "ada")


def test_over_ssh_mlflow_is_served_with_the_line_that_forwards_its_port(serve, opened_addresses, over_ssh):
    process = serve(LOCAL)
    address = process.stdout.readline().strip()
    port, _, page = address.removeprefix("http://127.0.0.1:").partition("/")
    assert page == f"#/experiments/1/runs/r/{VIEW}"
    assert read_page(address) == 200
    messages = [process.stderr.readline().strip() for _ in range(2)]
    assert messages[1] == f"ssh -N -L {port}:127.0.0.1:{port} -p 2222 ada@10.0.0.4"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert opened_addresses() == []


@pytest.mark.parametrize(
    "logged",
    [
        "/gone/uv tool run mlflow@1.0 ui --backend-store-uri sqlite:///x",
        "uvx mlflow@1.0 ui --backend-store-uri sqlite:///x",
    ],
)
def test_mlflow_is_served_by_the_uv_that_the_machine_has(run_here, robotrain, monkeypatch, tmp_path, logged):
    (tmp_path / "bin/uvx").rename(tmp_path / "bin/uv")
    monkeypatch.setenv("UV", str(tmp_path / "bin/uv"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    command = f"{tmp_path}/bin/uv tool run mlflow@1.0 ui --backend-store-uri sqlite:///x"
    run_here(replace(LOCAL, ui=logged))
    assert robotrain("ui", "--json").json["command"] == command


def test_mlflow_is_served_by_the_environment_of_the_run(serve, no_browser, monkeypatch, tmp_path):
    python = tmp_path / "cache/environments/mine/bin/python"
    python.parent.mkdir(parents=True)
    (tmp_path / "bin/uvx").rename(python)
    monkeypatch.setenv("ROBOTRAIN_CACHE", str(tmp_path / "cache"))
    process = serve(replace(LOCAL, ui=f"{python} -m mlflow ui --backend-store-uri sqlite:///x"))
    address = process.stdout.readline().strip()
    assert read_page(address) == 200
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
