"""Words that tell a policy its task: the user's, the environment's, or those that it was trained with."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from robotrain_runtime.contract.event import Note, emit_event
from robotrain_runtime.contract.problem import Problem, make_data_problem, summarize_problem

from robotrain_workloads.exit_status import WorkFailed
from robotrain_workloads.lerobot import policy, training_history, versions
from robotrain_workloads.lerobot.dataset_texts import read_dataset_texts
from robotrain_workloads.lerobot.versions import ModelType
from robotrain_workloads.lerobot_eval.inputs.simulation import SIMULATED_ENVIRONMENTS

DESCRIPTION_FLAG = "--task-description"


def explain_missing_words(
    model: ModelType, env: str, description: object, folder: Path | None, *, may_be_recorded: bool = False
) -> Problem | None:
    """Return what is wrong if a policy would act without the words that it reads; else None.

    :param description: the user's words, if any.
    :param folder: that of the policy; None if it is unknown.
    :param may_be_recorded: whether a dataset of the job may have the words.
    """
    if not model.reads_task or description is not None or SIMULATED_ENVIRONMENTS[env].has_description:
        return None
    if (
        folder is None or may_be_recorded or not (folder / policy.find_weights_file(folder)).is_file()
    ):  # not all of it is here
        return None
    trained_texts = training_history.read_task_texts(folder)
    return None if len(trained_texts) == 1 else _make_finding(env, trained_texts)


def _make_finding(env: str, texts: Sequence[str]) -> Problem:
    training_text = (
        f"it was trained with {len(texts)} texts" if texts else "the text that it was trained with is not known"
    )
    example = shlex.quote(texts[0]) if texts else "TEXT"
    reading_text = f"the policy reads its task in words, which {env} does not have, and {training_text}"
    return make_data_problem(reading_text, f"{DESCRIPTION_FLAG} {example}")


def choose_description(
    kind: str, folder: Path | None, env: str, description: str | None, root: Path | None
) -> str | None:
    """Return what the policy is told; None for the environment's own words. A note says so if the policy reads it.

    :param kind: the type of the policy.
    :param folder: that of the policy; None for one that is made here.
    :param root: the dataset that the policy is replayed on.

    Raise SystemExit with a sentence if a policy that reads its task would be told nothing.
    """
    reads_task = versions.get_installed_version().policies.get(kind, ModelType()).reads_task
    if description is not None:
        return _note(description, DESCRIPTION_FLAG) if reads_task else description
    if not reads_task or SIMULATED_ENVIRONMENTS[env].has_description:
        return None
    trained_texts = training_history.read_task_texts(folder) if folder else []
    recorded_texts = read_dataset_texts(root) if root else []
    for task_texts, origin_text in (
        (trained_texts, "the only text that it was trained with"),
        (recorded_texts, "that of the dataset"),
    ):
        if len(task_texts) == 1:
            return _note(task_texts[0], origin_text)
    raise WorkFailed(summarize_problem(_make_finding(env, trained_texts or recorded_texts)))


def _note(text: str, origin: str) -> str:
    emit_event(Note(level="info", text=f"the policy is told {text!r}: {origin}"))
    return text
