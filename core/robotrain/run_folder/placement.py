"""Where the job of a run folder works and what it finds there, such as the run's own copy of the user's code.

What is changed in that after the submission does not count.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from robotrain_runtime.contract.document import JobSource, Mount, Placement
from robotrain_runtime.contract.parameter import load_pairs

from robotrain.errors import Problem
from robotrain.messages import Messages
from robotrain.model.job import Job
from robotrain.run_folder.settings import NO_TRACKING

make_problem = Messages(__file__)

CODE_FOLDER = "code"
"""In the run folder: the copy of the user's code."""
CREDENTIAL_SETTINGS = {"blob_url": "blob_credential_file", "huggingface": "hub_token_file"}
"""By the kind of source, the setting of the file that opens it."""


def make_placement(job: Job, settings: Any, folder: str, *, cache: str, tracking_uri: str | None) -> Placement:
    """Return where a job works. Of credentials and secrets it has the paths only.

    :param settings: those of `SchedulerSettings`, but for the folders.
    :param tracking_uri: None and `none` for no tracking.
    """
    credentials = {kind: getattr(settings, name) for kind, name in CREDENTIAL_SETTINGS.items()}
    copy = os.path.join(folder, CODE_FOLDER)
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
        mounts=tuple(
            Mount(role=source.role, uri=source.uri, folder=copy, origin=f"the run's copy of {source.uri}")
            for source in list_code_folders(job.sources)
        ),
    )


def format_credential_flag(kind: str) -> str:
    """Return the option of the file that opens a kind of source."""
    return f"--{CREDENTIAL_SETTINGS[kind].replace('_', '-')}"


def check_credential_files(
    credentials: Mapping[str, str], exists: Callable[[str], bool] = os.path.isfile
) -> Iterator[Problem]:
    """Check that the files with credentials are there, by the kind of source that they open.

    :param exists: whether the machine that submits has a file.
    """
    for kind, file in credentials.items():
        if not exists(file):
            flag = format_credential_flag(kind)
            yield make_problem("credential-file-missing", where=flag, given=file, flag=flag)


def list_code_folders(sources: Iterable[JobSource]) -> list[JobSource]:
    """Return the folders of code on this machine that a run has a copy of."""
    return [source for source in sources if (source.role, source.kind) == ("code", "local_path")]
