"""Fixtures of all tests: folders of their own, platforms to install, and the command line in this process."""

import fcntl
import gc
import importlib
import importlib.util
import itertools
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from local_server import QuietHandler, serve
from macos import become_mac
from problem_assertions import check_problems
from robotrain_sources.torchvision import weights_table
from session_caches import cache_discovery
from session_variables import OUTSIDE
from typer.testing import CliRunner
from warm_server import COLD_VARIABLE, WarmServer, share_lerobot

__all__ = ["cache_discovery"]

# Without bytecode, every worker compiles all tests anew, and every process that a test starts all that it imports.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# As `uv run` sets it: suggestions name another environment than the active one.
os.environ["VIRTUAL_ENV"] = sys.prefix

# A shell without job control (`nohup … &`) starts programs that ignore Ctrl-C; those that tests start would inherit it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _leave_process(process: subprocess.Popen[Any], kind: type | None, *error: Any) -> None:
    """Leave a `with Popen(…)`: after a failed test it would wait for a process that nothing ends."""
    if kind is not None:
        process.kill()
    _wait_for_process(process, kind, *error)


_wait_for_process = subprocess.Popen.__exit__
subprocess.Popen.__exit__ = _leave_process  # type: ignore[method-assign]

# Several trainings at once, each with a thread on most cores, wait for each other: measured, up to seven times slower.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# No test cuts the power; each would wait for the disk after every record and file that it writes in this process.
os.fsync = lambda descriptor: None

# A busy machine is no failure.
hypothesis.settings.register_profile("quick", deadline=None, max_examples=30)
hypothesis.settings.load_profile("quick")

ROOT = Path(__file__).parents[1]
PUSHT = ROOT / "examples/pusht-mini"
MEMORY = Path("/dev/shm")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--macos", action="store_true", help="run commands in this process as on a Mac")


def pytest_configure(config: pytest.Config) -> None:
    """Write the files of fast tests to memory, which takes a sixth of the time of a disk. Tests that train or install
    need more room, and caches beside them.
    """
    if config.option.markexpr == "not slow" and os.access(MEMORY, os.W_OK):
        room = os.statvfs(MEMORY)
        if room.f_bavail * room.f_frsize > 4 << 30:
            os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Start more workers than there are cores, because tests also wait; only one more for tests that train."""
    return (os.cpu_count() or 1) + (2 if config.option.markexpr == "not slow" else 1)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Spread the slow files that train among those that wait, so that the workers do not all train at the same time.
    xdist keeps this order with `--no-loadscope-reorder`.
    """
    for item in items:
        if item.get_closest_marker("long") and not item.get_closest_marker("slow"):
            raise pytest.UsageError(f"a long test is slow as well, or `pytest` runs it: {item.nodeid}")
    if config.option.markexpr in ("slow", "slow and not long", "long"):
        items[:] = spread_trainings(items)


def spread_trainings(items: list[pytest.Item]) -> list[pytest.Item]:
    """Return the tests, file by file, with the files that train at equal distances among the others."""
    files: dict[Path, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    train = [path for path, tests in files.items() if any(is_training(test) for test in tests)]
    others = [path for path in files if path not in set(train)]
    each = len(others) // (len(train) or 1)
    order = [path for at, first in enumerate(train) for path in (first, *others[at * each : (at + 1) * each])]
    return [test for path in (*order, *others[len(train) * each :]) for test in files[path]]


def is_training(item: pytest.Item) -> bool:
    """Return whether a test uses the training environment, directly or by another fixture."""
    return "training_environment" in getattr(item, "fixturenames", ())


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection(session: pytest.Session) -> Iterator[object]:
    """Disable garbage collection while tests are collected: it takes a tenth of the time and finds hardly anything."""
    gc.disable()
    try:
        if session.config.args_source is session.config.ArgsSource.TESTPATHS and hasattr(session.config, "workerinput"):
            import_in_turn(session.config.workerinput)
        return (yield)
    finally:
        gc.enable()


def import_in_turn(worker: Mapping[str, Any]) -> None:
    """Import all tests, each worker from another one on: in a new clone each compiles a part of them, not all."""
    files = sorted(Path(__file__).parent.rglob("test_*.py"))
    first = len(files) * int(worker["workerid"].removeprefix("gw")) // worker["workercount"]
    for file in (*files[first:], *files[:first]):
        if (folder := str(file.parent)) not in sys.path:
            sys.path.insert(0, folder)
        with suppress(Exception, pytest.skip.Exception):  # its collection says why
            importlib.import_module(file.stem)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Exclude the collected tests from garbage collection, and collect less often than after 700 new objects."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.hookimpl(wrapper=True)
def pytest_unconfigure() -> Iterator[None]:
    """Spare the second garbage collection at the end, which takes a second with Azure's SDK."""
    yield
    gc.freeze()


ROBOTRAIN_PROGRAM = """
import runpy, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job inherits that it is ignored
sys.argv[0] = "robotrain"
runpy.run_module("robotrain", run_name="__main__")
"""


@pytest.fixture
def command():
    """Return the command that starts `robotrain` in a process of its own, where Ctrl-C is not ignored."""
    return [sys.executable, "-c", ROBOTRAIN_PROGRAM]


FOLDER_NUMBERS = itertools.count()
POLICY_NAMES = ("POLICY_REPO_ID", "INIT_FROM_POLICY_MODEL")


@dataclass(frozen=True)
class Answer:
    exit_code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)

    def check(self, exit_code: int, *texts: str) -> None:
        """Assert the exit code, and that stderr has these texts."""
        missing = [text for text in texts if text not in self.stderr]
        assert (self.exit_code, missing) == (exit_code, []), self.stderr

    def check_problems(self, exit_code: int, *problems: str) -> None:
        """Assert the exit code, and problems, each "CODE" or "CODE PLACE"."""
        assert self.exit_code == exit_code, self.stderr
        check_problems(self.stderr, *problems)


@pytest.fixture
def tmp_path(request, tmp_path_factory) -> Path:
    """Return a folder of the test's own, numbered without a search through all existing ones, as pytest does."""
    name = re.sub(r"\W", "_", request.node.name)[:30]
    folder = tmp_path_factory.getbasetemp() / f"{name}-{next(FOLDER_NUMBERS)}"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture(scope="session")
def weights_rows() -> Iterator[Mapping[str, tuple[str, str]]]:
    """The table of torchvision's weights, with a host on this machine that says that it has them."""

    class Handler(QuietHandler):
        do_HEAD = QuietHandler.answer

        def do_GET(self) -> None:
            self.answer(b"weights")

    with serve(Handler) as host:
        rows = weights_table.WEIGHTS.items()
        yield {name: (f"{host}/{url.rpartition('/')[2]}", digest) for name, (url, digest) in rows}


@pytest.fixture(autouse=True)
def no_weights_host(monkeypatch, weights_rows) -> None:
    """Keep commands in this process from asking the host of torchvision's weights."""
    monkeypatch.setattr(weights_table, "WEIGHTS", weights_rows)


HOME = Path.home()
USER_FOLDERS = (".cache/robotrain", ".config/robotrain", ".local/state/robotrain")
PLACES = {"PYENV_ROOT": ".pyenv", "UV_CACHE_DIR": ".cache/uv", "XDG_DATA_HOME": ".local/share"}
"""Where the user's Pythons and uv's downloads are, which fast tests use though their home is another folder."""
KEPT = {name: os.environ.get(name) or str(HOME / place) for name, place in PLACES.items()}
USER_CACHE = Path(os.environ.get("ROBOTRAIN_CACHE") or HOME / ".cache/robotrain")
SHARED = ("environments", "uv", "warp")
"""What slow tests share in the user's cache: it takes minutes to build, to fetch, or to compile."""


@pytest.fixture(autouse=True)
def own_folders(request, tmp_path, monkeypatch):
    """Give each test folders of its own for state, cache and configuration, a fast one a home too; isolate it from the
    user's `.env`, environment variables and plugin file, and restore the handlers of signals and the variables
    afterwards: code of a container, called in this process, sets some, and the next program starts with them.
    """
    variables = dict(os.environ)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    sys.modules.pop("robotrain_plugin", None)
    if redaction := sys.modules.get("robotrain.redaction"):
        redaction.remember_secrets(())  # or what an earlier test typed is hidden in this one
    for name in list(os.environ):
        if name.startswith("ROBOTRAIN_") and not name.startswith("ROBOTRAIN_TEST_"):
            monkeypatch.delenv(name)
    for name in ("DATASET_REPO_ID", "BLOB_URLS", "DATASET_ASSETS", "BATCH_SIZE", "JOB_NAME", "IMAGE", *POLICY_NAMES):
        monkeypatch.delenv(name, raising=False)
    is_slow = request.node.get_closest_marker("slow") is not None
    cache = make_shared_cache(tmp_path) if is_slow else tmp_path / "cache"
    monkeypatch.setenv("ROBOTRAIN_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("ROBOTRAIN_CACHE", str(cache))
    monkeypatch.setenv("ROBOTRAIN_CHECKER", "none")  # to ask a trainer takes seconds
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    home = HOME if is_slow else tmp_path.with_name(f"{tmp_path.name}-home")
    if not is_slow:
        home.mkdir()
        for name, place in {**KEPT, "HOME": str(home)}.items():
            monkeypatch.setenv(name, place)
        for name in ("XDG_CACHE_HOME", "XDG_STATE_HOME"):
            monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)
    for name in os.environ.keys() - variables.keys():
        del os.environ[name]
    os.environ.update(variables)
    touched = [] if is_slow else [place for place in USER_FOLDERS if (home / place).exists()]
    assert not touched, f"this test would have written to the user's own {', '.join(touched)}"


def make_shared_cache(folder: Path) -> Path:
    """Make the cache of a slow test; return its path."""
    cache = folder / "cache-with-environments"
    cache.mkdir()
    for name in SHARED:
        (USER_CACHE / name).mkdir(parents=True, exist_ok=True)
        (cache / name).symlink_to(USER_CACHE / name)
    return cache


@pytest.fixture(autouse=True)
def mac(request, own_folders, monkeypatch):
    """With `--macos`, this process is one of a Mac."""
    if request.config.option.macos:
        become_mac(monkeypatch)


@pytest.fixture
def robotrain():
    """Run a command line in this process: `robotrain("render", …)` → Answer. What `--json` prints fits its schema."""
    from robotrain.cli.app import app

    def run(*args: object) -> Answer:
        result = CliRunner().invoke(app, [str(arg) for arg in args])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Answer(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture
def pusht() -> Path:
    """The recorded dataset that comes with the repository."""
    return PUSHT / "dataset"


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a plugin for real: a module and the metadata that claims names, on the path of this process.

    `install("acme", {"platform.plain": "acme_plain"}, acme_plain="…source…")`
    """

    def install(distribution: str, claims: dict[str, str], version: str = "1.0", **modules: str) -> Path:
        folder = tmp_path / f"site-{distribution}"
        info = folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        points = "".join(f"{claim} = {module}\n" for claim, module in claims.items())
        (info / "entry_points.txt").write_text(f"[robotrain]\n{points}")
        for name, source in modules.items():
            (folder / f"{name}.py").write_text(source)
            take_over_bytecode(folder / f"{name}.py", source)
            monkeypatch.delitem(sys.modules, name, raising=False)
        monkeypatch.syspath_prepend(folder)
        return folder

    return install


INSTALLED: dict[tuple[str, str], Path] = {}


def take_over_bytecode(file: Path, source: str) -> None:
    """Use the bytecode of a module that an earlier test of this worker installed and imported."""
    earlier = INSTALLED.setdefault((file.name, source), file)
    compiled = Path(importlib.util.cache_from_source(str(earlier)))
    if earlier == file or not compiled.exists() or earlier.read_text() != source:
        return
    shutil.copystat(earlier, file)  # bytecode counts for a file of that time and size
    to = Path(importlib.util.cache_from_source(str(file)))
    to.parent.mkdir(exist_ok=True)
    shutil.copyfile(compiled, to)


@pytest.fixture
def plain_platform(install):
    """The platform of plain_platform.py, installed: one that takes every kind of source."""
    source = (ROOT / "tests/plain_platform.py").read_text()
    install("robotrain-plain", {"platform.plain": "plain_plugin"}, plain_plugin=source)


@pytest.fixture
def fake_platform(install, tmp_path, monkeypatch) -> Path:
    """The platform of fake_platform.py, installed; the folder that is its engine."""
    source = (ROOT / "tests/fake_platform.py").read_text()
    site = install("robotrain-fake", {"platform.fake": "fake_plugin"}, fake_plugin=source)
    engine = tmp_path / "fake"
    engine.mkdir()
    monkeypatch.setenv("FAKE_ENGINE", str(engine))
    monkeypatch.setenv("FAKE_SITE", str(site))
    return engine


@pytest.fixture
def dag_platform(install, fake_platform, monkeypatch) -> Path:
    """The platform of dag_platform.py, installed beside the fake platform, whose engine it shares; polled fast."""
    monkeypatch.setattr("robotrain.pipelines.native_engine.NativeEngine.follow_seconds", 0.05)
    source = (ROOT / "tests/dag_platform.py").read_text()
    install("robotrain-dag", {"platform.dag": "dag_plugin"}, dag_plugin=source)
    return fake_platform


def get_shared_folder(tmp_path_factory) -> Path:
    """Return the folder of this session that all workers share."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if os.environ.get("PYTEST_XDIST_WORKER") else own


@pytest.fixture(scope="session")
def made_once(tmp_path_factory):
    """A folder that is made by the first test of all workers that wants it: `made_once("small", fill)`; no test may
    change what lies in it. `ROBOTRAIN_TEST_MADE`: where it lies, for several sessions of pytest.
    """
    shared = get_shared_folder(tmp_path_factory)
    if made_folder := os.environ.get("ROBOTRAIN_TEST_MADE"):
        shared = Path(made_folder)
        shared.mkdir(parents=True, exist_ok=True)

    def make(name: str, fill: Callable[[Path], object]) -> Path:
        folder, whole = shared / name, shared / f"{name}.whole"
        with (shared / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not whole.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                fill(folder)
                whole.touch()
        return folder

    return make


@pytest.fixture(scope="session")
def trainers(tmp_path_factory) -> Iterator[WarmServer]:
    """The server that starts LeRobot's programs, for all workers."""
    environment_path = os.environ.get("ROBOTRAIN_TEST_ENVIRONMENT")
    environment = Path(environment_path or build_environment("robotrain_workloads.lerobot_train.container"))
    with closing(share_lerobot(get_shared_folder(tmp_path_factory), environment, OUTSIDE)) as server:
        yield server


@pytest.fixture(scope="session")
def training_environment(trainers) -> str:
    """The environment that trainings run in: `ROBOTRAIN_TEST_ENVIRONMENT`, else the locked one, built as for a user;
    LeRobot's programs start warm in it, except in tests that ask for `cold`.
    """
    return str(trainers.environment)


@pytest.fixture
def cold(monkeypatch) -> None:
    """Start each program by its own Python: for tests of its start, of signals, of kills and of memory."""
    monkeypatch.setenv(COLD_VARIABLE, "1")


@pytest.fixture(scope="session")
def training_python(training_environment) -> Path:
    """The Python of the training environment."""
    return Path(training_environment, "bin/python")


@pytest.fixture(scope="session")
def mlflow_tables(training_python, made_once) -> Path:
    """A database with MLflow's tables and nothing in them."""

    def fill(folder: Path) -> None:
        command = [training_python, "-c", "import mlflow, sys; mlflow.MlflowClient(sys.argv[1])"]
        subprocess.run([*command, f"sqlite:///{folder}/mlflow.db"], cwd=folder, check=True, capture_output=True)
        with closing(sqlite3.connect(folder / "mlflow.db")) as made, made:
            made.execute("DELETE FROM experiments")  # MLflow makes its first one anew, wherever the database lies

    return made_once("mlflow-tables", fill) / "mlflow.db"


@pytest.fixture
def tracking_database(mlflow_tables):
    """The address of a database that is there, empty: MLflow takes 1.5 s of CPU time to make its tables. They are made
    where trainings are run as a user runs them, and in some tests of tracking.
    """

    def make(path: Path) -> str:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(mlflow_tables, path)
        return f"sqlite:///{path}"

    return make


@pytest.fixture(scope="session")
def data_python() -> Path:
    """The Python of the environment that fetches data."""
    return Path(build_environment("robotrain_runtime.data_environment"), "bin/python")


@pytest.fixture(scope="session")
def environments_folder() -> Path:
    """The folder of the user's built environments, with the one that trains."""
    return Path(build_environment("robotrain_workloads.lerobot_train.container")).parent


@pytest.fixture(scope="session")
def evaluation_environment() -> str:
    """The environment that evaluations run in, built as for a user."""
    return build_environment("robotrain_workloads.lerobot_eval.container")


@pytest.fixture(scope="session")
def isaac_lab_python() -> Path:
    """The Python of the environment with Isaac Lab 3.0."""
    return Path(build_environment("robotrain_workloads.isaac.versions.lab_3_0"), "bin/python")


@pytest.fixture(scope="session")
def rosbag_python() -> Path:
    """The Python of the environment that converts bags."""
    return Path(build_environment("robotrain_workloads.rosbag.bag_datasets"), "bin/python")


@pytest.fixture(scope="session")
def supervision_environment() -> None:
    """Build the environment that runs beside a program that robotrain did not write."""
    build_environment("robotrain_workloads.supervision.environment")


@pytest.fixture(scope="session")
def isaac_environments(supervision_environment) -> None:
    """Build the environments that run beside Isaac Lab."""
    build_environment("robotrain_workloads.isaac_export.container")


def build_environment(module: str) -> str:
    """Build the environment that a module declares, as for a user; return its folder."""
    lock = str(importlib.import_module(module).ENVIRONMENT.lock)
    command = [sys.executable, "-m", "robotrain_runtime", "environment", lock]
    return subprocess.run(command, env=OUTSIDE, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
