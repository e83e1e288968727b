"""`lerobot-train` in the container: the environment it needs, what is wrong with its data, and the command."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from robotrain_runtime.document import JobDocument, Source
from robotrain_runtime.half import Environment, Tracked, Work

from robotrain_workloads.lerobot_train import dataset, trainer_args, versions
from robotrain_workloads.lerobot_train import tracked as tracking

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
    for folder in data.values():
        yield from dataset.wrong(folder)
    output = _output(document, Path(document.placement.work))
    if output.exists() and not output.is_dir():
        yield f"the output folder {output} is a file"
    elif output.is_dir() and any(output.iterdir()):
        yield f"the output folder {output} is not empty: name a new one with --output-dir"


def work(document: JobDocument, data: Mapping[Source, Path], work: Path) -> Work:
    """The launcher, inside the training environment."""
    given, user = document.parameters, document.trainer_args
    root = next(folder for source, folder in data.items() if source.role == "dataset")
    ours = (*trainer_args.owned(given, root, _output(document, work)), *trainer_args.defaults(given, user))
    note = ("--random-backbone",) if trainer_args.chooses_backbone(given, user) else ()
    return Work(
        arguments=(*_program(document), "--device", str(given["device"]), *note, "--", *ours, *user),
        environ=_environ(document),
    )


def tracked(document: JobDocument) -> Tracked:
    """What the tracking run starts with."""
    return tracking.tracked(document, _output(document, Path(document.placement.work)))


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
