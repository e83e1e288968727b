"""The fetch program of repositories: the files of one commit, in the cache.

`python -m robotrain_sources.git.fetch URI --to FOLDER [--pin COMMIT] [--credential FILE-OR-ADDRESS] [--way OPTION]`
"""

import argparse
import difflib
import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

from robotrain_runtime.contract import files
from robotrain_runtime.contract.event import Fault

from robotrain_sources.fetching import named_secret, program
from robotrain_sources.fetching.errors import FetchError
from robotrain_sources.git import archive, git_command
from robotrain_sources.git.git_command import GitFailed, GitToken
from robotrain_sources.git.reference import COMMIT_PATTERN, GitRepository, parse_repository

MANIFEST = "fetched.json"
ASK_SECONDS, FETCH_SECONDS = 30.0, 1800.0
QUIET_WAIT_SECONDS = 1.0
TOKEN_FORM = "a token of the host, and nothing else"
ATTRIBUTES = "* -export-ignore -export-subst -filter\n"
"""Attributes of all files that are unpacked: those of the repository would leave out some, or change them."""


class RepositoryFetcher:
    """Fetches one commit of a repository."""

    def __init__(self, repository: GitRepository, pin: str, credential: str, way: str) -> None:
        self._repository, self._way = repository, way
        self._revision = pin or repository.revision or "HEAD"
        token_text = named_secret.read_secret(credential, TOKEN_FORM) if credential else ""
        if token_text and not re.fullmatch(r"[!-~]{8,4096}", token_text):
            raise named_secret.make_content_error(credential, TOKEN_FORM)
        self._token = GitToken(repository.url, token_text) if token_text else None

    def fetch(self, to: Path) -> Path:
        """Return the folder of the files, fetched below `to` unless they are there. Raise FetchError or OSError."""
        commit = self._revision if re.fullmatch(COMMIT_PATTERN, self._revision) else self._find_commit(to)
        folder = to / hashlib.sha256(self._repository.url.encode()).hexdigest()[:16] / commit

        def fill(target: Path) -> None:
            target.mkdir()
            print(f"fetching {self._repository.url} at {commit}", flush=True)
            if git_command.find_git():
                self._fetch_with_git(commit, target)
            else:
                archive.fetch_archive(self._repository, commit, self._token.text if self._token else "", target)

        repository_folder = files.fill_cache_folder(
            folder,
            MANIFEST,
            fill,
            on_wait=lambda: print(f"another run is fetching {folder}: waiting", flush=True),
            quiet_seconds=QUIET_WAIT_SECONDS,
        )
        return self._find_subdirectory(repository_folder)

    def _find_subdirectory(self, folder: Path) -> Path:
        path = self._repository.subdirectory
        subfolder = Path(os.path.realpath(folder / path))
        if path and not (subfolder.is_dir() and subfolder.is_relative_to(os.path.realpath(folder))):
            subfolders = sorted(child.relative_to(folder).as_posix() for child in folder.glob("**/") if child != folder)
            close_names = difflib.get_close_matches(path, subfolders, n=1)
            hint = f"; the nearest is {close_names[0]}" if close_names else ""
            raise FetchError(f"{self._repository.url} has no folder {path}{hint}", "configuration")
        return subfolder

    def _find_commit(self, to: Path) -> str:
        if not git_command.find_git():
            reason = f"git is not installed here, so the commit of {self._revision} cannot be looked up"
            raise FetchError(f"{reason}: name a commit, or use an image that has git", "configuration")
        reference_names = (
            f"refs/tags/{self._revision}^{{}}",
            f"refs/tags/{self._revision}",
            f"refs/heads/{self._revision}",
        )
        patterns = ("HEAD",) if self._revision == "HEAD" else reference_names
        scratch = self._make_scratch(to / f".ask.{os.urandom(4).hex()}")
        try:
            output = self._run(scratch, "ls-remote", "--", self._repository.url, *patterns, seconds=ASK_SECONDS)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        commits = {
            name: commit
            for commit, name in (reference_line.split("\t", 1) for reference_line in output.decode().splitlines())
        }
        if commit := next((commits[name] for name in patterns if name in commits), ""):
            return commit
        raise FetchError(f"{self._repository.url} has no branch or tag {self._revision}", "configuration")

    def _make_scratch(self, scratch: Path) -> Path:
        scratch.mkdir(parents=True)
        return scratch

    def _fetch_with_git(self, commit: str, target: Path) -> None:
        """Fetch exactly one commit and write its files to `target`. Raise FetchError."""
        url = self._repository.url
        scratch = self._make_scratch(target.with_name("repository"))
        kind = ("--object-format=sha256",) if len(commit) == 64 else ()
        self._run(scratch, "init", "--quiet", "--bare", "--template=", *kind, ".")
        try:
            self._run(
                scratch, "fetch", "--quiet", "--depth=1", "--no-tags", "--", url, commit, retries=("unadvertised",)
            )
        except GitFailed:  # the host gives branches and tags only
            all_references = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
            self._run(scratch, "fetch", "--quiet", "--", url, *all_references)
        try:
            output = self._run(scratch, "rev-parse", "--verify", f"{commit}^{{commit}}", retries=("other",))
        except GitFailed:
            output = b""
        if output.decode().strip() != commit:
            raise FetchError(f"{url} has no commit {commit}", "configuration")
        (scratch / "info").mkdir(exist_ok=True)
        (scratch / "info" / "attributes").write_text(ATTRIBUTES)
        command, environ = git_command.make_command(
            scratch, ["archive", "--format=tar", "--prefix=code/", commit], home=False
        )
        with subprocess.Popen(command, cwd=scratch, env=environ, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            archive.unpack_archive(process.stdout, "r|", target, commit)
            process.stdout.read()
        shutil.rmtree(scratch, ignore_errors=True)

    def _run(
        self, folder: Path, *arguments: str, seconds: float = FETCH_SECONDS, retries: tuple[str, ...] = ()
    ) -> bytes:
        """Run git. Raise FetchError, but GitFailed for the reasons after which something else is tried."""
        try:
            return git_command.run_git(folder, arguments, seconds, self._token)
        except GitFailed as failed:
            if failed.reason in retries:
                raise
            raise self._make_fetch_error(failed) from None

    def _make_fetch_error(self, failed: GitFailed) -> FetchError:
        url, host = self._repository.url, self._repository.host
        if failed.reason == "denied" and self._token:
            return FetchError(
                f"{host} does not accept the job's token for {url}: it must be able to read it", "configuration"
            )
        if failed.reason == "denied":
            remedy = f": give the job a token with {self._way}" if self._way else ""
            return FetchError(
                f"{host} asks for a sign-in: {url} is private, or does not exist{remedy}", "configuration"
            )
        if failed.reason == "missing":
            return FetchError(f"{host} has no repository {self._repository.path}", "configuration")
        if failed.reason == "no-commit":
            return FetchError(f"{url} has no commit {self._revision}", "configuration")
        faults: dict[str, Fault] = {"unknown-host": "configuration", "network": "network"}
        return FetchError(f"{url} cannot be fetched: {failed}", faults.get(failed.reason, ""))


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="fetch")
    parser.add_argument("uri")
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument("--pin", default="")
    parser.add_argument("--credential", default="", help="the file of a token, or its address in a key vault")
    parser.add_argument("--way", default="", help="the option that gives the job a token")
    options = parser.parse_args()

    def fetch() -> Path:
        return RepositoryFetcher(parse_repository(options.uri), options.pin, options.credential, options.way).fetch(
            options.to
        )

    program.run_and_answer(fetch)


if __name__ == "__main__":
    main()
