"""`robotrain logs` of a workflow: the current log, or all lines as they are printed, each once."""

import os
import signal
import subprocess
import threading
import time

import pytest
from osmo_observed_run import TASK
from robotrain_osmo.observe import log_lines, logs
from robotrain_osmo.platform import OSMO
from robotrain_runtime.contract.event import Checkpoint


def test_only_the_task_of_the_run_may_be_named(run, robotrain):
    name = run.set_status("RUNNING").record()
    run.say("hello")
    answer = robotrain("logs", "--task", TASK, name)
    assert (answer.exit_code, answer.stdout) == (0, "hello\n")
    answer = robotrain("logs", "--task", "other", name)
    assert answer.exit_code == 2
    assert f"--task {TASK}" in answer.stderr


def test_events_and_marked_lines_of_osmo_are_in_the_log(run):
    run.set_status("RUNNING").say("Downloading inputs", control=True)
    run.tell(Checkpoint(step=400, path="/tmp/robotrain/x"))
    run.set_status("COMPLETED", exit_code=0)
    first, second = run.logs()
    assert first == "[osmo] Downloading inputs"
    assert second.startswith('::robotrain:: {"event": "checkpoint"')


@pytest.mark.slow
def test_last_lines_of_a_log(run):
    run.set_status("RUNNING").say(*map(str, range(50)))
    run.set_status("COMPLETED", exit_code=0)
    assert run.logs(tail=3) == ["47", "48", "49"]
    assert run.logs(tail=0) == []


@pytest.mark.slow
def test_attempts_come_in_order(run):
    run.set_status("RUNNING").say("first try")
    run.osmo.retry(run.id, exit_code=3006)
    run.set_status("RUNNING").say("second try")
    run.set_status("COMPLETED", exit_code=0)
    assert [line for line in run.logs() if not line.startswith("[osmo]")] == ["first try", "second try"]


@pytest.mark.slow
def test_trimmed_log_says_so(run):
    run.set_status("RUNNING").say(*map(str, range(log_lines.MAX_LOG_LINES + 5)))
    lines = run.set_status("COMPLETED", exit_code=0).logs()
    assert lines[0] == log_lines.TRIMMED_LINE
    assert (len(lines), lines[1], lines[-1]) == (log_lines.MAX_LOG_LINES + 1, "5", str(log_lines.MAX_LOG_LINES + 4))


@pytest.mark.slow
def test_workflow_that_never_started_has_no_log(run):
    assert run.set_status("FAILED_IMAGE_PULL").logs() == []


def follow_log(run, act, tail=None):
    """The lines that following yields while `act` runs."""
    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    lines = list(OSMO.engine.logs(run.reference, True, tail))
    thread.join()
    return lines


@pytest.mark.slow
@pytest.mark.parametrize(("call", "form"), [("workflow logs", "broken"), ("workflow query", "refused")])
def test_broken_stream_continues_and_shows_each_line_once(run, call, form):
    run.osmo.fail(call, form, times=2)

    def act():
        for number in range(12):
            run.say(f"line {number}", "alike")
            time.sleep(0.1)
        run.set_status("COMPLETED", exit_code=0)

    run.set_status("RUNNING")
    lines = follow_log(run, act)
    assert lines == [text for number in range(12) for text in (f"line {number}", "alike")]
    assert len([call for call in run.osmo.calls if call[:2] == ["workflow", "logs"]]) >= (3 if form == "broken" else 1)


@pytest.mark.slow
@pytest.mark.parametrize("follow", [False, True])
def test_closed_log_leaves_no_process(run, follow):
    run.set_status("RUNNING").say("1")
    lines = OSMO.engine.logs(run.reference, follow, None)
    assert next(iter(lines)) == "1"
    if follow:
        lines.close()
    assert [*_children()] == []


@pytest.mark.slow
def test_following_from_the_last_lines(run):
    run.set_status("RUNNING").say("old", "older", "newest")

    def act():
        time.sleep(1.5)
        run.say("new")
        run.set_status("COMPLETED", exit_code=0)

    assert follow_log(run, act, tail=1) == ["newest", "new"]


@pytest.mark.slow
def test_expired_sign_in_ends_following(run):
    from robotrain.errors import Rejected

    run.set_status("RUNNING")
    run.osmo.logout()
    with pytest.raises(Rejected, match="signed in"):
        list(OSMO.engine.logs(run.reference, True, None))


@pytest.mark.slow
def test_ctrl_c_ends_following_and_its_process(run, command):
    name = run.set_status("RUNNING").record()
    run.say("first line")
    following = subprocess.Popen([*command, "logs", "-f", name], stdout=subprocess.PIPE, text=True)
    assert following.stdout.readline() == "first line\n"
    started = {*_children(str(following.pid))}
    assert started
    following.send_signal(signal.SIGINT)
    assert following.wait(20) == 130
    following.stdout.close()
    left = {*_processes(lambda words, _: run.id in words and "logs" in words)}
    assert not left & started  # other workers may follow a run of that name


def _children(parent: str = ""):
    """Processes of `osmo workflow logs` that still run."""
    result = parent or str(os.getpid())
    return _processes(lambda words, above: above == result and "logs" in words)


def _processes(wanted):
    for folder in filter(str.isdecimal, os.listdir("/proc")):
        try:
            with open(f"/proc/{folder}/stat") as stat, open(f"/proc/{folder}/cmdline") as line:
                state, above = stat.read().rpartition(")")[2].split()[:2]
                words = line.read().split("\0")
        except (OSError, ValueError):  # it ended meanwhile
            continue
        if state != "Z" and wanted(words, above):
            yield folder


def test_a_log_without_an_end_is_read_for_so_long():
    def drip():
        while True:
            time.sleep(0.01)
            yield "x"

    lines, is_cut = logs._collect(drip(), 1, 0.05)
    assert (set(lines), is_cut) == ({"x"}, True)
