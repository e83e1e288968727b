"""Which folders and files of the machine that submits its nodes see, by the type of the disk. No node is asked."""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from robotrain.errors import Problem, Rejected, Suggestion
from robotrain.messages import Messages
from robotrain.model.job import Job
from robotrain.model.platform import PlatformDefault
from robotrain.run_folder.placement import format_credential_flag
from robotrain.run_folder.scheduler_plan import SchedulerSpec
from robotrain.run_folder.transport import Transport
from robotrain_runtime.contract.document import JobDocument, JobSource

from robotrain_slurm.client.cluster import Partition, query_partitions
from robotrain_slurm.client.commands import SlurmRefused
from robotrain_slurm.preflight.survey import MachineSurvey, take_survey
from robotrain_slurm.settings import SlurmSettings
from robotrain_slurm.spec.submission_spec import read_own
from robotrain_slurm.spec.uploads import is_uploaded

make_problem = Messages(__file__)

LOCAL_FILESYSTEMS = frozenset("ext2 ext3 ext4 xfs btrfs f2fs tmpfs ramfs overlay".split())  # noqa: SIM905
"""Types that other machines see only if this one exports them."""
LOCAL_NAMES = ("localhost", "")


def is_on_local_disk(path: str, survey: MachineSurvey) -> bool:
    """Return whether a path is on a disk of this machine, which another one sees only if it is exported."""
    return survey.paths[path].mount.kind in LOCAL_FILESYSTEMS


def has_other_nodes(partitions: Sequence[Partition], survey: MachineSurvey) -> bool:
    """Return whether the cluster has nodes that are not this machine."""
    nodes = {group.names for partition in partitions for group in partition.nodes}
    return not nodes <= {*LOCAL_NAMES, survey.host.partition(".")[0], survey.host}


def find_unshared_folders(job: Job, settings: SlurmSettings) -> Mapping[str, PlatformDefault]:
    """Return `unshared` with the data of a job that nodes do not see, if they are to see the cache; else nothing."""
    paths = [source.uri for source in job.sources if is_uploaded(source) and "," not in source.uri]
    if not paths or settings.login or settings.storage or settings.unshared is not None or not shutil.which("sinfo"):
        return {}
    transport = Transport()
    with suppress(SlurmRefused, Rejected):  # preflight says what is wrong
        survey = take_survey(transport, [*paths, settings.cache_dir])
        local_paths = [path for path in paths if survey.paths[path].exists and is_on_local_disk(path, survey)]
        if not local_paths or is_on_local_disk(settings.cache_dir, survey):
            return {}
        if has_other_nodes(query_partitions(transport), survey):
            filesystem = survey.paths[local_paths[0]].mount.kind
            return {"unshared": PlatformDefault(",".join(local_paths), f"on a disk of this machine ({filesystem})")}
    return {}


def list_read_folders(job: JobDocument) -> list[JobSource]:
    """Return the folders that a job reads, but for those that its run folder has a copy of."""
    copied_keys = {(mount.role, mount.uri) for mount in job.placement.mounts}
    return [
        source for source in job.sources if source.kind == "local_path" and (source.role, source.uri) not in copied_keys
    ]


def list_needed_files(spec: SchedulerSpec, jobs: Sequence[JobDocument]) -> dict[str, str]:
    """Return the folders and files that the nodes need, by the option or role that they are of."""
    if read_own(spec.jobs[0]).is_surely_shared:
        return {}
    paths_by_flag = {"--runs-dir": os.path.dirname(spec.folder)}
    for job in jobs:
        paths_by_flag["--cache-dir"] = job.placement.cache
        paths_by_flag |= {format_credential_flag(kind): file for kind, file in job.placement.credentials.items()}
        paths_by_flag |= {f"--secret {name}": file for name, file in job.placement.secrets.items()}
        paths_by_flag |= {f"the {source.role}": source.uri for source in list_read_folders(job)}
    return paths_by_flag


def find_unshared_files(
    paths_by_flag: Mapping[str, str], partitions: Sequence[Partition], survey: MachineSurvey
) -> Iterator[Problem]:
    """Warn of folders and files on a disk of this machine, which other nodes hardly see."""
    local_paths = {flag: path for flag, path in paths_by_flag.items() if is_on_local_disk(path, survey)}
    if not local_paths or not has_other_nodes(partitions, survey):
        return
    flag, path = next(iter(local_paths.items()))
    suggestion = Suggestion(f"{flag} PATH" if flag.startswith("--") else "copy it", "a disk that all nodes see")
    yield make_problem(
        "slurm-disk-local",
        suggestion,
        where=flag,
        given=path,
        local=", ".join(local_paths),
        path=path,
        filesystem=survey.paths[path].mount.kind,
    )
