"""Destinations of checkpoints and results: publish targets, and the folder that the platform keeps."""

import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from robotrain_runtime.contract import checkpoint, plugin_loader
from robotrain_runtime.contract import document as contract_document
from robotrain_runtime.contract.container_plugin import ArtifactTarget, ContainerContext, PythonEnvironment
from robotrain_runtime.contract.document import Folders, JobDocument
from robotrain_runtime.contract.problem import Problem, make_data_problem
from robotrain_runtime.contract.target import TargetContainerPlugin, TargetInspection

TARGET_PREFIX = "target."


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectedTarget:
    """A publish target with an address, and the content found there."""

    target: ArtifactTarget
    kind: str
    """The source kind of the plugin that writes there."""
    plugin: TargetContainerPlugin
    to: str
    """The normalized address."""
    inspection: TargetInspection


def find_target_plugin(document: JobDocument, address: str) -> TargetContainerPlugin | None:
    """Return the plugin that writes to an address; None for a folder or an unknown address. Raise JobFailed."""
    return next((plugin for _, plugin in _load_target_plugins(document) if plugin.normalize(address)), None)


def list_target_environments(document: JobDocument) -> list[PythonEnvironment]:
    """Return the environment that each kind of target is written in. Raise JobFailed."""
    return [plugin.ENVIRONMENT for _, plugin in _load_target_plugins(document)]


def inspect_targets(
    document: JobDocument,
    data_folders: Folders,
    make_context: Callable[[PythonEnvironment], ContainerContext],
) -> Iterator[InspectedTarget]:
    """Inspect each address that the job publishes to. Raise JobFailed.

    :param make_context: returns the context for targets of an environment: without `python` they are inspected offline.
    """
    for target in plugin_loader.load_workload_plugin(document).targets(document, data_folders):
        for kind, plugin in _load_target_plugins(document):
            if to := plugin.normalize(target.to):
                inspection = plugin.inspect(target.to, make_context(plugin.ENVIRONMENT))
                yield InspectedTarget(target=target, kind=kind, plugin=plugin, to=to, inspection=inspection)
                break


def is_optional(document: JobDocument) -> bool:
    """Return whether the job writes to an address that does not fail it. Raise JobFailed."""
    return any(not plugin.IS_REQUIRED for _, plugin in _load_target_plugins(document))


def find_target_problems(
    document: JobDocument, targets: Iterable[InspectedTarget], *, is_restarted: bool = False
) -> Iterator[Problem]:
    """Yield why an address cannot be written to; of a restarted run, only if it has to be."""
    for target in targets:
        if is_restarted and not target.plugin.IS_REQUIRED and not document.placement.volatile:
            continue
        cannot = f"{plugin_loader.describe_outputs(document)} cannot be published to {target.to}"
        problems = list(target.inspection.problems)
        way = target.inspection.other_place or target.target.suggestion
        if foreign_owner := _find_foreign_owner(document, target):
            problems.append(make_data_problem(f"it belongs to {foreign_owner}", way))
        elif foreign_owner := next(_find_foreign_checkpoints(document, target), ""):
            problems.append(make_data_problem(f"it holds {foreign_owner}", way))
        for finding in map(make_data_problem, problems):
            title = f"{cannot}: {finding.title}"
            yield dataclasses.replace(finding, code="publish-unwritable", title=title, fault="configuration")


def _find_foreign_owner(document: JobDocument, target: InspectedTarget) -> str:
    """Return whom the whole place belongs to, if that is not this run."""
    owner = target.inspection.owner
    submission_id = contract_document.read_submission_id(document)
    if owner is None or (owner.run == document.run and (not submission_id or owner.submission in ("", submission_id))):
        return ""
    if owner.run != document.run:
        return f"the run {owner.run}"
    return f"another submission of this run ({owner.submission})"


def list_target_warnings(
    document: JobDocument, targets: Iterable[InspectedTarget], *, is_restarted: bool = False
) -> Iterator[str]:
    """Yield why an address can perhaps not be written to, where that does not end the run."""
    outputs = plugin_loader.describe_outputs(document)
    targets = list(targets)
    for target in targets:
        for warning in target.inspection.warnings:
            yield f"it is not known whether {outputs} can be published to {target.to}: {warning}"
    if is_restarted:
        ending = {finding.title for finding in find_target_problems(document, targets, is_restarted=True)}
        yield from (finding.title for finding in find_target_problems(document, targets) if finding.title not in ending)


def _find_foreign_checkpoints(document: JobDocument, target: InspectedTarget) -> Iterator[str]:
    """Yield checkpoints of other runs whose names this run will use."""
    saves = target.target.saves_step
    submission_id = contract_document.read_submission_id(document)
    for step, run in sorted(target.inspection.runs.items()):
        mark = target.inspection.marks.get(step)
        if saves is None or not saves(step):
            continue
        if run != document.run:
            yield f"checkpoint {step:06} of the run {run}"
        elif submission_id and mark and mark.submission != submission_id:
            yield f"{mark.name} of another submission of this run ({mark.submission})"


def _load_target_plugins(document: JobDocument) -> Iterator[tuple[str, TargetContainerPlugin]]:
    """Yield the source kind and the plugin of each kind of target."""
    for name, module in document.container_plugins.items():
        if name.startswith(TARGET_PREFIX):
            yield name.removeprefix(TARGET_PREFIX), plugin_loader.import_plugin(module, name, TargetContainerPlugin)


def get_platform_folder(document: JobDocument) -> Path | None:
    """Return the folder that the platform keeps; None if there is none. Raise UnsetVariable."""
    folder = document.placement.kept
    return Path(os.path.normpath(contract_document.resolve_folder(folder))) if folder else None


def get_platform_folder_name(document: JobDocument) -> str:
    """Return the name for people of the folder that the platform keeps; empty if unknown."""
    with suppress(contract_document.UnsetVariable):
        return contract_document.expand_variables(document.placement.kept_as).rstrip("/")
    return ""


def find_platform_folder_problems(document: JobDocument) -> Iterator[Problem]:
    """Yield why the folder that the platform keeps cannot be used."""
    outputs = plugin_loader.describe_outputs(document)
    try:
        to = get_platform_folder(document)
    except contract_document.UnsetVariable as name:
        title = f"{name} is not set: it should name the folder in which the platform keeps the {outputs}"
        yield Problem(code="kept-missing", title=title)
        return
    if to is None:
        return
    if not to.is_absolute():
        reason = "it is not an absolute path"
    elif to.exists() and not to.is_dir():
        reason = "it is a file"
    elif not to.parent.is_dir():
        reason = f"{to.parent} does not exist"
    elif not os.access(to if to.is_dir() else to.parent, os.W_OK | os.X_OK):
        reason = "the user that runs the job may not write to it"
    elif foreign_owner := _find_platform_folder_owner(document, to):
        reason = f"it belongs to {foreign_owner}"
    else:
        return
    title = f"{outputs} cannot be copied to {to}, which the platform keeps: {reason}"
    yield Problem(code="publish-unwritable", title=title, fault="configuration")


def _find_platform_folder_owner(document: JobDocument, to: Path) -> str:
    """Return the other run or submission that the folder belongs to; empty for none. Raise UnsetVariable."""
    for name, owner_text in document.placement.kept_for.items():
        owner = contract_document.expand_variables(owner_text)
        if (submission_id := os.environ.get(name, "")) != owner:
            return f"{owner}, and this is {submission_id or 'another submission'}: submit it again with robotrain"
    submission_id = contract_document.read_submission_id(document)
    for folder in (to, *(folder for _, folder in checkpoint.list_checkpoints(to))):  # results are the folder itself
        if (manifest := checkpoint.read_manifest(folder)) and (
            manifest.run != document.run or manifest.submission != submission_id
        ):
            return (
                f"the run {manifest.run}"
                if manifest.run != document.run
                else f"another submission ({manifest.submission})"
            )
    return ""
