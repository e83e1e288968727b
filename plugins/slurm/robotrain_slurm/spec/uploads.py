"""Folders of this machine that jobs of a cluster read: in the cache there, under the digest of their content. Pure.

One that is not pinned (`--no-pin`) is copied for its run alone, and has the name of that.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from robotrain.errors import Stage
from robotrain.model.plan import Plan
from robotrain.model.source import LOCAL_KIND
from robotrain_runtime.contract.document import JobSource, Mount, parse_document
from robotrain_sources.local_path.folder_content import FolderDigest, parse_pin
from robotrain_sources.local_path.kind import KIND

from robotrain_slurm.settings import SlurmSettings
from robotrain_slurm.spec.submission_spec import SUBMISSION

UPLOADS_FOLDER = "uploads"
"""In the cache of the cluster."""
OWN_DIGITS = 12
"""Digits that tell the folders of one run apart that are not pinned."""


@dataclass(frozen=True, slots=True)
class FolderUpload:
    """A folder or file of this machine that is copied into the cache of the cluster."""

    path: str
    flag: str
    """The option that gives it."""
    to: str
    """The folder there, which ends with the digest."""
    content: FolderDigest | None
    """What is pinned, whose digest is the folder's name there: then it is the same for all runs."""

    @property
    def is_pinned(self) -> bool:
        """Whether the content is known."""
        return self.content is not None


def is_uploaded(source: JobSource) -> bool:
    """Return whether a folder that nodes do not see is copied to the cache: code goes into the run folder."""
    return source.kind == LOCAL_KIND and source.role != "code"


def is_unshared(source: JobSource, unshared: str | None) -> bool:
    """Return whether a source is in a folder of this machine that its user, or preflight, says no node sees."""
    folders = [folder for folder in (unshared or "").split(",") if folder]
    return any(Path(source.uri).is_relative_to(folder) for folder in folders)


def list_mounts(sources: Iterable[JobSource], settings: SlurmSettings, cache: str, run: str) -> Iterator[Mount]:
    """Yield where a job finds the folders that are copied into the cache of the cluster.

    :param cache: on the cluster.
    """
    login = settings.login or ""
    for source in sources:
        if is_uploaded(source) and (login or is_unshared(source, settings.unshared)):
            pin = parse_pin(source.pin)
            of_run = hashlib.sha256(f"{source.role} {source.uri}".encode()).hexdigest()[:OWN_DIGITS]
            to = os.path.join(cache, UPLOADS_FOLDER, pin.hex if pin else f"{run}-{of_run}")
            yield Mount(role=source.role, uri=source.uri, folder=to, origin=f"{login}:{to}" if login else to)


def list_uploads(plan: Plan) -> dict[FolderUpload, Plan]:
    """Return the uploads of a plan, each with the plan of a job that reads it. Raise Rejected for a damaged one."""
    uploads: dict[FolderUpload, Plan] = {}
    for job in SUBMISSION.load(plan, Stage.SUBMIT).jobs:
        document = parse_document(plan.files[job.document].decode())
        part = replace(plan, job=replace(plan.job, sources=document.sources))
        folder = os.path.join(document.placement.cache, UPLOADS_FOLDER)
        for mount in document.placement.mounts:
            if os.path.dirname(mount.folder) == folder:
                contents = [parse_pin(source.pin) for source in document.sources if source.uri == mount.uri]
                name = os.path.basename(mount.folder)
                content = next((content for content in contents if content and content.hex == name), None)
                upload = FolderUpload(mount.uri, KIND.roles[mount.role].flag, mount.folder, content)
                uploads.setdefault(upload, part)
    return uploads
