"""A branch of a model repository: each checkpoint is a commit and a tag, whole or absent, all of one run.

The branch belongs to the run in the manifest at its head. A commit names its parent, so that of two runs one wins; a
tag is made last, once the Hub has every file of the commit. Runs in the data environment; methods raise what
huggingface_hub raises.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.checkpoint import MANIFEST, CheckpointManifest
from robotrain_runtime.contract.failure import PermanentError

from robotrain_sources.fetching import errors
from robotrain_sources.huggingface import layout
from robotrain_sources.huggingface.fetch import REQUEST_SECONDS, HubToken, import_hub_library, read_file
from robotrain_sources.huggingface.layout import ATTRIBUTES, CARD, FREE_FILES, PublishedFiles
from robotrain_sources.huggingface.reference import DEFAULT_BRANCH, RepositoryBranch

METADATA_ORDER = ("license", "library_name", "pipeline_tag", "base_model", "base_model_relation", "datasets", "tags")
"""The names that a card has first."""


def format_card(description: Mapping[str, Any], replaced: Mapping[str, str]) -> bytes:
    """Return the card.

    :param description: the fields of a `ModelDescription`.
    :param replaced: values of the placeholders in its texts, such as `{repository}`.
    """
    metadata = {
        name: metadata_value
        for name, metadata_value in description.get("metadata", {}).items()
        if metadata_value not in (None, "", [])
    }
    metadata_names = [
        *(name for name in METADATA_ORDER if name in metadata),
        *sorted(metadata.keys() - {*METADATA_ORDER}),
    ]
    card_lines = ["---", *(f"{name}: {_format_value(metadata[name])}" for name in metadata_names), "---", ""]
    card_lines += [f"# {_keep_line(str(description.get('title') or 'Policy'))}", ""]
    for heading, section_text in description.get("sections", ()):
        card_lines += [f"## {_keep_line(heading)}", "", section_text.strip("\n"), ""]
    card = "\n".join(card_lines).rstrip("\n") + "\n"
    for name, metadata_value in replaced.items():
        card = card.replace(f"{{{name}}}", metadata_value)
    return card.encode("utf-8", "replace")


def _format_value(value: Any) -> str:
    """Return a value as YAML: JSON is a part of it."""
    return json.dumps(value, ensure_ascii=False, default=list)


def _keep_line(text: str) -> str:
    return " ".join(text.split())


CONFLICT = 412
"""The status of a commit whose parent is no longer the head."""


class CommitMismatch(OSError):
    """The Hub has something else than what was sent. The text says what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchHead:
    """The newest commit of a branch."""

    commit: str
    files: Mapping[str, Any]
    """What the Hub tells of each file, by path."""
    manifest: CheckpointManifest | None
    """Of its checkpoint; None for none."""
    is_new: bool
    """Whether the branch has no commit of its own: its files are those of `main`."""

    def find_foreign_file(self) -> str:
        """Return a file beside which no run may publish; empty for none."""
        if self.is_new or self.manifest:
            return ""
        return next((path for path in sorted(self.files) if path not in FREE_FILES), "")


class HubBranch:
    """The branch `place`, as one token writes it."""

    def __init__(self, place: RepositoryBranch, token: HubToken) -> None:
        self.place, self.token = place, token.description
        self._library = import_hub_library()
        endpoint = os.environ.get("HF_ENDPOINT") or None
        self.api = self._library.HfApi(endpoint=endpoint, token=token.text or None, library_name="robotrain")

    def publish(
        self,
        folder: Path,
        manifest: CheckpointManifest,
        description: Mapping[str, Any],
        path_files: Mapping[str, str | None],
    ) -> tuple[bool, str]:
        """Publish a sealed checkpoint under the tag of its folder's name; return whether it is new, and a warning.

        Raise PermanentError if the branch or the tag is of another run, or the folder changed since it was sealed;
        CommitMismatch.
        """
        if not folder.name.isdecimal():
            raise PermanentError("a commit of a model repository is a checkpoint: results are not published there")
        sealed = checkpoint.read_manifest(folder)
        if sealed is None or sealed.digest != manifest.digest:
            raise PermanentError(f"{folder} changed since it was sealed")
        if problem := checkpoint.validate_checkpoint(folder):
            raise PermanentError(problem)
        files = layout.arrange_checkpoint(folder, manifest, path_files)
        self.api.create_repo(self.place.id, private=True, exist_ok=True)
        self._open_head(manifest)
        tag = self.place.get_tag(folder.name)
        tagged_commit = self.list_checkpoints().get(folder.name)
        if tagged_commit:
            published = self._read_manifest(tagged_commit)
            if published is None or published.run != manifest.run:
                owner = f"a checkpoint of the run {published.run}" if published else "something else"
                raise PermanentError(f"the tag {tag} of {self.place.id} marks {owner}")
            if published == files.manifest:
                return False, ""
        card = format_card(description, {"repository": self.place.id, "tag": tag}) if description else b""
        commit, warning = self._commit(folder, files, card)
        self._verify_commit(commit, folder, files)
        if tagged_commit:  # the run saved the step again
            self.api.delete_tag(self.place.id, tag=tag)
        self.api.create_tag(self.place.id, tag=tag, revision=commit)
        return True, warning

    def delete_oldest(self, run: str, keep: int) -> tuple[str, ...]:
        """Delete the tags of all but the last `keep` checkpoints of `run`; return the names of those checkpoints."""
        removed_names = []
        for name, commit in [*self.list_checkpoints().items()][: -max(keep, 1)]:
            manifest = self._read_manifest(commit)
            if manifest and manifest.run == run:
                self.api.delete_tag(self.place.id, tag=self.place.get_tag(name))
                removed_names.append(name)
        return tuple(removed_names)

    def list_checkpoints(self) -> dict[str, str]:
        """Return the commit of each checkpoint that is tagged, by its name, oldest first."""
        tags = self.api.list_repo_refs(self.place.id).tags
        commits = {name: tag.target_commit for tag in tags if (name := self.place.parse_tag(tag.name))}
        return {name: commits[name] for name in sorted(commits, key=int)}

    def read_head(self) -> BranchHead | None:
        """Return the head of the branch; None if the branch does not exist."""
        branches = {ref.name: ref.target_commit for ref in self.api.list_repo_refs(self.place.id).branches}
        commit = branches.get(self.place.name)
        if commit is None:
            return None
        files = self._list_files(commit)
        is_new = self.place.name != DEFAULT_BRANCH and commit == self._find_first_commit()
        manifest = self._read_manifest(commit) if MANIFEST in files and not is_new else None
        return BranchHead(commit=commit, files=files, manifest=manifest, is_new=is_new)

    def _open_head(self, manifest: CheckpointManifest) -> BranchHead:
        """Return the head of the branch, which is created. Raise PermanentError if it is not the run's."""
        head = self.read_head()
        if head is None:
            first_commit = self._find_first_commit()
            self.api.create_branch(self.place.id, branch=self.place.name, revision=first_commit, exist_ok=True)
            head = self.read_head()
            assert head is not None
        owner = head.manifest
        if owner and owner.run != manifest.run:
            problem = f"belongs to the run {owner.run}"
        elif owner and owner.submission and manifest.submission and owner.submission != manifest.submission:
            problem = f"belongs to another submission ({owner.submission})"
        elif foreign_file := head.find_foreign_file():
            problem = f"holds other files, such as {foreign_file}"
        else:
            return head
        raise self._make_refusal(problem, manifest)

    def _make_refusal(self, problem: str, manifest: CheckpointManifest) -> PermanentError:
        place = f"the branch {self.place.name} of {self.place.id}"
        return PermanentError(f"{place} {problem}: name a branch of its own, such as {manifest.run}")

    def _find_first_commit(self) -> str:
        """Return the first commit of `main`: after a squash of its history, the one with all of its files."""
        return str(self.api.list_repo_commits(self.place.id)[-1].commit_id)

    def _list_files(self, commit: str) -> dict[str, Any]:
        info = self.api.repo_info(self.place.id, revision=commit, files_metadata=True, timeout=REQUEST_SECONDS)
        return {sibling.rfilename: sibling for sibling in info.siblings or ()}

    def _read_manifest(self, commit: str) -> CheckpointManifest | None:
        manifest_bytes = read_file(self.api, self.place.id, MANIFEST, commit)
        return checkpoint.parse_manifest(manifest_bytes) if manifest_bytes else None

    def _commit(self, folder: Path, files: PublishedFiles, card: bytes) -> tuple[str, str]:
        """Commit a checkpoint; return the commit, and a warning if the Hub refused the card."""
        manifest, warning = files.manifest, ""
        added: dict[str, Path | bytes] = {
            repository_path: files.contents.get(path, folder / path) for path, repository_path in files.paths.items()
        }
        added[MANIFEST] = checkpoint.format_manifest(manifest)
        if card:
            added.setdefault(CARD, card)
        for is_last in (False, True):
            head = self._open_head(manifest)
            newest = head.manifest
            if newest == manifest:  # the answer to an earlier try was lost
                return head.commit, warning
            if newest and newest.step > manifest.step and newest.step in map(int, self.list_checkpoints()):
                raise self._make_refusal(f"has step {newest.step} already, which stays its newest", manifest)
            replaced = {*layout.map_paths(newest).values()} if newest else set()
            if head.is_new:
                replaced = {*head.files} - {ATTRIBUTES}
            deleted = sorted(replaced & head.files.keys() - added.keys())
            operations = [
                *(self._library.CommitOperationDelete(path_in_repo=path) for path in deleted),
                *(
                    self._library.CommitOperationAdd(path_in_repo=path, path_or_fileobj=content)
                    for path, content in sorted(added.items())
                ),
            ]
            try:
                commit_info = self.api.create_commit(
                    self.place.id,
                    operations,
                    commit_message=f"step {manifest.step}",
                    commit_description=f"run: {manifest.run}",
                    revision=self.place.name,
                    parent_commit=head.commit,
                )
                return str(commit_info.oid), warning
            except Exception as error:
                causes = [*errors.iter_causes(error)]
                if not is_last and added.get(CARD) is card and any(CARD in str(cause) for cause in causes):
                    reason = errors.format_error(ValueError(" ".join(str(error).split())))[:300]
                    warning = f"the Hub refuses the model card of {self.place.id}, which is left out: {reason}"
                    del added[CARD]
                elif is_last or CONFLICT not in map(errors.parse_http_status, causes):
                    raise
        raise AssertionError

    def _verify_commit(self, commit: str, folder: Path, files: PublishedFiles) -> None:
        """Raise CommitMismatch if the commit does not have every file of the checkpoint as it was sealed."""
        committed_files = self._list_files(commit)
        for path, repository_path in files.paths.items():
            committed_file = committed_files.get(repository_path)
            if lfs := getattr(committed_file, "lfs", None):
                is_same = lfs.sha256 == files.manifest.files[path]
            else:
                file_bytes = files.contents.get(path)
                file_bytes = (folder / path).read_bytes() if file_bytes is None else file_bytes
                git_digest = hashlib.sha1(b"blob %d\0" % len(file_bytes) + file_bytes).hexdigest()
                is_same = committed_file is not None and committed_file.blob_id == git_digest
            if not is_same:
                raise CommitMismatch(f"{repository_path} of {self.place.id} differs from what was sent")
