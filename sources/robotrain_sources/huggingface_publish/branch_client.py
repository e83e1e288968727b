"""One branch of a repository, as one token writes it: what is at its head, its tags, and commits that lose no race.

Runs in the data environment. Methods raise what huggingface_hub raises.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robotrain_sources.fetching import errors
from robotrain_sources.huggingface.fetch import REQUEST_SECONDS, HubToken, import_hub_library, read_file
from robotrain_sources.huggingface.reference import RepositoryBranch


@dataclass(frozen=True, slots=True)
class BranchCommit:
    """A commit with the digests of its files."""

    id: str
    files: Mapping[str, Any]
    """What the Hub tells of each file, by path."""


class BranchClient:
    """The branch `place` of a model repository."""

    def __init__(self, branch: RepositoryBranch, token: HubToken) -> None:
        self.place = branch
        self.library = import_hub_library()
        self.api = self.library.HfApi(
            endpoint=os.environ.get("HF_ENDPOINT") or None, token=token.text or None, library_name="robotrain"
        )
        self.token = token

    def find_repository(self) -> Any:
        """Return what the Hub tells of the repository; None if it has none of the name."""
        try:
            return self.api.repo_info(self.place.id, repo_type="model", timeout=REQUEST_SECONDS)
        except Exception as error:
            if "RepositoryNotFoundError" in errors.get_class_names(error):
                return None
            raise

    def has_dataset(self) -> bool:
        """Return whether there is a dataset of the name."""
        try:
            self.api.repo_info(self.place.id, repo_type="dataset", timeout=REQUEST_SECONDS)
        except Exception:
            return False
        return True

    def create_repository(self) -> None:
        """Create the repository, private, unless it exists."""
        self.api.create_repo(self.place.id, repo_type="model", private=True, exist_ok=True)

    def list_references(self) -> tuple[dict[str, str], dict[str, str]]:
        """Return the commit of each branch and of each tag."""
        refs = self.api.list_repo_refs(self.place.id, repo_type="model")
        return (
            {ref.name: ref.target_commit for ref in refs.branches},
            {ref.name: ref.target_commit for ref in refs.tags},
        )

    def list_commits(self) -> Sequence[Any]:
        """Return the commits of the branch, newest first."""
        commits: Sequence[Any] = self.api.list_repo_commits(self.place.id, repo_type="model", revision=self.place.name)
        return commits

    def create_branch(self, branch: str, revision: str) -> None:
        """Create a branch at a commit, unless it exists."""
        self.api.create_branch(self.place.id, branch=branch, revision=revision, repo_type="model", exist_ok=True)

    def delete_branch(self, branch: str) -> None:
        """Delete a branch."""
        self.api.delete_branch(self.place.id, branch=branch, repo_type="model")

    def create_tag(self, tag: str, revision: str) -> None:
        """Create a tag. Raise if it exists."""
        self.api.create_tag(self.place.id, tag=tag, revision=revision, repo_type="model")

    def delete_tag(self, tag: str) -> None:
        """Delete a tag."""
        self.api.delete_tag(self.place.id, tag=tag, repo_type="model")

    def read_commit(self, revision: str) -> BranchCommit:
        """Return a commit, by its id, a branch or a tag."""
        repository_info = self.api.repo_info(
            self.place.id, repo_type="model", revision=revision, files_metadata=True, timeout=REQUEST_SECONDS
        )
        return BranchCommit(
            str(repository_info.sha), {sibling.rfilename: sibling for sibling in repository_info.siblings or ()}
        )

    def read_file(self, path: str, commit: str) -> bytes | None:
        """Return the content of a small file of a commit; None if it has none of the name."""
        return read_file(self.api, self.place.id, path, commit)

    def commit(
        self,
        title: str,
        text: str,
        added: Mapping[str, Path | bytes],
        deleted: Iterable[str],
        parent: str,
        branch: str = "",
    ) -> str:
        """Commit files on top of `parent`, which must be the branch's head; return the commit's id."""
        operations: list[Any] = [self.library.CommitOperationDelete(path_in_repo=path) for path in sorted(deleted)]
        for path, content in sorted(added.items()):
            source = str(content) if isinstance(content, Path) else content
            operations.append(self.library.CommitOperationAdd(path_in_repo=path, path_or_fileobj=source))
        commit_info = self.api.create_commit(
            self.place.id,
            operations,
            commit_message=title,
            commit_description=text,
            repo_type="model",
            revision=branch or self.place.name,
            parent_commit=parent,
        )
        return str(commit_info.oid)


def is_status(error: BaseException, *statuses: int) -> bool:
    """Return whether the Hub answered a request with one of these HTTP statuses."""
    return any(errors.parse_http_status(cause) in statuses for cause in errors.iter_causes(error))
