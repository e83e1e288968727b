"""The files of one commit of a repository, which git fetches to this machine."""

import difflib
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from robotrain.model.source import Source, SourceError, SourceNotFound
from robotrain.nearest_name import find_nearest_name
from robotrain.store import code_folder
from robotrain_runtime.contract.files import make_atomically

from robotrain_sources.git.reference import COMMIT_PATTERN, GitRepository, parse_repository

Reason = Literal["denied", "missing", "no-commit", "unadvertised", "unknown-host", "other"]
OPTIONS = {
    "core.hooksPath": os.devnull,
    "core.askPass": "",
    "core.fsmonitor": "false",
    "credential.interactive": "false",
    "fetch.recurseSubmodules": "false",
    "gc.auto": "0",
    "protocol.allow": "never",
    "protocol.https.allow": "always",
    "protocol.http.allow": "always",  # which the parser of addresses allows for this machine only
}
NO_CONFIGURATION = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_ATTR_NOSYSTEM": "1"}
_REPOSITORY_VARIABLES = r"GIT_(?:DIR|WORK_TREE|INDEX_FILE|PREFIX|NAMESPACE|COMMON_DIR|CONFIG(?:_.*)?|TRACE.*|ASKPASS"
_REPOSITORY_VARIABLES += r"|OBJECT_DIRECTORY|ALTERNATE_OBJECT_DIRECTORIES|SHALLOW_FILE|GRAFT_FILE|TEMPLATE_DIR"
_REPOSITORY_VARIABLES += r"|REPLACE_REF_BASE|EXEC_PATH|EXTERNAL_DIFF|PROXY_COMMAND|SSH.*|ALLOW_PROTOCOL)|SSH_ASKPASS"


class GitFailed(Exception):
    """A git command failed. `reason` is why; the text is the first line of its message, without secrets."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason: Reason = reason


def find_git() -> str:
    """Return the path of git; empty if it is not installed."""
    return shutil.which("git") or ""


def run_git(folder: Path, arguments: Sequence[str], seconds: float) -> bytes:
    """Run git in `folder`, which is empty or which robotrain made; return its output. Raise GitFailed."""
    variables = {name: text for name, text in os.environ.items() if not re.fullmatch(_REPOSITORY_VARIABLES, name)}
    variables |= {
        "LC_ALL": "C",
        "GIT_TERMINAL_PROMPT": "0",
        "GCM_INTERACTIVE": "never",
        "GIT_LFS_SKIP_SMUDGE": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_CEILING_DIRECTORIES": str(folder.parent),
        "GIT_HTTP_LOW_SPEED_LIMIT": "100",
        "GIT_HTTP_LOW_SPEED_TIME": "30",
    }
    try:
        options = [*_list_credential_options(variables), *("=".join(option) for option in OPTIONS.items())]
        result = subprocess.run(
            [find_git(), *(word for option in options for word in ("-c", option)), *arguments],
            cwd=folder,
            env=variables | NO_CONFIGURATION,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        raise GitFailed("other", f"no answer within {seconds:g} s") from None
    except OSError as error:
        raise GitFailed("other", f"git cannot be run: {error.strerror}") from None
    if result.returncode:
        raise explain_failure(result.stderr.decode(errors="replace"))
    return result.stdout


def _list_credential_options(variables: dict[str, str]) -> list[str]:
    """Return the options of the user's and the machine's configuration that find credentials. Raise OSError."""
    command = [find_git(), "config", "--null", "--get-regexp", r"^credential\."]
    rows = subprocess.run(command, cwd="/", env=variables, capture_output=True, text=True).stdout.split("\0")
    return [row.replace("\n", "=", 1) for row in rows if row]


_REASONS: tuple[tuple[Reason, str], ...] = (
    ("denied", r"could not read (?:Username|Password)|Authentication failed|terminal prompts disabled"),
    ("denied", r"returned error: 40[13]"),
    ("missing", r"repository '[^']*' not found|returned error: 404|not valid: is this a git repository"),
    ("no-commit", r"not our ref|couldn't find remote ref"),
    ("unadvertised", r"unadvertised object|dumb http transport does not support"),
    ("unknown-host", r"Could not resolve host"),
)


def explain_failure(message: str) -> GitFailed:
    """Return the error for the message of a git command."""
    reason: Reason = next((reason for reason, pattern in _REASONS if re.search(pattern, message)), "other")
    message_lines = [message_line.strip() for message_line in message.splitlines() if message_line.strip()]
    message_line = next(
        (candidate for candidate in message_lines if candidate.startswith(("fatal:", "error:", "remote:"))),
        message_lines[-1] if message_lines else "",
    )
    message_line = re.sub(r"//[^/@\s]+@", "//", re.sub(r"^(?:fatal|error|remote): ", "", message_line))
    return GitFailed(reason, message_line[:300] or "git ended without a message")


ASK_SECONDS, FETCH_SECONDS = 30.0, 1800.0
MAX_REVISIONS_SHOWN = 8


def fetch_commit(source: Source) -> Path:
    """Return the folder of a repository's files at its revision, fetched unless they are here. Raise SourceError."""
    repository = parse_repository(str(source))
    if not find_git():
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
    run_git(folder, ["init", "--quiet", "--template=", *kind, "."], ASK_SECONDS)
    fetch = ("fetch", "--quiet", "--no-tags", "--depth=1", "--", url, commit)
    try:
        run_git(folder, fetch, FETCH_SECONDS)
    except GitFailed as failed:
        if failed.reason != "unadvertised":
            raise
        references = ("+refs/heads/*:refs/fetched/heads/*", "+refs/tags/*:refs/fetched/tags/*")
        run_git(folder, ["fetch", "--quiet", "--no-tags", "--", url, *references], FETCH_SECONDS)
        try:
            run_git(folder, ["cat-file", "-e", f"{commit}^{{commit}}"], ASK_SECONDS)
        except GitFailed as missing:
            raise GitFailed("no-commit", str(missing)) from None
    run_git(folder, ["checkout", "--quiet", "--detach", commit], FETCH_SECONDS)


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
        output = run_git(Path(folder), command, ASK_SECONDS).decode(errors="replace")
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
