"""The environment of the user's program, beside that of the run: built after it, while data is fetched."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from robotrain_runtime.contract import plugin_loader
from robotrain_runtime.contract.container_plugin import PROGRAM_PYTHON_VARIABLE, PythonEnvironment
from robotrain_runtime.contract.document import JobDocument, Placement
from robotrain_runtime.environments import environment
from robotrain_runtime.environments.run_environment import BackgroundBuild
from robotrain_runtime.machine.disk_cache import CacheLease
from robotrain_runtime.process.event_relay import EventRelay
from robotrain_runtime.process.stop import StopSignal

NO_LOCK = Path("program.txt")
"""The lock of an environment that the user made; it does not exist."""


class ProgramEnvironment:
    """The environment of a run's program, which most runs do not have."""

    def __init__(self, document: JobDocument, relay: EventRelay, stop: StopSignal, lease: CacheLease) -> None:
        self._document, self._placement = document, document.placement
        self._relay, self._stop, self._lease = relay, stop, lease
        self._required: PythonEnvironment | None = None
        self._build: BackgroundBuild | None = None
        self._python = plugin_loader.get_program_python(document)

    @property
    def failure(self) -> Exception | None:
        """Why the build failed."""
        return self._build.failure if self._build else None

    @property
    def environ(self) -> Mapping[str, str]:
        """The variable with the interpreter, once it is built."""
        return {PROGRAM_PYTHON_VARIABLE: str(self._python)} if self._python else {}

    def start(self) -> None:
        """Start the build, once, if it is necessary. Raise JobFailed."""
        if self._build is not None or self._python is not None:
            return
        self._required = plugin_loader.get_program_environment(self._document, Path(self._placement.work))
        if self._required is not None:
            lease = self._lease.acquire  # at once: the wait comes after the data
            self._build = BackgroundBuild(self._required, self._placement, self._relay, self._stop, lease)
            self._build.start()

    def wait(self) -> None:
        """Wait for the build, and lease what it built for the run. Raise JobFailed or StopRequested."""
        if self._build is None or self._required is None:
            return
        python = environment.get_python(self._build.wait())
        while not self._lease.acquire(python):  # another process just removed it
            cache = Path(self._placement.cache)
            backend = self._placement.torch_backend
            python = environment.build_python(self._required, cache, self._relay.write_line, self._stop, backend)
        self._python = python

    def close(self) -> None:
        """End the build if it is still running."""
        if self._build is not None:
            self._build.close()


@contextmanager
def temporary_lock(document: JobDocument) -> Iterator[PythonEnvironment | None]:
    """Yield the environment of a job's program, with its lock in a temporary folder; None for none.

    One of the user's own needs the packages of the one that it replaces, if there is one.
    """
    if not plugin_loader.load_workload_plugin(document).RUNS_PROGRAM:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="robotrain-") as folder:
        python_environment = plugin_loader.get_program_environment(document, Path(folder))
        if python_environment is None and plugin_loader.get_program_python(document):
            python_environment = PythonEnvironment(lock=NO_LOCK, python="", gib=0)
        yield python_environment


def count_missing_gib(document: JobDocument) -> float:
    """Return the disk space, in GiB, of the environments of the run and its program that must be built."""
    missing_gib = _count_gib(plugin_loader.get_job_environment(document), plugin_loader.get_run_placement(document))
    with temporary_lock(document) as python_environment:
        return missing_gib + (_count_gib(python_environment, document.placement) if python_environment else 0)


def _count_gib(python_environment: PythonEnvironment, placement: Placement) -> float:
    if placement.environment is not None:
        return 0
    cache, backend = Path(placement.cache), placement.torch_backend
    return (
        0
        if environment.find_environment(python_environment.lock, python_environment.python, cache, backend)
        else python_environment.gib
    )
