"""A child Python imports nothing from the folder in which robotrain was started."""

import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from robotrain_runtime.contract import child_python
from robotrain_runtime.contract.container_plugin import ContainerContext
from robotrain_runtime.environments import interpreter, run_environment, uv_program
from robotrain_runtime.process.helper_process import HelperProcess
from robotrain_runtime.process.stop import SIGNALS, StopSignal
from robotrain_sources.fetching import program

MODULES = ("importlib", "json", "pip", "robotrain_runtime", "runpy", "sitecustomize", "usercustomize")


@pytest.fixture
def imported_file(tmp_path, monkeypatch) -> Path:
    """A file that the modules of the current folder create when they are imported."""
    folder, owned = tmp_path / "cloned", tmp_path / "owned"
    folder.mkdir()
    for name in MODULES:
        (folder / f"{name}.py").write_text(f"open({str(owned)!r}, 'a').write('{name} ')\n")
    monkeypatch.chdir(folder)
    return owned


def test_search_for_pip_imports_nothing_from_the_folder(imported_file):
    uv_program.find_python_with_pip()
    assert not imported_file.exists()


@pytest.mark.slow
def test_download_of_uv_takes_nothing_from_the_folder(imported_file, tmp_path):
    if uv_program.find_python_with_pip() is None:
        pytest.skip("no pip on this machine")
    Path("setup.cfg").write_text(f"[install]\nprefix = {tmp_path}/elsewhere\n")
    assert os.access(uv_program.fetch_uv(Path("cache"), StopSignal()), os.X_OK)
    assert not imported_file.exists()


def test_program_of_a_run_imports_nothing_from_the_folder(imported_file, job, monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parent / "container_plugins")
    environ = run_environment.make_program_environ(job())
    subprocess.run([sys.executable, "-m", "json.tool", "--help"], env=environ, stdout=subprocess.DEVNULL, check=True)
    assert not imported_file.exists()


VERSIONS = ("3.10", "3.11", "3.12")


@pytest.mark.parametrize("version", VERSIONS)
def test_fetch_program_imports_nothing_from_the_folder(imported_file, tmp_path, version):
    if (python := interpreter.find_interpreter(version)) is None:
        pytest.skip(f"no Python {version} on this machine")
    place = ContainerContext(cache=tmp_path, python=python)
    with suppress(OSError):  # it has no answer
        program.run_program(place, "json.tool", "--help")
    assert not imported_file.exists()


@pytest.mark.parametrize("version", VERSIONS)
def test_helper_process_imports_nothing_from_the_folder(imported_file, version):
    """Python 3.10 does not know PYTHONSAFEPATH."""
    if (python := interpreter.find_interpreter(version)) is None:
        pytest.skip(f"no Python {version} on this machine")
    ended = threading.Event()
    lines: list[str] = []

    def take_line(line: str) -> None:
        lines.append(line)
        ended.set()

    HelperProcess([str(python), "-m", "json.tool", "--help"], child_python.make_import_environ([]), take_line)
    assert ended.wait(10)
    assert "usage" in lines[0]
    assert not imported_file.exists()


def test_helper_process_outlives_a_stop_of_the_work():
    """It uploads the last checkpoint, and records how the run ended."""
    process = HelperProcess([sys.executable, "-c", "input()"], child_python.make_import_environ([]), print)
    for number in SIGNALS:
        os.kill(process._process.pid, number)
    time.sleep(0.2)
    assert process.is_alive
    process.close()


@pytest.mark.parametrize("version", VERSIONS)
def test_module_of_this_python_imports_nothing_from_the_folder(imported_file, version):
    if (python := interpreter.find_interpreter(version)) is None:
        pytest.skip(f"no Python {version} on this machine")
    runtime = Path(child_python.__file__).parents[2]
    code = f"import sys; sys.path[0] = {str(runtime)!r}; from robotrain_runtime.contract import child_python as it"
    code += "; import subprocess; subprocess.run(it.make_module_command('json.tool', '--help'), check=True)"
    done = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True)
    assert "usage" in done.stdout
    assert not imported_file.exists()
