"""What people call a run: a name that need not be unique, and a note; both stand in its record."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from robotrain.errors import Problem, Suggestion, raise_if_any, usage_problem

if TYPE_CHECKING:
    from robotrain.model.job import Job

NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
MAX_NOTE = 1000
"""Characters of a note."""
STEP_FOLDER = re.compile(r"[0-9]+|pretrained_model|checkpoints|last")
"""Parts of a checkpoint's address that say nothing about it."""


class RunLabels(NamedTuple):
    """The name and the note of a run."""

    name: str = ""
    note: str = ""


NO_LABELS = RunLabels()


def make_labels(name: str, note: str) -> RunLabels:
    """Return what a user calls a run. Raise Rejected if it cannot be called so."""
    labels = RunLabels(name, note)
    raise_if_any(list(_find_problems(labels)))
    return labels


def _find_problems(labels: RunLabels) -> Iterator[Problem]:
    from robotrain.store.records import NEWEST_NAMES  # costs start-up

    if labels.name and (labels.name in NEWEST_NAMES or not NAME_PATTERN.fullmatch(labels.name)):
        why = "A name is up to 80 letters, digits, `.`, `_` and `-`, and begins with a letter or digit."
        if labels.name in NEWEST_NAMES:
            why = f"`{labels.name}` means the newest run."
        yield usage_problem("value-invalid", "--name is not a name for a run", "--name", why, labels.name)
    if len(labels.note) > MAX_NOTE:
        title = f"--note is longer than {MAX_NOTE} characters"
        yield usage_problem("value-invalid", title, "--note", suggestions=[Suggestion("--note TEXT")])


def make_default_name(job: Job, named_by: Sequence[str]) -> str:
    """Return a name for a run of a job: its workload unless that is a training, its data, and these parameters.

    `pusht-mini-act` for a training of ACT on the dataset `lerobot/pusht-mini`.
    """
    words = [] if job.profile.outputs.noun == "training" else [job.workload]
    words += [word for source in job.sources[:1] if (word := _find_short_name(source.uri))]
    words += [str(job[name]) for name in named_by if job[name] is not None]
    name = re.sub(r"[^A-Za-z0-9._]+", "-", "-".join(words or [job.workload])).strip("-.")
    return name[:80]


def _find_short_name(uri: str) -> str:
    """Return the last part of an address that means something: `pusht` of `lerobot/pusht@main`."""
    parts = re.split(r"[/:]", re.sub(r"[?#@].*", "", uri))
    return next((part for part in reversed(parts) if part and not STEP_FOLDER.fullmatch(part)), "")
