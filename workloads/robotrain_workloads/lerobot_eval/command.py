"""The launcher's command line: every option as `--name=value`, and starts too long for it in a file."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from robotrain_runtime.contract.document import JobDocument, JobSource

from robotrain_workloads.lerobot import dataset
from robotrain_workloads.lerobot.lineage import get_dataset_name, read_checkpoint_manifest
from robotrain_workloads.lerobot_eval import tracking
from robotrain_workloads.lerobot_eval.inputs import selection

LAUNCHER = "robotrain_workloads.lerobot_eval.launcher"
POLICY_FOLDER = "policy"
"""The folder below the output folder that the evaluated policy is kept in, under its step."""
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
"""Parameters that are handed on as they are, where they were said, and the options that they become."""


def make_launcher_arguments(
    document: JobDocument, data: Mapping[JobSource, Path], output: Path, work: Path
) -> Iterator[str]:
    """After the environment's python. output, work: the folder for results, and the run's own."""
    given = document.parameters
    yield from ("-m", LAUNCHER)
    yield from _make_policy_options(document, data)
    yield from _make_dataset_options(document, data)
    yield from (f"--{option}={given[name]}" for name, option in FORWARDED_PARAMETERS.items() if given[name] is not None)
    if given["starts"] is not None:
        yield make_starts_option(str(given["starts"]), work)
    if given["record_video"]:
        yield "--record-video"
    yield f"--results={output / RESULTS_FOLDER}"
    if not given["builtin_policy"] and (given["keep_policy"] or given["register_model"]):
        yield f"--keep-policy={output / POLICY_FOLDER / f'{selection.find_policy_step(document, data):06}'}"
        if _can_link_policy(document, data):
            yield "--link-policy"
    yield from (f"--tag={name}={value}" for name, value in tracking.make_training_tags(document, data).items())
    yield from ("--", *document.trainer_args)


def _can_link_policy(document: JobDocument, data: Mapping[JobSource, Path]) -> bool:
    """Whether the policy's files lie where robotrain itself put them, and nobody writes into them: they may be linked.

    That is in the cache, or, sealed, below the name of the run that made them: a sealed one elsewhere is a copy that
    somebody may go on working with.
    """
    folder = selection.find_policy_folder(data)
    if folder is None:
        return False
    sealed = read_checkpoint_manifest(folder)
    kept = sealed is not None and sealed.run in folder.resolve().parts
    return kept or folder.resolve().is_relative_to(Path(document.placement.cache).resolve())


def _make_policy_options(document: JobDocument, data: Mapping[JobSource, Path]) -> Iterator[str]:
    model = selection.find_policy_folder(data)
    yield f"--policy={model}" if model else f"--builtin={selection.get_builtin_type(document.parameters)}"
    yield f"--policy-name={selection.get_policy_name(document)}"
    yield f"--policy-source={selection.get_policy_origin(document)}"
    if pin := selection.get_policy_pin(document):
        yield f"--policy-pin={pin}"
    yield f"--policy-step={selection.find_policy_step(document, data)}"


def _make_dataset_options(document: JobDocument, data: Mapping[JobSource, Path]) -> Iterator[str]:
    """Of several there is but one, once they are merged."""
    root = next((folder for source, folder in data.items() if source.role == "dataset"), None)
    if root is None:
        return
    yield f"--root={root}"
    yield f"--dataset-name={get_dataset_name(document)}"
    if (seconds := dataset.compute_frame_tolerance(root)) is not None:
        yield f"--tolerance={seconds:g}"


STARTS_FILE = "starts.json"
LONGEST_ARGUMENT = 10_000
"""Characters on a command line; a system takes no argument above 128 KiB."""


def make_starts_option(text: str, work: Path) -> str:
    """What the launcher is told: the starts themselves, or the file that they are written to. Raises OSError."""
    if len(text) <= LONGEST_ARGUMENT:
        return f"--starts={text}"
    work.mkdir(parents=True, exist_ok=True)
    (work / STARTS_FILE).write_text(text, encoding="utf-8")
    return f"--starts-file={work / STARTS_FILE}"


RESULTS_FOLDER = "eval_results"
