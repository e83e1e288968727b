"""Text on a terminal: its control characters, and the width of help."""

import time

import pytest
from robotrain.cli import output
from robotrain.cli.app import app
from robotrain.command_table import COMMANDS
from typer.testing import CliRunner

HOME = "/home/ada"


@pytest.fixture
def terminal(monkeypatch, capsys):
    """What is printed on a terminal of 40 columns, by lines."""
    monkeypatch.setenv("HOME", HOME)
    monkeypatch.setattr(output, "get_terminal_width", lambda stream: 40)
    monkeypatch.setattr(output, "has_color", lambda stream: True)

    def read(text):
        output.print_message(text)
        return capsys.readouterr().err.splitlines()

    return read


def test_lines_of_a_log_stay_as_they_are(terminal):
    line = '  |   File "/opt/environment/lib/python3.12/factory.py", line 375, in make_policy'
    assert terminal(line) == [line]


def test_colors_take_no_room(terminal):
    line = "\x1b[31merror\x1b[0m: of thirty-nine columns   [code]"
    assert terminal(line) == [line]


def test_other_control_characters_are_escaped(terminal, monkeypatch):
    assert terminal("a\x1b[2Jb\x07\udc80\tc") == ["a\\x1b[2Jb\\x07\\udc80\tc"]
    monkeypatch.setattr(output, "has_color", lambda stream: False)
    assert terminal("\x1b[31ma") == ["\\x1b[31ma"]


def test_nothing_changes_where_no_terminal_is(capsys, monkeypatch):
    monkeypatch.setenv("HOME", HOME)
    text = f"{HOME}/a " + "word " * 60
    output.print_message(text)
    assert capsys.readouterr().err == f"{text}\n"


def test_help_fits_a_terminal(robotrain):
    for words in ((), *((name,) for name in COMMANDS), ("pipeline", "submit"), ("pipeline", "train-eval")):
        assert max(map(len, robotrain(*words, "--help").stdout.splitlines())) <= 80, words


def test_a_dry_run_gives_its_answer_before_the_plan(plain_platform):
    words = ["submit", "--platform", "plain", "--dataset-repo-id", "lerobot/pusht", "--no-pin", "--dry-run"]
    shown = CliRunner().invoke(app, words)
    assert 0 <= shown.output.index("is valid; nothing was sent") < shown.output.index("run  ")


def test_waiting_for_somebody_else_is_said_on_a_terminal(monkeypatch, capsys):
    monkeypatch.setattr(output, "SLOW_SECONDS", 0.0)
    for is_terminal in (True, False):
        monkeypatch.setattr(output, "is_terminal", lambda stream, is_terminal=is_terminal: is_terminal)
        with output.say_if_slow("waiting"):
            time.sleep(0.1)
        assert ("waiting" in capsys.readouterr().err) == is_terminal
