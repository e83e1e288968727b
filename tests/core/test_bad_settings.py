"""Settings of a plugin that refuse, fail or print while they are made: told as a problem, and stdout holds results."""

import subprocess
import sys

import pytest
from badly import indented, mars

JOB = ("--platform", "mars", "--dataset-path", "x")


@pytest.fixture
def checked(install):
    """Install a platform whose settings have a `__post_init__` of this body."""

    def checked(body: str) -> None:
        rovers = 'Param(help="how many", gt=0)] = 1\n'
        check = f"\n    def __post_init__(self):\n{indented(body, 8)}"
        install("acme-mars", {"platform.mars": "acme_mars"}, acme_mars=mars().replace(rovers, rovers + check))

    return checked


def test_settings_that_do_not_go_together_are_told_in_the_plugins_words(robotrain, checked):
    checked("if self.rovers > 1 and self.crater == 'gale':\n    raise ValueError('gale has room for one rover')")
    answer = robotrain("render", *JOB, "--rovers", "2", "--batch-size", "many")
    assert answer.exit_code == 2
    assert "error: gale has room for one rover " in answer.stderr
    assert "--batch-size" in answer.stderr
    assert robotrain("render", *JOB, "--rovers", "2", "--crater", "jezero").exit_code == 0


def test_a_secret_in_what_settings_say_is_not_shown(robotrain, checked):
    checked("raise ValueError('no answer from https://mars/?sig=c2VjcmV0')")
    answer = robotrain("render", *JOB)
    assert "no answer from https://mars/?<redacted>" in answer.stderr
    assert "c2VjcmV0" not in answer.stdout + answer.stderr


@pytest.mark.parametrize("bug", ["raise KeyError('team')", "raise SystemExit(3)", "raise GeneratorExit('team')"])
def test_settings_that_fail_are_told_as_their_plugins_failure(robotrain, checked, bug):
    checked(bug)
    answer = robotrain("render", *JOB)
    assert answer.exit_code == 1
    assert "platform mars (acme-mars 1.0) failed in `Settings`: " in answer.stderr
    assert "robotrain --without acme-mars …" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_what_settings_print_is_no_result(robotrain, checked):
    checked("print('noise')")
    answer = robotrain("render", *JOB, "--json")
    assert answer.json["platform"] == "mars"
    assert "noise" in answer.stderr


LEFT = """
import os, subprocess, sys, threading
from robotrain import aside

go = threading.Event()
with aside.here():
    late = threading.Thread(target=lambda: (go.wait(), print("late")))
    late.start()
    subprocess.run([sys.executable, "-c", "print('program')"], check=True)
with aside.here():
    os.write(1, b"descriptor")
go.set()
late.join()
print("result")
"""


@pytest.mark.slow
def test_what_a_plugin_left_running_prints_no_result():
    answer = subprocess.run([sys.executable, "-c", LEFT], capture_output=True, text=True, check=True)
    assert answer.stdout == "result\n"
    assert "program" in answer.stderr
    assert "descriptor" in answer.stderr
