"""The Python environment for fetching data and policies, in which the runtime itself runs where a job needs it.

A container plugin that declares it is called in it. It is small, and built in seconds.
"""

import functools
import re
from importlib import metadata
from pathlib import Path

from robotrain_runtime.contract.container_plugin import PythonEnvironment

PACKAGES = (
    "azure-identity>=1.19,<2",
    "azure-storage-blob>=12.23,<13",
    "huggingface-hub>=1,<3",
    "obstore>=0.8,<1",
    "stamina>=25,<27",
)
"""What the container plugins import, and robotrain itself."""
ENVIRONMENT = PythonEnvironment(lock=Path(__file__).parent / "locks" / "data.txt", python="3.10-3.14", gib=0.2)


@functools.cache
def is_here() -> bool:
    """Return whether this Python has the packages, as robotrain's own has: then nothing is built."""
    return all(map(has_package, PACKAGES))


def has_package(requirement: str) -> bool:
    """Return whether this Python has a package, `NAME>=VERSION,<VERSION`; one without a version is half removed."""
    name, lowest, end = re.split(">=|,<", requirement)
    try:
        match = re.match(r"\d+(\.\d+)*", metadata.version(name) or "")
    except (metadata.PackageNotFoundError, KeyError):
        return False
    return match is not None and _parse_version(lowest) <= _parse_version(match[0]) < _parse_version(end)


def _parse_version(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(".")))
