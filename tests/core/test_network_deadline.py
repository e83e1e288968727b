"""The deadline of questions over the network: a server that says nothing holds up no list, check, submit or exit."""

import os
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest
from plugin_sources import make_platform
from robotrain import network_deadline
from robotrain.errors import Problem, Rejected, Stage
from robotrain.external_command import run_command
from robotrain_runtime.contract.deadline import DeadlineExceeded, DeadlineFuture, limit_seconds

ASK = """
import urllib.request
from concurrent.futures import ThreadPoolExecutor

def ask_server():
    return urllib.request.urlopen(os.environ["SILENT_SERVER"]).read()

def ask_in_pool():  # whose threads an ordinary end of the process would wait for
    return ThreadPoolExecutor().submit(ask_server).result()
"""
HEALTH = """
@hook
def robotrain_health():
    from robotrain.plugin import Check
    return [Check(name="server", run=ask_in_pool)]
"""


@pytest.fixture
def silent_server(monkeypatch):
    """A server that takes connections and never answers, as behind a VPN that is off."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("SILENT_SERVER", f"http://127.0.0.1:{server.getsockname()[1]}/")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        yield


SUBMIT = ("submit", "--platform", "plain", "--dataset-path", "x")


@pytest.fixture
def asking_platform(robotrain, install, silent_server, monkeypatch) -> Path:
    """A platform that asks the silent server for the status of its run, in a folder; so does a check of its plugin."""
    source = f"import os\n{make_platform('status', 'return ask_in_pool()')}{ASK}{HEALTH}"
    site = install("acme-plain", {"platform.plain": "acme_plain"}, acme_plain=source)
    assert robotrain(*SUBMIT).exit_code == 0
    monkeypatch.setenv("ROBOTRAIN_NETWORK_SECONDS", "1")
    return site


def never_answer() -> None:
    threading.Event().wait()


def test_silent_group_holds_up_no_other():
    began = time.monotonic()
    silent, quick = network_deadline.ask_all([[never_answer] * 20, [lambda: 1, lambda: 1 / 0]], 0.5)
    assert time.monotonic() - began < 20
    assert [type(answer.error) for answer in silent] == [DeadlineExceeded] * 20
    assert (quick[0].value, type(quick[1].error)) == (1, ZeroDivisionError)


def test_group_that_answers_is_not_given_up():
    answers = network_deadline.ask_all([[lambda: time.sleep(0.3)] * 5], 1.0, max_workers=1)
    assert [answer.error for answer in answers[0]] == [None] * 5


def test_group_whose_requests_time_out_by_themselves_is_given_up():
    def time_out() -> None:
        time.sleep(limit_seconds(60))
        raise Rejected([Problem(code="away", stage=Stage.SUBMIT, title="no answer")], transient=True)

    began = time.monotonic()
    [answers] = network_deadline.ask_all([[time_out] * 40], 1.0)
    assert time.monotonic() - began < 10
    assert {type(answer.error) for answer in answers} == {Rejected, DeadlineExceeded}


def test_requests_are_limited_to_the_question_and_not_outside():
    assert limit_seconds(7.0) == 7.0
    inside = network_deadline.ask_one(lambda: DeadlineFuture(lambda: limit_seconds(60.0)).result(), 10.0)
    assert 1.0 < inside <= 9.0
    assert limit_seconds(7.0) == 7.0


def test_command_of_a_question_ends_with_it(tmp_path):
    question = lambda: run_command("sh", "-c", f"echo $$ > {tmp_path}/pid; exec sleep 600")  # noqa: E731
    result = network_deadline.ask_one(question, 2.0)
    assert result.timed_out
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_what_a_question_raises_is_raised():
    with pytest.raises(SystemExit):
        network_deadline.ask_one(lambda: exec("raise SystemExit"), 5.0)


def test_malformed_limit_is_rejected(robotrain, monkeypatch):
    for text in ("0", "soon", "nan", "1e9"):
        monkeypatch.setenv("ROBOTRAIN_NETWORK_SECONDS", text)
        robotrain("doctor").check_problems(2, "value-invalid")


@pytest.mark.parametrize("words", ["runs", "prune --keep 0 --dry-run", "submit", "doctor --platform plain"])
def test_silent_server_hangs_no_command(robotrain, asking_platform, words):
    began = time.monotonic()
    answer = robotrain(*(SUBMIT if words == "submit" else words.split()))
    assert time.monotonic() - began < 30
    if words == "submit":  # the earlier run may go on: nothing is sent
        answer.check_problems(1, "run-unfinished-unsure")
        assert len(list(Path(os.environ["ROBOTRAIN_STATE"], "runs").iterdir())) == 1
    else:
        shown = answer.stdout + answer.stderr
        assert "no answer" in shown or "did not answer" in shown


def test_process_waits_for_no_thread_that_still_asks(command, asking_platform):
    environ = os.environ | {"PYTHONPATH": str(asking_platform)}
    began = time.monotonic()
    done = subprocess.run([*command, "runs"], env=environ, capture_output=True, text=True, timeout=60)
    assert time.monotonic() - began < 30
    assert "did not answer" in done.stdout
    assert "Traceback" not in done.stderr
