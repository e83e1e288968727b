"""Compatibility of a policy with the datasets, the simulated environment and the locked environment of a job."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.document import JobDocument, JobSource

from robotrain_workloads import packages
from robotrain_workloads.lerobot import (
    dataset,
    dataset_preparation,
    feature_renames,
    file_formats,
    policy,
    policy_features,
    versions,
)
from robotrain_workloads.lerobot.trained_model import choose_model
from robotrain_workloads.lerobot_eval.inputs import selection, simulation, task_texts, trained_sizes

OWN_ENVIRONMENT_HINT = "on the platform local, use --environment PATH with an environment that has it"


def find_mismatches(document: JobDocument, folders: Mapping[JobSource, Path]) -> Iterator[str]:
    """Yield one sentence a mismatch. `folders` holds what is available of each source, at least its description."""
    infos = [
        dataset.load_dataset_info(folders[source])
        for source in dataset_preparation.list_datasets(document, folders)
        if not any(dataset_preparation.find_source_problems(document, source, folders[source], description_only=True))
    ]
    settings, renames = _load_settings(document, folders, infos)
    if settings is None:
        return
    expected_type, policy_type = document.parameters["policy_type"], settings.get("type")
    if policy_type:
        trained = choose_model(document.parameters, settings)
        name = selection.get_policy_reference(document).name
        yield from policy.find_type_problem(name, trained, expected_type)
        if policy_type in trained.lerobot.policies:
            yield from policy.find_unknown_settings(name, settings, trained)
        elif document.placement.environment is None and not packages.list_given(document.parameters):
            owner = f"LeRobot {trained.lerobot.name}"
            yield f"{name} has the policy type {policy_type}, which {owner} does not have{policy.WITH_LINE}"
    if document.parameters["builtin_policy"]:
        policy_type = selection.get_builtin_type(document.parameters)
    lerobot = versions.get_version(document.parameters["lerobot_version"])
    model = lerobot.policies.get(str(policy_type), policy_features.UNKNOWN_TYPE)
    if not document.parameters["builtin_policy"] and (folder := selection.find_policy_folder(folders)):
        settings = trained_sizes.correct_sizes(settings, folder, model)
    if model.refused:
        yield f"LeRobot {lerobot.name}'s {policy_type} cannot be evaluated: {model.refused}"
    for info in infos[:1]:  # several have the same features, or cannot be merged
        yield from policy_features.find_feature_mismatches(settings, info, renames, model, is_trained=False)
    if env := document.parameters["env"]:
        options = document.trainer_args
        yield from simulation.find_environment_problems(settings, str(env), options, model, renames)
        folder = selection.find_policy_folder(folders) if not document.parameters["builtin_policy"] else None
        given, has_dataset = document.parameters["task_description"], bool(infos)
        if missing := task_texts.explain_missing_words(model, str(env), given, folder, may_be_recorded=has_dataset):
            yield missing


def explain_reward_model(document: JobDocument, folders: Mapping[JobSource, Path]) -> str:
    """Return a sentence if what is to be evaluated is a reward model; else empty. `folders` as above."""
    settings, _ = _load_settings(document, folders, [])
    if not settings or not settings.get("type"):
        return ""
    model = choose_model(document.parameters, settings)
    if model.section == versions.POLICIES:
        return ""
    name = selection.get_policy_reference(document).name
    return f"{name} is a reward model ({model.kind}), and lerobot-eval evaluates policies"


def _load_settings(
    document: JobDocument, folders: Mapping[JobSource, Path], infos: list[dict[str, Any]]
) -> tuple[dict[str, Any] | None, dict[str, str]]:
    """Return the policy's settings, if readable, and its renames of features."""
    if document.parameters["builtin_policy"]:
        return (policy_features.make_new_settings(infos[0]), {}) if infos else (None, {})
    if selection.find_policy_source(document.sources) in folders:
        with suppress(OSError, ValueError):
            model = selection.find_policy_folder(folders)
            assert model is not None
            given = feature_renames.parse_renames(document.parameters)
            return policy.load_policy_settings(model), given or _load_renames(model)
    return None, {}


def _load_renames(model: Path) -> dict[str, str]:
    with suppress(OSError, ValueError, AttributeError, TypeError):
        steps = file_formats.read_json_object(model / policy.PROCESSOR_FILES[0]).get("steps") or ()
        return next(
            (
                dict(step["config"]["rename_map"])
                for step in steps
                if step.get("registry_name") == feature_renames.RENAME_STEP
            ),
            {},
        )
    return {}


def explain_missing_package(subject: str, package: str) -> str:
    """Return a sentence with the package and the remedy."""
    return f"{subject} needs {package}, which the locked environment of evaluations lacks: {OWN_ENVIRONMENT_HINT}"
