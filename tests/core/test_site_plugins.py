"""Site plugins: their rules hold, their failures are named, and none of them can end or garble a command."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from plugin_sources import indent
from problem_assertions import check_problems
from robotrain.model.run import RunRecord, Status
from robotrain.plugins import site
from robotrain.plugins.manager import Plugins

RENDER = ("render", "--platform", "local", "--dataset-path", "x")
HEAD = """
import os, subprocess, sys, threading, time
from pathlib import Path
from robotrain.plugin import Problem, Stage, Suggestion, hook

def no(code):
    return Problem(code=code, stage=Stage.CHECK, title=f"rule {code} says no")
"""


def make_rule(body: str) -> str:
    return f"{HEAD}\n@hook\ndef robotrain_check(job, platform):\n{indent(body, 4)}"


def make_notification(body: str) -> str:
    return f"{HEAD}\n@hook\ndef robotrain_run_changed(run, change, status):\n{indent(body, 4)}"


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


def test_every_rule_is_enforced(robotrain, install):
    install("acme-quick", {"quick": "acme_quick"}, acme_quick=make_rule("yield no('acme-gpus')"))
    install("acme", {"acme": "acme_half"}, acme_half=make_rule("yield no('acme-first')"))
    robotrain(*RENDER).check_problems(3, "acme-first", "acme-gpus")


def test_a_value_of_the_project_that_a_rule_forbids_is_refused_and_not_left_out(robotrain, install):
    way = 'Suggestion("--publish-url none")'
    problem = f'Problem(code="acme-place", stage=Stage.CHECK, title="nothing goes there", suggestions=({way},))'
    rule = f"if job['publish_url']:\n    yield {problem}"
    install("acme", {"acme": "acme_place"}, acme_place=make_rule(rule))
    Path("robotrain.toml").write_text("[parameters]\npublish_url = '/project'\n")
    answer = robotrain(*RENDER)
    answer.check_problems(3, "acme-place")
    assert "--publish-url none" in answer.stderr
    assert robotrain(*RENDER, "--publish-url", "none").exit_code == 0


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


def test_ctrl_c_while_a_rule_hangs_ends_the_command(start, install, tmp_path):
    slow = install(
        "acme", {"acme": "acme_slow"}, acme_slow=make_rule(f"Path({str(tmp_path / 'on')!r}).touch()\ntime.sleep(60)")
    )
    process = start(*RENDER, folders=(slow,))
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


def test_notification_that_raises_is_called_again(install):
    install("acme", {"acme": "acme_bad"}, acme_bad=make_notification("raise OSError('no route to the chat')"))
    plugins = Plugins()
    for change in ("sent", "cancelled", "ended"):
        check_problems(site.notify_run_changed(plugins, record("a-1"), change), "plugin-failed")
