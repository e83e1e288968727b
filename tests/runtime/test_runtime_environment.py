"""The locked environment: whole or not there, one for each lock, never built twice at once."""

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pretend_index import sha256, wheel
from robotrain_runtime.contract.failure import JobFailed
from robotrain_runtime.environments import environment, uv_program
from robotrain_runtime.process.stop import StopSignal

pytestmark = pytest.mark.slow  # builds environments, with uv

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"

needs_uv = pytest.mark.skipif(uv_program.find_uv(Path("/nowhere")) is None, reason="no uv on this machine")


@pytest.fixture
def lock(tmp_path) -> Path:
    """A lock of one package, which lies beside it."""
    tiny = wheel(tmp_path, "tiny_arm", "1.0", says="6")
    lock = tmp_path / "lock.txt"
    lock.write_text(f"tiny-arm @ {tiny.as_uri()} --hash=sha256:{sha256(tiny)}\n")
    return lock


def build(lock: Path, cache: Path, said: list[str] | None = None) -> Path:
    return environment.build_environment(lock, VERSION, cache, (said if said is not None else []).append, StopSignal())


def read_joints(built: Path) -> str:
    command = [str(environment.get_python(built)), "-c", "import tiny_arm; print(tiny_arm.SAYS)"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@needs_uv
def test_an_environment_is_built_once_and_found_the_next_time(lock, tmp_path):
    messages: list[str] = []
    built = build(lock, tmp_path / "cache", messages)
    assert read_joints(built) == "6"
    assert built.parent == tmp_path / "cache" / "environments"
    assert any("Installed 1 package" in line for line in messages)
    again: list[str] = []
    assert build(lock, tmp_path / "cache", again) == built
    assert again == []


@needs_uv
@pytest.mark.parametrize("is_marked", [False, True])
def test_an_environment_without_its_packages_is_built_again(lock, tmp_path, is_marked):
    left = environment.get_environment_folder(lock, tmp_path / "cache")
    (left / "bin").mkdir(parents=True)
    (left / "bin" / "python").symlink_to(sys.executable)
    if is_marked:
        environment.write_marker(left, {"lock": lock.name})
    assert environment.find_environment(lock, VERSION, tmp_path / "cache") is None
    messages: list[str] = []
    built = build(lock, tmp_path / "cache", messages)
    assert (built, read_joints(built)) == (left, "6")
    assert any("incomplete" in line for line in messages)


def builder(lock: Path, cache: Path, **environ: str) -> "subprocess.Popen[str]":
    """A process that builds, and prints the environment."""
    command = [sys.executable, "-m", "robotrain_runtime", "environment", str(lock), "--python", VERSION]
    return subprocess.Popen(
        [*command, "--cache", str(cache)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environ,
    )


@needs_uv
def test_processes_that_build_at_once_share_one_build(lock, tmp_path):
    outputs = [process.communicate() for process in [builder(lock, tmp_path / "cache") for _ in range(3)]]
    assert len({out for out, _ in outputs}) == 1
    assert read_joints(Path(outputs[0][0].strip())) == "6"
    assert sum(err.count("building the environment") for _, err in outputs) == 1


@needs_uv
def test_a_builder_that_is_killed_leaves_the_build_to_the_next_even_while_its_uv_goes_on(lock, tmp_path):
    slow = tmp_path / "slow-uv"
    slow.write_text(
        f"""#!/bin/sh
cd {tmp_path}
[ "$1" = pip ] && touch installing && while [ ! -e go ]; do sleep 0.05; done
{uv_program.find_uv(tmp_path)} "$@"; code=$?
[ "$1" = venv ] || touch ended
exit $code
"""
    )
    slow.chmod(0o755)
    killed = builder(lock, tmp_path / "cache", UV=str(slow))
    wait_until((tmp_path / "installing").exists)
    killed.kill()
    killed.communicate()
    messages: list[str] = []
    built = build(lock, tmp_path / "cache", messages)
    (tmp_path / "go").touch()
    wait_until((tmp_path / "ended").exists)
    assert read_joints(built) == "6"
    assert messages[0].startswith("building the environment")
    assert build(lock, tmp_path / "cache") == built


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def wait_until(there) -> None:
    end = time.monotonic() + 30
    while not there():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


@needs_uv
def test_settings_of_uv_that_are_meant_for_something_else_change_nothing(lock, tmp_path, monkeypatch):
    monkeypatch.setenv("UV_TORCH_BACKEND", "cu118")
    monkeypatch.setenv("UV_CONSTRAINT", str(tmp_path / "nowhere.txt"))
    assert read_joints(build(lock, tmp_path / "cache")) == "6"


@needs_uv
def test_a_package_that_is_not_the_locked_one_stops_the_build_and_leaves_nothing_complete(lock, tmp_path):
    lock.write_text(lock.read_text().split("sha256:")[0] + "sha256:" + "0" * 64 + "\n")
    with pytest.raises(JobFailed) as failed:
        build(lock, tmp_path / "cache")
    assert "uv reported" in failed.value.reason
    assert "ash mismatch" in failed.value.reason
    assert not environment.is_complete(environment.get_environment_folder(lock, tmp_path / "cache"), lock)


@needs_uv
@pytest.mark.parametrize("name", ["uv.toml", "pyproject.toml"])
def test_configuration_of_uv_in_a_folder_does_not_count(lock, tmp_path, monkeypatch, name):
    """Neither that of the folder in which robotrain starts nor that of the cache."""
    folder = tmp_path / "cloned"
    (folder / "runs").mkdir(parents=True)
    table = "tool.uv.pip" if name == "pyproject.toml" else "pip"
    for place in (folder, tmp_path):
        (place / name).write_text(f'[{table}]\ntarget = "{tmp_path}/elsewhere"\n')
    monkeypatch.chdir(folder / "runs")
    monkeypatch.setenv("UV_PROJECT", str(folder))
    assert read_joints(build(lock, Path("cache"))) == "6"
    assert not (tmp_path / "elsewhere").exists()


@needs_uv
def test_configuration_of_uv_of_the_user_counts_and_packages_elsewhere_are_no_environment(lock, tmp_path, monkeypatch):
    (tmp_path / "config" / "uv").mkdir(parents=True)
    (tmp_path / "config/uv/uv.toml").write_text(f'[pip]\ntarget = "{tmp_path}/elsewhere"\n')
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    with pytest.raises(JobFailed, match=r"tiny-arm is not in the environment .* \[pip\] target"):
        build(lock, tmp_path / "cache")
    assert (tmp_path / "elsewhere/tiny_arm.py").exists()
    assert environment.find_environment(lock, VERSION, tmp_path / "cache") is None


@pytest.mark.parametrize(("text", "is_shared"), [("-r lock.txt\n", True), ("other==1\n", False)])
def test_equal_locks_share_an_environment_wherever_they_lie(lock, tmp_path, text, is_shared):
    (tmp_path / "copy.txt").write_text(text)
    folders = {environment.get_environment_folder(path, tmp_path) for path in (lock, tmp_path / "copy.txt")}
    assert (len(folders) == 1) == is_shared


SAID = {
    "No space left on device (os error 28)": "disk_full",
    "Failed to fetch: https://x/arm/ / cause: client error (Connect) / cause: dns error": "network",
    "Failed to fetch: https://x/arm/ / cause: HTTP status server error (503 Service Unavailable) for url": "network",
    "Failed to fetch: https://x/arm/ / cause: HTTP status client error (429 Too Many Requests) for url": "network",
    "Failed to fetch: https://x/arm/ / cause: HTTP status client error (403 Forbidden) for url": "",
    "Failed to download `arm==1` / cause: error decoding response body / cause: unexpected end of file": "network",
    "Failed to fetch: https://x/a/ / cause: client error (Connect) / cause: invalid peer certificate: UnknownIssuer": (
        "machine"
    ),
    "Could not fetch URL https://x/arm/: Max retries exceeded (Caused by SSLError(SSLCertVerificationError(1, 'x')))": (
        "machine"
    ),
    "Failed to download `arm==1` / cause: Hash mismatch for `arm==1`": "",
}


def test_whose_fault_it_is_that_uv_failed(lock, tmp_path, monkeypatch):
    """In words that uv 0.13 says."""
    assert {words: uv_program.classify_uv_error(words) for words in SAID} == SAID
    words = list(SAID)[1]
    tool = tmp_path / "failing-uv"
    tool.write_text(f"#!/bin/sh\necho 'Using Python'\ncat <<'END' >&2\nerror: {words}\nEND\nexit 2\n")
    tool.chmod(0o755)
    monkeypatch.setenv("UV", str(tool))
    messages: list[str] = []
    with pytest.raises(JobFailed) as failed:
        build(lock, tmp_path / "cache", messages)
    assert messages[-1] == f"uv: error: {words}"
    assert failed.value.fault == "network"
    assert failed.value.reason.endswith(f"uv reported: {words}")


def test_a_disk_that_is_full_before_uv_is_asked_says_so_too(lock, tmp_path, monkeypatch):
    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    left = environment.get_environment_folder(lock, tmp_path / "cache")
    left.mkdir(parents=True)
    monkeypatch.setattr("shutil.rmtree", full)
    with pytest.raises(JobFailed) as failed:
        build(lock, tmp_path / "cache")
    assert (failed.value.fault, failed.value.reason) == (
        "disk_full",
        f"the disk of {left.parent} is full: No space left on device",
    )


def test_a_builder_that_is_told_to_stop_takes_its_uv_with_it(lock, tmp_path):
    slow = tmp_path / "slow-uv"
    note = f"echo $$ > {tmp_path}/pid && mv {tmp_path}/pid {tmp_path}/uv.pid"
    slow.write_text(f'#!/bin/sh\nmkdir -p "$7"\n{note}\nexec sleep 600\n')
    slow.chmod(0o755)
    result = builder(lock, tmp_path / "cache", UV=str(slow))
    wait_until((tmp_path / "uv.pid").exists)
    result.terminate()
    out, _ = result.communicate()
    assert (result.returncode, out) == (143, "")
    assert not [path for path in (tmp_path / "cache/environments").iterdir() if path.is_dir()]
    wait_until(lambda: not is_running(int((tmp_path / "uv.pid").read_text())))


@needs_uv
def test_the_command_line_takes_another_build_of_pytorch(tmp_path):
    """Which for a lock without one is the locked environment."""
    empty = tmp_path / "empty.txt"
    empty.write_text("")
    command = [sys.executable, "-m", "robotrain_runtime", "environment", str(empty), "--python", VERSION]
    command += ["--torch-backend", "cu126", "--cache", str(tmp_path / "cache")]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.stdout.strip() == str(environment.get_environment_folder(empty, tmp_path / "cache")), result.stderr


@pytest.mark.slow
def test_uv_is_fetched_and_checked_where_there_is_none(tmp_path, monkeypatch):
    if uv_program.find_python_with_pip() is None:
        pytest.skip("no pip on this machine")
    monkeypatch.delenv("UV", raising=False)
    half = tmp_path / "cache/uv" / uv_program.get_uv_version() / "left over"
    half.mkdir(parents=True)  # as an interrupted fetch of an earlier day left it
    fetched = uv_program.fetch_uv(tmp_path / "cache", StopSignal())
    output = subprocess.run([str(fetched), "--version"], capture_output=True, text=True, check=True).stdout
    assert uv_program.get_uv_version() in output
    assert uv_program.fetch_uv(tmp_path / "cache", StopSignal()) == fetched
    assert not half.exists()
