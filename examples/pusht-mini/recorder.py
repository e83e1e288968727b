"""What the scripts that record datasets share: their command line and checks. Standard library only."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

LOCKS = Path(__file__).resolve().parents[2] / "workloads/robotrain_workloads/lerobot_versions/v0_6_1"


def run_recorder(
    description: str, folder: Path, episodes: int, record: Callable[[Path, int], None], simulator: str = ""
) -> int:
    """Parse `[FOLDER] [--episodes N]`, whose defaults are given, and record; return the exit code.

    :param simulator: the package that the recording needs beside LeRobot, if a lock has its name.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=folder, help="default: %(default)s")
    parser.add_argument("--episodes", type=int, default=episodes, help="number of episodes (default: %(default)s)")
    arguments = parser.parse_args()
    if not prepare_recording(arguments.folder, "lerobot", *filter(None, [simulator]), lock=simulator or "eval"):
        return 2
    record(arguments.folder, arguments.episodes)
    return 0


def prepare_recording(folder: Path, *packages: str, lock: str = "eval") -> bool:
    """Keep LeRobot offline; return False, and print why, if a package is missing or the folder exists."""
    problem = explain_missing(*packages, lock=lock)
    if not problem and folder.exists():
        problem = f"{folder} exists already: choose another folder"
    if problem:
        print(problem, file=sys.stderr)
        return False
    os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_DISABLE_PROGRESS_BARS="1")
    return True


def sort_statistics(folder: Path) -> None:
    """Sort the features, which LeRobot writes in changing order, so that two recordings are identical."""
    file = folder / "meta" / "stats.json"
    file.write_text(json.dumps(json.loads(file.read_text()), indent=4, sort_keys=True))


def explain_missing(*packages: str, lock: str = "eval") -> str | None:
    """Return a sentence and commands if a package cannot be imported; else None."""
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    if not missing:
        return None
    return "\n".join(
        [
            f"{Path(sys.argv[0]).name} needs {' and '.join(missing)}, which {sys.executable} does not have.",
            f"Create an environment from the lock {lock}.txt, and run the script with its Python:",
            "  uv venv --python 3.12 .venv-record",
            f"  uv pip install --python .venv-record --no-deps --require-hashes -r {_short(LOCKS / f'{lock}.txt')}",
            f"  .venv-record/bin/python {' '.join(sys.argv)}",
        ]
    )


def _short(path: Path) -> Path:
    folder = Path.cwd()
    return path.relative_to(folder) if path.is_relative_to(folder) else path
