"""Checkpoints on a branch of the Hub: each a commit and a tag, whole or absent, of one run only.

The branch belongs to the run that commits the claim first: a commit names its parent, so that only one of two wins. A
tag is made last, once the Hub has every file of the commit, and never marks another run's checkpoint.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.checkpoint import MANIFEST, CheckpointManifest
from robotrain_runtime.contract.failure import PermanentError

from robotrain_sources.fetching import errors
from robotrain_sources.huggingface import layout
from robotrain_sources.huggingface.layout import ATTRIBUTES, CARD, CLAIM, FREE_FILES, BranchClaim, PublishedFiles
from robotrain_sources.huggingface.reference import DEFAULT_BRANCH
from robotrain_sources.huggingface_publish import model_card
from robotrain_sources.huggingface_publish.branch_client import BranchClient, BranchCommit, is_status

CONFLICTS = (409, 412)
"""Statuses of a commit whose parent is no longer the head, and of a name that is taken meanwhile."""
MAX_TRIES = 5
DIGEST_LINE = "checkpoint-sha256: "
"""The line of a commit's text that names its checkpoint."""
SIDE_BRANCH = "robotrain-older-"
"""Begins the name of the branch on which a checkpoint is committed that is older than the head's."""


class CommitMismatch(Exception):
    """The Hub has something else than what was sent. The text says what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedCheckpoint:
    """What came of a checkpoint."""

    new: bool
    warning: str = ""
    has_new_card: bool = False
    """Whether it was there, and only the card at the head of the branch is new."""


class BranchWriter:
    """Writes checkpoints to a branch."""

    def __init__(self, client: BranchClient) -> None:
        self._client = client
        self._place = client.place

    def publish(
        self, folder: Path, digest: str, description: Mapping[str, Any], path_files: Mapping[str, str | None]
    ) -> PublishedCheckpoint:
        """Publish a sealed checkpoint under the tag of its folder's name.

        Raise PermanentError if the branch or the tag is of another run, or the folder changed since it was sealed;
        CommitMismatch; what the library raises.
        """
        if not folder.name.isdecimal():
            raise PermanentError("a commit of a model repository is a checkpoint: results are not published there")
        manifest = checkpoint.read_manifest(folder)
        if manifest is None or manifest.digest != digest:
            raise PermanentError(f"{folder} changed since it was sealed")
        if problem := checkpoint.validate_checkpoint(folder):
            raise PermanentError(problem)
        files = layout.arrange_checkpoint(folder, manifest, path_files)
        self._claim_branch(manifest)
        tag, warning = self._place.get_tag(folder.name), ""
        card = b"" if CARD in files.paths.values() else self._format_card(tag, description)
        _, tags = self._client.list_references()
        if tag in tags:
            if self._is_published(tag, tags[tag], files.manifest):
                return self._renew_card(files.manifest, card)
            self._client.delete_tag(tag)  # the run saved the step again
        commit = self._find_commit(files.manifest)
        if not commit:
            commit, warning = self._commit_checkpoint(folder, files, tag, card)
        self._verify_commit(commit, folder, files)
        self._create_tag(tag, commit, files.manifest)
        self._delete_side_branch(tag)
        return PublishedCheckpoint(new=True, warning=warning)

    def delete_oldest(self, run: str, keep: int) -> list[str]:
        """Delete the tags of all but the last `keep` checkpoints of `run`; return the names of those checkpoints."""
        claim = self.read_claim()
        if claim is None or claim.run != run:
            return []
        _, tags = self._client.list_references()
        checkpoint_names = sorted(filter(None, map(self._place.parse_tag, tags)), key=int)
        removed_names = []
        for name in checkpoint_names[: -max(keep, 1)]:
            tag = self._place.get_tag(name)
            manifest = self._read_manifest(tags[tag])
            if manifest and manifest.run == run:
                self._client.delete_tag(tag)
                removed_names.append(name)
        return removed_names

    def list_checkpoints(self) -> list[str]:
        """Return the names of the checkpoints that are tagged."""
        _, tags = self._client.list_references()
        return sorted(filter(None, map(self._place.parse_tag, tags)), key=int)

    def read_claim(self) -> BranchClaim | None:
        """Return the claim at the branch's head; None for none, and for a branch that is new or does not exist."""
        branches, _ = self._client.list_references()
        head = branches.get(self._place.name)
        claim_bytes = self._client.read_file(CLAIM, head) if head and not self._is_new(head) else None
        return layout.parse_claim(claim_bytes) if claim_bytes else None

    def find_foreign_file(self) -> str:
        """Return a file of the branch beside which no run may publish; empty for none."""
        branches, _ = self._client.list_references()
        head = branches.get(self._place.name)
        return _find_foreign_file(self._client.read_commit(head)) if head and not self._is_new(head) else ""

    def _claim_branch(self, manifest: CheckpointManifest) -> None:
        """Make the branch the run's own. Raise PermanentError if it is another's, or holds other files."""
        self._client.create_repository()
        new_claim = BranchClaim(
            run=manifest.run, job=manifest.job, submission=manifest.submission, tracking=manifest.tracking
        )
        for _ in range(MAX_TRIES):
            head = self._find_head()
            if head is None:
                continue
            is_new = self._is_new(head.id)
            claim_bytes = self._client.read_file(CLAIM, head.id) if CLAIM in head.files and not is_new else None
            if claim_bytes is not None and (claim := layout.parse_claim(claim_bytes)):
                self._check_claim(claim, manifest)
                return
            if not is_new and (foreign_file := _find_foreign_file(head)):
                branch_label = f"the branch {self._place.name} of {self._place.id}"
                raise PermanentError(
                    f"{branch_label} holds other files, such as {foreign_file}: name a new branch, as in "
                    f"hf://{self._place.id}@{manifest.run}"
                )
            try:
                title = f"robotrain: the branch of {manifest.run}"
                kept_files = {CLAIM, ATTRIBUTES} if is_new else FREE_FILES
                self._client.commit(title, "", {CLAIM: new_claim.to_bytes()}, head.files.keys() - kept_files, head.id)
                return
            except Exception as error:
                if not is_status(error, *CONFLICTS):
                    raise
        raise CommitMismatch(f"the branch {self._place.name} of {self._place.id} changes all the time")

    def _check_claim(self, claim: BranchClaim, manifest: CheckpointManifest) -> None:
        if not claim.admits(manifest):
            owner_text = (
                f"the run {claim.run}" if claim.run != manifest.run else f"another submission ({claim.submission})"
            )
            branch_label = f"the branch {self._place.name} of {self._place.id}"
            raise PermanentError(
                f"{branch_label} belongs to {owner_text}: name a branch of its own, as in hf://{self._place.id}@{manifest.run}"
            )

    def _find_head(self) -> BranchCommit | None:
        """Return the head of the branch; None if it was created just now, at the repository's first commit."""
        branches, _ = self._client.list_references()
        if self._place.name in branches:
            return self._client.read_commit(branches[self._place.name])
        self._client.create_branch(self._place.name, self._find_first_commit())
        return None

    def _find_first_commit(self) -> str:
        """Return the first commit of `main`: after a squash of its history, the one with all of its files."""
        return str(self._client.api.list_repo_commits(self._place.id, repo_type="model")[-1].commit_id)

    def _is_new(self, head: str) -> bool:
        """Return whether the branch has no commit of its own: its files, and a claim among them, are those of `main`.

        :param head: the commit of the branch.
        """
        return self._place.name != DEFAULT_BRANCH and head == self._find_first_commit()

    def _read_manifest(self, commit: str) -> CheckpointManifest | None:
        manifest_bytes = self._client.read_file(MANIFEST, commit)
        return checkpoint.parse_manifest(manifest_bytes) if manifest_bytes else None

    def _is_published(self, tag: str, commit: str, manifest: CheckpointManifest) -> bool:
        """Return whether a tag marks this very checkpoint, not another one of the run. Raise PermanentError."""
        published = self._read_manifest(commit)
        if published is None or published.run != manifest.run:
            owner = f"a checkpoint of the run {published.run}" if published else "something else"
            raise PermanentError(f"the tag {tag} of {self._place.id} marks {owner}")
        return published == manifest

    def _find_commit(self, manifest: CheckpointManifest) -> str:
        """Return the commit of a checkpoint that an earlier try made, and did not tag; empty for none."""
        digest_line = DIGEST_LINE + manifest.digest
        for commit in self._client.list_commits():
            if digest_line in (commit.message or "").splitlines() and self._read_manifest(commit.commit_id) == manifest:
                return str(commit.commit_id)
        return ""

    def _commit_checkpoint(self, folder: Path, files: PublishedFiles, tag: str, card: bytes) -> tuple[str, str]:
        """Commit a checkpoint; return the commit, and a warning if the Hub refused the card."""
        manifest = files.manifest
        added_files: dict[str, Path | bytes] = {
            repository_path: files.contents.get(path, folder / path) for path, repository_path in files.paths.items()
        }
        added_files[MANIFEST] = checkpoint.format_manifest(manifest)
        title = f"step {manifest.step}"
        commit_text = f"run: {manifest.run}\n{DIGEST_LINE}{manifest.digest}"
        warning = ""
        for _ in range(MAX_TRIES):
            branches, _tags = self._client.list_references()
            head = self._client.read_commit(branches[self._place.name])
            claim = layout.parse_claim(self._client.read_file(CLAIM, head.id) or b"")
            if claim is not None:
                self._check_claim(claim, manifest)
            newest_manifest = self._read_manifest(head.id) if MANIFEST in head.files else None
            branch = self._place.name
            if (
                newest_manifest is not None and newest_manifest.step > manifest.step
            ):  # the head stays the newest checkpoint
                branch = self._open_side_branch(tag, head.id)
            owned_paths = {*layout.map_paths(newest_manifest).values()} if newest_manifest else set()
            committed_files = {**added_files, **({CARD: card} if card else {})}
            try:
                return self._client.commit(
                    title,
                    commit_text,
                    committed_files,
                    (owned_paths & head.files.keys()) - committed_files.keys(),
                    head.id,
                    branch,
                ), warning
            except Exception as error:
                if card and _is_about_card(error):
                    card, warning = b"", _explain_card(error, self._place.id)
                elif not is_status(error, *CONFLICTS):
                    raise
        raise CommitMismatch(f"the branch {self._place.name} of {self._place.id} changes all the time")

    def _renew_card(self, manifest: CheckpointManifest, card: bytes) -> PublishedCheckpoint:
        """Commit the card of a checkpoint that is there, if it says more than that at the head of the branch.

        A run that was restarted knows less than it did: then the card stays. So do those of older checkpoints, whose
        tags are never moved.
        """
        for _ in range(MAX_TRIES if card else 0):
            branches, _tags = self._client.list_references()
            head = self._client.read_commit(branches[self._place.name])
            if MANIFEST not in head.files or self._read_manifest(head.id) != manifest:
                break
            present_card = self._client.read_file(CARD, head.id) if CARD in head.files else None
            if not model_card.list_rows(present_card or b"") < model_card.list_rows(card):
                break
            try:
                self._client.commit(f"card of step {manifest.step}", "", {CARD: card}, (), head.id)
                return PublishedCheckpoint(new=False, has_new_card=True)
            except Exception as error:
                if _is_about_card(error):
                    return PublishedCheckpoint(new=False, warning=_explain_card(error, self._place.id))
                if not is_status(error, *CONFLICTS):
                    raise
        return PublishedCheckpoint(new=False)

    def _open_side_branch(self, tag: str, head: str) -> str:
        self._delete_side_branch(tag)
        branch = f"{SIDE_BRANCH}{tag}"
        self._client.create_branch(branch, head)
        return branch

    def _delete_side_branch(self, tag: str) -> None:
        branches, _ = self._client.list_references()
        if f"{SIDE_BRANCH}{tag}" in branches:
            self._client.delete_branch(f"{SIDE_BRANCH}{tag}")

    def _verify_commit(self, commit: str, folder: Path, files: PublishedFiles) -> None:
        """Raise CommitMismatch if the commit does not have every file of the checkpoint as it was sealed."""
        committed_files = self._client.read_commit(commit).files
        for path, repository_path in files.paths.items():
            committed_file = committed_files.get(repository_path)
            lfs = getattr(committed_files.get(repository_path), "lfs", None)
            file_bytes = files.contents.get(path)
            if lfs:
                is_same = lfs.sha256 == files.manifest.files[path]
            else:
                file_bytes = (folder / path).read_bytes() if file_bytes is None else file_bytes
                is_same = committed_file is not None and committed_file.blob_id == hash_git_blob(file_bytes)
            if not is_same:
                raise CommitMismatch(f"{repository_path} of {self._place.id} differs from what was sent")

    def _create_tag(self, tag: str, commit: str, manifest: CheckpointManifest) -> None:
        try:
            self._client.create_tag(tag, commit)
        except Exception as error:
            if not is_status(error, *CONFLICTS):
                raise
            _, tags = self._client.list_references()
            if tag not in tags or not self._is_published(tag, tags[tag], manifest):
                raise CommitMismatch(f"the tag {tag} of {self._place.id} marks another checkpoint") from error

    def _format_card(self, tag: str, description: Mapping[str, Any]) -> bytes:
        if not description:
            return b""
        return model_card.format_card(description, {"repository": self._place.id, "tag": tag})


def _find_foreign_file(head: BranchCommit) -> str:
    """Return a file that is somebody else's; empty for none."""
    return next((path for path in sorted(head.files) if path not in FREE_FILES), "")


def hash_git_blob(file_bytes: bytes) -> str:
    """Return what git calls a file with this content."""
    return hashlib.sha1(b"blob %d\0" % len(file_bytes) + file_bytes).hexdigest()


def _is_about_card(error: Exception) -> bool:
    """Return whether the Hub refused a commit for the metadata of its card."""
    error_texts = [str(cause) for cause in errors.iter_causes(error)]
    return any("README.md" in error_text and "etadata" in error_text for error_text in error_texts) or (
        is_status(error, 400) and any("README" in error_text for error_text in error_texts)
    )


def _explain_card(error: Exception, repository: str) -> str:
    reasons = next(iter(model_card.list_card_problems(str(error))), "")
    note = f" ({reasons})" if reasons else ""
    return f"the Hub refuses the model card of {repository}{note}: the checkpoint is published without it"
