"""Where the job runs: finds the data of a source. Standard library and robotrain_runtime only, for Python 3.10+.

A kind that needs a library declares an ENVIRONMENT (`robotrain_runtime.plugin.PythonEnvironment`).
"""

from collections.abc import Iterator
from pathlib import Path

from robotrain_runtime.plugin import ContainerContext, JobSource

ROOT = Path("/srv/earlier_source")
"""The folder that every machine of the platform mounts. Change it."""


def preflight(source: JobSource, place: ContainerContext) -> Iterator[str]:
    """Yield why the data cannot be read, each with its remedy on a second line. Runs before all else."""
    if not get_folder(source).is_dir():
        yield f"{get_folder(source)} does not exist.\nmount {ROOT}"


def fetch(source: JobSource, place: ContainerContext) -> Path:
    """Return the folder with the data. Raise OSError.

    What has to be downloaded goes below `place.cache`: complete under its name, or not at all.
    """
    return get_folder(source)


def get_folder(source: JobSource) -> Path:
    """Return the folder that a source names; `uri` is its text, as `kind.py` prints it."""
    return ROOT / source.uri.rpartition("/")[2]
