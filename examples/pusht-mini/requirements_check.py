"""Check of a script's requirements, with the commands to install them. Standard library only."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

LOCK = Path(__file__).resolve().parents[2] / "workloads/robotrain_workloads/lerobot_eval/locks/eval.txt"


def explain_missing(*packages: str) -> str | None:
    """Return a sentence and commands if a package cannot be imported; else None."""
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    if not missing:
        return None
    return "\n".join(
        [
            f"{Path(sys.argv[0]).name} needs {' and '.join(missing)}, which {sys.executable} does not have.",
            "Create an environment from the evaluation lock, and run the script with its Python:",
            "  uv venv --python 3.12 .venv-record",
            f"  uv pip install --python .venv-record --no-deps --require-hashes -r {_short(LOCK)}",
            f"  .venv-record/bin/python {' '.join(sys.argv)}",
        ]
    )


def _short(path: Path) -> Path:
    folder = Path.cwd()
    return path.relative_to(folder) if path.is_relative_to(folder) else path
