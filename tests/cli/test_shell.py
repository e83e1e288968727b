"""`robotrain shell` and `forward`: whom they let in, and what they say otherwise."""

import re
import socket

import pytest
from problem_assertions import check_problems
from robotrain.cli.arguments import open_run
from robotrain.model.platform_features import RunAccess
from robotrain.model.terminal import Forwarding, TerminalCommand
from scripted_runs import record

SHELL, FORWARD = ("shell", "train-1", "--", "true"), ("forward", "train-1", "8080")


@pytest.fixture
def reached(scripted, monkeypatch):
    """A platform whose runs can be entered, if it had a way."""
    scripted.platform("reached", features='{"shell": YES, "forward": YES}')
    command = TerminalCommand(["true"])
    monkeypatch.setattr(
        RunAccess, "make_forwarding", lambda self, of, here, to: Forwarding(f"localhost:{here}", command)
    )
    return scripted


@pytest.mark.parametrize("words", [SHELL, FORWARD])
def test_platform_that_lets_nobody_in_says_so(scripted, robotrain, words):
    scripted.run("train-1")
    answer = robotrain(*words)
    assert answer.exit_code == 3
    check_problems(answer.stderr, "feature-not-there")


@pytest.mark.parametrize("status", [{"state": "pending", "reason": "no GPU is free"}, {"state": "succeeded"}])
@pytest.mark.parametrize("words", [SHELL, FORWARD])
def test_run_that_is_not_running_has_no_shell_and_no_port(reached, robotrain, words, status):
    reached.run("train-1", platform="reached", **status)
    answer = robotrain(*words)
    assert answer.exit_code == 2
    check_problems(answer.stderr, "run-not-running")


def test_pipeline_needs_the_name_of_a_step(robotrain, tmp_path):
    record("pipeline-1", "local", tmp_path, 1e9, steps=("train", "evaluate"))
    check_problems(robotrain("shell", "pipeline-1", "--", "true").stderr, "run-of-steps")


def test_shell_without_a_terminal_or_a_command_is_refused(reached, robotrain):
    reached.run("train-1", platform="reached")
    check_problems(robotrain("shell").stderr, "shell-without-terminal")
    assert "robotrain shell train-1 --step train -- COMMAND" in robotrain("shell", "train-1", "--step", "train").stderr
    check_problems(robotrain("shell", "nope").stderr, "run-unknown")


@pytest.mark.parametrize("port", ["http", "0", "65536", "80:", "8080:localhost:80", "-1"])
def test_port_that_is_none_is_refused(scripted, robotrain, port):
    scripted.run("train-1")
    check_problems(robotrain("forward", "train-1", "--", port).stderr, "port-invalid PORT")


@pytest.fixture
def taken_port():
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


def test_port_that_a_program_has_is_refused_with_one_that_is_free(reached, robotrain, taken_port, monkeypatch):
    reached.run("train-1", platform="reached")
    answer = robotrain("forward", "train-1", f"{taken_port}:6006")
    assert f"the port {taken_port} of this machine cannot be used" in answer.stderr
    assert re.search(r"robotrain forward train-1 [0-9]+:6006 ", answer.stderr)
    assert answer.exit_code == 4
    monkeypatch.setattr("robotrain.cli.run_access.open_step", lambda ctx, run, step: open_run(ctx, "train-1"))
    stderr = robotrain("forward", "pick", f"{taken_port}:6006", "--step", "train").stderr
    assert re.search(r"robotrain forward pick --step train [0-9]+:6006 ", stderr)


def test_port_of_this_machine_need_not_be_free_where_nothing_is_forwarded(reached, robotrain, taken_port, monkeypatch):
    monkeypatch.setattr(RunAccess, "make_forwarding", lambda self, *args: Forwarding("localhost:6006"))
    reached.run("train-1", platform="reached")
    answer = robotrain("forward", "train-1", f"{taken_port}:6006")
    assert (answer.exit_code, answer.stdout) == (0, "http://localhost:6006\n")
    monkeypatch.setattr(RunAccess, "make_forwarding", lambda self, *args: Forwarding("no-such-node.invalid:6006"))
    robotrain("forward", "train-1", "6006").check_problems(1, "node-unknown")
