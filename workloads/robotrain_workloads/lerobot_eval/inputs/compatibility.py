"""Compatibility of a policy with the datasets, the simulated environment and the locked environment of a job."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from robotrain_runtime.contract.problem import Problem, make_data_problem

from robotrain_workloads.lerobot import (
    dataset,
    dataset_preparation,
    feature_renames,
    file_formats,
    policy,
    policy_features,
    versions,
)
from robotrain_workloads.lerobot.job import LerobotJob
from robotrain_workloads.lerobot_eval.inputs import simulation, task_texts, trained_sizes


def find_mismatches(job: LerobotJob) -> Iterator[Problem | str]:
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
        settings = trained_sizes.correct_sizes(settings, folder, kind)
    if kind.refused:
        yield f"LeRobot {model.lerobot.name}'s {model.kind} cannot be evaluated: {kind.refused}"
    for info in infos[:1]:  # several have the same features, or cannot be merged
        yield from policy_features.find_feature_mismatches(settings, info, renames, kind, is_trained=False)
    if env := job.parameters["env"]:
        yield from simulation.find_environment_problems(settings, str(env), job.arguments, kind, renames)
        description = job.parameters["task_description"]
        has_dataset = bool(infos)
        if missing_words := task_texts.explain_missing_words(
            kind, str(env), description, folder, may_be_recorded=has_dataset
        ):
            yield missing_words


def _find_type_problems(job: LerobotJob) -> Iterator[Problem | str]:
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
                if step.get("registry_name") == feature_renames.RENAME_STEP
            ),
            {},
        )
    return {}
