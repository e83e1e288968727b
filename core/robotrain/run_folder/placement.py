"""Where the job of a run folder works, and what it finds there, by the settings that such platforms share."""

import os
from typing import Any

from robotrain_runtime.contract.document import Placement
from robotrain_runtime.contract.parameter import load_pairs

from robotrain.model.job import Job
from robotrain.run_folder.code_copy import CODE_FOLDER, make_code_mounts
from robotrain.run_folder.settings import NO_TRACKING

CREDENTIAL_SETTINGS = {"blob_url": "blob_credential_file", "huggingface": "hub_token_file", "git": "git_token_file"}
"""By the kind of source, the setting of the file that opens it."""


def make_placement(
    job: Job, settings: Any, folder: str, *, cache: str, tracking_uri: str | None, code_folder: str = ""
) -> Placement:
    """Return where a job works. Of credentials and secrets it has the paths only.

    :param settings: those of `SchedulerSettings`, but for the folders.
    :param tracking_uri: None and `none` for no tracking.
    :param code_folder: the run's copy of the user's code, if it is not below `folder`.
    """
    credentials = {kind: getattr(settings, name) for kind, name in CREDENTIAL_SETTINGS.items()}
    return Placement(
        work=folder,
        cache=cache,
        tracking_uri="" if tracking_uri == NO_TRACKING else tracking_uri or "",
        environment=settings.environment,
        torch_backend=settings.torch_backend,
        credentials={kind: file for kind, file in credentials.items() if file},
        secrets={name: os.path.expanduser(file) for name, file in load_pairs(settings.secrets).items()},
        download_mib=settings.download_mib,
        cache_gib=settings.cache_gib,
        ways={"git": "--git-token-file FILE"} if any(source.kind == "git" for source in job.sources) else {},
        mounts=make_code_mounts(job.sources, code_folder or os.path.join(folder, CODE_FOLDER)),
    )
