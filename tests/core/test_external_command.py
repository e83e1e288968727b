"""Running a command: arguments without a shell, time limits, and start errors."""

import contextlib
import os
import signal
import time

import pytest
from robotrain import external_command
from robotrain_osmo.client.command_stream import CommandStream


@pytest.fixture
def program(tmp_path):
    """A command made of lines of shell, in a folder with a space in its name."""

    def make(lines: str) -> str:
        path = tmp_path / "my tools" / "osmo"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{lines}\n")
        path.chmod(0o755)
        return str(path)

    return make


def has_ended(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    with open(f"/proc/{pid}/stat") as stat:
        return stat.read().rpartition(")")[2].split()[0] == "Z"


def wait_until(condition, seconds: float = 5.0) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return bool(condition())


def test_arguments_reach_the_command_unchanged(program):
    answer = external_command.run_command(program('printf "%s|" "$@"'), "$HOME; ls", "a b", "*", "")
    assert answer.stdout == "$HOME; ls|a b|*||"


def test_the_environment_is_passed_on_and_there_is_no_input(program, monkeypatch):
    monkeypatch.setenv("OSMO_CONFIG_FILE_DIR", "/somewhere")
    answer = external_command.run_command(program('echo "$OSMO_CONFIG_FILE_DIR"; cat; echo "$?" >&2; exit 7'))
    assert (answer.exit_code, answer.stdout, answer.stderr) == (7, "/somewhere\n", "0\n")


def test_output_that_is_not_utf_8_is_decoded(program):
    assert external_command.run_command(program(r"printf 'a\377b'")).stdout == "a\ufffdb"


@pytest.mark.parametrize(
    ("out", "value"),
    [
        ('{"name": "a-1"}', {"name": "a-1"}),
        ('WARNING: something\n{"name": "a-1"}\n', {"name": "a-1"}),
        ("[]", []),
        ('{broken\n{"name": 1}', {"name": 1}),
    ],
)
def test_json_is_found_below_other_lines(out, value):
    assert external_command.ProcessResult(0, out, "").parse_json() == value


@pytest.mark.parametrize("out", ["", "Workflow submitted", '{"name": "a-1"', '{"a": 1} and more'])
def test_output_without_json_is_an_error(out):
    with pytest.raises(ValueError, match="no JSON"):
        external_command.ProcessResult(0, out, "").parse_json()


def test_a_command_that_takes_too_long_ends_with_all_that_it_started(program, tmp_path):
    cli = program(f"sleep 60 & echo $! > '{tmp_path}/child'; echo begun; wait")
    answer = external_command.run_command(cli, seconds=0.3)
    assert answer.timed_out
    assert answer.stdout == "begun\n"
    assert wait_until(lambda: has_ended(int((tmp_path / "child").read_text())))


@pytest.mark.slow
def test_a_command_that_ignores_sigterm_is_killed(program):
    started = time.monotonic()
    assert external_command.run_command(program("trap '' TERM; while :; do sleep 0.1; done"), seconds=0.2).timed_out
    assert time.monotonic() - started < 30  # it goes on for ever


def test_an_interrupted_call_leaves_nothing_behind(program, tmp_path):
    cli = program(f"echo $$ > '{tmp_path}/pid'; exec sleep 60")
    signal.signal(signal.SIGALRM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    with pytest.raises(KeyboardInterrupt):
        external_command.run_command(cli)
    assert has_ended(int((tmp_path / "pid").read_text()))


@pytest.mark.parametrize(
    ("content", "mode", "words"),
    [
        (None, 0, "no such file"),
        (b"#!/bin/sh\n", 0o644, "not executable"),
        (b"\x7fELF\x02\x01\x01 of another machine", 0o755, "not a program for this type of machine"),
        (b"#!/nowhere/python9\n", 0o755, "interpreter"),
    ],
)
def test_a_command_that_does_not_start_is_explained(tmp_path, content, mode, words):
    path = tmp_path / "osmo"
    if content is not None:
        path.write_bytes(content)
        path.chmod(mode)
    with pytest.raises(external_command.CommandStartError, match=words):
        external_command.run_command(str(path), "version")


def read_to_end(stream: CommandStream) -> list[str | None]:
    lines = []
    with contextlib.suppress(EOFError):
        while True:
            lines.append(stream.read_line(10))
    return lines


def test_lines_come_as_they_are_printed(program):
    with CommandStream(program("echo first; sleep 60"), ()) as lines:
        assert lines.read_line(5) == "first"
        assert lines.read_line(0.05) is None


def test_a_stream_ends_with_its_command(program):
    with CommandStream(program("printf 'one\\n\\ntwo'; echo wrong >&2; exit 2"), ()) as lines:
        assert read_to_end(lines) == ["one", "", "two"]
    assert (lines.exit_code, lines.stderr) == (2, "wrong\n")
    assert lines.make_result().stdout == "one\n\ntwo\n"


def test_leaving_a_stream_ends_its_command(program, tmp_path):
    with CommandStream(program(f"echo $$ > '{tmp_path}/pid'; echo begun; exec sleep 60"), ()) as lines:
        assert lines.read_line(5) == "begun"
        started = time.monotonic()
    assert has_ended(int((tmp_path / "pid").read_text()))
    assert time.monotonic() - started < 30  # of its 60 s
    with pytest.raises(EOFError):
        lines.read_line(1)


@pytest.mark.slow
def test_a_stream_ends_although_a_child_of_its_command_runs(program):
    with CommandStream(program("setsid sleep 5 & echo one"), ()) as lines:
        assert read_to_end(lines) == ["one"]
