"""A Python without the packages that a job's data needs: the runtime gets them first, and stays the same process."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
import robotrain_runtime
from built_environment import make_built_environment
from robotrain_runtime import bootstrap, data_environment
from robotrain_runtime.contract import document, event, failure
from robotrain_runtime.contract.document import JobSource, Mount

PLUGIN_FOLDER = Path(__file__).parent / "container_plugins"
RUNTIME_FOLDER = Path(robotrain_runtime.__file__).parents[1]
WORK = "import os; print('fetched by', open(os.environ['PRETEND_DATA'] + '/numbers.txt').read(), flush=True)"
PYTHONS = ("3.10", "3.12", "3.13")


@pytest.fixture
def needy(job):
    """Make a document with a source that the runtime fetches with packages of the data environment."""

    def make(program: str = WORK, **placement: object) -> document.JobDocument:
        made = job(program, **placement)
        source = JobSource(role="policy", kind="own", uri="own://away")
        return dataclasses.replace(
            made, container_plugins={**made.container_plugins, "source.own": "pretend_own"}, sources=(source,)
        )

    return make


@pytest.fixture
def begin(tmp_path, small_environment):
    """Start the runtime with a Python that has no packages, as a platform does it in the run's folder."""
    started: list[subprocess.Popen[str]] = []

    def start(made: document.JobDocument, *options: str, python: object = "", command="run", **environ: str):
        (tmp_path / "job.json").write_text(document.format_document(made))
        used = str(python or small_environment / "bin/python")
        words = ("-m", "robotrain_runtime", command, "job.json")
        started.append(
            subprocess.Popen(
                [used, *words, *options],
                env={**os.environ, "PYTHONPATH": f"{RUNTIME_FOLDER}{os.pathsep}{PLUGIN_FOLDER}", **environ},
                cwd=tmp_path,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        )
        return started[-1]

    yield start
    for process in started:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.fixture
def built(tmp_path):
    """Put a data environment into the cache: the Python of these tests, after a line of shell."""

    def make(line: str = ":") -> Path:
        python = tmp_path / "python"
        python.write_text(f'#!/bin/sh\nif [ "$1" = -c ]; then {line}; fi\nexec {sys.executable} "$@"\n')
        python.chmod(0o755)
        return make_built_environment(data_environment.ENVIRONMENT.lock, tmp_path / "cache", str(python))

    return make


@pytest.fixture
def slow_uv(tmp_path) -> tuple[str, Path]:
    """A uv that never ends, and the file with its process id."""
    program, started = tmp_path / "uv", tmp_path / "installing"
    program.write_text(f'#!/bin/sh\necho $$ > "{started}.part"\nmv "{started}.part" "{started}"\nexec sleep 60\n')
    program.chmod(0o755)
    return str(program), started


def add_source(made: document.JobDocument, uri: str) -> document.JobDocument:
    source = JobSource(role="dataset", kind="kept", uri=uri)
    return dataclasses.replace(made, sources=(*made.sources, source))


def read_outcome(folder: Path) -> tuple[str, str]:
    outcome = json.loads((folder / "work/outcome.json").read_text())
    return outcome["state"], outcome["fault"]


def test_the_runtime_goes_on_in_the_data_environment_as_the_same_process(needy, begin, built, tmp_path):
    built()
    process = begin(needy(), "--once", "7", "--log", "log.txt")
    assert process.wait(60) == 0, (tmp_path / "log.txt").read_text()
    assert f"fetched by {process.pid} {sys.executable}" in (tmp_path / "log.txt").read_text()
    assert os.readlink(tmp_path / "taken").startswith("7:")
    assert read_outcome(tmp_path) == ("succeeded", "")


def test_a_python_that_has_the_packages_builds_nothing(needy, begin, tmp_path):
    process = begin(needy(), python=sys.executable)
    out = process.communicate(timeout=60)[0]
    assert f"fetched by {process.pid} {sys.executable}" in out
    assert not (tmp_path / "cache/environments").exists()


def test_a_job_that_needs_no_packages_builds_nothing(job, begin, tmp_path):
    assert begin(job()).wait(60) == 0
    assert not (tmp_path / "cache/environments").exists()


def test_a_stop_during_the_build_ends_uv_and_cancels_the_run(needy, begin, slow_uv, tmp_path):
    uv, started = slow_uv
    process = begin(needy(), "--once", "7", UV=uv)
    while not started.exists():
        time.sleep(0.01)
    began = time.monotonic()
    process.terminate()
    out = process.communicate(timeout=60)[0]
    assert process.returncode == 143, out
    assert time.monotonic() - began < 10
    assert read_outcome(tmp_path) == ("cancelled", "stopped")
    assert event.parse_event(out.splitlines()[-1]).event.state == "cancelled"
    with pytest.raises(ProcessLookupError):
        os.kill(int(started.read_text()), 0)


def test_a_stop_before_the_supervisor_listens_is_not_lost_and_its_reason_is_kept(needy, begin, built, tmp_path):
    built(f"echo preempted > {tmp_path}/work/{failure.STOP_REASON_FILE}; kill -TERM $$")
    process = begin(needy("print('worked')"))
    out = process.communicate(timeout=60)[0]
    assert process.returncode == 143, out
    assert read_outcome(tmp_path) == ("cancelled", "preempted")
    assert "worked" not in out


def test_a_stop_during_the_checks_that_then_find_a_problem_cancels_the_run(needy, begin, tmp_path):
    python = tmp_path / "stopping"
    python.write_text("#!/bin/sh\nkill -TERM $PPID\nexit 1\n")
    python.chmod(0o755)
    process = begin(needy(), ROBOTRAIN_PYTHON=str(python))
    out = process.communicate(timeout=60)[0]
    assert process.returncode == 143, out
    assert read_outcome(tmp_path) == ("cancelled", "stopped")


def test_a_stop_of_the_supervisor_cancels_the_run(needy, begin, built, tmp_path):
    built()
    process = begin(needy("import time; print('working', flush=True); time.sleep(60)"))
    for line in process.stdout:
        if line == "working\n":
            break
    process.terminate()
    out = process.communicate(timeout=60)[0]
    assert process.returncode == 143, out
    assert read_outcome(tmp_path) == ("cancelled", "stopped")


def test_a_failed_build_is_the_outcome_of_the_run(needy, begin, tmp_path):
    uv = tmp_path / "uv"
    uv.write_text("#!/bin/sh\necho 'error: Failed to fetch: dns error' >&2\nexit 2\n")
    uv.chmod(0o755)
    process = begin(needy(), UV=str(uv))
    out = process.communicate(timeout=60)[0]
    assert read_outcome(tmp_path) == ("failed", "network"), out
    assert process.returncode == 75, out
    assert (tmp_path / "work/events.jsonl").read_text().count('"outcome"') == 1


def test_a_cache_that_cannot_be_used_is_the_outcome_of_the_run(needy, begin, tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache/environments").touch()
    process = begin(needy(), "--once", "7")
    out = process.communicate(timeout=60)[0]
    assert process.returncode == 1, out
    assert read_outcome(tmp_path)[0] == "failed"
    assert event.parse_event(out.splitlines()[-1]).event.reason.startswith("the job's supervisor cannot be started: ")


def test_a_plugin_that_cannot_be_loaded_is_the_outcome_of_the_run(needy, begin, tmp_path):
    (tmp_path / "broken.py").write_text("boom\n")
    made = needy()
    broken = dataclasses.replace(made, container_plugins={**made.container_plugins, "source.own": "broken"})
    folders = os.pathsep.join(map(str, (RUNTIME_FOLDER, PLUGIN_FOLDER, tmp_path)))
    process = begin(broken, PYTHONPATH=folders)
    out = process.communicate(timeout=60)[0]
    assert read_outcome(tmp_path) == ("failed", "code"), out
    assert "NameError" in event.parse_event(out.splitlines()[-1]).event.reason


def test_a_user_without_a_home_gets_as_far_as_others(needy, begin, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import os, pathlib\n"
        "def refuse(*_): raise RuntimeError('Could not determine home directory.')\n"
        "pathlib.Path.home = refuse\n"
        "os.path.expanduser = lambda path: path\n"
    )
    uv = tmp_path / "uv"
    uv.write_text("#!/bin/sh\necho 'error: Failed to fetch: dns error' >&2\nexit 2\n")
    uv.chmod(0o755)
    folders = os.pathsep.join(map(str, (tmp_path, RUNTIME_FOLDER, PLUGIN_FOLDER)))
    environ = {"HOME": "", "XDG_DATA_HOME": "", "XDG_CACHE_HOME": "", "ROBOTRAIN_CACHE": "", "PYENV_ROOT": ""}
    process = begin(needy(), UV=str(uv), PYTHONPATH=folders, **environ)
    out = process.communicate(timeout=60)[0]
    assert read_outcome(tmp_path) == ("failed", "network"), out


def test_the_secrets_of_the_work_reach_the_work_and_not_uv(needy, begin, built, tmp_path):
    secrets, value = {"MY_KEY": "${RT_SECRET_1}"}, "a-secret-of-the-work"
    uv = tmp_path / "uv"
    uv.write_text(f'#!/bin/sh\nenv > "{tmp_path}/seen"\nexit 2\n')
    uv.chmod(0o755)
    begin(needy(secrets=secrets), UV=str(uv), RT_SECRET_1=value).communicate(timeout=60)
    assert "PATH=" in (tmp_path / "seen").read_text()
    assert value not in (tmp_path / "seen").read_text()
    built()
    process = begin(needy(f"import os; assert os.environ['MY_KEY'] == {value!r}", secrets=secrets), RT_SECRET_1=value)
    out = process.communicate(timeout=60)[0]
    assert process.returncode == 0, out


def test_every_target_is_asked_for_its_environment(job, monkeypatch):
    monkeypatch.setattr(data_environment, "is_here", lambda: False)
    monkeypatch.syspath_prepend(str(PLUGIN_FOLDER))
    places = {"target.shelf": "pretend_shelf", "target.huggingface": "robotrain_sources.huggingface_publish.target"}
    made = job()
    assert not bootstrap.is_build_needed(made)
    assert bootstrap.is_build_needed(dataclasses.replace(made, container_plugins={**made.container_plugins, **places}))


def test_secrets_of_a_store_are_read_in_the_environment(job, monkeypatch):
    monkeypatch.setattr(data_environment, "is_here", lambda: False)
    monkeypatch.syspath_prepend(str(PLUGIN_FOLDER))
    made = job()
    with_store = {**made.container_plugins, "secrets.vault": "pretend_vault"}
    assert bootstrap.is_build_needed(dataclasses.replace(made, container_plugins=with_store))


def test_a_machine_that_cannot_have_the_environment_says_so_and_what_else_is_wrong(needy, begin, tmp_path):
    mount = Mount(role="dataset", uri="kept://poses", folder="${POSES}")
    process = begin(add_source(needy(mounts=(mount,)), "kept://poses"), ROBOTRAIN_PYTHON="/no/such/python")
    out = process.communicate(timeout=60)[0]
    records = [record.event for line in out.splitlines() if (record := event.parse_event(line))]
    assert [type(record).__name__ for record in records] == ["StageEvent", "Note", "Note", "StageEvent", "Outcome"]
    assert process.returncode == 4, out
    assert "POSES is not set" in records[1].text
    assert "Python 3.10-3.14 is missing" in records[2].text
    assert "--environment" not in records[2].text
    assert read_outcome(tmp_path) == ("failed", "configuration")


def test_staging_fetches_the_environment_too(needy, begin, slow_uv, tmp_path):
    uv, started = slow_uv
    process = begin(needy(), "--to", str(tmp_path), command="fetch", UV=uv)
    while not started.exists():
        time.sleep(0.01)
    process.terminate()
    assert process.wait(60) == 143
    assert not (tmp_path / "staged.json").exists()


def test_staging_says_why_there_is_no_environment_and_what_helps(needy, begin, tmp_path):
    process = begin(needy(), "--to", str(tmp_path), command="fetch", ROBOTRAIN_PYTHON="/no/such/python")
    out = process.communicate(timeout=60)[0]
    (note,) = (
        record.event
        for line in out.splitlines()
        if (record := event.parse_event(line)) and isinstance(record.event, event.Note)
    )
    assert "uv python install" in note.text
    assert process.returncode == 4, out


def test_staging_prints_no_secret(needy, begin, tmp_path):
    token = "hf_" + "a" * 34
    uv = tmp_path / "uv"
    uv.write_text(f"#!/bin/sh\necho 'error: {token}' >&2\nexit 2\n")
    uv.chmod(0o755)
    process = begin(needy(), "--to", str(tmp_path), command="fetch", UV=str(uv))
    out = process.communicate(timeout=60)[0]
    assert "the environment could not be built" in out
    assert token not in out
    assert process.returncode == 1, out


@pytest.mark.slow
@pytest.mark.parametrize("version", PYTHONS)
def test_the_locked_environment_is_installed_and_used(needy, begin, tmp_path, version):
    folder = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv", "versions")
    interpreter = next(iter(sorted(folder.glob(f"{version}.*/bin/python"))), None) or shutil.which(f"python{version}")
    if interpreter is None:
        pytest.skip(f"no Python {version} on this machine")
    process = begin(needy(), python=interpreter)
    out = process.communicate(timeout=300)[0]
    (environment,) = (tmp_path / "cache/environments").glob("*/bin/python")
    assert f"fetched by {process.pid} {environment}" in out
    assert process.returncode == 0, out
