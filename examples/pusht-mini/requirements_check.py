"""Say what to install where a script's packages are missing; standard library only."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

LOCK = Path(__file__).resolve().parents[2] / "workloads/robotrain_workloads/lerobot_eval/locks/eval.txt"


def explain_missing(*packages: str) -> str | None:
    """The sentence and the commands to show where one of these cannot be imported, otherwise nothing."""
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    if not missing:
        return None
    return "\n".join(
        [
            f"{Path(sys.argv[0]).name} needs {' and '.join(missing)}, which {sys.executable} does not have.",
            "Make an environment from the lock of evaluations, and run the script with its Python:",
            "  uv venv --python 3.12 .venv-record",
            f"  uv pip install --python .venv-record --no-deps --require-hashes -r {_short(LOCK)}",
            f"  .venv-record/bin/python {' '.join(sys.argv)}",
        ]
    )


def _short(path: Path) -> Path:
    folder = Path.cwd()
    return path.relative_to(folder) if path.is_relative_to(folder) else path
