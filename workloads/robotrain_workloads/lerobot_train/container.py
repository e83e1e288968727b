"""`lerobot-train` in the container: the environment it needs, what is wrong with its data, and the command."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from robotrain_runtime.document import JobDocument, Source
from robotrain_runtime.half import Environment, Publishing, Tracked, Work

from robotrain_workloads.lerobot_train import (
    attempt,
    dataset,
    lineage,
    publishing_to,
    start,
    starting,
    trainer_args,
    versions,
)
from robotrain_workloads.lerobot_train import tracked as tracking
from robotrain_workloads.lerobot_train.start import Start

LAUNCHER = "robotrain_workloads.lerobot_train.launcher"
OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
QUIET = {"HF_HUB_DISABLE_TELEMETRY": "1", "NO_COLOR": "1"}

ENVIRONMENT = Environment(
    lock=Path(__file__).parent / "locks" / "train.txt",
    python=versions.PYTHON,
    gib=versions.GIB,
    platform=versions.PLATFORM,
    holds={"lerobot": versions.LEROBOT_SERIES},
)


def inspect(document: JobDocument, data: Mapping[Source, Path]) -> Iterator[str]:
    """What LeRobot would stumble over, as far as small files tell it."""
    datasets = [folder for source, folder in data.items() if source.role == "dataset"]
    unusable = [sentence for folder in datasets for sentence in dataset.wrong(folder)]
    yield from unusable
    yield from starting.wrong(document, data, None if unusable else _root(data))
    output = _output(document, Path(document.placement.work))
    yield from attempt.wrong(document, output)
    yield from publishing_to.wrong(document, output, starting.step(data))


def work(document: JobDocument, data: Mapping[Source, Path], work: Path) -> Work:
    """The launcher, inside the training environment."""
    given, user, root = document.parameters, document.trainer_args, _root(data) or Path()
    output = _output(document, work)
    begin, notes = attempt.left(document, output)
    if begin is None:
        begin = start.asked(data)
        notes = (*notes, *starting.notes(document, begin, root))
    ours = (*trainer_args.owned(given, root, output, begin), *trainer_args.defaults(given, user, begin))
    own = (*_program(document), "--device", str(given["device"]), *_of(document, data, begin))
    return Work(arguments=(*own, "--", *ours, *user), environ=_environ(document), notes=notes)


def tracked(document: JobDocument) -> Tracked:
    """What the tracking run starts with."""
    return tracking.tracked(document, _output(document, Path(document.placement.work)))


def publishing(document: JobDocument, data: Mapping[Source, Path]) -> Publishing:
    """Where checkpoints are copied to, and what a registered one is told."""
    given = document.parameters
    return Publishing(
        to=publishing_to.folder(str(given["publish_url"] or "")),
        register=str(given["register_checkpoint"] or ""),
        description=lineage.description(document, data),
        tags=lineage.tags(document, data),
    )


def _of(document: JobDocument, data: Mapping[Source, Path], begin: Start) -> Iterator[str]:
    """The launcher's own options."""
    if begin.step:
        yield f"--first={begin.step}"
    if begin.way == "weights":
        yield "--new-processors"
    if trainer_args.chooses_backbone(document.trainer_args, begin):
        yield "--random-backbone"
    yield from (f"--tag={name}={value}" for name, value in lineage.parent(data).items())


def _root(data: Mapping[Source, Path]) -> Path | None:
    return next((folder for source, folder in data.items() if source.role == "dataset"), None)


def _program(document: JobDocument) -> tuple[str, ...]:
    gpus = document.parameters["num_gpus"]
    if gpus == 1:
        return ("-m", LAUNCHER)
    return ("-m", "accelerate.commands.launch", "--multi_gpu", f"--num_processes={gpus}", "-m", LAUNCHER)


def _environ(document: JobDocument) -> dict[str, str]:
    local = all(source.kind == "local_path" for source in document.sources)
    precision = {"ACCELERATE_MIXED_PRECISION": str(document.parameters["mixed_precision"])}
    return {**QUIET, **(OFFLINE if local else {}), **precision}


def _output(document: JobDocument, work: Path) -> Path:
    """Where the trainer writes; it must be new. A relative folder lies below the run's own."""
    said = document.parameters["output_dir"]
    return Path(os.path.normpath(work / str(said or "outputs")))
