"""`robotrain logs` of a job: at once what there is, or all of it as it comes, each line once and no byte twice."""

import re
import signal
import subprocess
import threading
from collections.abc import Callable

import pytest
from azureml_observed_run import JOB
from azureml_plans import find_rejection
from robotrain.errors import Rejected
from robotrain_azureml.observe import logs
from robotrain_azureml.platform import AZUREML

LOG = "user_logs/std_log.txt"
BLOB = f"ExperimentRun/dcid.{JOB}/{LOG}"


def record_ranges(run, monkeypatch) -> list[str]:
    """The ranges that are asked for from now on."""
    ranges: list[str] = []
    memory = run.azure.servers["blobs"].RequestHandlerClass
    read = memory._read

    def noted(handler, *blob):
        ranges.append(handler.headers.get("x-ms-range") or handler.command)
        return read(handler, *blob)

    monkeypatch.setattr(memory, "_read", noted)
    return ranges


def follow_log(run, then: dict[str, Callable[[], object]], tail: int | None = None) -> list[str]:
    """The lines that following brings. then: what happens when a line was heard."""
    lines: list[str] = []
    for line in AZUREML.engine.logs(run.reference, True, tail):
        lines.append(line)
        then.get(line, bool)()
    return lines


def run_later(act: Callable[[], object], seconds: float = 0.2) -> None:
    """Have it happen meanwhile."""
    acting = threading.Timer(seconds, act)
    acting.daemon = True
    acting.start()


def test_a_line_that_has_no_end_yet_is_no_line_until_the_job_has_ended(run):
    run.set_native_state("Running").say("one")
    run.azure.store.append("azureml", BLOB, b"tw")
    assert run.logs() == ["one"]
    run.set_native_state("Completed")
    assert run.logs() == ["one", "tw"]
    assert run.logs(tail=1) == ["tw"]


def test_line_ends_of_windows_and_what_is_no_text_do_no_harm(run):
    run.say("one\r", "t\u00fcr")
    run.azure.store.append("azureml", BLOB, b"\xff\n")
    assert run.logs() == ["one", "t\u00fcr", "\ufffd"]


def test_only_the_last_lines_where_so_many_are_asked_for(run):
    run.set_native_state("Running").say(*map(str, range(50)))
    assert run.logs(tail=3) == ["47", "48", "49"]
    assert run.logs(tail=0) == []
    assert run.logs(tail=99) == list(map(str, range(50)))


def test_the_end_of_a_long_log_takes_no_more_than_its_end(run, monkeypatch):
    content = b"".join(b"a line of a long log, number %d\n" % number for number in range(20_000))
    run.say("")
    run.azure.store.put("azureml", {BLOB: content})
    ranges = record_ranges(run, monkeypatch)
    assert run.logs(tail=2)[-1] == "a line of a long log, number 19999"
    assert ranges == ["HEAD", f"bytes={len(content) - logs.WINDOW_BYTES}-{len(content) - 1}"]


def test_lines_that_are_longer_than_the_end_that_is_read_are_whole(run, monkeypatch):
    monkeypatch.setattr(logs, "WINDOW_BYTES", 8)
    lines = ["a" * 50, "b" * 50, "c"]
    run.say(*lines)
    ranges = record_ranges(run, monkeypatch)
    assert run.logs(tail=2) == lines[-2:]
    starts = [int(re.search(r"=(\d+)", byte_range)[1]) for byte_range in ranges[1:]]
    ends = [int(byte_range.rpartition("-")[2]) for byte_range in ranges[1:]]
    assert [end + 1 for end in ends[1:]] == starts[:-1]  # each part of it once


def test_several_logs_come_one_after_the_other_and_are_named(run):
    for number in (10, 2, 0):
        run.say(f"of {number}", file=f"user_logs/std_log_process_{number}.txt")
    run.say("system", file="system_logs/lifecycler.log")
    assert run.logs() == [
        "[azureml] user_logs/std_log_process_0.txt:",
        "of 0",
        "[azureml] user_logs/std_log_process_2.txt:",
        "of 2",
        "[azureml] user_logs/std_log_process_10.txt:",
        "of 10",
    ]
    assert run.logs(tail=1) == ["of 0"], "the last lines are those of the first node, which has the progress"


def test_last_lines_of_the_first_node_are_followed_by_what_comes_of_all(run):
    first, second = (f"user_logs/std_log_process_{number}.txt" for number in range(2))
    run.set_native_state("Running").say("early", "last", file=first)
    run.say("early of the second", file=second)
    then = {
        "last": lambda: run_later(lambda: run.say("node 1: merge done", file=second)),
        "node 1: merge done": lambda: run_later(lambda: run.set_native_state("Completed")),
    }
    expected = [f"[azureml] {first}:", "last", f"[azureml] {second}:", "node 1: merge done"]
    assert follow_log(run, then, tail=1) == expected


def test_the_log_of_the_only_process_comes_before_those_of_several():
    names = ["user_logs/std_log_0.txt", "system_logs/a.txt", LOG]
    assert logs.select_run_logs(names) == [LOG, "user_logs/std_log_0.txt"]


def test_a_job_that_ended_and_printed_nothing_says_where_more_is(run):
    run.say("no node", file="system_logs/lifecycler.log")
    run.set_native_state("Failed")
    (line,) = run.logs()
    assert line.startswith("[azureml] the job printed nothing")
    assert "system_logs/lifecycler.log" in line
    assert f"https://ml.azure.com/runs/{JOB}" in line
    assert "sig=" not in line


def test_an_address_that_expired_is_asked_for_anew(run):
    run.set_native_state("Running").say("hello")
    run.azure.fault(LOG, where="blobs", status=403, code="AuthenticationFailed", times=1)
    assert run.logs() == ["hello"]
    assert sum("/details" in call for call in run.azure.calls) == 2


@pytest.mark.parametrize("code", ["AuthorizationFailure", "KeyBasedAuthenticationNotPermitted"])
def test_a_log_that_may_not_be_read_says_why_and_shows_no_signature(run, code, capsys):
    run.set_native_state("Running").say("hello")
    run.azure.fault(LOG, where="blobs", status=403, code=code)
    problem = find_rejection(lambda: run.logs())
    assert problem.code == "platform-forbidden"
    assert code in problem.why
    assert "the storage account rtmemory" in problem.title
    assert "sig=" not in f"{problem}{capsys.readouterr()}"


def test_storage_that_cannot_be_reached_is_reported_without_the_address(run, robotrain):
    name = run.set_native_state("Running").say("hello").record()
    with run.azure.tenant.unreachable("rtmemory.blob.core.windows.net"):
        answer = robotrain("logs", name)
    assert answer.exit_code == 1
    assert f"could not read the log of {JOB}" in answer.stderr
    assert "sig=" not in answer.stderr


def test_a_connection_that_breaks_off_is_taken_up_where_it_did(run, monkeypatch):
    lines = [f"line {number} \u00e4\u20ac" for number in range(3000)]
    run.set_native_state("Running").say(*lines)
    run.azure.fault(f"GET .*{LOG}", where="blobs", cut=True, times=2)
    ranges = record_ranges(run, monkeypatch)
    assert run.logs() == lines
    assert len([byte_range for byte_range in ranges if byte_range != "HEAD"]) == 3


def test_following_asks_for_no_byte_twice(run, monkeypatch):
    run.set_native_state("Running").say("1" * 100)
    ranges = record_ranges(run, monkeypatch)

    def half():
        run.azure.store.append("azureml", BLOB, b"half ")
        run_later(lambda: run.say("whole").set_native_state("Completed"))

    assert follow_log(run, {"1" * 100: half}) == ["1" * 100, "half whole"]
    assert [byte_range for byte_range in ranges if byte_range != "HEAD"] == [
        "bytes=0-100",
        "bytes=101-105",
        "bytes=106-111",
    ]


@pytest.mark.slow
def test_a_network_that_is_away_for_a_while_ends_no_following(run):
    run.set_native_state("Running").say("1")
    run.azure.fault("/details", where="history", status=503, times=2)
    run.azure.fault(f"GET .*{LOG}", where="blobs", status=500, times=4)
    run.azure.fault(f"GET .*{LOG}", where="blobs", reset=True, times=2)
    assert follow_log(run, {"1": lambda: run.say("2").set_native_state("Completed")}) == ["1", "2"]


@pytest.mark.slow
def test_long_outage_ends_following_with_the_reason(run, monkeypatch):
    monkeypatch.setattr("robotrain_azureml.observe.logs.PATIENCE_SECONDS", 0.1)
    run.set_native_state("Running").say("1")
    run.azure.fault("/details", where="history", status=503, after=1)
    with pytest.raises(Rejected, match="could not ask the workspace's region"):
        run.logs(follow=True)


def test_following_from_the_last_lines_brings_those_and_all_that_come(run):
    run.set_native_state("Running").say("old", "older", "newest")
    run.azure.store.append("azureml", BLOB, b"ha")
    then = {"newest": lambda: run.say("lf", "new").set_native_state("Completed")}
    assert follow_log(run, then, tail=1) == ["newest", "half", "new"]


@pytest.mark.slow
def test_a_log_that_begins_anew_is_marked(run):
    run.set_native_state("Running").say("first try, a long line")
    again = lambda: run.azure.store.put("azureml", {BLOB: b"second\n"})  # noqa: E731
    then = {"first try, a long line": again, "second": lambda: run.set_native_state("Completed")}
    assert follow_log(run, then) == ["first try, a long line", "[azureml] the log starts again", "second"]


@pytest.mark.slow
def test_ctrl_c_ends_the_following_without_a_traceback(run, command):
    name = run.set_native_state("Running").say("first line").record()
    pipe = subprocess.PIPE
    with subprocess.Popen([*command, "logs", "-f", name], stdout=pipe, stderr=pipe, text=True) as following:
        assert following.stdout.readline() == "first line\n"
        following.send_signal(signal.SIGINT)
        assert following.wait(20) == 130
        assert "Traceback" not in following.stderr.read()
