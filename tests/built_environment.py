"""An environment as if uv had built it: nothing in it can be imported."""

import json
import sys
from pathlib import Path

from robotrain_runtime.contract.container_plugin import read_lock
from robotrain_runtime.environments import environment, torch_build


def make_built_environment(lock: Path, cache: Path, python: str = sys.executable, **facts: str) -> Path:
    """Make it with the packages of the lock, and return its folder. `facts`: about its build."""
    built = environment.get_environment_folder(lock, cache)
    (built / "bin").mkdir(parents=True)
    (built / "bin/python").symlink_to(python)
    for name in torch_build.list_required(read_lock(lock), is_other_build=False):
        (built / f"lib/python3/site-packages/{name.replace('-', '_')}-1.0.dist-info").mkdir(parents=True)
    (built / environment.MARKER).write_text(json.dumps(facts))
    return built
