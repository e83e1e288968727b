"""A training that goes on: from a checkpoint that the user names, or from what an earlier attempt of the run saved."""

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.event import Note
from robotrain_runtime.contract.problem import Problems, Suggestion, make_data_problem

from robotrain_workloads.lerobot import file_formats, policy
from robotrain_workloads.lerobot.job import LerobotJob
from robotrain_workloads.lerobot.run_setup import CHECKPOINTS_FOLDER, is_used
from robotrain_workloads.lerobot.start import (
    SPLIT_KEY,
    TRAIN_CONFIG_FILE,
    Start,
    get_dataset_settings,
    load_checkpoint_start,
)
from robotrain_workloads.lerobot.trained_model import choose_model

STATE_FILES = (policy.STEP_FILE.name, "rng_state.safetensors")
"""What LeRobot saves of the state of every training, beside that of the optimizer."""
ORDER_KEYS = {"seed": "seed", "batch_size": "batch_size", "num_gpus": "num_processes", "val_split": SPLIT_KEY}
"""Parameters that change the order of samples from the resumed step on, and their keys in a checkpoint."""


def find_problems(job: LerobotJob) -> Problems:
    """Yield one sentence for each problem that keeps the trainer from resuming a checkpoint."""
    folder, step, steps = job.start.folder, job.start.step, job.parameters["training_steps"]
    if job.start.mode != "checkpoint":
        return
    if not _is_of_plain_lerobot(folder) and (problem := checkpoint.validate_checkpoint(folder)):
        way = Suggestion("")
        if complete_checkpoint := checkpoint.find_last_complete(folder.parent):
            rename = shlex.join(["mv", str(folder), f"{folder}.torn"])
            way = Suggestion(rename, f"then the same command resumes from step {complete_checkpoint[0]}")
        yield make_data_problem(f"the training cannot resume from this checkpoint: {problem}", way)
    if not (folder / TRAIN_CONFIG_FILE).is_file():
        yield f"the checkpoint {folder} is incomplete: {TRAIN_CONFIG_FILE} is missing"
    if step >= steps:
        yield make_data_problem(
            f"{folder} has reached step {step} already: increase the steps", f"--training-steps {2 * step}"
        )


def _is_of_plain_lerobot(folder: Path) -> bool:
    """Return whether a complete checkpoint of `lerobot-train` itself, which seals none, is in a folder.

    Beside a sealed one, an unsealed checkpoint is one of robotrain that was never completed.
    """
    if (folder / checkpoint.MANIFEST).exists() or checkpoint.find_last_complete(folder.resolve().parent):
        return False
    states = folder / policy.STEP_FILE.parent
    is_complete = all((states / name).is_file() for name in STATE_FILES) and any(states.glob("optimizer*"))
    return is_complete and any((folder / policy.MODEL_FOLDER).glob("*.safetensors"))


def list_notes(job: LerobotJob) -> Iterator[Note]:
    """Yield notes on options without effect, and on effects of changed options, where a checkpoint is resumed."""
    if job.start.mode != "checkpoint":
        return
    saved_config = file_formats.read_json_object(job.start.folder / TRAIN_CONFIG_FILE)
    manifest = checkpoint.read_manifest(job.start.folder)
    note_text = f"resuming from step {job.start.step}" + (f" of {manifest.run}" if manifest else "")
    yield Note(level="info", text=note_text)
    yield from (Note(level="warning", text=note_text) for note_text in _list_surprises(job, saved_config))


def _list_surprises(job: LerobotJob, saved_config: Mapping[str, Any]) -> Iterator[str]:
    parameters = job.parameters
    rate = parameters["learning_rate"]
    saved_rate = (saved_config.get("optimizer") or {}).get("lr")
    if rate is not None and saved_rate not in (None, rate):
        yield f"--learning-rate {rate} has no effect: the optimizer resumes with its saved rate, {saved_rate}"
    scheduler = saved_config.get("scheduler") or {}
    steps = parameters["training_steps"]
    warmup = parameters["lr_warmup_steps"]
    if warmup not in (None, scheduler.get("num_warmup_steps")):
        yield f"--lr-warmup-steps {warmup} has no effect: the schedule resumes as it was saved"
    if scheduler.get("type") == "diffuser" and saved_config.get("steps") != steps:
        saved_steps = saved_config.get("steps")
        yield f"the learning-rate schedule spans {steps} steps instead of {saved_steps}: the rate jumps on resume"
    progress = file_formats.read_json_object(job.start.folder / policy.STEP_FILE)
    state = {**saved_config, **get_dataset_settings(saved_config), **progress}
    for name, key in ORDER_KEYS.items():
        if state.get(key) not in (None, parameters[name]):
            flag = "--" + name.replace("_", "-")
            yield f"the order of samples changes: {flag} is {parameters[name]} now, and was {state[key]} before"


def recover_earlier_attempt(job: LerobotJob, output: Path) -> tuple[Start | None, tuple[Note, ...]]:
    """Return the start that the last attempt saved, None for none, and notes on its files.

    Unusable files are set aside, so that the trainer can write there again. Raise OSError when that fails.
    """
    if not is_used(output):
        return None, ()
    document, steps = job.document, job.parameters["training_steps"]
    resume_point, notes = checkpoint.find_resume_point(
        output / CHECKPOINTS_FOLDER, run=document.run, job=document.job, steps=steps
    )
    if resume_point is None:
        folder = checkpoint.set_torn_aside(output)
        note_text = f"an earlier attempt left no usable checkpoint; its files were moved to {folder}"
        return None, (*notes, Note(level="warning", text=note_text))
    saved_start = load_checkpoint_start(resume_point[1])
    model = choose_model(job.parameters, saved_start.settings)
    if model.facts.refused_start and saved_start.step < steps:
        note_text = f"{policy.explain_refused_start(resume_point[1], model)}; the training begins anew"
        moved_folder = checkpoint.set_torn_aside(output)
        return None, (*notes, Note(level="warning", text=f"{note_text}, and its files were moved to {moved_folder}"))
    return saved_start, notes
