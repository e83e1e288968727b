"""A run that was cut short and is started again in its own folder: it goes on from what its last attempt saved."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from robotrain_runtime import checkpoint, event, surroundings
from robotrain_runtime.document import JobDocument
from robotrain_runtime.event import Note, Stage

from robotrain_workloads.lerobot_train import start
from robotrain_workloads.lerobot_train.start import Start

CHECKPOINTS = "checkpoints"
EVENTS = "events.jsonl"


def wrong(document: JobDocument, output: Path) -> Iterator[str]:
    """What is wrong with the output folder: it may be new, or hold what this very run left there."""
    if output.exists() and not output.is_dir():
        yield f"the output folder {output} is a file\n--output-dir FOLDER"
    elif not _used(output):
        return
    elif other := _of_another(document, output):
        yield f"the output folder {output} holds checkpoints of the run {other}: name a new one with --output-dir"
    elif not is_own(Path(document.placement.work), output) and not _of_this(document, output):
        yield f"the output folder {output} is not empty: name a new one with --output-dir"


def left(document: JobDocument, output: Path) -> tuple[Start | None, tuple[Note, ...]]:
    """Where the last attempt can be taken up, None for nowhere, and notes on what it left.

    What cannot be used is put aside, so that the trainer can write there again. Raises OSError when that fails.
    """
    if not _used(output):
        return None, ()
    good, said = checkpoint.go_on(output / CHECKPOINTS, run=document.run, job=document.job)
    if good is None:
        text = f"an earlier attempt left nothing to go on from: kept as {checkpoint.put_aside(output)}"
        return None, (*said, Note(level="warning", text=text))
    step, folder = good
    more = step < int(str(document.parameters["training_steps"]))
    way = "was cut short: going on from its" if more else "came to the end: nothing is left to train after"
    return start.at_checkpoint(folder), (*said, Note(level="info", text=f"an earlier attempt {way} step {step}"))


def _used(output: Path) -> bool:
    return output.is_dir() and any(output.iterdir())


def _of_another(document: JobDocument, output: Path) -> str:
    found = (checkpoint.read(folder) for _, folder in checkpoint.steps(output / CHECKPOINTS))
    return next((one.run for one in found if one is not None and one.run != document.run), "")


def _of_this(document: JobDocument, output: Path) -> bool:
    """Whether this very submission of the run saved something there, on a machine whose work folder is gone."""
    own, parent = surroundings.submission(document), output / CHECKPOINTS
    found = (checkpoint.read(folder) for _, folder in checkpoint.steps(parent)) if own else ()
    return any(one is not None and (one.run, one.submission) == (document.run, own) for one in found)


def is_own(work: Path, output: Path) -> bool:
    """Whether what lies in the output folder is the run's: an attempt that came as far as its work found it empty."""
    return work in output.parents or _began(work / EVENTS)


def _began(events: Path) -> bool:
    with suppress(OSError), events.open(encoding="utf-8", errors="replace") as lines:
        return any(_is_work(line) for line in lines if '"stage"' in line)
    return False


def _is_work(line: str) -> bool:
    found = event.read(line.rstrip("\n"))
    return found is not None and isinstance(found.event, Stage) and found.event.name == "work"
