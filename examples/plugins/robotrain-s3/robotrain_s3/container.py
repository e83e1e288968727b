"""The source kind where the job runs. Standard library only: what needs obstore runs in ENVIRONMENT."""

import subprocess
from collections.abc import Iterable
from pathlib import Path

from robotrain_runtime.plugin import ContainerContext, JobSource, PythonEnvironment

LOCK, PROGRAM = (Path(__file__).parent / name for name in ("locks/s3.txt", "bucket.py"))
ENVIRONMENT = PythonEnvironment(lock=LOCK, python="3.10-3.14", gib=0.1)


def preflight(source: JobSource, context: ContainerContext) -> Iterable[str]:
    """Ask nothing: ENVIRONMENT is not built yet."""
    return ()


def fetch(source: JobSource, context: ContainerContext) -> Path:
    """Return the folder with the objects of a source. Raise OSError."""
    command = [str(context.python), "-I", str(PROGRAM), source.uri, source.pin, str(context.cache)]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        raise OSError(f"{source.uri} cannot be read: {result.stderr.strip()}")
    return Path(result.stdout.strip())
