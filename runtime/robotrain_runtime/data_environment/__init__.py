"""The Python environment for fetching data and policies, in which the runtime itself runs where a job needs it.

A container plugin that declares it is called in it. It is small, and built in seconds.
"""

import functools
from importlib import metadata
from pathlib import Path

from robotrain_runtime.contract.container_plugin import PythonEnvironment

ENVIRONMENT = PythonEnvironment(
    lock=Path(__file__).parent / "locks" / "data.txt",
    python="3.10-3.14",
    gib=0.2,
    required_packages={
        "azure-identity": "1",
        "azure-storage-blob": "12",
        "huggingface_hub": "",
        "obstore": "0",
        "stamina": "",
    },
)


@functools.cache
def is_here() -> bool:
    """Return whether this Python has the packages, as robotrain's own has: then nothing is built."""
    try:
        return all(
            not series or metadata.version(name).split(".")[0] == series
            for name, series in ENVIRONMENT.required_packages.items()
            if metadata.version(name)
        )
    except metadata.PackageNotFoundError:
        return False
