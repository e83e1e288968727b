"""The files that robotrain itself writes beside a user's code: they are no part of it, and change no digest of it.

They are told by name and content: the files of `robotrain init`, job files, pages of reports, and folders of plans; and
by a list in the folder: outputs of runs that were downloaded there.
"""

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from robotrain_runtime.contract.files import open_regular_file, read_limited_file

from robotrain.store.files import PROJECT_FILE

JOB_FILE, PIPELINE_FILE = "job.yaml", "pipeline.yaml"
JOB_SCHEMA_FILE, PIPELINE_SCHEMA_FILE = "job.schema.json", "pipeline.schema.json"
PLAN_FILE = "robotrain-plan.json"
"""In each folder that `render --to` wrote."""
DOWNLOADS_FILE = ".robotrain-outputs"
"""In a folder of code to which outputs were downloaded: their paths from there, a line each."""
OWN_NAMES = (PROJECT_FILE, JOB_SCHEMA_FILE, PIPELINE_SCHEMA_FILE)
SCHEMA_LINE = "# yaml-language-server: $schema={}"
GENERATOR = '<meta name="generator" content="robotrain">'
"""What each page has in its head."""
HEAD_SIZE = 1024
MAX_LIST_BYTES = 1 << 20
OWN_CONTENT = {
    ".html": re.compile(re.escape(GENERATOR).encode()),
    ".yaml": re.compile(rb"\A# yaml-language-server: \$schema=\S*(job|pipeline)\.schema\.json\s"),
}
NAMED_CONTENT = {JOB_FILE: re.compile(rb"^workload:", re.M), PIPELINE_FILE: re.compile(rb"^(steps|workload):", re.M)}
"""By the names that a user gives such a file by hand, what it has then; Kubernetes has a job.yaml too."""


def is_written_folder(path: str) -> bool:
    """Return whether a folder is a plan that robotrain wrote."""
    return os.path.isfile(os.path.join(path, PLAN_FILE))


def is_written_file(path: str) -> bool:
    """Return whether robotrain wrote a file, or reads it as its own; only the first KiB is read."""
    name = os.path.basename(path)
    if name in OWN_NAMES:
        return True
    patterns = [OWN_CONTENT.get(os.path.splitext(name)[1]), NAMED_CONTENT.get(name)]
    if any(patterns):
        with suppress(OSError), open_regular_file(Path(path)) as file:
            head = file.read(HEAD_SIZE)
            return any(pattern.search(head) for pattern in patterns if pattern)
    return False


def note_downloads(folder: Path, names: Iterable[str]) -> None:
    """Note in a folder which outputs were downloaded there. Raise OSError."""
    all_names = dict.fromkeys([*read_downloads(str(folder)), *names])
    (folder / DOWNLOADS_FILE).write_text("".join(f"{name}\n" for name in all_names), encoding="utf-8")


def read_downloads(folder: str) -> list[str]:
    """Return the paths of the outputs that were downloaded to a folder, from there."""
    try:
        return read_limited_file(Path(folder, DOWNLOADS_FILE), MAX_LIST_BYTES).decode().splitlines()
    except (OSError, ValueError):
        return []
