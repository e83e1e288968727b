"""A shell in the container of a task, and its ports: `osmo workflow exec` and `port-forward`, as users call them."""

import os
import pty
import select
import signal
import subprocess
import sys

import pytest
from free_ports import find_free_port
from local_server import QuietHandler, serve, wait_for_answer
from osmo_observed_run import RUN

ROBOTRAIN = (sys.executable, "-m", "robotrain")


@pytest.fixture
def running(run):
    """A workflow that is running, with its record."""
    run.record()
    run.set_status("RUNNING", status="RUNNING")
    return run


def test_command_needs_no_terminal_and_its_exit_code_is_passed_on(running):
    words = ("sh", "-c", "echo \"a 'b'\"; echo '# c'; exit 7")
    done = subprocess.run([*ROBOTRAIN, "shell", RUN, "--", *words], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("a 'b'\n# c\n", 7), done.stderr


def test_output_without_an_end_of_line_is_whole(running):
    done = subprocess.run([*ROBOTRAIN, "shell", RUN, "--", "printf", "%s", "ab\r"], capture_output=True)
    assert (done.stdout, done.returncode) == (b"ab\r", 0)


def test_connection_that_breaks_off_is_no_success(running):
    done = subprocess.run([*ROBOTRAIN, "shell", RUN, "--", "sh", "-c", "kill -9 $PPID"], capture_output=True, text=True)
    assert done.returncode == 255


@pytest.mark.parametrize("words", [("shell", RUN, "--", "true"), ("forward", RUN, "{port}")])
def test_engine_that_lets_nobody_in_is_one_sentence(running, osmo, words):
    for command in ("workflow exec", "workflow port-forward"):
        osmo.fail(command, "server_error")
    words = [word.format(port=find_free_port()) for word in words]
    done = subprocess.run([*ROBOTRAIN, *words], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("", 1)
    assert done.stderr.startswith("error: ")
    assert "Header" not in done.stderr


def test_what_is_typed_reaches_the_command(running):
    process, terminal = pty.fork()
    if not process:
        program = ("sh", "-c", "echo ready; read x; echo got $x; exit 3")
        os.execvp(ROBOTRAIN[0], [*ROBOTRAIN, "shell", RUN, "--", *program])
    read_terminal(terminal, b"ready")
    os.write(terminal, b"seven\r")
    read_terminal(terminal, b"got seven")
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 3
    os.close(terminal)


def test_shell_is_typed_into_and_its_exit_code_is_passed_on(running):
    process, terminal = pty.fork()
    if not process:
        os.execvp(ROBOTRAIN[0], [*ROBOTRAIN, "shell", RUN])
    read_terminal(terminal, b" ")  # of the prompt
    os.write(terminal, b"echo re''ady; exit 3\r")
    read_terminal(terminal, b"ready")
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 3
    os.close(terminal)


def read_terminal(terminal: int, word: bytes) -> None:
    """Read what a program writes to its terminal, until a word comes."""
    content = b""
    while word not in content:
        assert select.select([terminal], [], [], 30)[0], content
        content += os.read(terminal, 1 << 16)


def test_port_is_reached_until_ctrl_c(running):
    here = find_free_port()
    with serve(QuietHandler) as address:
        words = [*ROBOTRAIN, "forward", RUN, f"{here}:{address.rpartition(':')[2]}"]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            assert f"http://127.0.0.1:{here}\n" in process.stdout  # after what OSMO's command prints
            assert wait_for_answer(f"http://localhost:{here}") == 501
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=30) == 0
