"""The files of one commit of a repository, which git fetches to this machine."""

import difflib
import hashlib
import os
import re
import tempfile
from pathlib import Path

from robotrain.model.source import Source, SourceError, SourceNotFound
from robotrain.nearest_name import find_nearest_name
from robotrain.store import code_folder
from robotrain_runtime.contract.files import make_atomically

from robotrain_sources.git import git_command
from robotrain_sources.git.git_command import GitFailed
from robotrain_sources.git.reference import COMMIT_PATTERN, GitRepository, parse_repository

ASK_SECONDS, FETCH_SECONDS = 30.0, 1800.0
MAX_REVISIONS_SHOWN = 8


def fetch_commit(source: Source) -> Path:
    """Return the folder of a repository's files at its revision, fetched unless they are here. Raise SourceError."""
    repository = parse_repository(str(source))
    if not git_command.find_git():
        raise SourceError("git is not installed on this machine.")
    try:
        commit = repository.revision if repository.has_commit else _find_commit(repository)
        key = hashlib.sha256(repository.url.encode()).hexdigest()[:16]
        # the folder's name becomes part of the run's
        folder = code_folder.get_commits_folder() / key / commit / repository.path.rpartition("/")[2]
        try:
            if not folder.is_dir():
                with make_atomically(folder) as scratch:
                    scratch.mkdir()
                    _fetch(repository.url, commit, scratch)
        except OSError:
            if not folder.is_dir():  # else another command fetched it meanwhile
                raise
    except GitFailed as failed:
        raise _make_source_error(failed, repository) from None
    return _find_subdirectory(repository, folder)


def _fetch(url: str, commit: str, folder: Path) -> None:
    kind = ("--object-format=sha256",) if len(commit) == 64 else ()
    git_command.run_git(folder, ["init", "--quiet", "--template=", *kind, "."], ASK_SECONDS)
    fetch = ("fetch", "--quiet", "--no-tags", "--depth=1", "--", url, commit)
    try:
        git_command.run_git(folder, fetch, FETCH_SECONDS)
    except GitFailed as failed:
        if failed.reason != "unadvertised":
            raise
        references = ("+refs/heads/*:refs/fetched/heads/*", "+refs/tags/*:refs/fetched/tags/*")
        git_command.run_git(folder, ["fetch", "--quiet", "--no-tags", "--", url, *references], FETCH_SECONDS)
        try:
            git_command.run_git(folder, ["cat-file", "-e", f"{commit}^{{commit}}"], ASK_SECONDS)
        except GitFailed as missing:
            raise GitFailed("no-commit", str(missing)) from None
    git_command.run_git(folder, ["checkout", "--quiet", "--detach", commit], FETCH_SECONDS)


def _find_subdirectory(repository: GitRepository, folder: Path) -> Path:
    path = repository.subdirectory
    subfolder = Path(os.path.realpath(folder / path))
    if not path or (subfolder.is_dir() and subfolder.is_relative_to(os.path.realpath(folder))):
        return subfolder
    subfolders = [child.relative_to(folder).as_posix() for child in folder.glob("**/")]
    nearest = next(iter(difflib.get_close_matches(path, subfolders, n=1)), "")
    address = str(GitRepository(repository.url, repository.revision, nearest))
    raise SourceNotFound(f"{repository.host}/{repository.path} has no folder {path}.", nearest and address)


def _find_commit(repository: GitRepository) -> str:
    revision = repository.revision
    reference_names = (
        (f"refs/tags/{revision}^{{}}", f"refs/tags/{revision}", f"refs/heads/{revision}") if revision else ("HEAD",)
    )
    commits = _list_references(repository, *reference_names)
    if commit := next((commits[name] for name in reference_names if name in commits), ""):
        return commit
    address = f"{repository.host}/{repository.path}"
    if not revision:
        raise SourceNotFound(f"{address} has no commits.")
    if re.fullmatch(r"[0-9a-f]{4,63}", revision):
        raise SourceNotFound(f"{address} has no branch or tag {revision}; a commit is given by all its 40 digits.")
    references = _list_references(repository, "refs/heads/*", "refs/tags/*")
    revisions = [reference.split("/", 2)[2] for reference in references if not reference.endswith("^{}")]
    nearest = find_nearest_name(revision, revisions) or ""
    more = ", …" if revisions[MAX_REVISIONS_SHOWN:] else ""
    revisions_note = f"; it has {', '.join(revisions[:MAX_REVISIONS_SHOWN])}{more}" if revisions else ""
    raise SourceNotFound(
        f"{address} has no branch or tag {revision}{revisions_note}.",
        nearest and str(GitRepository(repository.url, nearest, repository.subdirectory)),
    )


def _list_references(repository: GitRepository, *patterns: str) -> dict[str, str]:
    """Return the commits of a repository's references, by name. Raise GitFailed."""
    with tempfile.TemporaryDirectory(prefix="robotrain-git-") as folder:
        command = ["ls-remote", "--", repository.url, *patterns]
        output = git_command.run_git(Path(folder), command, ASK_SECONDS).decode(errors="replace")
    rows = (reference_line.split("\t", 1) for reference_line in output.splitlines() if "\t" in reference_line)
    return {name: commit for commit, name in rows if re.fullmatch(COMMIT_PATTERN, commit)}


def _make_source_error(failure: GitFailed, repository: GitRepository) -> SourceError:
    address = f"{repository.host}/{repository.path}"
    if failure.reason == "denied":
        return SourceError(
            f"{repository.host} asks for a sign-in: {address} is private, or does not exist. git finds yours in its "
            "credential helper."
        )
    if failure.reason == "missing":
        return SourceNotFound(f"{repository.host} has no repository {repository.path}.")
    if failure.reason == "no-commit":
        return SourceNotFound(f"{address} has no commit {repository.revision}.")
    if failure.reason == "unknown-host":
        return SourceError(f"There is no host {repository.host}.")
    return SourceError(f"{address} cannot be read from here: {failure}.")
