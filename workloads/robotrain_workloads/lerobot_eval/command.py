"""Command line of the evaluation launcher; starts too long for it go into a file."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from robotrain_runtime.contract.document import JobDocument, JobSource

from robotrain_workloads.lerobot import dataset
from robotrain_workloads.lerobot.lineage import get_dataset_name, read_checkpoint_manifest
from robotrain_workloads.lerobot_eval import tracking
from robotrain_workloads.lerobot_eval.inputs import selection

LAUNCHER = "robotrain_workloads.lerobot_eval.launcher"
RESULTS_FOLDER = "eval_results"
STARTS_FILE = "starts.json"
LONGEST_ARGUMENT = 10_000
"""Characters on a command line; systems limit an argument to 128 KiB."""
POLICY_FOLDER = "policy"
"""Folder below the output folder for the evaluated policy, under its step."""
FORWARDED_PARAMETERS = {
    "eval_episodes": "episodes",
    "eval_batch_size": "batch",
    "seed": "seed",
    "device": "device",
    "job_name": "job-name",
    "replay_episodes": "replay-episodes",
    "env": "env",
    "env_steps": "env-steps",
    "success_reward": "success-reward",
    "success_threshold": "success-threshold",
    "env_workers": "workers",
}
"""Parameters that are forwarded unchanged if set, and their options."""


def make_launcher_arguments(
    document: JobDocument, data: Mapping[JobSource, Path], output: Path, work: Path
) -> Iterator[str]:
    """Yield the arguments after python. `output`: folder for results. `work`: the run's own folder."""
    values = document.parameters
    yield from ("-m", LAUNCHER)
    yield from _make_policy_options(document, data)
    yield from _make_dataset_options(document, data)
    yield from (
        f"--{option}={values[name]}" for name, option in FORWARDED_PARAMETERS.items() if values[name] is not None
    )
    if values["starts"] is not None:
        yield _make_starts_option(str(values["starts"]), work)
    if values["record_video"]:
        yield "--record-video"
    yield f"--results={output / RESULTS_FOLDER}"
    if not values["builtin_policy"] and (values["keep_policy"] or values["register_model"]):
        yield f"--keep-policy={output / POLICY_FOLDER / f'{selection.find_policy_step(document, data):06}'}"
        if _can_link_policy(document, data):
            yield "--link-policy"
    yield from (f"--tag={name}={value}" for name, value in tracking.make_training_tags(document, data).items())
    yield from ("--", *document.trainer_args)


def _can_link_policy(document: JobDocument, data: Mapping[JobSource, Path]) -> bool:
    """Return whether nobody writes into the policy's files, so that they may be linked instead of copied.

    That holds in the cache, and for a sealed checkpoint below the name of its own run: elsewhere users may work on it.
    """
    folder = selection.find_policy_folder(data)
    if folder is None:
        return False
    manifest = read_checkpoint_manifest(folder)
    is_sealed = manifest is not None and manifest.run in folder.resolve().parts
    return is_sealed or folder.resolve().is_relative_to(Path(document.placement.cache).resolve())


def _make_policy_options(document: JobDocument, data: Mapping[JobSource, Path]) -> Iterator[str]:
    model = selection.find_policy_folder(data)
    yield f"--policy={model}" if model else f"--builtin={selection.get_builtin_type(document.parameters)}"
    yield f"--policy-name={selection.get_policy_name(document)}"
    yield f"--policy-source={selection.get_policy_origin(document)}"
    if pin := selection.get_policy_pin(document):
        yield f"--policy-pin={pin}"
    yield f"--policy-step={selection.find_policy_step(document, data)}"


def _make_dataset_options(document: JobDocument, data: Mapping[JobSource, Path]) -> Iterator[str]:
    """Yield the options of the dataset; several are merged into one before."""
    root = next((folder for source, folder in data.items() if source.role == "dataset"), None)
    if root is None:
        return
    yield f"--root={root}"
    yield f"--dataset-name={get_dataset_name(document)}"
    if (seconds := dataset.compute_frame_tolerance(root)) is not None:
        yield f"--tolerance={seconds:g}"


def _make_starts_option(text: str, work: Path) -> str:
    """Return the option with the starts themselves, or the file that they are written to. Raise OSError."""
    if len(text) <= LONGEST_ARGUMENT:
        return f"--starts={text}"
    work.mkdir(parents=True, exist_ok=True)
    (work / STARTS_FILE).write_text(text, encoding="utf-8")
    return f"--starts-file={work / STARTS_FILE}"
