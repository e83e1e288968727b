"""A source half may want an environment of its own: built before anything is fetched, and only when it is wanted."""

import io
import os
import re
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from robotrain.submission.packing import pack_modules
from robotrain_runtime.contract import document
from robotrain_runtime.contract.document import JobDocument, JobSource, Placement
from robotrain_runtime.environments import environment
from robotrain_runtime.preflight import run_preflight

PLUGIN_FOLDER = Path(__file__).parent / "fetch_plugins"


@pytest.fixture
def given_environment(tmp_path) -> Path:
    """An environment that a person gave for the run."""
    venv.create(tmp_path / "given", with_pip=False, symlinks=True)
    return tmp_path / "given"


@pytest.fixture
def job(tmp_path, given_environment):
    """A document with one source, fetched by `far_source` or `near_source`."""

    def make(half: str, **placement: str | None) -> JobDocument:
        placed = {
            "work": str(tmp_path / "work"),
            "cache": str(tmp_path / "cache"),
            "environment": str(given_environment),
        }
        return JobDocument(
            schema=document.SCHEMA,
            run="show-1",
            job="0" * 64,
            workload="show",
            platform="here",
            halves={"workload.show": "show_work", "source.far": half},
            parameters={},
            placement=Placement(**placed | placement),
            sources=(JobSource(role="policy", kind="far", uri="far://away"),),
        )

    return make


@pytest.fixture
def run(tmp_path):
    """Run a document in the runtime; its output."""

    def run(made: JobDocument) -> str:
        (tmp_path / "job.json").write_text(document.format_document(made))
        command = [sys.executable, "-m", "robotrain_runtime", "run", str(tmp_path / "job.json")]
        environ = {**os.environ, "PYTHONPATH": str(PLUGIN_FOLDER)}
        done = subprocess.run(command, env=environ, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def list_built(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "cache/environments").glob("*/" + environment.MARKER))


@pytest.mark.slow
def test_a_source_is_fetched_in_the_environment_it_declares_which_is_built_once(job, run, tmp_path):
    told = run(job("far_source"))
    assert "building the environment" in told
    (marker,) = list_built(tmp_path)
    assert marker.parent == environment.get_environment_folder(PLUGIN_FOLDER / "far.txt", tmp_path / "cache")
    assert f"brought {marker.parent}/bin/python" in told.splitlines()
    assert "fetching far://away" in told.splitlines()
    assert "building the environment" not in run(job("far_source", work=str(tmp_path / "again")))


def test_a_source_that_declares_none_gets_the_runs_own_and_nothing_is_built(job, run, given_environment, tmp_path):
    assert f"brought {given_environment}/bin/python" in run(job("near_source")).splitlines()
    assert not list_built(tmp_path)


@pytest.fixture
def no_python(monkeypatch):
    monkeypatch.syspath_prepend(str(PLUGIN_FOLDER))
    monkeypatch.setenv("ROBOTRAIN_PYTHON", "/no/such/python")


def test_preflight_looks_at_an_environment_that_a_source_wants(job, no_python):
    (finding,) = run_preflight(job("far_source"))
    assert finding.code == "python-missing"
    assert finding.ways
    assert not [way for way in finding.ways if "--environment" in way]  # which is for the run's own
    assert run_preflight(job("near_source")) == []


def test_what_stands_in_the_way_of_both_environments_is_told_once(job, no_python):
    (finding,) = run_preflight(job("far_source", environment=None))
    assert any("--environment" in way for way in finding.ways)


def test_the_data_environment_is_locked_for_every_machine_and_names_no_host():
    from robotrain_sources.data_environment import ENVIRONMENT

    assert ENVIRONMENT.platform == ""
    lock = ENVIRONMENT.lock.read_text()
    assert not re.search(r"https?://|--(?:extra-)?index|--find-links", lock)
    for line in lock.splitlines():
        assert not re.match(r"[a-z]", line) or re.match(r"[\w.-]+==[\w.]+ ", line), line
    for name in ("azure-identity", "azure-storage-blob", "huggingface-hub", "obstore"):
        assert re.search(rf"(?m)^{name}==", lock)


@pytest.mark.parametrize(
    ("half", "modules"),
    [
        ("huggingface.fetch", ["transfer.scheduler", "transfer.__main__"]),
        ("blob_url.fetch", ["transfer.scheduler", "transfer.__main__"]),
        ("mlflow.container", ["mlflow.model_fetch", "mlflow.run_fetch"]),
    ],
)
def test_a_half_brings_all_that_it_needs_in_the_payload(half, modules, tmp_path):
    half = f"robotrain_sources.{half}"
    with zipfile.ZipFile(io.BytesIO(pack_modules([half]).archive)) as archive:
        archive.extractall(tmp_path / "payload")
    wanted = [half, *(f"robotrain_sources.{module}" for module in modules)]
    look = f"import sys, importlib; sys.path.insert(0, {str(tmp_path / 'payload')!r})\n" + "".join(
        f"importlib.import_module({module!r})\n" for module in wanted
    )
    told = subprocess.run([sys.executable, "-I", "-S", "-c", look], capture_output=True, text=True)
    assert told.returncode == 0, told.stderr


@pytest.mark.slow
def test_the_data_environment_holds_what_the_halves_import(data_python):
    wanted = "import azure.identity, azure.storage.blob, huggingface_hub, obstore"
    subprocess.run([data_python, "-c", wanted], check=True)
