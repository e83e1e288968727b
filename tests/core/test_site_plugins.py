"""Site plugins: their rules hold, their failures are named, and none of them can hang, end or garble a command."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from messages import check_problems
from plugin_sources import indent
from robotrain.model.run import RunRecord, Status
from robotrain.plugins import calls, site
from robotrain.plugins.manager import Plugins

RENDER = ("render", "--platform", "local", "--dataset-path", "x")
HEAD = """
import os, subprocess, sys, threading, time
from pathlib import Path
from robotrain.plugin import Problem, Stage, hook

def no(code):
    return Problem(code=code, stage=Stage.CHECK, title=f"rule {code} says no")
"""


def make_rule(body: str) -> str:
    return f"{HEAD}\n@hook\ndef robotrain_check(job, platform):\n{indent(body, 4)}"


def make_notification(body: str) -> str:
    return f"{HEAD}\n@hook\ndef robotrain_run_changed(run, change, status):\n{indent(body, 4)}"


@pytest.fixture
def short_limit(monkeypatch):
    monkeypatch.setenv("ROBOTRAIN_HOOK_SECONDS", "1")


@pytest.fixture
def start(command, tmp_path):
    """Start a command line as a process, with the plugins of the given folders installed."""

    def start(*args: str, folders: tuple[Path, ...], **environ: str) -> "subprocess.Popen[str]":
        path = os.pathsep.join([*map(str, folders), os.environ.get("PYTHONPATH", "")]).strip(os.pathsep)
        return subprocess.Popen(
            [*command, *args],
            env={**os.environ, "PYTHONPATH": path, **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def record(run: str = "lerobot-train-0a1b2c3d-1") -> RunRecord:
    return RunRecord(
        run=run,
        platform="plain",
        phase="sent",
        job="0" * 64,
        plan="0" * 64,
        created=0.0,
        workload="lerobot-train",
        settings={},
        reference={},
    )


@pytest.mark.slow
def test_rule_that_hangs_is_named_and_other_rules_are_enforced(robotrain, install, short_limit):
    install("acme-slow", {"slow": "acme_slow"}, acme_slow=make_rule("time.sleep(60)"))
    install("acme-quick", {"quick": "acme_quick"}, acme_quick=make_rule("yield no('acme-gpus')"))
    robotrain(*RENDER).check_problems(3, "acme-gpus", "site-plugin-failed")


@pytest.mark.slow
@pytest.mark.parametrize("then", ["time.sleep(60)", "raise OSError('the list of rules is gone')", "sys.exit(0)"])
def test_problems_before_a_failure_of_a_rule_count(robotrain, install, short_limit, then):
    rule = make_rule(f"yield no('acme-first')\n{then}\nyield no('acme-second')")
    install("acme", {"acme": "acme_half"}, acme_half=rule)
    robotrain(*RENDER).check_problems(3, "acme-first", "site-plugin-failed")


def test_rule_that_never_ends_is_cut_off(robotrain, install):
    install("acme", {"acme": "acme_endless"}, acme_endless=make_rule("while True: yield no('acme-gpus')"))
    answer = robotrain(*RENDER, "--json")
    assert (answer.exit_code, answer.stderr.count("[acme-gpus]")) == (3, 100)


@pytest.mark.slow
def test_site_plugin_whose_import_hangs_is_named(robotrain, install, short_limit):
    install("acme", {"acme": "acme_import"}, acme_import="import time\ntime.sleep(60)")
    robotrain(*RENDER).check_problems(0, "site-plugin-failed")


NOISE = """
print("the plugin says hello")
sys.stdout.buffer.write(b"and bytes\\n")
threading.Thread(target=print, args=("a thread of the plugin",)).start()
time.sleep(0.05)
return ()
"""


def test_what_a_rule_prints_goes_to_stderr(start, install):
    noise = install("acme", {"acme": "acme_noise"}, acme_noise=make_rule(NOISE))
    process = start(*RENDER, "--json", folders=(noise,))
    stdout, stderr = process.communicate(timeout=60)
    assert json.loads(stdout)["platform"] == "local"
    for words in ("the plugin says hello", "and bytes", "a thread of the plugin"):
        assert words in stderr


def test_process_ends_without_waiting_for_threads_of_an_abandoned_hook():
    """A pool joins its threads when the process ends, so an ordinary end would wait for ever."""
    code = (
        "import sys, time; from concurrent.futures import ThreadPoolExecutor; from robotrain.plugins import calls\n"
        "def hang(): ThreadPoolExecutor().submit(time.sleep, 300).result()\n"
        "calls.call_all_with_timeout([hang], 0.2); print('told')\n"
        "assert calls.has_abandoned_calls(); calls.exit_process(3)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (3, "told\n")


def test_ctrl_c_while_a_rule_hangs_ends_the_command(start, install, tmp_path):
    slow = install(
        "acme", {"acme": "acme_slow"}, acme_slow=make_rule(f"Path({str(tmp_path / 'on')!r}).touch()\ntime.sleep(60)")
    )
    process = start(*RENDER, folders=(slow,), ROBOTRAIN_HOOK_SECONDS="50")
    until = time.monotonic() + 30
    while not (tmp_path / "on").exists():
        assert time.monotonic() < until
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=20)
    assert process.returncode == 130
    assert stderr.strip() == "interrupted"


def test_notification_has_the_change_and_the_status(install, tmp_path):
    words = tmp_path / "words.txt"
    body = f"with open({str(words)!r}, 'a') as file:\n    print(run.run, change, status and status.reason, file=file)"
    install("acme", {"acme": "acme_notified"}, acme_notified=make_notification(body))
    plugins = Plugins()
    assert site.notify_run_changed(plugins, record("a-1"), "sent") == []
    assert (
        site.notify_run_changed(plugins, record("a-1"), "ended", Status(state="failed", reason="out of memory")) == []
    )
    assert words.read_text() == "a-1 sent None\na-1 ended out of memory\n"


@pytest.mark.slow
def test_notification_that_hangs_is_named_and_not_called_again(install, short_limit, tmp_path):
    calls = tmp_path / "calls.txt"
    body = f"with open({str(calls)!r}, 'a') as file:\n    file.write('x')\ntime.sleep(60)"
    install("acme", {"acme": "acme_slow"}, acme_slow=make_notification(body))
    plugins = Plugins()
    (warning,) = site.notify_run_changed(plugins, record("a-1"), "sent")
    assert warning.severity == "warning"
    check_problems([warning], "site-plugin-failed")
    assert site.notify_run_changed(plugins, record("a-1"), "ended") == []
    assert calls.read_text() == "x"


def test_notification_that_raises_is_called_again(install):
    install("acme", {"acme": "acme_bad"}, acme_bad=make_notification("raise OSError('no route to the chat')"))
    plugins = Plugins()
    for change in ("sent", "cancelled", "ended"):
        check_problems(site.notify_run_changed(plugins, record("a-1"), change), "site-plugin-failed")


@pytest.mark.parametrize("text", ["0", "soon", "nan", "1e9"])
def test_malformed_time_limit_is_rejected(robotrain, monkeypatch, text):
    monkeypatch.setenv("ROBOTRAIN_HOOK_SECONDS", text)
    robotrain(*RENDER).check_problems(2, "value-invalid")


def test_calls_run_in_parallel(install):
    """Each waits for all the others: one after the other, none would come back."""
    import threading

    together = threading.Barrier(4)
    answers = calls.call_all_with_timeout([together.wait] * 4, 30)
    assert sorted(value for value, _ in answers) == [0, 1, 2, 3]
