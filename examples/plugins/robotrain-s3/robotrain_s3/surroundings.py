"""What the programs of the environment are started with: the process's own names, keys, and where to import from."""

import inspect
import os
from pathlib import Path

from robotrain_runtime.plugin import ContainerContext

FOREIGN = ("VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONHOME", "PYTHONPATH")


def of(place: ContainerContext) -> dict[str, str]:
    """This process's environment, where AWS's own names are, with the file of keys that the platform names."""
    kept = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    if keys := place.credentials.get("s3"):
        kept["AWS_SHARED_CREDENTIALS_FILE"] = keys
    roots = dict.fromkeys(
        str(Path(file).absolute().parents[1]) for file in (__file__, inspect.getfile(ContainerContext))
    )
    return {**kept, "PYTHONPATH": os.pathsep.join(roots), "PYTHONSAFEPATH": "1", "PYTHONUNBUFFERED": "1"}
