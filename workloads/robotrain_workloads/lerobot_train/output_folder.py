"""Where a run writes, `--output-dir`."""

import os
from pathlib import Path

from robotrain_runtime.document import JobDocument


def of(document: JobDocument, work: Path) -> Path:
    """The folder; a relative one lies below the run's own."""
    said = document.parameters["output_dir"]
    return Path(os.path.normpath(work / str(said or "outputs")))
