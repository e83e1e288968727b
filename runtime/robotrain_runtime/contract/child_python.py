"""How a child Python is started, so that no file of the user's folder is imported or read as configuration.

It starts in a neutral folder, or in one that robotrain created. It is isolated (`-I`); if it needs packages from
PYTHONPATH, PYTHONSAFEPATH keeps the folder in which it starts out of its import path. Python 3.10 does not know that
variable: the first entry of its import path is then the neutral folder.
"""

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

NEUTRAL_FOLDER = Path(os.sep)
"""Only the administrator of a machine can put a module or a uv.toml there, and it has no parents."""
RUN_MODULE = (
    "import sys; sys.path[:] = filter(None, sys.path); del sys.argv[0];"
    " import runpy; runpy._run_module_as_main(sys.argv[0])"
)
"""What `-P -m` does, for a Python that may not know `-P`: its first import is of a module that is built in."""
FOREIGN_VARIABLES = frozenset({"VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONHOME", "PYTHONPATH"})
"""Variables that select another environment, or other packages."""


def make_isolated_command(python: str | Path, *arguments: str | Path) -> list[str]:
    """Return the command of a Python that imports from its standard library and its own packages only."""
    return [str(python), "-I", *map(str, arguments)]


def make_module_command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module of this Python, which imports nothing from the folder it starts in."""
    if sys.version_info >= (3, 11):
        return [sys.executable, "-P", "-m", module, *arguments]
    return [sys.executable, "-c", RUN_MODULE, module, *arguments]  # 3.10 has no -P


def make_import_environ(folders: Iterable[str | Path], environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment variables of a Python that imports from `folders` and its own packages only.

    `environ`: what they are made of; None for those of this process.
    """
    inherited_variables = os.environ if environ is None else environ
    variables = {
        name: variable_value for name, variable_value in inherited_variables.items() if name not in FOREIGN_VARIABLES
    }
    path = os.pathsep.join(map(str, folders))
    return {**variables, "PYTHONPATH": path, "PYTHONSAFEPATH": "1", "PYTHONUNBUFFERED": "1"}
