"""Several checkpoints of a policy, of which an evaluation scores each. Standard library only.

The policy's source is then a folder with one subfolder a step, as trainings write it. What is checked before the work
is checked for the newest checkpoint: the others of a training are of the same kind.
"""

from collections.abc import Iterator
from pathlib import Path

from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.document import Folders, JobDocument, JobSource
from robotrain_runtime.contract.problem import Problems, Suggestion, make_data_problem

from robotrain_workloads.lerobot import adapter, policy
from robotrain_workloads.lerobot.lineage import find_start_source

MAX_STEPS = 8
"""More steps are not listed in a message."""
PARAMETER, FLAG = "checkpoints", "--checkpoints"
FILE_PATTERNS = (f"[0-9]*/{policy.MODEL_FOLDER}/*", f"[0-9]*/{checkpoint.MANIFEST}")
"""The files of a folder of checkpoints that are read: not the state of the training, which is larger."""


def list_chosen(folder: Path, step_selection: str) -> dict[int, Path]:
    """Return the folders of the checkpoints to evaluate by step, ascending."""
    checkpoints = list_complete(folder)
    return {step: checkpoints[step] for step in checkpoint.select_steps(checkpoints, step_selection)}


def list_complete(folder: Path) -> dict[int, Path]:
    """Return the folders with a model by step: of a training that seals its checkpoints, those that are sealed."""
    checkpoints = {
        step: path
        for step, path in checkpoint.list_checkpoints(folder)
        if any((folder / name).is_file() for folder in (path / policy.MODEL_FOLDER, path) for name in _MODEL_FILES)
    }
    sealed_checkpoints = {step: path for step, path in checkpoints.items() if checkpoint.read_manifest(path)}
    return sealed_checkpoints or checkpoints


_MODEL_FILES = (policy.CONFIG_FILE, adapter.CONFIG_FILE)


def view_newest(document: JobDocument, data: Folders) -> dict[JobSource, Path]:
    """Return `data` with the newest of the checkpoints to evaluate as the policy.

    Without any, the policy is left out: a description of files from elsewhere does not have them. That of what a step
    of a pipeline will train is one policy, and stays.
    """
    step_selection = document.parameters[PARAMETER]
    source = find_start_source(document.sources)
    if step_selection is None or source is None or source not in data:
        return dict(data)
    if checkpoints := list_complete(data[source]):
        return {**data, source: checkpoints[max(checkpoints)]}  # which is always selected
    return {
        other_source: folder for other_source, folder in data.items() if other_source != source or _is_policy(folder)
    }


def _is_policy(folder: Path) -> bool:
    return (policy.find_model_folder(folder) / policy.CONFIG_FILE).is_file()


def find_problems(document: JobDocument, data: Folders) -> Problems:
    """Yield a sentence if the policy is no folder of checkpoints."""
    step_selection = document.parameters[PARAMETER]
    source = find_start_source(document.sources)
    if step_selection is None or source is None or source not in data or list_complete(data[source]):
        return
    folder = data[source]
    if _is_policy(folder):
        yield make_data_problem(
            f"{FLAG} {step_selection}: {folder} is one policy, not a folder with a checkpoint for each step",
            Suggestion("--policy-run RUN, or --policy-path FOLDER", "with the folder that holds all of them"),
        )
    else:
        yield make_data_problem(f"{FLAG} {step_selection}: {folder} has no complete checkpoint", "--policy-run RUN")


def list_warnings(document: JobDocument, data: Folders) -> Iterator[str]:
    """Yield a sentence if no checkpoint is at the steps that are chosen, so that only the last is scored."""
    step_selection = document.parameters[PARAMETER]
    source = find_start_source(document.sources)
    if step_selection is None or source is None or source not in data:
        return
    steps = sorted(list_complete(data[source]))
    if (
        step_selection != checkpoint.ALL
        and len(steps) > 1
        and not any(step % int(step_selection) == 0 for step in steps)
    ):
        steps_text = ", ".join(map(str, steps[:MAX_STEPS])) + (", …" if len(steps) > MAX_STEPS else "")
        yield (
            f"{FLAG} {step_selection} chooses only the last checkpoint, {steps[-1]}: none of {steps_text} is a "
            f"multiple of {step_selection}"
        )
