"""`lerobot-eval` in the container: the environment it needs, what is wrong with its inputs, and the command."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from robotrain_runtime.document import JobDocument, Source
from robotrain_runtime.half import Environment, Gpus, Preparation, Publishing, Tracked, Work
from robotrain_runtime.target import Target

from robotrain_workloads.lerobot_eval import command, fit, inspecting, lineage
from robotrain_workloads.lerobot_eval import tracked as tracking
from robotrain_workloads.lerobot_train import comparing, gpu, hub, output_folder, policy, preparing, publishing_to
from robotrain_workloads.lerobot_train import container as training

LOCKS = Path(__file__).parent / "locks"
ENVIRONMENT = replace(training.ENVIRONMENT, lock=LOCKS / "eval.txt")
ALOHA = replace(ENVIRONMENT, lock=LOCKS / "aloha.txt", gib=10.0)

_POLICY = (policy.CONFIG, policy.PROCESSORS[0])
DESCRIBED = {**comparing.DESCRIBED, "policy": (*_POLICY, *(f"{policy.MODEL}/{name}" for name in _POLICY))}


def environment(document: JobDocument) -> Environment:
    """What this very job runs in: only those of ALOHA need MuJoCo."""
    return ALOHA if document.parameters["env"] == "aloha" else ENVIRONMENT


def compare(document: JobDocument, described: Mapping[Source, Path]) -> Iterator[str]:
    """What is wrong with the inputs, told from their descriptions alone: also whether the policy fits the rest."""
    yield from comparing.wrong_described(document, described)
    yield from fit.unlike(document, described)


def prepare(document: JobDocument, data: Mapping[Source, Path], digests: Mapping[Source, str]) -> Preparation | None:
    """One dataset of several, as for a training; None when the one is used as it is."""
    return preparing.prepare(document, data, digests)


def inspect(document: JobDocument, data: Mapping[Source, Path]) -> Iterator[str]:
    """What LeRobot would stumble over, as far as small files tell it."""
    yield from inspecting.wrong(document, data, output_folder.of(document, Path(document.placement.work)))


def work(document: JobDocument, data: Mapping[Source, Path], work: Path) -> Work:
    """The launcher, inside the run's environment."""
    arguments = command.arguments(document, data, output_folder.of(document, work), work)
    return Work(arguments=tuple(arguments), environ=hub.environ(document.sources))


def gpus(document: JobDocument) -> Gpus | None:
    """What it asks of the machine's GPUs; None when it also runs without."""
    if document.parameters["device"] != "cuda":
        return None
    return Gpus(count=1, cuda=gpu.cuda(environment(document).lock))


def tracked(document: JobDocument) -> Tracked:
    """What the tracking run starts with."""
    return tracking.tracked(document)


def publishing(document: JobDocument, data: Mapping[Source, Path]) -> Publishing:
    """What a registered policy is told."""
    return Publishing(
        register=str(document.parameters["register_model"] or ""),
        description=lineage.description(document, data),
        tags=lineage.tags(document, data),
        evaluated_on=lineage.evaluated_on(document),
        lineage=lineage.file(document, data),
    )


def targets(document: JobDocument, data: Mapping[Source, Path]) -> Iterator[Target]:
    """Where the results are copied to."""
    if said := str(document.parameters["publish_url"] or ""):
        yield Target(to=publishing_to.place(said), way=publishing_to.ANOTHER)
