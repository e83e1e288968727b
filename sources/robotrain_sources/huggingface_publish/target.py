"""The container plugin that publishes to a branch of the Hub."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from robotrain_runtime.contract.checkpoint import CheckpointManifest
from robotrain_runtime.contract.container_plugin import ContainerContext
from robotrain_runtime.contract.failure import SourceError
from robotrain_runtime.contract.target import CheckpointMark, CheckpointOwner, TargetInspection
from robotrain_runtime.data_environment import ENVIRONMENT

from robotrain_sources.fetching.quiet import call_cancellable
from robotrain_sources.huggingface import reference
from robotrain_sources.huggingface.reference import Repository
from robotrain_sources.huggingface_publish.publish import HubPublisher

__all__ = ["ENVIRONMENT", "IS_REQUIRED", "SOURCE", "get_name", "inspect", "locate", "normalize", "open"]

SOURCE = "robotrain_sources.huggingface.fetch"
IS_REQUIRED = False


def normalize(address: str) -> str:
    """Return the normal form of the address; empty if it is not a branch of the Hub."""
    try:
        return str(reference.parse_branch(address))
    except SourceError:
        return ""


def locate(address: str, name: str) -> str:
    """Return the address of a checkpoint: that of its tag."""
    return reference.parse_branch(address).locate(name)


def get_name(address: str, located: str) -> str:
    """Return the name of the checkpoint whose tag `located` is; empty if it is at another place."""
    branch = reference.parse_branch(address)
    repository, _, tag = located.removeprefix(reference.SCHEME).partition("@")
    return branch.parse_tag(tag) if repository == branch.id else ""


def inspect(address: str, context: ContainerContext) -> TargetInspection:
    """Check that the token may write to the repository; return the run of the branch, and its checkpoints."""
    if context.python is None:
        return TargetInspection()
    access = HubTargetWriter(address, context).publisher.check_access()
    owner = access.owner
    if owner is None:
        other_place = f"{reference.SCHEME}{reference.parse_branch(address).id}@BRANCH"
        return TargetInspection(problems=access.problems, warnings=access.warnings, other_place=other_place)
    marks = {
        int(name): CheckpointMark(name=name, submission=owner.submission, tracking=owner.tracking)
        for name in access.steps
        if owner.submission
    }
    return TargetInspection(
        problems=access.problems,
        warnings=access.warnings,
        owner=CheckpointOwner(run=owner.run, submission=owner.submission),
        other_place=f"{reference.SCHEME}{reference.parse_branch(address).id}@BRANCH",
        runs={int(name): owner.run for name in access.steps},
        marks=marks,
    )


def open(address: str, context: ContainerContext) -> "HubTargetWriter":
    """Return a writer."""
    return HubTargetWriter(address, context)


class HubTargetWriter:
    """Publishes to one branch."""

    def __init__(self, address: str, context: ContainerContext) -> None:
        credential = context.credentials.get(Repository.kind, "")
        remedy = context.credential_hints.get(Repository.kind, "")
        self._place = context
        self.publisher = HubPublisher(reference.parse_branch(address), credential, remedy)

    def write(self, folder: Path, manifest: CheckpointManifest, halted: Callable[[], bool]) -> bool:
        """Commit a checkpoint with its card, and tag it."""
        description = self._place.describe_checkpoint(manifest.step)
        facts = dataclasses.asdict(description) if description else {}
        published = call_cancellable(
            lambda: self.publisher.publish_checkpoint(folder, manifest.digest, facts, self._place.path_files), halted
        )
        if published.warning:
            self._place.log_line(f"warning: {published.warning}")
        if published.has_new_card:
            self._place.log_line(f"step {manifest.step}: the model card has new scores")
        return published.new

    def trim(self, run: str, keep: int, halted: Callable[[], bool]) -> tuple[str, ...]:
        """Delete the oldest tags of the run."""
        return tuple(call_cancellable(lambda: self.publisher.delete_oldest(run, keep), halted))

    def close(self) -> None:
        """Do nothing: no connection stays open."""
