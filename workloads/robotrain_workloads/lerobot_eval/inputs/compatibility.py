"""Compatibility of a policy with the datasets, the simulated environment and the locked environment of a job."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.event import emit_note
from robotrain_runtime.contract.problem import Problem, Problems, make_data_problem, summarize_problem

from robotrain_workloads.exit_status import WorkFailed
from robotrain_workloads.lerobot import (
    dataset,
    dataset_preparation,
    file_formats,
    policy,
    policy_features,
    training_history,
    versions,
)
from robotrain_workloads.lerobot.job import LerobotJob
from robotrain_workloads.lerobot.policy_features import STATE, WORLD, get_padded_size, get_policy_inputs
from robotrain_workloads.lerobot.training_history import read_dataset_texts
from robotrain_workloads.lerobot.versions import ModelType
from robotrain_workloads.lerobot_eval.inputs import simulation
from robotrain_workloads.lerobot_eval.inputs.simulation import SIMULATED_ENVIRONMENTS

DESCRIPTION_FLAG = "--task-description"
INPUTS = "input_features"
NORMALIZER = "normalizer_processor"
STATISTIC = "mean"
"""One that each policy has of each reading."""


def find_mismatches(job: LerobotJob) -> Problems:
    """Yield one sentence a mismatch, as far as the policy and its data, or what describes them, are here."""
    infos = [
        dataset.load_dataset_info(job.folders[source])
        for source in job.datasets
        if not any(dataset_preparation.find_source_problems(job, source, description_only=True))
    ]
    settings, renames, model = job.start.settings, job.renames, job.model
    folder = job.start.model_folder if job.start.mode != "scratch" else None
    if folder:
        renames = renames or _load_renames(folder)
        yield from _find_type_problems(job)
    elif job.parameters["builtin_policy"] and infos:
        settings, renames = policy_features.make_new_settings(infos[0]), {}  # a new policy has the dataset's names
    else:
        return
    name = str(settings.get("type")) if folder else model.kind
    kind = model.lerobot.policies.get(name, policy_features.UNKNOWN_TYPE)
    if folder:
        settings = correct_sizes(settings, folder, kind)
    if kind.refused:
        yield f"LeRobot {model.lerobot.name}'s {model.kind} cannot be evaluated: {kind.refused}"
    for info in infos[:1]:  # several have the same features, or cannot be merged
        yield from policy_features.find_feature_mismatches(settings, info, renames, kind, is_trained=False)
    if env := job.parameters["env"]:
        yield from simulation.find_environment_problems(settings, str(env), job.arguments, kind, renames)
        description = job.parameters["task_description"]
        has_dataset = bool(infos)
        if missing_words := explain_missing_words(kind, str(env), description, folder, may_be_recorded=has_dataset):
            yield missing_words


def _find_type_problems(job: LerobotJob) -> Problems:
    """Yield why LeRobot does not know the policy's type or options, or why the type is not the requested one."""
    settings = job.start.settings
    model = job.model
    name = job.start_source.uri if job.start_source else ""
    if not (kind := settings.get("type")):
        return
    yield from policy.find_type_problem(name, model, job.parameters["policy_type"])
    if kind in model.lerobot.policies:
        yield from policy.find_unknown_settings(name, settings, model)
    elif job.document.placement.environment is None and not job.has_packages:
        owner = f"LeRobot {model.lerobot.name}"
        yield make_data_problem(f"{name} has the policy type {kind}, which {owner} does not have", policy.WITH_PACKAGE)


def explain_reward_model(job: LerobotJob) -> str:
    """Return a sentence if what is to be evaluated is a reward model; else empty."""
    if job.start_source is None or job.model.section == versions.POLICIES:
        return ""
    return f"{job.start_source.uri} is a reward model ({job.model.kind}), and lerobot-eval evaluates policies"


def _load_renames(model: Path) -> Mapping[str, str]:
    with suppress(OSError, ValueError, AttributeError, TypeError):
        steps = file_formats.read_json_object(model / policy.PROCESSOR_FILES[0]).get("steps") or ()
        return next(
            (
                dict(step["config"]["rename_map"])
                for step in steps
                if step.get("registry_name") == policy_features.RENAME_STEP
            ),
            {},
        )
    return {}


def correct_sizes(settings: Mapping[str, Any], folder: Path, model: ModelType) -> dict[str, Any]:
    """Return the settings with the sizes that the policy was trained with.

    :param folder: that of the policy's files; where its statistics are not here yet, any size that it pads fits.
    :param model: the policy's type.
    """
    inputs = get_policy_inputs(settings)
    sizes_by_name = dict(_read_sizes(folder))
    sizes = {
        name: sizes_by_name.get(name, padded_size)
        for name in (STATE, WORLD)
        if name in inputs and (padded_size := get_padded_size(name, model, settings)) is not None
    }
    if not sizes:
        return dict(settings)
    features = settings[INPUTS]
    return {**settings, INPUTS: {**features, **{name: {**features[name], "shape": [sizes[name]]} for name in sizes}}}


def _read_sizes(folder: Path) -> Iterator[tuple[str, int]]:
    """Yield each reading that the policy has statistics of, and its size; nothing for damaged or missing files."""
    with suppress(OSError, ValueError, AttributeError, KeyError, TypeError):
        for step in file_formats.read_json_object(folder / policy.PROCESSOR_FILES[0]).get("steps") or ():
            if step.get("registry_name") != NORMALIZER or not step.get("state_file"):
                continue
            for key, tensor in file_formats.read_safetensors_header(folder / step["state_file"]).items():
                name, _, statistic = key.rpartition(".")
                if statistic == STATISTIC and len(tensor["shape"]) == 1:
                    yield name, int(tensor["shape"][0])


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
    return make_data_problem(
        f"the policy reads its task in words, which {env} does not have, and {training_text}",
        f"{DESCRIPTION_FLAG} {example}",
    )


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
    emit_note(f"the policy is told {text!r}: {origin}")
    return text
