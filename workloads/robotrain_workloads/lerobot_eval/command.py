"""The launcher's command line: everything it is told, each as `--name=value`."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from robotrain_runtime.document import JobDocument, Source

from robotrain_workloads.lerobot_eval import evaluated, lineage, starts_file
from robotrain_workloads.lerobot_eval.inspecting import RESULTS
from robotrain_workloads.lerobot_train import timing
from robotrain_workloads.lerobot_train.lineage import manifest, repository

LAUNCHER = "robotrain_workloads.lerobot_eval.launcher"
POLICY = "policy"
"""The folder below the output folder that the evaluated policy is kept in, under its step."""
SAID = {
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


def arguments(document: JobDocument, data: Mapping[Source, Path], output: Path, work: Path) -> Iterator[str]:
    """After the environment's python. output, work: the folder for results, and the run's own."""
    given = document.parameters
    yield from ("-m", LAUNCHER)
    yield from _policy(document, data)
    yield from _dataset(document, data)
    yield from (f"--{option}={given[name]}" for name, option in SAID.items() if given[name] is not None)
    if given["starts"] is not None:
        yield starts_file.option(str(given["starts"]), work)
    if given["record_video"]:
        yield "--record-video"
    yield f"--results={output / RESULTS}"
    if not given["builtin_policy"] and (given["keep_policy"] or given["register_model"]):
        yield f"--keep-policy={output / POLICY / f'{evaluated.step(document, data):06}'}"
        if _is_ours(document, data):
            yield "--link-policy"
    yield from (f"--tag={name}={value}" for name, value in lineage.trained(document, data).items())
    yield from ("--", *document.trainer_args)


def _is_ours(document: JobDocument, data: Mapping[Source, Path]) -> bool:
    """Whether the policy's files lie where robotrain itself put them, and nobody writes into them: they may be linked.

    That is in the cache, or, sealed, below the name of the run that made them: a sealed one elsewhere is a copy that
    somebody may go on working with.
    """
    folder = evaluated.model(data)
    if folder is None:
        return False
    sealed = manifest(folder)
    kept = sealed is not None and sealed.run in folder.resolve().parts
    return kept or folder.resolve().is_relative_to(Path(document.placement.cache).resolve())


def _policy(document: JobDocument, data: Mapping[Source, Path]) -> Iterator[str]:
    model = evaluated.model(data)
    yield f"--policy={model}" if model else f"--builtin={evaluated.made(document.parameters)}"
    yield f"--policy-name={evaluated.name(document)}"
    yield f"--policy-source={evaluated.origin(document)}"
    if pin := evaluated.pin(document):
        yield f"--policy-pin={pin}"
    yield f"--policy-step={evaluated.step(document, data)}"


def _dataset(document: JobDocument, data: Mapping[Source, Path]) -> Iterator[str]:
    """Of several there is but one, once they are merged."""
    root = next((folder for source, folder in data.items() if source.role == "dataset"), None)
    if root is None:
        return
    yield f"--root={root}"
    yield f"--dataset-name={repository(document)}"
    if (seconds := timing.tolerance(root)) is not None:
        yield f"--tolerance={seconds:g}"
