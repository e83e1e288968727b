"""`robotrain_runtime.report` for a program that has no robotrain: a folder with that one module, and nothing else."""

import shutil
from pathlib import Path

import robotrain_runtime

FOLDER = "program-packages"
FILES = ("__init__.py", "report.py")


def make_report_package(work: Path) -> Path:
    """Return the folder to import it from. Raise OSError."""
    folder = work / FOLDER / robotrain_runtime.__name__
    folder.mkdir(parents=True, exist_ok=True)
    source = Path(str(robotrain_runtime.__file__)).parent
    for name in FILES:
        shutil.copyfile(source / name, folder / name)
    return folder.parent
