"""Repositories of git on the submit side: the commit of a revision, and whether a commit exists."""

import contextlib
import re
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from robotrain.model import code_commit_tags
from robotrain.model.source import Source, SourceError, SourceNotFound, SourceUnreachable
from robotrain.nearest_name import find_nearest_name

from robotrain_sources.fetching.errors import repeat_if_busy
from robotrain_sources.git import git_command
from robotrain_sources.git.git_command import GitFailed
from robotrain_sources.git.reference import COMMIT_PATTERN, GitRepository, parse_repository

SECONDS = 15.0
MAX_REVISIONS_SHOWN = 8


def resolve_pin(source: Source, role: str) -> str:
    """Return the commit of a repository's revision, a commit as it is. Raise SourceError."""
    repository = parse_repository(str(source))
    if not repository.has_commit:
        return _find_commit(repository)
    with contextlib.suppress(SourceUnreachable):  # what it names is certain: the run says if it cannot read it either
        _require_commit(repository, repository.revision)
    return repository.revision


def explain_lost_pin(source: Source, role: str, pin: str) -> str:
    """Return why the commit `pin` is not available; empty if it is. Raise SourceUnreachable."""
    try:
        _require_commit(parse_repository(str(source)), pin)
    except SourceNotFound as missing:
        return missing.why
    return ""


def find_missing_paths(source: Source, role: str, paths: Sequence[str]) -> Sequence[str]:
    """Return no paths: nothing describes code."""
    return ()


def read_tags(source: Source, role: str, pin: str) -> Sequence[str]:
    """Return the commit as a tag of the source."""
    return code_commit_tags.make_tags(pin, None)


def _find_commit(repository: GitRepository) -> str:
    revision = repository.revision
    reference_names = (
        (f"refs/tags/{revision}^{{}}", f"refs/tags/{revision}", f"refs/heads/{revision}") if revision else ("HEAD",)
    )
    commits = _list_references(repository, *reference_names)
    if commit := next((commits[name] for name in reference_names if name in commits), ""):
        return commit
    name = str(GitRepository(repository.url))
    address = f"{repository.host}/{repository.path}"
    if re.fullmatch(r"[0-9a-f]{4,63}", revision):
        raise SourceNotFound(f"{address} has no branch or tag {revision}; a commit is given by all its 40 digits.")
    references = _list_references(repository, "refs/heads/*", "refs/tags/*")
    revisions = [reference.split("/", 2)[2] for reference in references if not reference.endswith("^{}")]
    nearest = find_nearest_name(revision, revisions) or ""
    revisions_note = (
        f"; it has {', '.join(revisions[:MAX_REVISIONS_SHOWN])}{', …' if revisions[MAX_REVISIONS_SHOWN:] else ''}"
    )
    reason = (
        f"{address} has no branch or tag {revision}{revisions_note if revisions else ''}."
        if revision
        else f"{address} has no commits."
    )
    raise SourceNotFound(reason, nearest and f"{name}@{nearest}")


def _list_references(repository: GitRepository, *patterns: str) -> dict[str, str]:
    """Return the commits of a repository's references, by name. Raise SourceError."""
    if not git_command.find_git():
        reason = "git is not installed on this machine, so the commit of a branch or tag cannot be looked up."
        raise SourceError(reason, str(GitRepository(repository.url, "COMMIT")))
    with tempfile.TemporaryDirectory(prefix="robotrain-git-") as folder:
        try:
            ask = partial(git_command.run_git, Path(folder), ["ls-remote", "--", repository.url, *patterns], SECONDS)
            output = repeat_if_busy(ask)
        except GitFailed as failed:
            raise _make_source_error(failed, repository) from None
    rows = (
        reference_line.split("\t", 1)
        for reference_line in output.decode(errors="replace").splitlines()
        if "\t" in reference_line
    )
    return {name: commit for commit, name in rows if re.fullmatch(COMMIT_PATTERN, commit)}


def _require_commit(repository: GitRepository, commit: str) -> None:
    """Ask the host for a commit, without its files.

    Raise SourceNotFound if it has none, SourceUnreachable if that cannot be told from here.
    """
    if not git_command.find_git():
        raise SourceUnreachable("git is not installed on this machine.")
    ask = ("fetch", "--quiet", "--depth=1", "--filter=tree:0", "--no-tags", "--", repository.url, commit)
    with tempfile.TemporaryDirectory(prefix="robotrain-git-") as folder:
        try:
            kind = ("--object-format=sha256",) if len(commit) == 64 else ()
            git_command.run_git(Path(folder), ["init", "--quiet", "--bare", "--template=", *kind, "."], SECONDS)
            git_command.run_git(Path(folder), ask, SECONDS)
        except GitFailed as failed:
            if failed.reason == "no-commit":
                reason = f"{repository.host}/{repository.path} has no commit {commit}."
                raise SourceNotFound(reason) from None
            if failed.reason == "unadvertised":
                return  # the host gives only branches and tags: the run fetches them all, and looks for it
            error = _make_source_error(failed, repository)
            if isinstance(error, SourceNotFound):
                raise error from None
            raise SourceUnreachable(error.why) from None


def _make_source_error(failure: GitFailed, repository: GitRepository) -> SourceError:
    address = f"{repository.host}/{repository.path}"
    if failure.reason == "denied":
        return SourceUnreachable(
            f"{repository.host} asks for a sign-in: {address} is private, or does not exist. git finds yours in its "
            "credential helper; the job needs one of its own."
        )
    if failure.reason == "missing":
        return SourceNotFound(f"{repository.host} has no repository {repository.path}.")
    if failure.reason == "unknown-host":
        return SourceError(f"There is no host {repository.host}.")
    return SourceError(f"{address} cannot be read from here: {failure}.")
