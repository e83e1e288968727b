"""`robotrain image`: what it writes is whole, names nothing of this machine, and bakes what a run then finds."""

import json
import re
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from robotrain_runtime.environments import environment, uv_program

ROOT = Path(__file__).parents[2]
DATA = ROOT / "runtime/robotrain_runtime/data_environment/locks/data.txt"
SMALL = ("idna", "packaging")


def instructions(dockerfile: str) -> list[list[str]]:
    """Each instruction as its first word and the rest, as Docker reads lines that go on."""
    lines = [line for line in dockerfile.splitlines() if not line.startswith("#")]
    return [line.split(maxsplit=1) for line in "\n".join(lines).replace("\\\n", " ").splitlines() if line.strip()]


@pytest.fixture
def small_workload(install, tmp_path):
    """A stranger's workload that takes datasets, with a lock of two small packages."""
    pins = re.findall(r"^\S+==[^\n]*\n(?: [^\n]*\n)*", DATA.read_text(), re.MULTILINE)
    half = """
from pathlib import Path
from robotrain_runtime.contract.container_plugin import PythonEnvironment
ENVIRONMENT = PythonEnvironment(lock=Path(__file__).with_name("tiny.txt"), python="3.10-3.14", gib=0.01)
"""
    kind = """
from dataclasses import dataclass
from robotrain.plugin import Role, Workload, hook

@dataclass(frozen=True)
class Parameters:
    pass

@hook
def robotrain_workloads():
    roles = {"dataset": Role()}
    return [Workload(name="tiny", summary="", parameters=Parameters, roles=roles, container_plugin="tiny_half")]
"""
    site = install("robotrain-tiny", {"workload.tiny": "tiny_workload"}, tiny_workload=kind, tiny_half=half)
    (site / "tiny.txt").write_text("".join(pin for pin in pins if pin.partition("==")[0] in SMALL))
    return site / "tiny.txt"


def test_dockerfile_on_stdout_has_each_environment(robotrain):
    result = robotrain("image", "lerobot-train")
    words = instructions(result.stdout)
    assert [word for word, _ in words] == ["ARG", "FROM", "RUN", "RUN", "RUN", "RUN"]
    assert words[0][1] == "BASE=python:3.12-slim"
    assert "robotrain image lerobot-train --to DIR" in result.stderr
    for kind, name in (("lerobot_train.container", "train"), ("rosbag.bag_datasets", "bags"), ("", "data")):
        module = import_module(f"robotrain_workloads.{kind}" if kind else "robotrain_runtime.data_environment")
        folder = environment.get_environment_folder(module.ENVIRONMENT.lock, Path("/opt/robotrain"))
        assert re.search(rf"^#   {name}\.txt +{folder.name} ", result.stdout, re.MULTILINE)
        (line,) = [line for _, line in words if f"/locks/{name}.txt" in line]
        assert f"--python {module.ENVIRONMENT.python} " in line
        assert line.endswith(f" --cache {folder.parents[1]}")


def test_dockerfile_names_nothing_of_this_machine(robotrain, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "https://user:secret@index.example/simple")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://user:secret@index.example/simple")
    written = robotrain("image", "lerobot-train", "--json").stdout
    assert not re.search(r"https?:|index|secret@|find-links", json.loads(written)["dockerfile"].partition("ARG")[2])
    assert str(Path.home()) not in written
    assert str(ROOT) not in written


def test_base_image_is_the_given_one(robotrain):
    assert (
        "ARG BASE=registry.example/team/base:2\n"
        in robotrain("image", "lerobot-train", "--from", "registry.example/team/base:2").stdout
    )


@pytest.mark.parametrize("wrong", ["a\nRUN rm", "${HOME}", "-x"])
def test_invalid_name_of_an_image_is_refused(robotrain, wrong):
    robotrain("image", "lerobot-train", f"--from={wrong}").check_problems(2, "value-invalid")


def test_folder_has_all_files_of_the_build_and_is_not_overwritten(robotrain, tmp_path):
    result = robotrain("image", "lerobot-train", "--to", tmp_path / "image", "--json").json
    present = {path.relative_to(tmp_path / "image").as_posix() for path in (tmp_path / "image").rglob("*.*")}
    assert {
        "locks/data.txt",
        "locks/train.txt",
        "robotrain_runtime/environments/uv.txt",
        "robotrain_runtime/environments/environment.py",
    } <= present
    assert [built["digest"] for built in result["environments"]] == [
        environment.get_environment_folder(tmp_path / "image/locks" / built["lock"], tmp_path).name
        for built in result["environments"]
    ]
    mounted = re.findall(r"/tmp/robotrain-image/([\w./-]+)", (tmp_path / "image/Dockerfile").read_text())
    assert all((tmp_path / "image" / path).is_file() for path in mounted)
    again = robotrain("image", "lerobot-train", "--to", tmp_path / "image", "--from", "base:2")
    again.check_problems(2, "folder-in-use")
    assert "ARG BASE=base:2" not in (tmp_path / "image/Dockerfile").read_text()


def test_image_of_a_plugin_has_its_lock_and_that_of_its_sources(robotrain, small_workload):
    result = robotrain("image", "tiny", "--json").json
    assert {built["lock"] for built in result["environments"]} == {"tiny.txt", "data.txt"}
    assert result["from"] == "python:3.14-slim"
    assert "lerobot" not in result["dockerfile"]


def test_misspelt_workload_is_answered_with_the_nearest(robotrain):
    robotrain("image", "lerobot-trian").check_problems(2, "plugin-not-loaded lerobot-trian")


@pytest.fixture
def image_machine(tmp_path, monkeypatch):
    """What plays the container while an image is built, and later while it runs: folders below the test's own.

    `image_machine(line)` does a RUN line there; its mounts are of no use to a shell.
    """
    from robotrain import image_build

    if (python := uv_program.find_python_with_pip()) is None:
        pytest.skip("no pip on this machine")
    folders = {image_build.IMAGE_FOLDER: "opt", image_build.CONTEXT_MOUNT: "image", image_build.CACHE_MOUNT: "fetched"}
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python3").symlink_to(python)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.delenv("UV", raising=False)

    def run(line: str) -> subprocess.CompletedProcess[str]:
        command = re.sub(r"--mount=\S+ ", "", re.sub(r"\s+", " ", line))
        for there, here in folders.items():
            command = command.replace(there, str(tmp_path / here))
        return subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, cwd=tmp_path)

    return run


def test_an_image_may_have_another_base(robotrain):
    base = "nvcr.io/nvidia/pytorch:25.12-py3"
    result = robotrain("image", "rosbag-act-train", "--from", base)
    assert f"ARG BASE={base}\n" in result.stdout
    (pip,) = [line for _, line in instructions(result.stdout) if "pip install" in line]
    assert "PIP_CONSTRAINT= " in pip, "NVIDIA's images set it"
    assert "not built" in robotrain("image", "rosbag-act-train", "--to", "image").stderr


@pytest.mark.slow
def test_environments_of_the_image_are_found_by_the_runtime(
    robotrain, small_workload, image_machine, tmp_path, monkeypatch
):
    robotrain("image", "tiny", "--to", tmp_path / "image")
    for word, line in instructions((tmp_path / "image/Dockerfile").read_text()):
        if word == "RUN":
            done = image_machine(line)
            assert done.returncode == 0, done.stderr
    assert (tmp_path / "opt/uv" / uv_program.get_uv_version() / "bin/uv").exists()
    shutil.rmtree(tmp_path / "image")  # what was only mounted
    shutil.rmtree(tmp_path / "fetched")
    monkeypatch.setenv("ROBOTRAIN_BAKED", str(tmp_path / "opt"))
    for lock, module in ((small_workload, "packaging, idna"), (DATA, "obstore, azure.identity, huggingface_hub")):
        command = [
            sys.executable,
            "-m",
            "robotrain_runtime",
            "environment",
            str(lock),
            "--cache",
            str(tmp_path / "cache"),
        ]
        result = subprocess.run([*command, "--python", "3.10-3.14"], capture_output=True, text=True, check=True)
        assert result.stdout == f"{environment.get_environment_folder(lock, tmp_path / 'opt')}\n"
        assert result.stderr == ""
        assert list(Path(result.stdout.strip()).glob("lib/*/site-packages/idna/__pycache__/*.pyc"))
        subprocess.run([f"{result.stdout.strip()}/bin/python", "-c", f"import {module}"], check=True)
    assert not (tmp_path / "cache").exists()
