"""`lerobot-train` in the container: environment, problems with inputs, the command, and where it publishes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.container_plugin import (
    ArtifactTarget,
    GpuRequirement,
    PublishingSpec,
    TrackingSpec,
    WorkCommand,
)
from robotrain_runtime.contract.document import JobDocument, JobSource

from robotrain_workloads.lerobot import dataset, dataset_preparation, lineage, parameters, run_setup
from robotrain_workloads.lerobot.publish_url import (
    OTHER_FOLDER_HINT,
    find_write_problems,
    is_remote_url,
    parse_folder,
    parse_publish_url,
)
from robotrain_workloads.lerobot_train import start, tracking, trainer_options, wandb
from robotrain_workloads.lerobot_train.start import Start

LAUNCHER = "robotrain_workloads.lerobot_train.launcher"
MULTI_GPU_LAUNCHER = "robotrain_workloads.lerobot_train.multi_gpu_launcher"
ENVIRONMENT = run_setup.make_environment(Path(__file__).parent / "locks" / "train.txt")
DESCRIBED = dataset_preparation.DESCRIPTION_FILES
compare = dataset_preparation.find_described_problems
prepare = dataset_preparation.plan_preparation


def inspect(document: JobDocument, data: Mapping[JobSource, Path]) -> Iterator[str]:
    """Yield problems that small files show: what LeRobot would fail on."""
    data_problems = list(dataset_preparation.find_data_problems(document, data))
    yield from data_problems
    yield from map("\n".join, parameters.find_device_problems(document.parameters))
    yield from start.find_start_problems(document, data, None if data_problems else _find_dataset_root(data))
    if document.parameters["wandb"]:
        yield from wandb.find_wandb_problems(document.placement.ways, os.environ)
    output = run_setup.resolve_output_folder(document, Path(document.placement.work))
    yield from start.find_output_problems(document, output)
    yield from _find_publish_problems(document, output, start.get_start_step(data))


def work(document: JobDocument, data: Mapping[JobSource, Path], work: Path) -> WorkCommand:
    """Return the launcher's command, for the training environment."""
    user_options, root = document.trainer_args, _find_dataset_root(data) or Path()
    output = run_setup.resolve_output_folder(document, work)
    recovered, notes = start.recover_previous_attempt(document, output)
    begin = recovered or start.load_start(data)
    if recovered is None:
        notes = (*notes, *start.list_start_notes(document, begin, root))
    workers, worker_notes = trainer_options.choose_worker_count(document, begin, root)
    values = {**document.parameters, "num_workers": workers}
    wandb_options = _make_wandb_options(document, new_run=recovered is None and begin.mode == "checkpoint")
    defaults = trainer_options.make_default_options(values, user_options, begin, dataset.compute_frame_tolerance(root))
    options = (*trainer_options.make_owned_options(values, root, output, begin), *wandb_options, *defaults)
    launcher_options = (
        *_make_program_arguments(document),
        "--device",
        str(values["device"]),
        *_make_launcher_options(document, data, begin),
    )
    return WorkCommand(
        arguments=(*launcher_options, "--", *options, *user_options),
        environ=_make_environment(document),
        notes=(*notes, *worker_notes),
    )


def checkpoints(document: JobDocument, work: Path) -> Path:
    """Return the folder of checkpoints, also for one that is recovered from an earlier attempt."""
    return run_setup.resolve_output_folder(document, work) / start.CHECKPOINTS_FOLDER


def gpus(document: JobDocument) -> GpuRequirement | None:
    """Return the GPUs that the job needs; None if it also runs without: `--device auto` takes one if there is one."""
    values = document.parameters
    count, device = values["num_gpus"], values["device"]
    assert isinstance(count, int)
    if device in ("cpu", "mps") or (device == "auto" and count == 1):
        return None
    cuda = run_setup.read_cuda_version(ENVIRONMENT.lock)
    return GpuRequirement(count=count, bf16=values["mixed_precision"] == "bf16", cuda=cuda)


def tracked(document: JobDocument) -> TrackingSpec:
    """Return the metadata of the tracking run."""
    return tracking.describe_tracking_run(
        document, run_setup.resolve_output_folder(document, Path(document.placement.work))
    )


def publishing(document: JobDocument, data: Mapping[JobSource, Path]) -> PublishingSpec:
    """Return the metadata of a registered checkpoint."""
    values = document.parameters
    return PublishingSpec(
        register=str(values["register_checkpoint"] or ""),
        description=tracking.describe_model(document, data),
        tags=tracking.make_model_tags(document, data),
        lineage=tracking.make_lineage(document),
    )


def targets(document: JobDocument, data: Mapping[JobSource, Path]) -> Iterator[ArtifactTarget]:
    """Yield the target of `--publish-url`, where checkpoints are copied to."""
    url, keep = str(document.parameters["publish_url"] or ""), document.parameters["keep"]
    if not url:
        return
    first = _find_first_step(document.sources, start.get_start_step(data))
    yield ArtifactTarget(
        to=parse_publish_url(url),
        keep_last=None if keep is None else int(str(keep)),
        saves_step=None if first is None else lambda step: _is_saved_step(document, first, step),
        suggestion=OTHER_FOLDER_HINT,
    )


def _find_publish_problems(document: JobDocument, output: Path, first: int) -> Iterator[str]:
    """Yield why checkpoints cannot be copied from this machine. `first` is the step that training starts at."""
    url = str(document.parameters["publish_url"] or "")
    problems = list(find_write_problems(url, output, "checkpoints"))
    yield from problems
    if url and not problems and not is_remote_url(url):
        folder = Path(parse_folder(url))
        if foreign := next(_find_foreign_checkpoints(document, folder, first), ""):
            yield f"checkpoints cannot be published to {folder}: it has {foreign}\n{OTHER_FOLDER_HINT}"


def _find_foreign_checkpoints(document: JobDocument, folder: Path, first: int) -> Iterator[str]:
    """Yield checkpoints of other runs with the names of those that this run will save."""
    for step, path in checkpoint.list_checkpoints(folder):
        manifest = checkpoint.read_manifest(path)
        if manifest and manifest.run != document.run and _is_saved_step(document, first, step):
            yield f"{path.name} of the run {manifest.run}"


def _find_first_step(sources: Iterable[JobSource], known_step: int) -> int | None:
    """Return the step that training starts at: `known_step` from the data, else the name of the checkpoint."""
    resumed = next((source for source in sources if source.role == "resume"), None)
    if known_step or resumed is None:
        return known_step
    name = resumed.uri.rstrip("/").rpartition("/")[2]
    return int(name) if name.isdecimal() else None


def _is_saved_step(document: JobDocument, first: int, step: int) -> bool:
    last, every = int(str(document.parameters["training_steps"])), int(str(document.parameters["save_freq"]))
    return first < step <= last and (step % every == 0 or step == last)


def _make_launcher_options(document: JobDocument, data: Mapping[JobSource, Path], begin: Start) -> Iterator[str]:
    """Yield the launcher's own options."""
    if begin.step:
        yield f"--first={begin.step}"
    if begin.mode == "weights":
        yield "--new-processors"
    if trainer_options.uses_random_backbone(document.trainer_args, begin):
        yield "--random-backbone"
    yield from (f"--tag={name}={value}" for name, value in lineage.make_parent_tags(data).items())


def _make_wandb_options(document: JobDocument, *, new_run: bool) -> Iterator[str]:
    """Yield LeRobot's options for Weights & Biases."""
    values = document.parameters
    yield from wandb.make_wandb_options(values, tracking.get_experiment_name(values), os.environ, new_run=new_run)
    yield from wandb.make_wandb_defaults(values, document.trainer_args)


def _find_dataset_root(data: Mapping[JobSource, Path]) -> Path | None:
    """Return the dataset to train on; several are merged into one before."""
    return next((folder for source, folder in data.items() if source.role == "dataset"), None)


def _make_program_arguments(document: JobDocument) -> tuple[str, ...]:
    gpus = document.parameters["num_gpus"]
    if gpus == 1:
        return ("-m", LAUNCHER)
    return (
        "-m",
        MULTI_GPU_LAUNCHER,
        f"--count={gpus}",
        f"--mixed-precision={document.parameters['mixed_precision']}",
        "--",
    )


def _make_environment(document: JobDocument) -> dict[str, str]:
    return {
        **run_setup.make_hub_environment(document.sources),
        parameters.PRECISION_VARIABLE: str(document.parameters["mixed_precision"]),
    }
