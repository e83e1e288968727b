"""What is wrong with where a training starts, before anything is built, and what a person should know of it."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from robotrain_runtime.document import JobDocument, Source
from robotrain_runtime.event import Note

from robotrain_workloads.lerobot_train import dataset, features, policy, resuming, start
from robotrain_workloads.lerobot_train.start import Start


def wrong(document: JobDocument, data: Mapping[Source, Path], root: Path | None) -> Iterator[str]:
    """One sentence for each thing wrong. root: a dataset that nothing is wrong with, if there is one yet."""
    try:
        begin = start.asked(data)
    except (OSError, ValueError) as error:
        yield str(error)
        return
    if begin.way == "scratch":
        return
    model = begin.folder
    if begin.way == "checkpoint":
        yield from resuming.wrong(document, begin.folder, begin)
        model = begin.folder / policy.MODEL
    asked = document.parameters["policy_type"]
    yield from policy.wrong(model, begin.settings, asked, whole=begin.way != "weights")
    if root is not None:
        yield from features.unlike(begin.settings, dataset.info(root), document.trainer_args)


def step(data: Mapping[Source, Path]) -> int:
    """The step that training starts at, as far as that can be told."""
    with suppress(OSError, ValueError):
        return start.asked(data).step
    return 0


def notes(document: JobDocument, begin: Start, root: Path) -> Iterator[Note]:
    """What is worth saying about a start that nothing is wrong with."""
    if begin.way == "scratch":
        return
    if begin.way == "checkpoint":
        yield from resuming.notes(document.parameters, begin)
    if unseen := features.unseen(begin.settings, dataset.info(root), document.trainer_args):
        yield Note(level="warning", text=f"the policy was trained without {', '.join(unseen)}, and makes no use of it")
