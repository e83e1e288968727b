"""What identifies the files of a policy, or what a dataset holds, wherever they lie. Standard library only."""

import hashlib
from pathlib import Path

from robotrain_runtime import model_digest

from robotrain_workloads.lerobot_eval import keeping
from robotrain_workloads.lerobot_train import dataset

SHORT = 12


def of(folder: Path) -> str:
    """64 hex digits: of a policy, as the version that it is registered as says it."""
    return model_digest.of_files({path.relative_to(folder).as_posix(): path for path in keeping.files(folder)})


def of_statistics(root: Path) -> str:
    """A few hex digits of those of a dataset: copies of it have the same."""
    return hashlib.sha256((root / dataset.STATISTICS).read_bytes()).hexdigest()[:SHORT]
