"""`lerobot-train` in the container: the environment it needs, what is wrong with its data, and the command."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from robotrain_runtime.document import JobDocument, Source
from robotrain_runtime.half import Environment, Gpus, Preparation, Publishing, Tracked, Work
from robotrain_runtime.target import Target

from robotrain_workloads.lerobot_train import (
    attempt,
    comparing,
    gpu,
    hub,
    lineage,
    loading,
    output_folder,
    precision,
    preparing,
    publishing_to,
    start,
    starting,
    timing,
    trainer_args,
    versions,
    weights_and_biases,
)
from robotrain_workloads.lerobot_train import tracked as tracking
from robotrain_workloads.lerobot_train.start import Start

LAUNCHER = "robotrain_workloads.lerobot_train.launcher"
PROCESSES = "robotrain_workloads.lerobot_train.processes"

ENVIRONMENT = Environment(
    lock=Path(__file__).parent / "locks" / "train.txt",
    python=versions.PYTHON,
    gib=versions.GIB,
    platform=versions.PLATFORM,
    holds={"lerobot": versions.LEROBOT_SERIES},
)


DESCRIBED = comparing.DESCRIBED


def compare(document: JobDocument, described: Mapping[Source, Path]) -> Iterator[str]:
    """What is wrong with the datasets, told from `meta/info.json` alone: also what LeRobot would not merge."""
    yield from comparing.wrong_described(document, described)


def prepare(document: JobDocument, data: Mapping[Source, Path], digests: Mapping[Source, str]) -> Preparation | None:
    """One dataset of several, and what the trainer can read of one it cannot; None when the one is used as it is."""
    return preparing.prepare(document, data, digests)


def inspect(document: JobDocument, data: Mapping[Source, Path]) -> Iterator[str]:
    """What LeRobot would stumble over, as far as small files tell it."""
    unusable = list(comparing.wrong_data(document, data))
    yield from unusable
    yield from map("\n".join, precision.refused(document.parameters))
    yield from starting.wrong(document, data, None if unusable else _root(data))
    if document.parameters["wandb"]:
        yield from weights_and_biases.wrong(document.placement.ways, os.environ)
    output = output_folder.of(document, Path(document.placement.work))
    yield from attempt.wrong(document, output)
    yield from publishing_to.wrong(document, output, starting.step(data))


def work(document: JobDocument, data: Mapping[Source, Path], work: Path) -> Work:
    """The launcher, inside the training environment."""
    given, user, root = document.parameters, document.trainer_args, _root(data) or Path()
    output = output_folder.of(document, work)
    left, notes = attempt.left(document, output)
    begin = left or start.asked(data)
    if left is None:
        notes = (*notes, *starting.notes(document, begin, root))
    workers, few = loading.workers(document, begin, root)
    given = {**given, "num_workers": workers}
    logged = _logged(document, anew=left is None and begin.way == "checkpoint")
    defaults = trainer_args.defaults(given, user, begin, timing.tolerance(root))
    ours = (*trainer_args.owned(given, root, output, begin), *logged, *defaults)
    own = (*_program(document), "--device", str(given["device"]), *_of(document, data, begin))
    return Work(arguments=(*own, "--", *ours, *user), environ=_environ(document), notes=(*notes, *few))


def checkpoints(document: JobDocument, work: Path) -> Path:
    """Where they are saved, and where one that comes back from an earlier attempt is laid."""
    return output_folder.of(document, work) / attempt.CHECKPOINTS


def gpus(document: JobDocument) -> Gpus | None:
    """What it asks of the machine's GPUs; None when it also runs without."""
    return gpu.asked(document, ENVIRONMENT.lock)


def tracked(document: JobDocument) -> Tracked:
    """What the tracking run starts with."""
    return tracking.tracked(document, output_folder.of(document, Path(document.placement.work)))


def publishing(document: JobDocument, data: Mapping[Source, Path]) -> Publishing:
    """What a registered checkpoint is told."""
    given = document.parameters
    return Publishing(
        register=str(given["register_checkpoint"] or ""),
        description=lineage.description(document, data),
        tags=lineage.tags(document, data),
        lineage=lineage.file(document),
    )


def targets(document: JobDocument, data: Mapping[Source, Path]) -> Iterator[Target]:
    """Where checkpoints are copied to."""
    yield from publishing_to.targets(document, publishing_to.first(document.sources, starting.step(data)))


def _of(document: JobDocument, data: Mapping[Source, Path], begin: Start) -> Iterator[str]:
    """The launcher's own options."""
    if begin.step:
        yield f"--first={begin.step}"
    if begin.way == "weights":
        yield "--new-processors"
    if trainer_args.chooses_backbone(document.trainer_args, begin):
        yield "--random-backbone"
    yield from (f"--tag={name}={value}" for name, value in lineage.parent(data).items())


def _logged(document: JobDocument, *, anew: bool) -> Iterator[str]:
    """What LeRobot is told of Weights & Biases. anew: as in `weights_and_biases.owned`."""
    given = document.parameters
    yield from weights_and_biases.owned(given, tracking.experiment(given), os.environ, anew=anew)
    yield from weights_and_biases.defaults(given, document.trainer_args)


def _root(data: Mapping[Source, Path]) -> Path | None:
    """The dataset that is trained on: of several there is but one, once they are merged."""
    return next((folder for source, folder in data.items() if source.role == "dataset"), None)


def _program(document: JobDocument) -> tuple[str, ...]:
    gpus = document.parameters["num_gpus"]
    if gpus == 1:
        return ("-m", LAUNCHER)
    return ("-m", PROCESSES, f"--count={gpus}", f"--mixed-precision={document.parameters['mixed_precision']}", "--")


def _environ(document: JobDocument) -> dict[str, str]:
    return {**hub.environ(document.sources), precision.ENVIRON: str(document.parameters["mixed_precision"])}
