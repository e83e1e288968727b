"""A runtime as a platform starts it: a process of its own, a job document, a small environment made without uv."""

import dataclasses
import json
import os
import signal
import sqlite3
import subprocess
import sys
import venv
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import pytest
from robotrain_runtime.contract import document, event
from robotrain_runtime.contract.document import JobDocument, JobSource, Placement
from robotrain_runtime.contract.event import Event, Note
from robotrain_runtime.environments import environment

PLUGIN_FOLDER = Path(__file__).parent / "container_plugins"
PATIENCE = 60.0


@dataclass
class RunResult:
    """What a run left: its exit code, its lines, its work folder."""

    exit_code: int
    lines: list[str]
    stderr: str
    work: Path

    @property
    def records(self):
        return [record for line in self.lines if (record := event.parse_event(line))]

    @property
    def ordinary(self) -> list[str]:
        return [line for line in self.lines if not line.startswith(event.PREFIX)]

    @property
    def last(self) -> Event:
        return self.records[-1].event

    def of_kind(self, kind):
        return [record.event for record in self.records if isinstance(record.event, kind)]

    def notes(self, level: str) -> list[str]:
        return [note.text for note in self.of_kind(Note) if note.level == level]

    @property
    def outcome(self):
        return json.loads((self.work / "outcome.json").read_text())


@pytest.fixture(scope="session")
def small_environment(tmp_path_factory) -> Path:
    """An environment with nothing in it, as a person may have made it."""
    folder = tmp_path_factory.mktemp("environment") / "venv"
    venv.create(folder, with_pip=False, symlinks=True)
    return folder


@pytest.fixture
def job(tmp_path, small_environment):
    """Make a document: `job("print('hello')", sources=["/data"], publish={"to": "/mnt"})`.

    carried: sources that a carrier brings, in the words of `pretend_carrier`. ready: its environment is there already.
    """

    def make(
        program: str = "pass", sources=(), carried=(), publish=MappingProxyType({}), ready=True, **placement
    ) -> JobDocument:
        if carried and ready:
            make_ready_environment(
                environment.get_environment_folder(PLUGIN_FOLDER / "carrying.txt", tmp_path / "cache")
            )
        placed = {
            "work": str(tmp_path / "work"),
            "cache": str(tmp_path / "cache"),
            "environment": str(small_environment),
        }
        return JobDocument(
            schema=document.SCHEMA,
            run="pretend-1",
            job="0" * 64,
            workload="pretend",
            platform="here",
            container_plugins={
                "workload.pretend": "pretend_work",
                "source.folder": "pretend_source",
                "source.words": "pretend_carried",
            },
            parameters={"program": program, **publish},
            placement=Placement(**placed | placement),
            sources=(
                *(JobSource(role="dataset", kind="folder", uri=str(uri)) for uri in sources),
                *(JobSource(role="dataset", kind="words", uri=str(uri)) for uri in carried),
            ),
        )

    return make


def make_ready_environment(folder: Path) -> None:
    """An environment as if it had been built: it has nothing in it."""
    if not folder.exists():
        (folder / "bin").mkdir(parents=True)
        (folder / "bin" / "python").symlink_to(sys.executable)
        environment.write_marker(folder, {})
        folder.with_suffix(".lock").touch()


@pytest.fixture
def start(tmp_path):
    """Start the runtime on a document; it is killed when the test ends."""
    started: list[subprocess.Popen[str]] = []

    def run(made: JobDocument, **environ: str) -> subprocess.Popen[str]:
        (tmp_path / "job.json").write_text(document.format_document(made))
        process = subprocess.Popen(
            [sys.executable, "-m", "robotrain_runtime", "run", str(tmp_path / "job.json")],
            env={**os.environ, "PYTHONPATH": str(PLUGIN_FOLDER), **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        with suppress(ProcessLookupError):  # also what a runtime that was killed left behind
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.fixture
def finish(tmp_path):
    """Wait for a started runtime, and read what it left."""

    def wait(process: subprocess.Popen[str]) -> RunResult:
        stdout, stderr = process.communicate(timeout=PATIENCE)
        return RunResult(process.returncode, stdout.splitlines(), stderr, tmp_path / "work")

    return wait


@pytest.fixture
def run(start, finish):
    """Run a document to its end."""
    return lambda made, **environ: finish(start(made, **environ))


@pytest.fixture
def until():
    """Read the log of a started runtime until each of these signs has appeared in a line."""

    def read(process: subprocess.Popen[str], *signs: str) -> None:
        left = set(signs)
        for line in process.stdout:
            left -= {sign for sign in left if sign in line}
            if not left:
                return
        raise AssertionError(f"never {left}")

    return read


@pytest.fixture
def kill():
    """End a started runtime as a machine that goes down does it: everything, at once."""

    def kill(process: subprocess.Popen[str]) -> None:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()

    return kill


@pytest.fixture
def shelf(tmp_path) -> Path:
    """A place to publish to: a folder, and as `shelf:FOLDER` an address."""
    (tmp_path / "shelf").mkdir()
    return tmp_path / "shelf"


@pytest.fixture
def placed(job):
    """Make a document whose workload says where its checkpoints or results go: `placed("/mnt", program, keep=2)`."""

    def make(place, program: str, keep: int | None = None, **placement) -> JobDocument:
        made = job(program, publish={"place": str(place), "keep": keep}, **placement)
        container_plugins = {
            **made.container_plugins,
            "workload.pretend": "pretend_placed",
            "target.shelf": "pretend_shelf",
        }
        return dataclasses.replace(made, container_plugins=container_plugins)

    return make


@pytest.fixture
def tracked(job, tmp_path, training_environment, tracking_database):
    """Make a document that is tracked in a database of its own."""

    def make(program: str, run: str = "pretend-1", work: str = "work", **publish) -> JobDocument:
        uri = tracking_database(tmp_path / "state/mlflow.db")
        placed = {"tracking_uri": uri, "environment": training_environment, "work": str(tmp_path / work)}
        return dataclasses.replace(job(program, publish=publish, **placed), run=run)

    return make


@pytest.fixture
def register(tmp_path):
    """`python -m robotrain_runtime register JOB.json …`."""

    def run(made: JobDocument, *arguments: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "later.json").write_text(document.format_document(made))
        command = [sys.executable, "-m", "robotrain_runtime", "register", str(tmp_path / "later.json"), *arguments]
        return subprocess.run(
            command, env={**os.environ, "PYTHONPATH": str(PLUGIN_FOLDER)}, capture_output=True, text=True
        )

    return run


@pytest.fixture
def plugins_on_path(monkeypatch):
    """The pretend container plugins, importable in this process too, for what runs on the submit side."""
    monkeypatch.syspath_prepend(str(PLUGIN_FOLDER))


@pytest.fixture
def database(tmp_path):
    """Ask the tracking database."""

    def ask(query: str) -> list[tuple]:
        connection = sqlite3.connect(tmp_path / "state" / "mlflow.db")
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()

    return ask


@pytest.fixture
def versions(database):
    """List the versions of models in the tracking database."""
    return lambda: database("select name, version from model_versions order by name, version")


@pytest.fixture
def tags(database):
    """Read the tags of a version of a model."""

    def read(name: str = "pusher", version: int = 1) -> dict[str, str]:
        return dict(database(f"select key, value from model_version_tags where name='{name}' and version={version}"))

    return read
