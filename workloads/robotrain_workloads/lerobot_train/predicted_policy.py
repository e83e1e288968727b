"""The files that describe the policy which a training will make: a later step of a pipeline is compared with them."""

import json
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from robotrain_workloads.lerobot import adapter, backbones, dataset, file_formats, policy, policy_features
from robotrain_workloads.lerobot.job import LerobotJob
from robotrain_workloads.lerobot.start_check import FEATURE_OPTIONS
from robotrain_workloads.lerobot_train import trainer_options


def write_description(job: LerobotJob, folder: Path) -> None:
    """Write the configuration and the processor of the policy, and of an adapter its base, as far as they are known."""
    if not (settings := _predict_settings(job)):
        return
    naming_options: dict[str, Any] = dict(backbones.list_naming_options(job.parameters, job.arguments))
    with suppress(OSError, ValueError):  # reported with the problems of the start
        naming_options |= {"use_peft": True} if _describe_adapter(job, folder) else {}
    (folder / policy.CONFIG_FILE).write_text(json.dumps({**settings, **naming_options}), encoding="utf-8")
    if steps := _predict_processor_steps(job):
        (folder / policy.PROCESSOR_FILES[0]).write_text(json.dumps({"steps": steps}), encoding="utf-8")


def _predict_settings(job: LerobotJob) -> Mapping[str, Any]:
    """Return the configuration, as far as it is known; empty if it is not."""
    if not job.is_start_known:
        return {}
    settings = job.start.settings
    if job.start_source is None:
        convert = job.parameters["convert_v21"] is True
        is_valid = job.root and not any(dataset.find_dataset_problems(job.root, convert=convert, description_only=True))
        settings = {"type": job.model.kind, **(policy_features.make_new_settings(job.info) if is_valid else {})}
    if any(argument.startswith(FEATURE_OPTIONS) for argument in job.arguments):
        return {name: setting for name, setting in settings.items() if name not in policy.FEATURE_KEYS}
    return settings


def _predict_processor_steps(job: LerobotJob) -> list[Any]:
    """Return the steps, as far as they are known, of the first processor.

    They are those of the policy that it starts from, which may name repositories, with the renames of the job.
    """
    if job.start.mode not in ("policy", "checkpoint"):
        return []
    path, saved_steps = job.start.model_folder / policy.PROCESSOR_FILES[0], None
    with suppress(OSError, ValueError):
        saved_steps = file_formats.read_json_object(path).get("steps") if path.is_file() else None
        steps = [step for step in saved_steps if isinstance(step, dict)] if isinstance(saved_steps, list) else []
        other_steps = [step for step in steps if step.get("registry_name") != policy_features.RENAME_STEP]
        return [{"registry_name": policy_features.RENAME_STEP, "config": {"rename_map": job.renames}}, *other_steps]
    return []


def _describe_adapter(job: LerobotJob, folder: Path) -> bool:
    """Write what the files of the adapter that is trained will say of it and its base; return whether they will.

    Raise OSError or ValueError.
    """
    source = job.start_source
    if source is None or not trainer_options.trains_adapter(job):
        return False
    if adapter.is_adapter(job.start.settings):
        for name in (adapter.CONFIG_FILE, adapter.BASE_FILE):
            with suppress(FileNotFoundError):
                shutil.copyfile(job.start.model_folder / name, folder / name)
        return True
    base = adapter.describe_base(source, "")  # the run has no record yet that leads to its base
    if Path(source.uri).is_absolute():
        base = base._replace(uri=source.uri)
    if not adapter.format_source(base):
        return False
    (folder / adapter.CONFIG_FILE).write_text(json.dumps({"peft_type": trainer_options.LORA}), encoding="utf-8")
    adapter.save_base(folder, base)
    return True
