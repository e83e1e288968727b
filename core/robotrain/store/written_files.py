"""The files that robotrain itself writes beside a user's code: they are no part of it, and change no digest of it.

They are told by name and content: the files of `robotrain init`, job files, pages of reports, and folders of plans.
"""

import os
import re
from contextlib import suppress

from robotrain.store.files import PROJECT_FILE

JOB_FILE, PIPELINE_FILE = "job.yaml", "pipeline.yaml"
JOB_SCHEMA_FILE, PIPELINE_SCHEMA_FILE = "job.schema.json", "pipeline.schema.json"
PLAN_FILE = "robotrain-plan.json"
"""In each folder that `render --to` wrote."""
OWN_NAMES = (PROJECT_FILE, JOB_SCHEMA_FILE, PIPELINE_SCHEMA_FILE)
SCHEMA_LINE = "# yaml-language-server: $schema={}"
GENERATOR = '<meta name="generator" content="robotrain">'
"""What each page has in its head."""
HEAD_SIZE = 1024
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
        with suppress(OSError), open(path, "rb") as file:
            head = file.read(HEAD_SIZE)
            return any(pattern.search(head) for pattern in patterns if pattern)
    return False
