"""A workload whose work is a few lines of Python, given as a parameter; its environment is whatever is given.

It wants data of one kind: `odd` in numbers.txt does not go with anything else. It asks for GPUs, and has its datasets
joined, as its parameters say. It saves checkpoints with `pretend_training`, and an attempt that was cut short goes on
from the last complete one.
"""

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.container_plugin import (
    DataPreparation,
    GpuRequirement,
    PublishingSpec,
    PythonEnvironment,
    TrackingSpec,
    WorkCommand,
)
from robotrain_runtime.contract.document import JobDocument, JobSource
from robotrain_runtime.contract.problem import Problem, make_data_problem

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
ENVIRONMENT = PythonEnvironment(lock=Path(__file__).with_name("nothing.txt"), python=VERSION, gib=0.01)


DESCRIBED = {"dataset": ("numbers.txt",)}
JOIN = """
import pathlib, sys
*folders, to = map(pathlib.Path, sys.argv[1:])
to.mkdir()
(to / "numbers.txt").write_text("+".join((folder / "numbers.txt").read_text() for folder in folders))
print("joined", len(folders))
"""


def compare(document: JobDocument, described: Mapping[JobSource, Path]) -> Iterable[Problem]:
    files = (folder / "numbers.txt" for folder in described.values())
    content = {file.read_text() for file in files if file.exists()}
    if "odd" in content and len(content) > 1:
        yield make_data_problem("odd numbers do not go with others", "leave out the odd ones")


def gpus(document: JobDocument) -> GpuRequirement | None:
    count = document.parameters.get("gpus")
    return GpuRequirement(count=int(str(count)), cuda="12.8") if count else None


def prepare(
    document: JobDocument, data: Mapping[JobSource, Path], digests: Mapping[JobSource, str]
) -> DataPreparation | None:
    program = document.parameters.get("join")
    if not program:
        return None
    folders = map(str, data.values())
    key = ".".join(digests.values()) if all(digests.values()) else ""
    is_staged = bool(document.parameters.get("staged"))
    return DataPreparation(sources=tuple(data), key=key, arguments=("-c", str(program), *folders), is_staged=is_staged)


def inspect(document: JobDocument, data: Mapping[JobSource, Path]) -> Iterable[str]:
    for folder in data.values():
        if not (folder / "numbers.txt").exists():
            yield f"{folder} holds no numbers.txt."


def warm_up(document: JobDocument, described: Mapping[JobSource, Path], work: Path) -> WorkCommand | None:
    program, descriptions = document.parameters.get("warm_up"), sorted(map(str, described.values()))
    takes_over = not document.parameters.get("only")
    return WorkCommand(arguments=("-c", str(program), *descriptions), takes_over=takes_over) if program else None


def work(document: JobDocument, data: Mapping[JobSource, Path], work: Path) -> WorkCommand:
    if document.parameters.get("warm_up"):
        return WorkCommand(arguments=("-c", str(document.parameters["program"]), *map(str, data.values())))
    good, notes = checkpoint.find_resume_point(work / "checkpoints", run=document.run, job=document.job)
    environ = {
        "PRETEND_DATA": ":".join(map(str, data.values())),
        "PRETEND_WORK": str(work),
        "PRETEND_STEP": str(good[0] if good else 0),
    }
    arguments, joins = ("-c", str(document.parameters["program"])), bool(document.parameters.get("joins"))
    is_staged = bool(document.parameters.get("staged"))
    folders = sorted(Path(document.placement.cache, "prepared").glob("*/*/")) if is_staged else ()
    return WorkCommand(
        arguments=arguments,
        environ=environ,
        notes=notes,
        joins_tracking=joins,
        cache_folders=tuple(folders),
    )


def checkpoints(document: JobDocument, work: Path) -> Path:
    return work / "checkpoints"


def tracked(document: JobDocument) -> TrackingSpec:
    return TrackingSpec(experiment="pretend", run_name=document.run, params={"answer": 42}, tags={}, machine=False)


def publishing(document: JobDocument, data: Mapping[JobSource, Path]) -> PublishingSpec:
    parameters = document.parameters
    return PublishingSpec(
        to=str(parameters.get("to", "")),
        register=str(parameters.get("register", "")),
        description="a pretended model" if parameters.get("register") else "",
        tags={"dataset": "x" * 300} if parameters.get("register") else {},
        evaluated_on={"env": str(parameters.get("world", ""))},
        lineage={"dataset_uri": "x" * 300, "blob_urls": []},
        artifact_folders={"*/weights": str(parameters["place"])} if parameters.get("place") else {},
        last_artifact_folders={"*/weights": "final"} if parameters.get("place") else {},
        hands_over=str(parameters.get("hands_over", "")),
        saved_steps=list(map(int, str(parameters.get("saves", "")).split())),
    )
