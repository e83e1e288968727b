"""`lerobot-train` in the container: environment, problems with inputs, the command, and where it publishes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from robotrain_runtime.contract.container_plugin import (
    DataPreparation,
    GpuRequirement,
    PublishingSpec,
    PythonEnvironment,
    TrackingSpec,
    WorkCommand,
)
from robotrain_runtime.contract.document import JobDocument, JobSource
from robotrain_runtime.contract.target import ArtifactTarget

from robotrain_workloads.lerobot import dataset, dataset_preparation, lineage, parameters, run_setup, versions
from robotrain_workloads.lerobot.publish_url import (
    OTHER_FOLDER_HINT,
    find_write_problems,
    is_remote_url,
    parse_folder,
    parse_publish_url,
)
from robotrain_workloads.lerobot.versions import read_cuda_version
from robotrain_workloads.lerobot_train import start, tracking, trainer_options, wandb
from robotrain_workloads.lerobot_train.start import Start


def request_gpus(document: JobDocument, lock: Path) -> GpuRequirement | None:
    """Those it cannot do without. `--device auto` takes one when there is one; more than one must be there."""
    given = document.parameters
    count, device = given["num_gpus"], given["device"]
    assert isinstance(count, int)
    if device in ("cpu", "mps") or (device == "auto" and count == 1):
        return None
    return GpuRequirement(count=count, bf16=given["mixed_precision"] == "bf16", cuda=read_cuda_version(lock))


def find_publish_problems(document: JobDocument, output: Path, first: int) -> Iterator[str]:
    """Why nothing could be copied there from this machine, in a sentence. first: the step that training starts at."""
    said = str(document.parameters["publish_url"] or "")
    hindered = list(find_write_problems(said, output, "checkpoints"))
    yield from hindered
    if said and not hindered and not is_remote_url(said):
        to = Path(parse_folder(said))
        if taken := next(_find_foreign_checkpoints(document, to, first), ""):
            yield f"checkpoints cannot be published to {to}: it holds {taken}\n{OTHER_FOLDER_HINT}"


def list_checkpoint_targets(document: JobDocument, first: int | None) -> Iterator[ArtifactTarget]:
    """The place, when there is one. first: the step that training starts at; None while nobody can tell."""
    from robotrain_runtime.contract.target import ArtifactTarget  # a job without such a place is rendered without it

    if said := str(document.parameters["publish_url"] or ""):
        keep = document.parameters["keep"]
        saves = None if first is None else lambda step: _is_saved_step(document, first, step)
        yield ArtifactTarget(
            to=parse_publish_url(said),
            keep_last=None if keep is None else int(str(keep)),
            saves_step=saves,
            suggestion=OTHER_FOLDER_HINT,
        )


def find_first_step(sources: Iterable[JobSource], known_step: int) -> int | None:
    """The step that training starts at. told: as the data says, where it is there; else the name of a checkpoint."""
    resumed = next((source for source in sources if source.role == "resume"), None)
    if known_step or resumed is None:
        return known_step
    name = resumed.uri.rstrip("/").rpartition("/")[2]
    return int(name) if name.isdecimal() else None


def _find_foreign_checkpoints(document: JobDocument, to: Path, first: int) -> Iterator[str]:
    """Checkpoints of other runs, under the names of those that this one will save."""
    from robotrain_runtime.contract import checkpoint

    for step, there in checkpoint.list_checkpoints(to):
        made = checkpoint.read_manifest(there)
        if made and made.run != document.run and _is_saved_step(document, first, step):
            yield f"{there.name} of the run {made.run}"


def _is_saved_step(document: JobDocument, first: int, step: int) -> bool:
    last, every = int(str(document.parameters["training_steps"])), int(str(document.parameters["save_freq"]))
    return first < step <= last and (step % every == 0 or step == last)


LAUNCHER = "robotrain_workloads.lerobot_train.launcher"
MULTI_GPU_LAUNCHER = "robotrain_workloads.lerobot_train.multi_gpu_launcher"

ENVIRONMENT = PythonEnvironment(
    lock=Path(__file__).parent / "locks" / "train.txt",
    python=versions.PYTHON,
    gib=versions.GIB,
    platform=versions.PLATFORM,
    required_packages={"lerobot": versions.LEROBOT_SERIES},
)


DESCRIBED = dataset_preparation.DESCRIPTION_FILES


def compare(document: JobDocument, described: Mapping[JobSource, Path]) -> Iterator[str]:
    """What is wrong with the datasets, told from `meta/info.json` alone: also what LeRobot would not merge."""
    yield from dataset_preparation.find_described_problems(document, described)


def prepare(
    document: JobDocument, data: Mapping[JobSource, Path], digests: Mapping[JobSource, str]
) -> DataPreparation | None:
    """One dataset of several, and what the trainer can read of one it cannot; None when the one is used as it is."""
    return dataset_preparation.plan_preparation(document, data, digests)


def inspect(document: JobDocument, data: Mapping[JobSource, Path]) -> Iterator[str]:
    """What LeRobot would stumble over, as far as small files tell it."""
    unusable = list(dataset_preparation.find_data_problems(document, data))
    yield from unusable
    yield from map("\n".join, parameters.find_device_problems(document.parameters))
    yield from start.find_start_problems(document, data, None if unusable else _find_dataset_root(data))
    if document.parameters["wandb"]:
        yield from wandb.find_wandb_problems(document.placement.ways, os.environ)
    output = run_setup.resolve_output_folder(document, Path(document.placement.work))
    yield from start.find_output_problems(document, output)
    yield from find_publish_problems(document, output, start.get_start_step(data))


def work(document: JobDocument, data: Mapping[JobSource, Path], work: Path) -> WorkCommand:
    """The launcher, inside the training environment."""
    given, user, root = document.parameters, document.trainer_args, _find_dataset_root(data) or Path()
    output = run_setup.resolve_output_folder(document, work)
    left, notes = start.recover_previous_attempt(document, output)
    begin = left or start.load_start(data)
    if left is None:
        notes = (*notes, *start.list_start_notes(document, begin, root))
    workers, few = trainer_options.choose_worker_count(document, begin, root)
    given = {**given, "num_workers": workers}
    logged = _make_wandb_options(document, anew=left is None and begin.mode == "checkpoint")
    defaults = trainer_options.make_default_options(given, user, begin, dataset.compute_frame_tolerance(root))
    ours = (*trainer_options.make_owned_options(given, root, output, begin), *logged, *defaults)
    own = (
        *_make_program_arguments(document),
        "--device",
        str(given["device"]),
        *_make_launcher_options(document, data, begin),
    )
    return WorkCommand(arguments=(*own, "--", *ours, *user), environ=_make_environment(document), notes=(*notes, *few))


def checkpoints(document: JobDocument, work: Path) -> Path:
    """Where they are saved, and where one that comes back from an earlier attempt is laid."""
    return run_setup.resolve_output_folder(document, work) / start.CHECKPOINTS_FOLDER


def gpus(document: JobDocument) -> GpuRequirement | None:
    """What it asks of the machine's GPUs; None when it also runs without."""
    return request_gpus(document, ENVIRONMENT.lock)


def tracked(document: JobDocument) -> TrackingSpec:
    """What the tracking run starts with."""
    return tracking.describe_tracking_run(
        document, run_setup.resolve_output_folder(document, Path(document.placement.work))
    )


def publishing(document: JobDocument, data: Mapping[JobSource, Path]) -> PublishingSpec:
    """What a registered checkpoint is told."""
    given = document.parameters
    return PublishingSpec(
        register=str(given["register_checkpoint"] or ""),
        description=tracking.describe_model(document, data),
        tags=tracking.make_model_tags(document, data),
        lineage=tracking.make_lineage(document),
    )


def targets(document: JobDocument, data: Mapping[JobSource, Path]) -> Iterator[ArtifactTarget]:
    """Where checkpoints are copied to."""
    yield from list_checkpoint_targets(document, find_first_step(document.sources, start.get_start_step(data)))


def _make_launcher_options(document: JobDocument, data: Mapping[JobSource, Path], begin: Start) -> Iterator[str]:
    """The launcher's own options."""
    if begin.step:
        yield f"--first={begin.step}"
    if begin.mode == "weights":
        yield "--new-processors"
    if trainer_options.uses_random_backbone(document.trainer_args, begin):
        yield "--random-backbone"
    yield from (f"--tag={name}={value}" for name, value in lineage.make_parent_tags(data).items())


def _make_wandb_options(document: JobDocument, *, anew: bool) -> Iterator[str]:
    """What LeRobot is told of Weights & Biases. anew: as in `weights_and_biases.owned`."""
    given = document.parameters
    yield from wandb.make_wandb_options(given, tracking.get_experiment_name(given), os.environ, new_run=anew)
    yield from wandb.make_wandb_defaults(given, document.trainer_args)


def _find_dataset_root(data: Mapping[JobSource, Path]) -> Path | None:
    """The dataset that is trained on: of several there is but one, once they are merged."""
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
