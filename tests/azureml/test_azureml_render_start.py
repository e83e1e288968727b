"""The program that starts a job in the container: any image's `python3` runs it, and it becomes the runtime."""

import ast
import io
import json
import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from azureml_planned import job, plan
from robotrain.model.plan import Payload, write_plan_files
from robotrain_azureml.spec import render

RUNTIME = """
import os, signal, sys, time
print(os.getpid(), os.getcwd(), sys.argv[1:], os.environ["PYTHONPATH"], len(open("job.json").read()), flush=True)
if "wait" in os.environ:
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(75))
    print("ready", flush=True)
    time.sleep(60)
"""


def zipped(**files: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as payload:
        for name, content in files.items():
            payload.writestr(name, content)
    return buffer.getvalue()


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """The code of a job, which works in `tmp_path`."""
    packed = Payload(zipped(**{"robotrain_runtime/__init__.py": "", "robotrain_runtime/__main__.py": RUNTIME}))
    write_plan_files(plan(job(job_name="é ☃"), packed=packed, work_dir=str(tmp_path / "a folder")), tmp_path / "plan")
    return tmp_path / "plan" / "code"


def begin(code: Path, before: str = "", **environ: str) -> "subprocess.Popen[str]":
    (code / "start.py").write_text(before + render.START_PROGRAM)
    return subprocess.Popen(
        [sys.executable, *render.START_COMMAND.split()[1:]],
        cwd=code,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environ,
    )


def work(code: Path) -> str:
    return str(json.loads((code / "job.json").read_text())["placement"]["work"])


def test_it_unpacks_and_becomes_the_runtime(code: Path) -> None:
    started = begin(code, PYTHONPATH="/elsewhere")
    out, err = started.communicate(timeout=30)
    assert (started.returncode, err) == (0, "")
    folder, size = work(code), len((code / "job.json").read_text())
    assert out == f"{started.pid} {folder} ['run', 'job.json'] {folder}/payload {size}\n"


def test_a_signal_reaches_the_runtime(code: Path) -> None:
    started = begin(code, wait="1")
    assert started.stdout is not None
    while started.stdout.readline() != "ready\n":
        assert started.poll() is None
    started.send_signal(signal.SIGTERM)
    assert started.wait(timeout=30) == 75
    started.communicate()


def test_a_second_attempt_on_the_same_machine_is_no_trouble(code: Path) -> None:
    for _ in range(2):
        started = begin(code)
        started.communicate(timeout=30)
        assert started.returncode == 0


def test_nothing_is_written_into_the_code(code: Path) -> None:
    begin(code).communicate(timeout=30)
    assert sorted(path.name for path in code.iterdir()) == ["job.json", "payload.zip", "start.py"]


@pytest.mark.parametrize(
    ("before", "sentence"),
    [
        ("import sys\nsys.version_info = (3, 9)\n", "3.10 is the oldest that will do"),
        ("import sys\nsys.modules['zipfile'] = None\n", "lacks a part of its library"),
    ],
)
def test_a_python_that_will_not_do_is_told_in_a_sentence(code: Path, before: str, sentence: str) -> None:
    started = begin(code, before)
    _, err = started.communicate(timeout=30)
    assert started.returncode == 2
    assert err.startswith("error: ")
    assert sentence in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("payload.zip", b"PK\x03\x04 half"),
        ("payload.zip", None),
        ("job.json", None),
        ("job.json", b"{}"),
        ("job.json", b"[]"),
        ("job.json", b"\xff"),
        ("job.json", b'{"placement": {"work": "/proc/no/such"}}'),
    ],
)
def test_code_that_did_not_come_whole_is_told_in_a_sentence(code: Path, file: str, content: bytes | None) -> None:
    (code / file).unlink()
    if content is not None:
        (code / file).write_bytes(content)
    started = begin(code)
    _, err = started.communicate(timeout=30)
    assert started.returncode == 2
    assert err.startswith("error: the job cannot be unpacked: ")
    assert err.count("\n") == 1


def test_an_old_python_can_read_it_to_say_that_it_is_too_old() -> None:
    ast.parse(render.START_PROGRAM, feature_version=(3, 7))


def test_it_holds_nothing_that_a_template_would_read() -> None:
    assert render.START_PROGRAM.isascii()
    assert "$" not in render.START_PROGRAM
    assert "$" not in render.START_COMMAND
