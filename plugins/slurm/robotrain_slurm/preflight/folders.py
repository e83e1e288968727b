"""The files of a run, and its cache: there is space to write to, nodes see them, and secrets are closed to others."""

import os
import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence

from robotrain.cluster.secrets import judge_secret_file
from robotrain.errors import Problem, Suggestion
from robotrain.messages import Messages
from robotrain.run_folder.folder_access import judge_folder
from robotrain.run_folder.scheduler_plan import SchedulerSpec
from robotrain_runtime.contract.document import JobDocument, JobSource
from robotrain_sources.local_path.remote_kind import KIND

from robotrain_slurm.client.cluster import Partition
from robotrain_slurm.preflight.survey import MachineSurvey
from robotrain_slurm.spec.submission_spec import read_own

make_problem = Messages(__file__)

LOCAL_FILESYSTEMS = frozenset("ext2 ext3 ext4 xfs btrfs f2fs tmpfs ramfs overlay".split())  # noqa: SIM905
"""Types that other machines see only if this one exports them."""
LOCAL_NAMES = ("localhost", "")
CREDENTIAL_FLAGS = {
    "blob_url": "--blob-credential-file",
    "huggingface": "--hub-token-file",
    "git": "--git-token-file",
}


def check_files(jobs: Sequence[JobDocument], survey: MachineSurvey) -> Iterator[Problem]:
    """Check the cache, and the files with secrets and credentials."""
    for job in jobs[:1]:  # the steps of a pipeline have the same placement
        yield from judge_folder(survey.paths[job.placement.cache].folder, "--cache-dir")
        for name, file in job.placement.secrets.items():
            yield from judge_secret_file(name, file, survey.paths[file].mode)


def list_read_folders(job: JobDocument) -> list[JobSource]:
    """Return the folders that a job reads, but for those that its run folder has a copy of."""
    copied = {(mount.role, mount.uri) for mount in job.placement.mounts}
    return [source for source in job.sources if source.kind == "local_path" and (source.role, source.uri) not in copied]


def check_sources(jobs: Sequence[JobDocument], login: str, survey: MachineSurvey) -> Iterator[Problem]:
    """Check that the folders of the cluster that jobs read are on the login node."""
    for source in dict.fromkeys(source for job in jobs for source in list_read_folders(job)):
        if not survey.paths[source.uri].exists:
            flag = KIND.roles[source.role].flag
            here = Suggestion(f"{flag} {shlex.quote(source.uri)}", "if it is of this machine: it is copied there")
            yield make_problem("slurm-login-source", here, where=flag, given=f"{login}:{source.uri}", role=source.role)


def list_needed_files(spec: SchedulerSpec, jobs: Sequence[JobDocument]) -> dict[str, str]:
    """Return the folders and files that the nodes need, by the option or role that they are of."""
    if read_own(spec.jobs[0]).is_surely_shared:
        return {}
    needed = {"--runs-dir": os.path.dirname(spec.folder)}
    for job in jobs:
        needed["--cache-dir"] = job.placement.cache
        needed |= {CREDENTIAL_FLAGS[kind]: file for kind, file in job.placement.credentials.items() if file}
        needed |= {f"--secret {name}": file for name, file in job.placement.secrets.items()}
        needed |= {f"the {source.role}": source.uri for source in list_read_folders(job)}
    return needed


def find_unshared_files(
    needed: Mapping[str, str], partitions: Sequence[Partition], survey: MachineSurvey
) -> Iterator[Problem]:
    """Warn of folders and files on a disk of this machine, which other nodes hardly see."""
    nodes = {group.names for partition in partitions for group in partition.nodes}
    local = {flag: path for flag, path in needed.items() if survey.paths[path].mount.kind in LOCAL_FILESYSTEMS}
    if not local or nodes <= {*LOCAL_NAMES, survey.host.partition(".")[0], survey.host}:
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
        filesystem=survey.paths[path].mount.kind,
    )


LOCAL_OPTIONS = frozenset({"nolock", "local_lock=all", "local_lock=flock", "localflock"})
"""Options of NFS and Lustre with which a lock holds on one machine only."""


def check_locks(cache: str, survey: MachineSurvey) -> Iterator[Problem]:
    """Warn if other nodes do not see the locks of this machine, by how the disk is mounted here."""
    mount = survey.paths[cache].mount
    if reason := explain_missing_locks(mount.kind, mount.list_options()):
        yield make_problem("slurm-locks-local", given=cache, why=reason)


def explain_missing_locks(kind: str, options: Collection[str]) -> str:
    """Return why locks on a file system do not hold on other nodes; empty if they do, or if that is unknown."""
    if local_options := sorted(LOCAL_OPTIONS.intersection(options)):
        return f"The disk ({kind}) is mounted with {local_options[0]}: its locks hold on one machine only."
    if kind == "lustre" and "flock" not in options:
        return "The disk (lustre) is mounted without flock: it has no locks."
    return ""
