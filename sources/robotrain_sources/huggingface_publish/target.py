"""The container plugin that publishes to a branch of the Hub, through a program in the data environment."""

import contextlib
import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.checkpoint import CheckpointManifest
from robotrain_runtime.contract.container_plugin import ContainerContext
from robotrain_runtime.contract.failure import SourceError
from robotrain_runtime.contract.finding import read_findings
from robotrain_runtime.contract.target import CheckpointMark, CheckpointOwner, TargetInspection
from robotrain_runtime.data_environment import ENVIRONMENT
from robotrain_runtime.process.helper_process import HelperProcess

from robotrain_sources.fetching import program
from robotrain_sources.huggingface import reference
from robotrain_sources.huggingface.reference import Repository

__all__ = ["ENVIRONMENT", "IS_REQUIRED", "SOURCE", "get_name", "inspect", "locate", "normalize", "open"]

SOURCE = "robotrain_sources.huggingface.fetch"
IS_REQUIRED = False
PUBLISH_MODULE = "robotrain_sources.huggingface_publish.publish"
PUT, TRIM, LOOK = "put", "trim", "look"


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
    place = reference.parse_branch(address)
    repository, _, tag = located.removeprefix(reference.SCHEME).partition("@")
    return place.parse_tag(tag) if repository == place.id else ""


def inspect(address: str, place: ContainerContext) -> TargetInspection:
    """Check that the token may write to the repository; return the run of the branch, and its checkpoints."""
    if place.python is None:
        return TargetInspection()
    try:
        with contextlib.closing(HubTargetWriter(address, place)) as writer:
            found = writer.request_action(LOOK, {}, lambda: False)
    except OSError as error:
        return TargetInspection(warnings=(str(error),))
    owner, steps = found["owner"], found["steps"]
    other_place = f"{reference.SCHEME}{reference.parse_branch(address).id}@BRANCH"
    return TargetInspection(
        problems=read_findings(found["problems"]),
        warnings=tuple(found["warnings"]),
        owner=CheckpointOwner(run=owner["run"], submission=owner["submission"]) if owner else None,
        other_place=other_place,
        runs={int(name): owner["run"] for name in steps} if owner else {},
        marks={
            int(name): CheckpointMark(name=name, submission=owner["submission"], tracking=owner["tracking"])
            for name in steps
        }
        if owner and owner["submission"]
        else {},
    )


def open(address: str, place: ContainerContext) -> "HubTargetWriter":
    """Start a writer. Raise OSError if its program cannot be started."""
    return HubTargetWriter(address, place)


class HubTargetWriter:
    """Publishes to one branch through one program."""

    def __init__(self, address: str, place: ContainerContext) -> None:
        if place.python is None:
            raise OSError(f"there is no environment to run {PUBLISH_MODULE} in")
        values = {
            "--credential": place.credentials.get(Repository.kind, ""),
            "--way": place.credential_hints.get(Repository.kind, ""),
        }
        options = [f"{option}={value}" for option, value in values.items() if value]
        command = [str(place.python), "-m", PUBLISH_MODULE, normalize(address), *options]
        self._place = place
        self._process = HelperProcess(command, program.make_process_env(), place.log_line)

    def request_action(self, action: str, body: Mapping[str, Any], halted: Callable[[], bool]) -> Mapping[str, Any]:
        """Send a request to the program. Raise what HelperProcess raises."""
        return self._process.send_request(action, body, halted)

    def write(self, folder: Path, manifest: CheckpointManifest, halted: Callable[[], bool]) -> bool:
        """Commit a checkpoint with its card, and tag it."""
        description = self._place.describe_checkpoint(manifest.step)
        body = {
            "folder": str(folder),
            "digest": manifest.digest,
            "description": dataclasses.asdict(description) if description else {},
            "path_files": dict(self._place.path_files),
        }
        answer = self.request_action(PUT, body, halted)
        if answer["warning"]:
            self._place.log_line(f"warning: {answer['warning']}")
        if answer["has_new_card"]:
            self._place.log_line(f"step {manifest.step}: the model card has new scores")
        return bool(answer["new"])

    def trim(self, run: str, keep: int, halted: Callable[[], bool]) -> tuple[str, ...]:
        """Delete the oldest tags of the run."""
        return tuple(self.request_action(TRIM, {"run": run, "keep": keep}, halted)["removed"])

    def close(self) -> None:
        """Stop the program."""
        self._process.close()
