"""What the image holds is taken and not made again: environments by their locks, torch by its version."""

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from built_environment import make_built_environment
from pretend_index import sha256, wheel
from robotrain_runtime.contract import added_packages
from robotrain_runtime.contract.container_plugin import PythonEnvironment
from robotrain_runtime.contract.document import Placement
from robotrain_runtime.environments import environment, environment_check, interpreter, torch_build, uv_program
from robotrain_runtime.process.stop import StopSignal

pytestmark = pytest.mark.slow  # builds environments, with uv

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
UV = uv_program.find_uv(Path("/nowhere"))

needs_uv = pytest.mark.skipif(UV is None, reason="no uv on this machine")


@pytest.fixture
def packages(tmp_path, monkeypatch) -> Path:
    """A folder of wheels that is all uv knows."""
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path / "packages"))
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    (tmp_path / "packages").mkdir()
    return tmp_path / "packages"


@pytest.fixture
def image(tmp_path, monkeypatch) -> Path:
    """Where the image keeps what was baked into it."""
    monkeypatch.setenv("ROBOTRAIN_BAKED", str(tmp_path / "image"))
    return tmp_path / "image"


@pytest.fixture
def lock(packages, tmp_path) -> Path:
    """Of a build of torch with CUDA, and of something else that has files in a folder of the same name."""
    return write_lock(
        tmp_path / "lock.txt",
        pin(packages, "arm", "1.0", "-r x.in"),
        pin(packages, "nvidia_arm", "1.0", "-r x.in", {"nvidia/arm/__init__.py": "SAYS = 'locked'\n"}),
        pin(packages, "nvidia_cublas", "12.8", "torch"),
        pin(packages, "torch", "97.1.0", "-r x.in"),
        pin(packages, "torchvision", "97.2.0", "-r x.in"),
    )


def write_lock(path: Path, *pins: str) -> Path:
    path.write_text("".join(pins))
    return path


def pin(packages: Path, name: str, version: str, via: str, files: "dict[str, str] | None" = None) -> str:
    made = wheel(packages, name, version, says="locked")
    with zipfile.ZipFile(made, "a") as archive:
        for path, text in (files or {}).items():
            archive.writestr(path, text)
    return f"{name.replace('_', '-')}=={version} \\\n    --hash=sha256:{sha256(made)}\n    # via {via}\n"


class Stranger:
    """A Python that the image has, with packages that nobody locked."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder, with_pip=False, symlinks=True)
        self.folder = folder
        (self.site,) = folder.glob("lib/python*/site-packages")

    def install(
        self, name: str, version: str, needs: tuple[str, ...] = (), says: str = "image", cuda: str = ""
    ) -> None:
        made = wheel(self.folder / "wheels", name, version, needs, says)
        with zipfile.ZipFile(made) as archive:
            archive.extractall(self.site)
        package = self.site / name
        package.mkdir()
        (self.site / f"{name}.py").rename(package / "__init__.py")
        if cuda:
            (package / "version.py").write_text(f"cuda: str = '{cuda}'\n")
        self._record(name, version, name)

    def install_shared(self, name: str, version: str, folder: str) -> None:
        """A distribution of which one folder lies in another that several share."""
        made = wheel(self.folder / "wheels", name, version)
        with zipfile.ZipFile(made) as archive:
            archive.extractall(self.site)
        (self.site / folder).mkdir(parents=True)
        (self.site / folder / "__init__.py").write_text("SAYS = 'image'\n")
        self._record(name, version, folder)

    def _record(self, name: str, version: str, folder: str) -> None:
        info = self.site / f"{name}-{version}.dist-info"
        (info / "RECORD").write_text(f"{folder}/__init__.py,,\n{info.name}/METADATA,,\n../../../bin/{name},,\n")


@pytest.fixture
def stranger(tmp_path, monkeypatch) -> Stranger:
    """The image's Python, which is the one on PATH, with the very torch that is locked."""
    made = Stranger(tmp_path / "stranger")
    monkeypatch.setenv("PATH", f"{made.folder / 'bin'}{os.pathsep}{os.environ['PATH']}")
    if UV:
        monkeypatch.setenv("UV", str(UV))
    made.install("torch", "97.1.0+cu126", ("nvidia-cublas", "sympy"), cuda="12.6")
    made.install("torchvision", "97.2.0+cu126", ("torch",))
    made.install_shared("nvidia_cublas", "12.6", "nvidia/cublas")
    return made


def build(lock: Path, cache: Path, said: "list[str] | None" = None, backend: "str | None" = None) -> Path:
    return environment.build_environment(
        lock, VERSION, cache, (said if said is not None else []).append, StopSignal(), backend
    )


def read_constant(built: Path, module: str) -> str:
    command = [str(environment.get_python(built)), "-c", f"import {module} as asked; print(asked.SAYS)"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def list_modification_times(folder: Path) -> "dict[str, float]":
    return {str(path): path.lstat().st_mtime for path in folder.rglob("*") if "__pycache__" not in str(path)}


@needs_uv
def test_an_environment_of_the_image_is_used_and_nothing_is_written(packages, image, tmp_path):
    lock = write_lock(tmp_path / "lock.txt", pin(packages, "arm", "1.0", "-r x.in"))
    baked = build(lock, image)
    before, lines = list_modification_times(image), list[str]()
    assert build(lock, tmp_path / "cache", lines) == baked
    assert environment.find_environment(lock, VERSION, tmp_path / "cache") == baked
    assert lines == []
    assert list_modification_times(image) == before
    assert not (tmp_path / "cache").exists()
    assert read_constant(baked, "arm") == "locked"


@needs_uv
def test_packages_are_added_to_an_environment_of_the_image_by_links(packages, image, lock, tmp_path):
    build(lock, image)
    before = list_modification_times(image)
    folder = tmp_path / "added"
    folder.mkdir()
    more = pin(packages, "nvidia_more", "1.0", "-r x.in", {"nvidia/more/__init__.py": "SAYS = 'added'\n"})
    write_lock(folder / added_packages.BASE_FILE, lock.read_text())
    write_lock(folder / added_packages.ADDED_FILE, more)
    both = write_lock(folder / added_packages.LOCK_FILE, lock.read_text(), more)
    lines: list[str] = []
    built = build(both, tmp_path / "cache", lines)
    assert any("Installed 1 package" in line for line in lines)
    assert list_modification_times(image) == before
    assert (read_constant(built, "nvidia.more"), read_constant(built, "nvidia.arm")) == ("added", "locked")
    assert environment.find_environment(both, VERSION, tmp_path / "cache") == built


def test_an_environment_of_the_image_that_is_incomplete_or_does_not_run_is_not_used(image, tmp_path):
    def found(number: int) -> Path | None:
        return environment.find_environment(tmp_path / f"{number}.txt", VERSION, tmp_path / "cache")

    locks = [write_lock(tmp_path / f"{number}.txt", f"arm=={number}\n") for number in range(4)]
    whole = make_built_environment(locks[0], image, version=VERSION)
    (make_built_environment(locks[1], image) / environment.MARKER).unlink()
    make_built_environment(locks[2], image, python="/no/such/python")
    make_built_environment(locks[3], image, version="3.1")
    assert [found(number) for number in range(4)] == [whole, None, None, None]


def test_preflight_has_no_findings_about_an_environment_of_the_image(image, tmp_path, monkeypatch):
    lock = write_lock(tmp_path / "lock.txt", "arm==1.0\n")
    make_built_environment(lock, image)
    monkeypatch.setenv("ROBOTRAIN_PYTHON", "/no/such/python")
    wanted = PythonEnvironment(lock=lock, python=VERSION, gib=10**6, platform="Plan9-sparc")
    assert (
        list(environment_check.find_environment_problems(wanted, Placement(work="", cache=str(tmp_path / "cache"))))
        == []
    )


@needs_uv
def test_a_cache_that_images_share_keeps_what_another_image_runs(packages, image, tmp_path):
    lock = write_lock(tmp_path / "lock.txt", pin(packages, "arm", "1.0", "-r x.in"))
    theirs = build(lock, tmp_path / "cache")
    (theirs / "bin/python").unlink()
    (theirs / "bin/python").symlink_to("/only/in/their/image/python")
    ours = build(lock, tmp_path / "cache")
    assert ours != theirs
    assert (theirs / environment.MARKER).exists()
    messages: list[str] = []
    assert build(lock, tmp_path / "cache", messages) == ours
    assert messages == []


@needs_uv
def test_the_uv_that_was_baked_in_is_found(image, tmp_path, monkeypatch):
    baked = image / "uv" / uv_program.get_uv_version() / "bin/uv"
    baked.parent.mkdir(parents=True)
    baked.symlink_to(UV)
    monkeypatch.delenv("UV", raising=False)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert uv_program.find_uv(tmp_path / "cache") == baked


@needs_uv
def test_the_locked_torch_is_taken_from_the_image_with_all_that_it_needs(lock, stranger, tmp_path):
    messages: list[str] = []
    built = build(lock, tmp_path / "cache", messages)
    assert {
        name: read_constant(built, name) for name in ("torch", "torchvision", "nvidia.cublas", "nvidia.arm", "arm")
    } == {
        "torch": "image",
        "torchvision": "image",
        "nvidia.cublas": "image",
        "nvidia.arm": "locked",
        "arm": "locked",
    }
    python = stranger.folder / "bin/python3"
    named = f"torch 97.1.0+cu126 and torchvision 97.2.0+cu126 from the image's {python}: not pinned by hash"
    assert messages[-1] == environment.read_remark(built) == named
    assert "Prepared 2 packages" in " ".join(messages)
    assert built != environment.get_environment_folder(lock, tmp_path / "cache")
    again: list[str] = []
    assert build(lock, tmp_path / "cache", again) == built
    assert again == [named]


@needs_uv
def test_an_image_whose_torch_was_linked_while_it_was_baked_is_found_as_well(lock, stranger, image, tmp_path):
    baked = build(lock, image)
    (stranger.folder / "bin/python3").unlink()  # the same interpreter, found by another of its names
    assert build(lock, tmp_path / "cache") == baked


OTHERS = {
    "another version": lambda made: made.install("torch", "97.1.1+cu126", cuda="12.6"),
    "a build before it": lambda made: made.install("torch", "97.1.0a0+9f2b", cuda="12.6"),
    "without CUDA": lambda made: made.install("torch", "97.1.0+cpu"),
    "nobody knows its files": lambda made: (made.site / "torch-97.1.0.dist-info").mkdir(),
    "no torchvision": lambda made: shutil.rmtree(made.site / "torchvision-97.2.0+cu126.dist-info"),
}


@pytest.mark.parametrize("other", OTHERS)
def test_another_torch_is_not_taken(other, lock, stranger):
    if other != "no torchvision":
        shutil.rmtree(stranger.site / "torch")
        shutil.rmtree(stranger.site / "torch-97.1.0+cu126.dist-info")
    OTHERS[other](stranger)
    assert torch_build.find_image_torch(lock, VERSION) is None


def test_a_build_that_is_locked_by_its_label_has_to_be_that_build(lock, stranger):
    assert torch_build.find_image_torch(lock, "3.2") is None  # nor is one for another Python taken
    assert torch_build.find_image_torch(lock, f"3.{sys.version_info.minor - 1}-{VERSION}")
    labelled = lock.read_text().replace("97.1.0", "97.1.0+cu126").replace("97.2.0", "97.2.0+cu126")
    assert torch_build.find_image_torch(write_lock(lock, labelled), VERSION)
    assert torch_build.find_image_torch(write_lock(lock, labelled.replace("cu126", "cu128")), VERSION) is None


@needs_uv
def test_the_image_torch_is_not_used_for_another_build_or_if_it_is_off(lock, stranger, tmp_path, monkeypatch):
    built = build(lock, tmp_path / "cache")
    assert environment.find_environment(lock, VERSION, tmp_path / "cache") == built
    assert environment.find_environment(lock, VERSION, tmp_path / "cache", "cu128") is None
    monkeypatch.setenv("ROBOTRAIN_IMAGE_TORCH", "0")
    assert environment.find_environment(lock, VERSION, tmp_path / "cache") is None
    assert read_constant(build(lock, tmp_path / "cache"), "torch") == "locked"


@needs_uv
def test_an_image_torch_that_does_not_work_is_replaced_by_the_locked_one(lock, stranger, tmp_path):
    (stranger.site / "torchvision/__init__.py").write_text("raise ImportError('undefined symbol: _ZN2at')\n")
    messages: list[str] = []
    built = build(lock, tmp_path / "cache", messages)
    assert read_constant(built, "torch") == "locked"
    (message,) = [line for line in messages if "does not work here" in line]
    assert "torch 97.1.0+cu126" in message
    assert message.endswith("the locked one is installed: ImportError: undefined symbol: _ZN2at")
    assert [path.name for path in built.parent.glob("*/")] == [built.name]  # nothing half made is left
    again: list[str] = []
    assert build(lock, tmp_path / "cache", again) == built
    assert again == []


def test_preflight_asks_for_less_disk_space_if_the_image_has_torch(lock, stranger, tmp_path, monkeypatch):
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=6 * 1024**3))
    wanted, placement = PythonEnvironment(lock=lock, python=VERSION, gib=9.0), Placement(work="", cache=str(tmp_path))
    assert list(environment_check.find_environment_problems(wanted, placement)) == []
    monkeypatch.setenv("ROBOTRAIN_IMAGE_TORCH", "0")
    assert [problem.code for problem in environment_check.find_environment_problems(wanted, placement)] == ["disk-full"]


@pytest.mark.slow
@needs_uv
@pytest.mark.long
def test_a_real_torch_of_the_image_computes_in_the_new_environment(tmp_path, monkeypatch):
    """Its wheel, installed with pip into what plays the image; of the lock only the rest is fetched."""
    python = interpreter.find_interpreter("3.11")
    if python is None:
        pytest.skip("no Python 3.11 on this machine")
    if "PIP_FIND_LINKS" not in os.environ:
        pytest.skip("no CPU wheel of torch at hand: PyPI's brings 4 GB of CUDA")
    there = tmp_path / "there"
    subprocess.run([python, "-m", "venv", there], check=True)
    done = subprocess.run([there / "bin/pip", "install", "-q", "torch==2.13.0"], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no wheel of torch: {done.stderr[-200:]}")
    frozen = subprocess.run([there / "bin/pip", "freeze"], capture_output=True, text=True, check=True).stdout
    requirements = "".join(f"{line}\n" for line in frozen.splitlines() if not line.startswith("torch"))
    compile_ = [str(UV), "pip", "compile", "-", "-q", "--python-version", "3.11", "--generate-hashes", "--no-deps"]
    compiled = subprocess.run(compile_, input=requirements, capture_output=True, text=True, check=True).stdout
    never = f"torch==2.13.0 \\\n    --hash=sha256:{'0' * 64}\n"
    monkeypatch.setenv("PATH", f"{there / 'bin'}{os.pathsep}{os.environ['PATH']}")
    messages: list[str] = []
    lock = write_lock(tmp_path / "lock.txt", compiled, never)
    built = environment.build_environment(lock, "3.11", tmp_path / "cache", messages.append, StopSignal())
    compute = "import torch; x = torch.ones(3, requires_grad=True); (x @ x).backward(); print(x.grad.tolist())"
    result = subprocess.run(
        [environment.get_python(built), "-W", "ignore", "-c", compute], capture_output=True, text=True
    )
    assert result.stdout == "[2.0, 2.0, 2.0]\n", result.stderr
    assert "from the image's" in messages[-1]
