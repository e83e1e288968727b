"""The folders and files of a run: there is space to write to, the nodes see them, and secrets are closed to others."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from robotrain.cluster.secrets import check_secret_files
from robotrain.errors import Problem, Stage, Suggestion
from robotrain.messages import Messages
from robotrain.model.plan import Plan
from robotrain.run_folder import folder_access
from robotrain.run_folder.status import has_plan_files
from robotrain.store import files
from robotrain_runtime.contract.document import JobDocument

from robotrain_slurm.client.cluster import Partition
from robotrain_slurm.spec.submission_spec import SlurmSpec
from robotrain_slurm.submit.run_folder import (
    is_sent,
    make_existing_folder_problem,
)

make_problem = Messages(__file__)

MIN_FREE_GIB = 1.0
LOCAL_FILESYSTEMS = frozenset("ext2 ext3 ext4 xfs btrfs f2fs tmpfs ramfs overlay".split())  # noqa: SIM905
"""Types that other machines see only if this one exports them."""
LOCAL_NAMES = ("localhost", "")
CREDENTIAL_FLAGS = {
    "blob_url": "--blob-credential-file",
    "huggingface": "--hub-token-file",
    "git": "--git-token-file",
}


def check_run_folder(spec: SlurmSpec, plan: Plan) -> Iterator[Problem]:
    """Check that the run folder can be created: nothing else is there, and there is space that you may write to."""
    if not spec.folder:
        return
    folder = Path(spec.folder)
    if os.path.lexists(folder):
        with suppress(OSError):  # of another user
            if has_plan_files(plan, folder) and not is_sent(spec):  # of an interrupted submit
                return
        yield make_existing_folder_problem(folder, Stage.PREFLIGHT)
        return
    yield from check_writable(folder.parent, "--runs-dir")


def check_writable(folder: Path, flag: str) -> Iterator[Problem]:
    """Check that a folder can be created or written to, and that there is some space."""
    return folder_access.check_writable(folder, flag)


def check_files(jobs: Sequence[JobDocument]) -> Iterator[Problem]:
    """Check the cache, and the files with secrets and credentials."""
    for job in jobs[:1]:  # the steps of a pipeline have the same placement
        yield from check_writable(Path(job.placement.cache), "--cache-dir")
        yield from check_secret_files(job.placement.secrets)


def list_needed_files(spec: SlurmSpec, jobs: Sequence[JobDocument]) -> dict[str, str]:
    """Return the folders and files that the nodes need, by the option or role that they are of."""
    if spec.is_surely_shared:
        return {}
    needed = {"--runs-dir": os.path.dirname(spec.folder)}
    for job in jobs:
        needed["--cache-dir"] = job.placement.cache
        needed |= {CREDENTIAL_FLAGS[kind]: file for kind, file in job.placement.credentials.items() if file}
        needed |= {f"--secret {name}": file for name, file in job.placement.secrets.items()}
        copied = {(mount.role, mount.uri) for mount in job.placement.mounts}
        own = [one for one in job.sources if one.kind == "local_path" and (one.role, one.uri) not in copied]
        needed |= {f"the {source.role}": source.uri for source in own}
    return needed


def find_unshared_files(needed: Mapping[str, str], partitions: Sequence[Partition], host: str) -> Iterator[Problem]:
    """Warn of folders and files on a disk of this machine, which other nodes hardly see.

    :param host: the name of this machine.
    """
    nodes = {group.names for one in partitions for group in one.nodes}
    local = {flag: path for flag, path in needed.items() if files.get_filesystem(Path(path)) in LOCAL_FILESYSTEMS}
    if not local or nodes <= {*LOCAL_NAMES, host.partition(".")[0], host}:
        return
    flag, path = next(iter(local.items()))
    moved = Suggestion(f"{flag} PATH" if flag.startswith("--") else "copy it", "a disk that all nodes see")
    yield make_problem(
        "slurm-disk-local",
        moved,
        where=flag,
        given=path,
        local=", ".join(local),
        path=path,
        filesystem=files.get_filesystem(Path(path)),
    )
