"""What identifies the files of a policy, wherever they lie: as the version that it is registered as says it."""

from pathlib import Path

from robotrain_runtime import model_digest

from robotrain_workloads.lerobot_eval import keeping


def of(folder: Path) -> str:
    """64 hex digits."""
    return model_digest.of_files({path.relative_to(folder).as_posix(): path for path in keeping.files(folder)})
