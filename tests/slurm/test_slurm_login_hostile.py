"""A login node that answers the handshake, and then anything: it hangs no command and commands no terminal."""

import contextlib
import sys

import pytest
from robotrain.errors import Rejected
from robotrain.model.run import Output
from robotrain_slurm.login import calls, connection
from robotrain_slurm.remote import methods

REFERENCE = {"run": "a-1", "folder": "/runs/a-1", "job": "1", "login": "cluster"}
SSH = """
import json, os, sys, time
source, answer = sys.stdin.buffer, sys.stdout.buffer
about = {"home": "/home/me", "host": "cluster", "python": "3.12", "has_sbatch": True, "has_code": True}
source.readline(), source.readline()
answer.write(b"\\nrobotrain-login-node " + json.dumps(about).encode() + b"\\n")
answer.flush()
source.readline()
def say(**head):
    answer.write(json.dumps({"sizes": [], **head}).encode() + b"\\n")
    answer.flush()
source.readline()
"""
SILENT = "time.sleep(600)"
ALIVE = "\nwhile True: say(alive=True); time.sleep(0.1)"
DRIPPING = "\nwhile True: answer.write(b' '); answer.flush(); time.sleep(0.1)"
HUGE = "say(sizes=[2 << 30]); time.sleep(600)"
MANY = "say(sizes=[1 << 23] * 100); time.sleep(600)"
DEEP = "answer.write(b'[' * 200_000 + b'\\n'); answer.flush(); time.sleep(600)"
DEEP_VALUE = "say(result=json.loads('[' * 900 + ']' * 900)); time.sleep(600)"
UNKNOWN = 'say(result={"!": "os.system", "value": 1})'
WRONG = (
    "say(result=7)",
    'say(result="x")',
    "say(result=[1, 2])",
    "say(result=None)",
    'say(result={"!": "map", "value": {"a": 1}})',
)


@pytest.fixture
def node(tmp_path, monkeypatch):
    """A login node that does something once it is called."""

    def answer(program: str) -> None:
        (tmp_path / "ssh").write_text(f"#!{sys.executable}{SSH}{program}")
        (tmp_path / "ssh").chmod(0o755)

    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    for name, seconds in (
        ("SILENCE_SECONDS", 1.0),
        ("CALL_SECONDS", 2.0),
        ("WATCH_SECONDS", 0.05),
        ("PROGRESS_SECONDS", 0.3),
    ):
        monkeypatch.setattr(connection, name, seconds)
    yield answer
    calls.close_connections()


@pytest.mark.parametrize("program", [SILENT, ALIVE, DRIPPING, HUGE, MANY, DEEP, UNKNOWN])
def test_no_answer_in_time_and_none_that_can_be_read_is_the_login_nodes_fault(node, program):
    node(program)
    with pytest.raises(Rejected) as caught:
        methods.list_outputs("cluster", REFERENCE)
    assert [problem.code for problem in caught.value.problems] == ["slurm-login-away"]
    assert caught.value.transient


def test_a_login_node_that_does_not_read_is_not_waited_for(node):
    node(SILENT)
    with pytest.raises(Rejected) as caught:
        calls.call("cluster", "robotrain_slurm.observe.runs:RUNS.remove_outputs", "x" * (1 << 22))
    assert caught.value.problems[0].code == "slurm-login-away"
    with pytest.raises(Rejected):  # at once: it was asked a moment ago
        methods.list_outputs("cluster", REFERENCE)


def test_a_call_that_takes_long_says_that_it_waits(node, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    node(SILENT)
    with pytest.raises(Rejected):
        methods.list_outputs("cluster", REFERENCE)
    assert capsys.readouterr().err.count("waiting for cluster") == 1


@pytest.mark.parametrize("answer", [*WRONG, DEEP_VALUE])
@pytest.mark.parametrize(
    "method",
    [
        lambda: methods.query_status("cluster", REFERENCE),
        lambda: methods.query_pipeline("cluster", REFERENCE),
        lambda: methods.list_outputs("cluster", REFERENCE),
        lambda: methods.find_events_file("cluster", REFERENCE),
        lambda: methods.list_statuses([REFERENCE]),
        lambda: methods.remove_run("cluster", REFERENCE),
    ],
    ids=["status", "pipeline", "outputs", "events", "statuses", "remove"],
)
def test_an_answer_of_a_wrong_type_is_the_login_nodes_fault(node, answer, method):
    node(answer)
    with contextlib.suppress(Rejected):  # nothing else is raised
        method()


@pytest.mark.parametrize(
    "part",
    [
        '{"path": "a\\0b", "mode": 420, "folder": False}',
        '{"path": 7, "mode": 420, "folder": False}',
        '{"path": "x", "mode": "x", "folder": False}',
        '{"mode": 420}',
        '"x"',
    ],
)
def test_a_file_of_a_wrong_form_is_the_login_nodes_fault(node, tmp_path, part):
    node(f'say(item={{"!": "map", "value": {part}}}); say(result=None)')
    output = Output(name="x", kind="file", source="local_path", uri="/x")
    with pytest.raises(Rejected):
        methods.download_output("cluster", REFERENCE, output, tmp_path / "to")
    assert not (tmp_path / "to").exists()


def test_what_it_prints_does_not_command_the_terminal(node, capsys):
    node('say(printed="waits\\n\\x1b]52;c;cm0=\\x07\\x1b[2J\\u009b1m"); say(result=[])')
    assert methods.list_outputs("cluster", REFERENCE) == []
    shown = capsys.readouterr().err
    assert (shown.startswith("waits\n"), shown.replace("\n", "").isprintable()) == (True, True)
