"""`--torch-backend`: another build of PyTorch than the locked one, everything else as locked, and said so."""

import json
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from pretend_index import Indexes, served, sha256, wheel
from robotrain_runtime.contract.document import MACHINE_BUILD
from robotrain_runtime.environments import environment, torch_build, uv_program
from robotrain_runtime.process.stop import StopSignal

pytestmark = pytest.mark.slow  # builds environments, with uv

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
ROOT = Path(__file__).parents[2]
TRAIN = ROOT / "workloads/robotrain_workloads/lerobot_versions/v0_6_1/train.txt"

needs_uv = pytest.mark.skipif(uv_program.find_uv(Path("/nowhere")) is None, reason="no uv on this machine")


def names(requirements: str) -> set[str]:
    return {line.partition("==")[0] for line in requirements.splitlines() if line[:1].isalnum()}


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    """A lock of torch for CUDA, with what it needs, and of something else."""
    there = tmp_path / "ordinary"
    pinned = [
        ("arm", "1.0", (), "-r x.in"),
        ("nvidia_cublas_cu12", "12.8", (), "torch"),
        ("sympy", "1.0", (), "torch"),
        ("torch", "2.10.0", ("sympy", "nvidia-cublas-cu12"), "-r x.in"),
        ("torchvision", "0.25.0", ("torch",), "-r x.in"),
    ]
    entries = [
        f"{name.replace('_', '-')}=={version} \\\n"
        f"    --hash=sha256:{sha256(wheel(there, name, version, requires, 'locked'))}\n    # via {via}\n"
        for name, version, requires, via in pinned
    ]
    wheel(there, "sympy", "2.0", (), "newer than the lock")
    (tmp_path / "lock.txt").write_text("".join(entries))
    return tmp_path / "lock.txt"


@pytest.fixture
def indexes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Every index in the world; that of the CPU builds has what the others have not."""
    cpu = tmp_path / "cpu"
    wheel(cpu, "torch", "2.10.0+cpu", ("sympy",), "cpu")
    wheel(cpu, "torchvision", "0.25.0+cpu", ("torch",), "cpu")
    (tmp_path / "tls").mkdir()
    indexes = Indexes(tmp_path / "tls", {"/cpu/": cpu, "": tmp_path / "ordinary"})
    with served(indexes) as environ:
        for name, value in {**environ, "UV_CACHE_DIR": str(tmp_path / "uv")}.items():
            monkeypatch.setenv(name, value)
        for name in ("UV_INDEX_URL", "UV_DEFAULT_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(urllib.request, "_opener", None)  # of an earlier test, without the proxy
        yield indexes


def read_constant(built: Path, module: str) -> str:
    command = [str(environment.get_python(built)), "-c", f"import {module}; print({module}.SAYS)"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@needs_uv
def test_uv_gets_that_build_alone_from_its_own_index_and_the_rest_as_locked(lock, tmp_path, indexes):
    messages: list[str] = []
    built = environment.build_environment(lock, VERSION, tmp_path / "cache", messages.append, StopSignal(), "cpu")
    assert [read_constant(built, name) for name in ("torch", "torchvision", "sympy", "arm")] == [
        "cpu",
        "cpu",
        "locked",
        "locked",
    ]
    asked_there = {address for address in indexes.asked if "/cpu/" in address}
    assert asked_there
    assert all("torch" in address.rpartition("/cpu/")[2] for address in asked_there)
    assert not any("nvidia" in address for address in indexes.asked)
    remark = "torch 2.10.0+cpu and torchvision 0.25.0+cpu from the cpu index: not pinned by hash"
    assert messages[-1] == remark
    marker = json.loads((built / environment.MARKER).read_text())
    assert (marker["torch_backend"], marker["unpinned"]) == ("cpu", ["torch==2.10.0+cpu", "torchvision==0.25.0+cpu"])
    again: list[str] = []
    assert environment.build_environment(lock, VERSION, tmp_path / "cache", again.append, StopSignal(), "cpu") == built
    assert again == [remark]


@needs_uv
@pytest.mark.parametrize(
    ("gpus", "has_index", "torch"),
    [([], True, "cpu"), (["a GPU"], True, "locked"), ([], False, "locked")],
    ids=["no GPU", "a GPU", "no index"],
)
def test_without_a_gpu_a_machine_gets_the_build_for_the_cpu(
    lock, tmp_path, indexes, monkeypatch, gpus, has_index, torch
):
    if not has_index:
        indexes.folders["/cpu/"] = tmp_path / "nothing"
    monkeypatch.setattr(torch_build.hardware, "query_gpus", lambda: gpus)
    messages: list[str] = []
    arguments = lock, VERSION, tmp_path / "cache"
    built = environment.build_environment(*arguments, messages.append, StopSignal(), MACHINE_BUILD)
    assert read_constant(built, "torch") == torch
    assert any("--torch-backend cu" in message for message in messages) == (torch == "cpu")
    assert environment.find_environment(*arguments, MACHINE_BUILD) == built
    monkeypatch.setattr(torch_build.hardware, "query_gpus", lambda: ["a GPU"])
    assert (environment.find_environment(*arguments, MACHINE_BUILD) == built) == (torch == "locked")


def test_what_uv_is_asked_for(lock, tmp_path, monkeypatch):
    """With a stand-in that writes down what it was told; no index is needed."""
    tool, log = tmp_path / "uv", tmp_path / "log"
    python = f'#!/bin/sh\nexec {sys.executable} "$@"\n'
    tool.write_text(
        f"""#!{sys.executable}
import pathlib, sys
with open({str(log)!r}, "a") as log:
    print(*sys.argv[1:], file=log)
if sys.argv[1] == "venv":
    made = pathlib.Path(sys.argv[-1], "bin"); made.mkdir(parents=True)
    (made / "python").write_text({python!r}); (made / "python").chmod(0o755)
    for name in ("arm", "sympy", "torch", "torchvision"):
        pathlib.Path(sys.argv[-1], "lib/python3/site-packages", name + "-1.dist-info").mkdir(parents=True)
elif "-r" in sys.argv:
    print(pathlib.Path(sys.argv[sys.argv.index("-r") + 1]).read_text().count("--hash"), "hashes")
else:
    print(" + torch==2.10.0+cu126\\n + torchvision==0.25.0+cu126\\n + nvidia-cublas-cu12==12.6\\n + triton==3.6.0")
"""
    )
    tool.chmod(0o755)
    monkeypatch.setenv("UV", str(tool))
    messages: list[str] = []
    built = environment.build_environment(lock, VERSION, tmp_path / "cache", messages.append, StopSignal(), "cu126")
    _, locked, rebuilt = log.read_text().splitlines()
    assert "--no-deps --require-hashes -r" in locked
    assert "--torch-backend cu126 --constraints" in rebuilt
    assert rebuilt.endswith(" torch==2.10.0 torchvision==0.25.0")
    assert "2 hashes" in messages  # of arm and sympy: the locked build's own packages are left out
    named = "torch 2.10.0+cu126 and torchvision 0.25.0+cu126 from the cu126 index (and 2 packages that come with it)"
    assert environment.read_remark(built) == f"{named}: not pinned by hash"


def test_each_build_has_an_environment_of_its_own(lock, tmp_path):
    folders = [
        environment.get_environment_folder(lock, tmp_path, backend) for backend in (None, "cpu", "cu126", "auto")
    ]
    assert len(set(folders)) == 4
    lock.write_text("arm==1.0\n")
    assert environment.get_environment_folder(lock, tmp_path, "cpu") == environment.get_environment_folder(
        lock, tmp_path
    )


def test_what_suits_this_machine_goes_by_its_driver(tmp_path, monkeypatch):
    monkeypatch.setattr(torch_build, "DRIVER_FILE", tmp_path / "version")
    without = torch_build.get_backend_key("auto")
    (tmp_path / "version").write_text("570.86.15\n")
    assert torch_build.get_backend_key("auto") not in (without, "cpu")
    assert torch_build.get_backend_key("cpu") == "cpu"


def test_of_the_training_lock_only_what_a_build_of_torch_brings_is_left_out():
    text = TRAIN.read_text()
    split = torch_build.split_lock(text)
    assert split is not None
    assert split.torch_pins == ("torch==2.10.0", "torchvision==0.25.0")
    gone = names(text) - names(split.other_pins)
    assert {"torch", "torchvision", "triton", "nvidia-cublas-cu12", "cuda-bindings"} <= gone
    assert not gone & {"nvidia-ml-py", "numpy", "sympy", "networkx", "lerobot"}
    assert names(split.versions) == names(split.other_pins)
    assert "--hash" in split.other_pins
    assert "--hash" not in split.versions


def test_a_lock_without_comments_is_split_by_name():
    bare = "\n".join(line for line in TRAIN.read_text().splitlines() if not line.lstrip().startswith("#"))
    split = torch_build.split_lock(bare)
    assert split is not None
    assert not names(split.other_pins) & {"torch", "triton", "nvidia-cublas-cu12", "nvidia-nccl-cu12"}
    assert "nvidia-ml-py" in names(split.other_pins)
