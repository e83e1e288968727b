"""The bootstrap program, which starts the runtime with the `python3` of any image."""

import ast
import io
import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from robotrain.model.plan import Payload
from robotrain_osmo.spec import render, workflow

RUNTIME = """
import os, signal, sys, time
print(os.getpid(), os.getcwd(), sys.argv[1:], os.environ["PYTHONPATH"], open("job.json").read(), flush=True)
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
def packed(tmp_path: Path) -> Path:
    place = tmp_path / "job.tar.bz2"
    files = {"robotrain_runtime/__init__.py": "", "robotrain_runtime/__main__.py": RUNTIME}
    place.write_bytes(render.pack_archive(Payload(zipped(**files)), b"{}"))
    return place


def start(place: str, folder: Path, before: str = "", **environ: str) -> "subprocess.Popen[str]":
    _, *rest = render.make_task_command(place, str(folder))
    rest[1] = before + rest[1]
    return subprocess.Popen(
        [sys.executable, *rest], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | environ
    )


def test_it_unpacks_and_becomes_the_runtime(packed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "a folder" / "run"
    started = start("${BROUGHT}/job.tar.bz2", folder, BROUGHT=str(packed.parent), PYTHONPATH="/elsewhere")
    out, err = started.communicate(timeout=30)
    assert (started.returncode, err) == (0, "")
    assert out.split("\n")[0] == f"{started.pid} {folder} ['run', 'job.json'] {folder}/payload {{}}"


def test_a_signal_reaches_the_runtime(packed: Path, tmp_path: Path) -> None:
    started = start(str(packed), tmp_path / "run", wait="1")
    assert started.stdout is not None
    while started.stdout.readline() != "ready\n":
        assert started.poll() is None
    started.send_signal(signal.SIGTERM)
    assert started.wait(timeout=30) == 75
    started.communicate()


def test_a_second_attempt_in_the_same_folder_is_no_trouble(packed: Path, tmp_path: Path) -> None:
    for _ in range(2):
        started = start(str(packed), tmp_path / "run")
        started.communicate(timeout=30)
        assert started.returncode == 0


@pytest.mark.parametrize(
    ("before", "sentence"),
    [
        ("import sys\nsys.version_info = (3, 9)\n", "3.10 is the oldest that will do"),
        ("import sys\nsys.modules['bz2'] = None\n", "lacks a part of its library"),
    ],
)
def test_a_python_that_will_not_do_is_told_in_a_sentence(
    packed: Path, tmp_path: Path, before: str, sentence: str
) -> None:
    started = start(str(packed), tmp_path / "run", before)
    _, err = started.communicate(timeout=30)
    assert started.returncode == 2
    assert err.startswith("error: ")
    assert sentence in err
    assert err.count("\n") == 1


def test_an_archive_that_did_not_come_whole_is_told_in_a_sentence(tmp_path: Path) -> None:
    whole = render.pack_archive(Payload(zipped(noise="#" + "x" * 40_000, other="y" * 40_000)), b"{}")
    for size in (20, len(whole) // 2, len(whole) - 30):
        (tmp_path / f"torn-{size}").write_bytes(whole[:size])
    for place in (*map(str, tmp_path.glob("torn-*")), "${BROUGHT}/payload.tar.bz2"):
        started = start(place, tmp_path / "run", BROUGHT="/nowhere")
        _, err = started.communicate(timeout=30)
        assert started.returncode == 2
        assert err.startswith(f"error: the job cannot be unpacked in {tmp_path / 'run'}: ")


def test_an_old_python_can_read_it_to_say_that_it_is_too_old() -> None:
    ast.parse(render.BOOTSTRAP_PROGRAM, feature_version=(3, 7))


def test_it_holds_nothing_that_a_template_or_kubernetes_would_read() -> None:
    assert workflow.GUARD.find_syntax(render.BOOTSTRAP_PROGRAM) == ""
    assert render.BOOTSTRAP_PROGRAM.isascii()


def test_equal_payloads_are_equal_archives() -> None:
    one, other = Payload(zipped(a="1", b="2")), Payload(zipped(b="2", a="1"))
    assert render.pack_archive(one, b"{}") == render.pack_archive(other, b"{}")
    assert render.pack_archive(one, b"{}") != render.pack_archive(one, b"[]")


def test_a_payload_is_packed_once_for_all_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROBOTRAIN_CACHE", str(tmp_path))
    payload, calls, make_tar = Payload(zipped(a="once")), [], render._make_tar
    monkeypatch.setattr(render, "_make_tar", lambda payload: calls.append(payload) or make_tar(payload))
    first = render.pack_archive(payload, b"{}")
    for damaged in (False, True):
        if damaged:
            next((tmp_path / "computed").iterdir()).write_bytes(b"torn")
        render._pack_payload.cache_clear()  # as in another process
        assert render.pack_archive(payload, b"{}") == first
    assert calls == [payload, payload]
