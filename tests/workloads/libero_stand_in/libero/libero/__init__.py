"""A stand-in of LIBERO, which needs MuJoCo of its own and 600 MB: what LeRobot calls, with a world of a few numbers.

As LIBERO it asks a question at its first import, and keeps the answer in a file. `libero` has no `__init__.py` there.
"""

import os
from pathlib import Path

CONFIG = Path(os.environ.get("LIBERO_CONFIG_PATH", Path.home() / ".libero"), "config.yaml")
HERE = Path(__file__).parent

if not CONFIG.exists():
    asked = input("Do you want to specify a custom path for the dataset folder? (Y/N): ").lower()
    folder = input("Enter the path where you want to store the datasets: ") if asked == "y" else HERE / "datasets"
    CONFIG.parent.mkdir(parents=True, exist_ok=True)
    CONFIG.write_text(f"bddl_files: {HERE}/bddl_files\ninit_states: {HERE}/init_files\ndatasets: {folder}\n")


def get_libero_path(key: str) -> str:
    """Return a folder of LIBERO."""
    return dict(line.split(": ", 1) for line in CONFIG.read_text().splitlines())[key]
