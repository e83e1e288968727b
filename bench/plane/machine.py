"""What is measured, and on what: programs in processes of their own, against Azurite behind Azure's names."""

import contextlib
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from azure_stand_in import AzureStandIn, started

PROGRAMS = Path(__file__).parent / "programs"


@dataclass(frozen=True)
class Machine:
    """azure: the stand-in. data_python: that of the data environment. folder: for all that is written."""

    azure: AzureStandIn
    data_python: Path
    folder: Path

    def measure(self, program: str, *arguments: object, python: Path | None = None) -> dict[str, float]:
        """What a program of `programs/` says of itself in its last line; `whole`, its seconds from outside; `cpu`, its
        processor time and that of the programs it started.
        """
        command = [str(python or self.data_python), str(PROGRAMS / program), *map(str, arguments)]
        began, before = time.perf_counter(), _get_child_seconds()
        done = subprocess.run(command, env=self.environ(), stdout=subprocess.PIPE, text=True, check=True)
        whole, cpu = time.perf_counter() - began, _get_child_seconds() - before
        return {"whole": whole, "cpu": cpu, **json.loads(done.stdout.splitlines()[-1])}

    def environ(self) -> Mapping[str, str]:
        """The environment of a program with an identity; compiled modules are kept, as Python does by itself."""
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        return {**inherited, **self.azure.environ, "OMP_NUM_THREADS": "1"}


def _get_child_seconds() -> float:
    """Return the processor time of all programs that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@contextlib.contextmanager
def start_machine(folder: Path) -> Iterator[Machine]:
    """A machine whose account is empty."""
    from robotrain_runtime.data_environment import ENVIRONMENT

    command = [sys.executable, "-m", "robotrain_runtime", "environment", str(ENVIRONMENT.lock)]
    built = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    with started(folder / "azure") as azure:
        yield Machine(azure, Path(built, "bin/python"), folder)
