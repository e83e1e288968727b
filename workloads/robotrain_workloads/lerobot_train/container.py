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
    lineage,
    precision,
    preparing,
    publishing_to,
    start,
    starting,
    timing,
    trainer_args,
    versions,
)
from robotrain_workloads.lerobot_train import tracked as tracking
from robotrain_workloads.lerobot_train.start import Start

LAUNCHER = "robotrain_workloads.lerobot_train.launcher"
PROCESSES = "robotrain_workloads.lerobot_train.processes"
OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
QUIET = {"HF_HUB_DISABLE_TELEMETRY": "1", "NO_COLOR": "1"}

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
    defaults = trainer_args.defaults(given, user, begin, timing.tolerance(root))
    ours = (*trainer_args.owned(given, root, output, begin), *defaults)
    own = (*_program(document), "--device", str(given["device"]), *_of(document, data, begin))
    return Work(arguments=(*own, "--", *ours, *user), environ=_environ(document), notes=notes)


def gpus(document: JobDocument) -> Gpus | None:
    """What it asks of the machine's GPUs; None when it also runs without."""
    return gpu.asked(document, ENVIRONMENT.lock)


def tracked(document: JobDocument) -> Tracked:
    """What the tracking run starts with."""
    return tracking.tracked(document, _output(document, Path(document.placement.work)))


def publishing(document: JobDocument, data: Mapping[Source, Path]) -> Publishing:
    """What a registered checkpoint is told."""
    given = document.parameters
    return Publishing(
        register=str(given["register_checkpoint"] or ""),
        description=lineage.description(document, data),
        tags=lineage.tags(document, data),
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


def _root(data: Mapping[Source, Path]) -> Path | None:
    """The dataset that is trained on: of several there is but one, once they are merged."""
    return next((folder for source, folder in data.items() if source.role == "dataset"), None)


def _program(document: JobDocument) -> tuple[str, ...]:
    gpus = document.parameters["num_gpus"]
    if gpus == 1:
        return ("-m", LAUNCHER)
    return ("-m", PROCESSES, f"--count={gpus}", f"--mixed-precision={document.parameters['mixed_precision']}", "--")


def _environ(document: JobDocument) -> dict[str, str]:
    local = all(source.kind == "local_path" for source in document.sources)
    computed = {precision.ENVIRON: str(document.parameters["mixed_precision"])}
    return {**QUIET, **(OFFLINE if local else {}), **computed}


def _output(document: JobDocument, work: Path) -> Path:
    """Where the trainer writes; it must be new. A relative folder lies below the run's own."""
    said = document.parameters["output_dir"]
    return Path(os.path.normpath(work / str(said or "outputs")))
