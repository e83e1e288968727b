"""Going on from a checkpoint of an earlier run: what is wrong with it, and what the new run cannot change any more."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from robotrain_runtime import checkpoint
from robotrain_runtime.document import JobDocument, Scalar, Source
from robotrain_runtime.event import Note

from robotrain_workloads.lerobot_train import json_object, policy
from robotrain_workloads.lerobot_train.start import Start

CONFIG = Path(policy.MODEL, "train_config.json")


def wrong(document: JobDocument, folder: Path, start: Start) -> Iterator[str]:
    """One sentence for each thing that stops the trainer from going on there."""
    if said := checkpoint.wrong_with(folder):
        yield f"no training can go on from this checkpoint: {said}{_earlier(folder)}"
    if not (folder / CONFIG).is_file():
        yield f"the checkpoint {folder} is incomplete: it has no {CONFIG}"
    steps = document.parameters["training_steps"]
    assert isinstance(steps, int)
    if start.step >= steps:
        yield f"{folder} reached step {start.step} already: ask for more steps\n--training-steps {2 * start.step}"


def _earlier(torn: Path) -> str:
    """How to have the newest whole checkpoint beside a torn one taken in its place, on a line of its own."""
    if (found := checkpoint.last_good(torn.parent)) is None:
        return ""
    step, _ = found
    return f"\n{shlex.join(['mv', str(torn), f'{torn}.torn'])}   then the same command goes on from step {step}"


def notes(given: Mapping[str, Scalar], start: Start) -> Iterator[Note]:
    """What a person might think would change, and does not; and what does. given: the document's parameters."""
    saved = json_object.read(start.folder / CONFIG)
    made = checkpoint.read(start.folder)
    where = f"going on from step {start.step}" + (f" of {made.run}" if made else "")
    yield Note(level="info", text=where)
    yield from (Note(level="warning", text=text) for text in _surprises(given, start, saved))


def _surprises(given: Mapping[str, Scalar], start: Start, saved: Mapping[str, Any]) -> Iterator[str]:
    yield from _without_effect(given, saved)
    scheduler, steps = saved.get("scheduler") or {}, given["training_steps"]
    if scheduler.get("type") == "diffuser" and saved.get("steps") != steps:
        was = saved.get("steps")
        yield f"the learning rate's schedule now spans {steps} steps, not {was}: the rate leaps where training goes on"
    yield from _order(given, {**saved, **json_object.read(start.folder / policy.STEP)})


def kept(sources: Sequence[Source]) -> dict[str, Scalar]:
    """Parameters whose values are those of the checkpoint, whatever the document says; as far as it lies here."""
    folder = next((Path(source.uri) for source in sources if source.role == "resume"), None)
    try:
        saved = json_object.read(folder / CONFIG) if folder else {}
    except (OSError, ValueError):  # it is fetched later, or `wrong` says more
        return {}
    rate = (saved.get("optimizer") or {}).get("lr")
    return {"learning_rate": rate} if rate is not None else {}


def _without_effect(given: Mapping[str, Scalar], saved: Mapping[str, Any]) -> Iterator[str]:
    rate, saved_rate = given["learning_rate"], (saved.get("optimizer") or {}).get("lr")
    if saved_rate not in (None, rate):
        yield f"--learning-rate {rate} has no effect: the optimizer goes on as it was saved, at {saved_rate}"
    warmup, saved_warmup = given["lr_warmup_steps"], (saved.get("scheduler") or {}).get("num_warmup_steps")
    if warmup not in (None, saved_warmup):
        yield f"--lr-warmup-steps {warmup} has no effect: the schedule goes on as it was saved"


def _order(given: Mapping[str, Scalar], saved: Mapping[str, Any]) -> Iterator[str]:
    """The samples come in the order they would have come in, unless what decides it was changed."""
    for name, there in {"seed": "seed", "batch_size": "batch_size", "num_gpus": "num_processes"}.items():
        if saved.get(there) not in (None, given[name]):
            flag = "--" + name.replace("_", "-")
            yield f"the order of the data changes from here on: {flag} is {given[name]}, and was {saved[there]}"
