"""The files of one commit of a repository, which git fetches to this machine."""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from robotrain.model.source import Source, SourceError, SourceNotFound
from robotrain.store import code_folder
from robotrain_runtime.contract.files import make_atomically

from robotrain_sources.git.reference import GitRepository, parse_repository

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
    """A git command failed. The text is what it said, without secrets."""


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
        raise GitFailed(f"no answer within {seconds:g} s") from None
    except OSError as error:
        raise GitFailed(f"git cannot be run: {error.strerror}") from None
    if result.returncode:
        lines = result.stderr.decode(errors="replace").strip().splitlines() or ["it ended without a message"]
        said = next((line for line in lines if line.startswith("fatal:")), lines[-1])
        raise GitFailed(re.sub(r"//[^/@\s]+@", "//", said)[:300])
    return result.stdout


def _list_credential_options(variables: dict[str, str]) -> list[str]:
    """Return the options of the user's and the machine's configuration that find credentials. Raise OSError."""
    command = [find_git(), "config", "--null", "--get-regexp", r"^credential\."]
    rows = subprocess.run(command, cwd="/", env=variables, capture_output=True, text=True).stdout.split("\0")
    return [row.replace("\n", "=", 1) for row in rows if row]


UNADVERTISED = r"unadvertised object|dumb http transport does not support"
"""What git says where a host gives only the commits of its branches and tags."""
ASK_SECONDS, FETCH_SECONDS = 30.0, 1800.0


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
        raise SourceError(f"{repository.url} cannot be read from here. git says: {failed}.") from None
    return _find_subdirectory(repository, folder)


def _fetch(url: str, commit: str, folder: Path) -> None:
    kind = ("--object-format=sha256",) if len(commit) == 64 else ()
    run_git(folder, ["init", "--quiet", "--template=", *kind, "."], ASK_SECONDS)
    fetch = ("fetch", "--quiet", "--no-tags", "--depth=1", "--", url, commit)
    try:
        run_git(folder, fetch, FETCH_SECONDS)
    except GitFailed as failed:
        if not re.search(UNADVERTISED, str(failed)):
            raise
        references = ("+refs/heads/*:refs/fetched/heads/*", "+refs/tags/*:refs/fetched/tags/*")
        run_git(folder, ["fetch", "--quiet", "--no-tags", "--", url, *references], FETCH_SECONDS)
    run_git(folder, ["checkout", "--quiet", "--detach", commit], FETCH_SECONDS)


def _find_subdirectory(repository: GitRepository, folder: Path) -> Path:
    path = repository.subdirectory
    subfolder = Path(os.path.realpath(folder / path))
    if not path or (subfolder.is_dir() and subfolder.is_relative_to(os.path.realpath(folder))):
        return subfolder
    raise SourceNotFound(f"{repository.url} has no folder {path}.")


def _find_commit(repository: GitRepository) -> str:
    revision = repository.revision
    reference_names = (
        (f"refs/tags/{revision}^{{}}", f"refs/tags/{revision}", f"refs/heads/{revision}") if revision else ("HEAD",)
    )
    with tempfile.TemporaryDirectory(prefix="robotrain-git-") as folder:
        command = ["ls-remote", "--", repository.url, *reference_names]
        output = run_git(Path(folder), command, ASK_SECONDS).decode(errors="replace")
    rows = (reference_line.split("\t", 1) for reference_line in output.splitlines() if "\t" in reference_line)
    commits = {name: commit for commit, name in rows}
    if commit := next((commits[name] for name in reference_names if name in commits), ""):
        return commit
    if not revision:
        raise SourceNotFound(f"{repository.url} has no commits.")
    raise SourceNotFound(f"{repository.url} has no branch or tag {revision}; a commit is given by all its digits.")
