"""The environment variables of the programs: the process's own, credentials, and where to import from."""

import inspect
import os
from pathlib import Path

from robotrain_runtime.plugin import ContainerContext

DROPPED = ("VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONHOME", "PYTHONPATH")


def make_process_env(place: ContainerContext) -> dict[str, str]:
    """Return this process's environment, AWS's variables included, with the platform's file of credentials."""
    environ = {name: value for name, value in os.environ.items() if name not in DROPPED}
    if credentials := place.credentials.get("s3"):
        environ["AWS_SHARED_CREDENTIALS_FILE"] = credentials
    roots = dict.fromkeys(
        str(Path(file).absolute().parents[1]) for file in (__file__, inspect.getfile(ContainerContext))
    )
    return {**environ, "PYTHONPATH": os.pathsep.join(roots), "PYTHONSAFEPATH": "1", "PYTHONUNBUFFERED": "1"}
