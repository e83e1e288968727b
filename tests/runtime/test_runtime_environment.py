"""The locked environment: whole or not there, one for each lock, never built twice at once."""

import base64
import hashlib
import os
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest
from robotrain_runtime import environment, uv
from robotrain_runtime.failure import Failed
from robotrain_runtime.stop import Stop

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"

needs_uv = pytest.mark.skipif(uv.find(Path("/nowhere")) is None, reason="no uv on this machine")


@pytest.fixture
def lock(tmp_path) -> Path:
    """A lock of one package, which lies beside it."""
    wheel = tmp_path / "tiny_arm-1.0-py3-none-any.whl"
    info = "tiny_arm-1.0.dist-info"
    files = {
        "tiny_arm.py": "JOINTS = 6\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: tiny-arm\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},sha256={_digest(text)},{len(text)}\n" for name, text in files.items())
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in {**files, f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}.items():
            archive.writestr(name, text)
    lock = tmp_path / "lock.txt"
    lock.write_text(f"tiny-arm @ {wheel.as_uri()} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n")
    return lock


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def build(lock: Path, cache: Path, said: list[str] | None = None) -> Path:
    return environment.build(lock, VERSION, cache, (said if said is not None else []).append, Stop())


def joints(built: Path) -> str:
    command = [str(environment.python_of(built)), "-c", "import tiny_arm; print(tiny_arm.JOINTS)"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@needs_uv
def test_it_is_built_once_and_found_the_next_time(lock, tmp_path):
    said: list[str] = []
    built = build(lock, tmp_path / "cache", said)
    assert joints(built) == "6"
    assert built.parent == tmp_path / "cache" / "environments"
    assert any("Installed 1 package" in line for line in said)
    again: list[str] = []
    assert build(lock, tmp_path / "cache", again) == built
    assert again == []


@needs_uv
def test_one_that_was_left_half_built_is_built_again(lock, tmp_path):
    left = environment.folder(lock, tmp_path / "cache")
    (left / "bin").mkdir(parents=True)
    (left / "bin" / "python").symlink_to(sys.executable)
    said: list[str] = []
    assert joints(build(lock, tmp_path / "cache", said)) == "6"
    assert any("incomplete" in line for line in said)


@needs_uv
def test_two_builders_at_once_share_one_build(lock, tmp_path):
    said: list[str] = []
    found: list[Path] = []
    builders = [threading.Thread(target=lambda: found.append(build(lock, tmp_path / "cache", said))) for _ in range(3)]
    for builder in builders:
        builder.start()
    for builder in builders:
        builder.join()
    assert len(set(found)) == 1
    assert joints(found[0]) == "6"
    assert len([line for line in said if line.startswith("building the environment")]) == 1


@needs_uv
def test_a_package_that_is_not_the_locked_one_stops_the_build_and_leaves_nothing_complete(lock, tmp_path):
    lock.write_text(lock.read_text().split("sha256:")[0] + "sha256:" + "0" * 64 + "\n")
    with pytest.raises(Failed) as failed:
        build(lock, tmp_path / "cache")
    assert "uv said" in failed.value.reason
    assert "ash mismatch" in failed.value.reason
    assert not environment.complete(environment.folder(lock, tmp_path / "cache"))


def test_equal_locks_share_an_environment_wherever_they_lie(lock, tmp_path):
    (tmp_path / "copy.txt").write_bytes(lock.read_bytes())
    assert environment.folder(lock, tmp_path) == environment.folder(tmp_path / "copy.txt", tmp_path)
    (tmp_path / "copy.txt").write_text("other==1\n")
    assert environment.folder(lock, tmp_path) != environment.folder(tmp_path / "copy.txt", tmp_path)


@needs_uv
def test_the_command_prints_the_environment_alone(lock, tmp_path):
    command = [sys.executable, "-m", "robotrain_runtime", "environment", lock, "--python", VERSION]
    done = subprocess.run(
        [*map(str, command), "--cache", str(tmp_path / "cache")], capture_output=True, text=True, env=os.environ
    )
    assert done.returncode == 0, done.stderr
    assert joints(Path(done.stdout.strip())) == "6"


@pytest.mark.slow
def test_uv_is_fetched_and_checked_where_there_is_none(tmp_path, monkeypatch):
    if uv.pip() is None:
        pytest.skip("no pip on this machine")
    monkeypatch.delenv("UV", raising=False)
    half = tmp_path / "cache/uv" / uv.version() / "left over"
    half.mkdir(parents=True)  # as an interrupted fetch of an earlier day left it
    fetched = uv._fetch(tmp_path / "cache", Stop())
    told = subprocess.run([str(fetched), "--version"], capture_output=True, text=True, check=True).stdout
    assert uv.version() in told
    assert uv._fetch(tmp_path / "cache", Stop()) == fetched
    assert not half.exists()
