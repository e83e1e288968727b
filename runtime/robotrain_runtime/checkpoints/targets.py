"""Where checkpoints and results go: publish targets, and the folder that the platform keeps."""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from robotrain_runtime.contract import document as contract_document
from robotrain_runtime.contract import plugin_loader
from robotrain_runtime.contract.container_plugin import ContainerContext, PythonEnvironment, WorkloadContainerPlugin
from robotrain_runtime.contract.document import JobDocument, JobSource
from robotrain_runtime.contract.failure import EXIT_REFUSED, Finding, JobFailed
from robotrain_runtime.contract.target import ArtifactTarget, TargetContainerPlugin, TargetInspection

TARGET_PREFIX = "target."


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectedTarget:
    """A place with an address, looked at. kind: of the half that writes there. to: the address in its normal form."""

    target: ArtifactTarget
    kind: str
    plugin: TargetContainerPlugin
    to: str
    inspection: TargetInspection


def list_targets(
    plugin: WorkloadContainerPlugin, document: JobDocument, data: Mapping[JobSource, Path]
) -> tuple[ArtifactTarget, ...]:
    """Where the workload wants its checkpoints or results, beside the run's own folder. data: what is there by now."""
    return tuple(plugin.targets(document, data))


def find_target_plugin(document: JobDocument, address: str) -> TargetContainerPlugin | None:
    """The half that writes to an address; None for a folder, and for what no half takes. Raises JobFailed."""
    return next((half for _, half in _load_target_plugins(document) if half.normal(address)), None)


def get_target_environment(document: JobDocument) -> PythonEnvironment | None:
    """The environment that writing needs; None when the job writes to no address. Raises JobFailed."""
    return next((half.ENVIRONMENT for _, half in _load_target_plugins(document)), None)


def inspect_targets(
    document: JobDocument, data: Mapping[JobSource, Path], context: ContainerContext
) -> Iterator[InspectedTarget]:
    """A look at each of the job's addresses. data: what is there by now. Without a `place.python` nobody is asked.

    Raises JobFailed.
    """
    for target in list_targets(plugin_loader.load_workload_plugin(document), document, data):
        for kind, half in _load_target_plugins(document):
            if to := half.normal(target.to):
                yield InspectedTarget(
                    target=target, kind=kind, plugin=half, to=to, inspection=half.look(target.to, context)
                )
                break


def find_target_problems(document: JobDocument, targets: Iterable[InspectedTarget]) -> Iterator[str]:
    """Why nothing could be written to the job's addresses, a sentence each, the way out on a second line."""
    for seen in targets:
        cannot = f"{plugin_loader.describe_outputs(document)} cannot be published to {seen.to}"
        yield from (f"{cannot}: {sentence}" for sentence in seen.inspection.problems)
        if taken := next(_find_foreign_checkpoints(document, seen), ""):
            yield f"{cannot}: it holds {taken}" + (f"\n{seen.target.suggestion}" if seen.target.suggestion else "")


def _find_foreign_checkpoints(document: JobDocument, target: InspectedTarget) -> Iterator[str]:
    """Checkpoints of others, under the names of those that this run will save."""
    saves, own = target.target.saves_step, contract_document.read_submission_id(document)
    for step, run in sorted(target.inspection.runs.items()):
        mark = target.inspection.marks.get(step)
        if saves is None or not saves(step):
            continue
        if run != document.run:
            yield f"{step:06} of the run {run}"
        elif own and mark and mark.submission != own:
            yield f"{mark.name} of another submission of this run ({mark.submission})"


def _load_target_plugins(document: JobDocument) -> Iterator[tuple[str, TargetContainerPlugin]]:
    """By their kind."""
    for name, module in document.halves.items():
        if name.startswith(TARGET_PREFIX):
            try:
                plugin = plugin_loader.load_container_plugin(module, TargetContainerPlugin)
                yield name.removeprefix(TARGET_PREFIX), plugin
            except ImportError as error:
                raise JobFailed(f"{name} cannot be imported as {module}: {error}", EXIT_REFUSED) from error


def get_platform_folder(document: JobDocument) -> Path | None:
    """Where it lies on this machine; None for a platform that keeps none. Raises UnsetVariable."""
    said = document.placement.kept
    return Path(os.path.normpath(contract_document.resolve_folder(said))) if said else None


def get_platform_folder_name(document: JobDocument) -> str:
    """What it is called for people, without a slash at its end; empty when that is not known."""
    with suppress(contract_document.UnsetVariable):
        return contract_document.expand_variables(document.placement.kept_as).rstrip("/")
    return ""


def find_platform_folder_problems(document: JobDocument) -> Iterator[Finding]:
    """Why nothing could be copied there."""
    try:
        to = get_platform_folder(document)
    except contract_document.UnsetVariable as name:
        title = f"{name} is not set, so nobody knows in which folder the platform keeps the {plugin_loader.describe_outputs(document)}"
        yield Finding(code="kept-missing", title=title)
        return
    if to and (why := _explain_unwritable(to)):
        title = f"{plugin_loader.describe_outputs(document)} cannot be copied to {to}, which the platform keeps: {why}"
        yield Finding(code="publish-unwritable", title=title)


def _explain_unwritable(to: Path) -> str:
    if not to.is_absolute():
        return "it is no absolute path"
    if to.exists() and not to.is_dir():
        return "it is a file"
    if not to.parent.is_dir():
        return f"there is no {to.parent}"
    writable = os.access(to if to.is_dir() else to.parent, os.W_OK | os.X_OK)
    return "" if writable else "the user that runs the job may not write there"
