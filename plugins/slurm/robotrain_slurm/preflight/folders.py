"""The files of a run, and its cache: there is space to write to, locks hold, and secrets are closed to others."""

import shlex
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from robotrain.cluster.secrets import judge_secret_file
from robotrain.errors import Problem, Suggestion
from robotrain.messages import Messages
from robotrain.nearest_name import find_nearest_name
from robotrain.run_folder.folder_access import judge_folder
from robotrain.run_folder.placement import check_credential_files
from robotrain_runtime.contract.document import JobDocument, JobSource
from robotrain_sources.local_path.kind import KIND as LOCAL_FOLDERS
from robotrain_sources.local_path.remote_kind import KIND

from robotrain_slurm.preflight.node_visibility import list_read_folders
from robotrain_slurm.preflight.survey import MachineSurvey

make_problem = Messages(__file__)


def check_files(jobs: Sequence[JobDocument], survey: MachineSurvey) -> Iterator[Problem]:
    """Check the cache, and the files with secrets and credentials."""
    for job in jobs[:1]:  # the steps of a pipeline have the same placement
        yield from judge_folder(survey.paths[job.placement.cache].folder, "--cache-dir")
        for name, file in job.placement.secrets.items():
            if survey.paths[file].exists:
                yield from judge_secret_file(name, file, survey.paths[file].mode)
            else:
                yield make_problem("secret-file-missing", given=file, name=name)
        yield from check_credential_files(job.placement.credentials, lambda file: survey.paths[file].exists)


def _list_missing_sources(jobs: Sequence[JobDocument], survey: MachineSurvey) -> list[JobSource]:
    """Return the folders that jobs read and the machine that submits does not have, each once."""
    sources = dict.fromkeys(source for job in jobs for source in list_read_folders(job))
    return [source for source in sources if not survey.paths[source.uri].exists]


def check_sources(jobs: Sequence[JobDocument], login: str, survey: MachineSurvey) -> Iterator[Problem]:
    """Check that the folders of the cluster that jobs read are on the login node."""
    for source in _list_missing_sources(jobs, survey):
        flag = KIND.roles[source.role].flag
        local_source = Suggestion(f"{flag} {shlex.quote(source.uri)}", "if it is of this machine: it is copied there")
        yield make_problem(
            "slurm-login-source", local_source, where=flag, given=f"{login}:{source.uri}", role=source.role
        )


def find_missing_sources(jobs: Sequence[JobDocument], survey: MachineSurvey) -> Iterator[Problem]:
    """Warn of folders that jobs read and this machine does not have: only the nodes may see them."""
    for source in _list_missing_sources(jobs, survey):
        flag = LOCAL_FOLDERS.roles[source.role].flag
        path = Path(source.uri)
        folders = [str(folder) for folder in path.parent.glob("*/")] if path.parent.is_dir() else []
        near = find_nearest_name(source.uri, folders)
        way = Suggestion(f"{flag} {shlex.quote(near)}") if near else ""
        yield make_problem("slurm-source-unseen", way, where=flag, given=source.uri, role=source.role)


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
