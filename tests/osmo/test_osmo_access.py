"""A shell in the container of a task: `osmo workflow exec`, as users call it."""

import os
import pty
import select
import sys

import pytest
from osmo_observed_run import RUN

ROBOTRAIN = (sys.executable, "-m", "robotrain")


@pytest.fixture
def running(run):
    """A workflow that is running, with its record."""
    run.record()
    run.set_status("RUNNING", status="RUNNING")
    return run


def test_shell_is_typed_into_and_ends_with_the_exit_code_of_osmo(running):
    process, terminal = pty.fork()
    if not process:
        os.execvp(ROBOTRAIN[0], [*ROBOTRAIN, "shell", RUN])
    read_terminal(terminal, b" ")  # of the prompt
    os.write(terminal, b"echo re''ady; exit 3\r")
    read_terminal(terminal, b"ready")
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0, "as the real one"
    os.close(terminal)


@pytest.mark.parametrize("words", [(), ("--", "true")])
def test_command_is_refused_and_a_shell_needs_a_terminal(running, robotrain, words):
    robotrain("shell", RUN, *words).check_problems(2, "shell-typed-only")


def read_terminal(terminal: int, word: bytes) -> None:
    """Read what a program writes to its terminal, until a word comes."""
    content = b""
    while word not in content:
        assert select.select([terminal], [], [], 30)[0], content
        content += os.read(terminal, 1 << 16)
