"""An output of a run, brought to this machine: whole to the byte, or not at all."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from robotrain.problem import Instead, Problem, Rejected, Stage
from robotrain.redaction import redact
from robotrain.run import Output
from robotrain_runtime import checkpoint
from robotrain_runtime.checkpoint import Manifest
from robotrain_runtime.failure import Failed


def whole(output: Output, to: Path, fetch: Callable[[Path], None]) -> None:
    """Have `fetch` fill a new folder beside `to`, which is whole as soon as it is there. Raises Rejected, as `fetch`
    may when what came is nothing, or not as it was saved.
    """
    if os.path.lexists(to):
        raise Rejected([problem("output-exists", "there is something of that name already", str(to))])
    scratch = to.with_name(f".{to.name}.{os.urandom(4).hex()}.part")
    title = f"{output.name} could not be brought"
    try:
        scratch.mkdir(parents=True)
        fetch(scratch)
        os.rename(scratch, to)
    except Failed as failed:
        why = redact(failed.reason, longest=1000)
        raise Rejected([problem("output-not-copied", title, output.uri, why)]) from None
    except OSError as error:  # shutil.Error is one
        raise Rejected([problem("output-not-copied", title, str(to), f"{error.strerror or error}.")]) from None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def something(output: Output, folder: Path, again: Instead) -> None:
    """Raise Rejected when nothing came. again: what shows what lies there now."""
    if not any(folder.iterdir()):
        title = f"{output.name} is not there any more: nothing came of it"
        raise Rejected([problem("output-gone", title, output.uri, "", again)])


def as_saved(output: Output, folder: Path, submission: str, run: str, *, complete: bool) -> None:
    """Raise Rejected when a checkpoint did not come as it was saved, or is another's by its seal.

    submission, run: whose it is to be; no run: anybody's. complete: whether every file of it has to be there.
    """
    if complete and (wrong := checkpoint.wrong_with(folder)):
        title = f"{output.name} did not come as it was saved"
        why = f"{wrong.replace(str(folder), output.uri)}."
        raise Rejected([problem("output-not-copied", title, output.uri, why)])
    if (made := checkpoint.read(folder)) and is_anothers(made, submission, run):
        title = f"{output.name} is not of this run any more"
        whose = f"{made.run} ({made.submission})" if made.submission else made.run
        raise Rejected([problem("output-not-copied", title, output.uri, f"Its seal names {whose}.")])


def is_anothers(made: Manifest, submission: str, run: str) -> bool:
    """Whether a checkpoint says that it is not of this run, in this very submission. run: empty for anybody's."""
    return made.run != (run or made.run) or made.submission not in ("", submission)


def problem(code: str, title: str, given: str, why: str = "", *instead: Instead) -> Problem:
    """What kept an output from coming. given: where it lies, or where it was to go."""
    return Problem(code=code, stage=Stage.SUBMIT, title=title, given=redact(given), why=why, instead=instead)
