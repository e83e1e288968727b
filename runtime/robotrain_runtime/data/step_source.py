"""The container plugin for outputs of an earlier step of the same pipeline, which the platform mounts."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from robotrain_runtime.checkpoints import model_lineage
from robotrain_runtime.contract import step_output
from robotrain_runtime.contract.checkpoint import combine_digests
from robotrain_runtime.contract.container_plugin import ContainerContext
from robotrain_runtime.contract.document import JobSource

ENVIRONMENT = None
CARRIER = ""


def preflight(source: JobSource, context: ContainerContext) -> Iterator[str]:
    """Yield that the platform did not mount it: nothing else can bring it."""
    yield f"the output of step {source.uri} was not mounted"


def mounted(source: JobSource, context: ContainerContext) -> Iterator[str]:
    """Yield why the mounted folder is not what the step handed over."""
    folder = Path(source.uri)
    try:
        output = step_output.read_step_output(folder.parent)
    except (OSError, ValueError) as error:
        yield f"the step handed over nothing that can be read in {folder.parent}: {error}"
        return
    if not any(path.startswith(f"{folder.name}/") for path in output.files):
        yield f"the step {output.run} handed over no {folder.name}"
    elif problem := step_output.find_damaged_file(folder.parent, output, folder.name):
        yield problem


def fetch(source: JobSource, context: ContainerContext) -> Path:
    """Return the folder, and record what run the policy is of. Raise OSError."""
    folder = Path(source.uri)
    output = step_output.read_step_output(folder.parent)
    if folder.name == step_output.POLICY_FOLDER:
        model_lineage.write_policy_lineage(context.cache, folder, _describe_policy(output.policy))
    elif folder.name == step_output.CHECKPOINTS_FOLDER:
        for name, manifest in output.checkpoints.items():
            model_lineage.write_policy_lineage(context.cache, folder / name, _describe_policy(manifest))
    return folder


def _describe_policy(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return the facts about the policy in a checkpoint, by its manifest."""
    return {
        model_lineage.POLICY_RUN: str(manifest["run"]),
        model_lineage.POLICY_JOB: str(manifest["job"]),
        model_lineage.POLICY_STEP: str(manifest["step"]),
        model_lineage.POLICY_DIGEST: combine_digests(manifest["files"]),
    }
