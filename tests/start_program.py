"""Tests of the program that a container starts with, for every platform that has one."""

import ast
import io
import os
import signal
import subprocess
import zipfile
from collections.abc import Callable

RUNTIME = """
import os, signal, sys, time
print(os.getpid(), os.getcwd(), sys.argv[1:], os.environ["PYTHONPATH"], len(open("job.json").read()), flush=True)
if "wait" in os.environ:
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(75))
    print("ready", flush=True)
    time.sleep(60)
"""
Start = Callable[..., "subprocess.Popen[str]"]


def zip_files(**files: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as payload:
        for name, content in files.items():
            payload.writestr(name, content)
    return buffer.getvalue()


def pack_runtime() -> bytes:
    return zip_files(**{"robotrain_runtime/__init__.py": "", "robotrain_runtime/__main__.py": RUNTIME})


def start(*words: str, **options) -> "subprocess.Popen[str]":
    options["env"] = os.environ | options.pop("environ", {})
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


class StartProgramTests:
    """`program` is its text. The fixture `start` returns what starts it for a whole job, after the text `before`."""

    program: str

    def test_a_signal_reaches_the_runtime(self, start: Start) -> None:
        started = start(wait="1")
        assert started.stdout is not None
        while started.stdout.readline() != "ready\n":
            assert started.poll() is None
        started.send_signal(signal.SIGTERM)
        assert started.wait(timeout=30) == 75
        started.communicate()

    def test_a_second_attempt_on_the_same_machine_is_no_trouble(self, start: Start) -> None:
        for _ in range(2):
            started = start()
            started.communicate(timeout=30)
            assert started.returncode == 0

    def test_an_old_python_can_read_it(self) -> None:
        ast.parse(self.program, feature_version=(3, 10))
        assert self.program.isascii()
