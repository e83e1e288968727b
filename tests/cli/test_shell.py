"""`robotrain shell`: whom it lets in, and what it says otherwise."""

import pytest
from problem_assertions import check_problems
from robotrain.model.platform_features import RunAccess
from robotrain.model.terminal import TerminalCommand
from scripted_runs import record

SHELL = ("shell", "train-1", "--", "true")


@pytest.fixture
def reached(scripted, monkeypatch):
    """A platform whose runs can be entered, if it had a way."""
    scripted.platform("reached", features='{"shell": YES}')
    monkeypatch.setattr(RunAccess, "make_shell", lambda self, reference, words, has_terminal: TerminalCommand(words))
    return scripted


def test_platform_that_lets_nobody_in_says_so(scripted, robotrain):
    scripted.run("train-1")
    answer = robotrain(*SHELL)
    assert answer.exit_code == 3
    check_problems(answer.stderr, "feature-not-there")


@pytest.mark.parametrize("status", [{"state": "pending", "reason": "no GPU is free"}, {"state": "succeeded"}])
def test_run_that_is_not_running_has_no_shell(reached, robotrain, status):
    reached.run("train-1", platform="reached", **status)
    answer = robotrain(*SHELL)
    assert answer.exit_code == 2
    check_problems(answer.stderr, "run-not-running")


def test_pipeline_needs_the_name_of_a_step(robotrain, tmp_path):
    record("pipeline-1", "local", tmp_path, 1e9, steps=("train", "evaluate"))
    check_problems(robotrain("shell", "pipeline-1", "--", "true").stderr, "run-of-steps")


def test_shell_without_a_terminal_or_a_command_is_refused(reached, robotrain):
    reached.run("train-1", platform="reached")
    check_problems(robotrain("shell").stderr, "shell-without-terminal")
    assert "robotrain shell train-1 -- COMMAND" in robotrain("shell", "train-1").stderr
    check_problems(robotrain("shell", "nope").stderr, "run-unknown")
