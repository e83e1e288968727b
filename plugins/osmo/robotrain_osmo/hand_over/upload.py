"""What a workflow reads from this machine, brought to the storage it names: once, whole, and seen to be there."""

import dataclasses
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from robotrain.amounts import size
from robotrain.plan import Plan
from robotrain.problem import Instead, Problem, Rejected, Stage
from robotrain_azure import sendable

from robotrain_osmo.cli import asking
from robotrain_osmo.cli.refusals import Refused
from robotrain_osmo.hand_over import stored
from robotrain_osmo.order import PAYLOAD, Order, Upload

LEAST_SECONDS = 900.0
LEAST_BYTES_A_SECOND = 128 << 10
"""An upload that is slower than this altogether is given up."""
ALL_BUT_KEPT = r"^(?!(?:.*/)?(?:\.cache|__pycache__)/)"
"""All but what is kept here, for `osmo`, which looks at paths below the folder."""
OF_ONE_RUN = "/robotrain/runs/"
"""Below it lies what has no digest in its address: it is uploaded anew."""


def bring(plan: Plan, order: Order) -> None:
    """Upload what is not there yet. Raises Rejected: then nothing of the workflow was sent."""
    folders = [upload for upload in order.uploads if upload.path]
    found = [problem for upload in folders for problem in unfit(plan, upload, Stage.SUBMIT)]
    found += [problem for upload in folders for problem in _changed(plan, upload, "since it was pinned")]
    if found:
        raise Rejected(found)
    for upload in order.uploads:
        with _lying_there(plan, upload) as folder, _told_of(upload):
            _bring(order.cli, upload, folder)
        if changed := list(_changed(plan, upload, "while it was uploaded")):
            raise Rejected(changed)


def unfit(plan: Plan, upload: Upload, stage: Stage) -> Iterator[Problem]:
    """Why a folder cannot be uploaded."""
    yield from sendable.problems(upload.path, upload.flag, sendable.part(plan, upload.path), stage, "OSMO")


def _bring(cli: str, upload: Upload, folder: Path) -> None:
    """Upload a folder, unless all of it is there. Raises Rejected."""
    content = sendable.content(folder)
    what = upload.path or "the payload"
    patience = stored.SECONDS + len(content.files) / stored.LEAST_FILES_A_SECOND
    there = stored.below(cli, upload.url, Stage.SUBMIT, patience)
    if there == content.files.keys() and OF_ONE_RUN not in upload.url:
        _say(f"{what} is there already: {upload.url}")
        return
    if there - content.files.keys():
        raise Rejected([_other_files(upload, sorted(there - content.files.keys()))])
    resumed = f", of which {len(there)} {'is' if len(there) == 1 else 'are'} there" if there else ""
    _say(f"uploading {what} to {upload.url}: {sendable.counted(len(content.files))}, {size(content.size)}{resumed}")
    kept = ("-x", ALL_BUT_KEPT) if content.kept else ()
    seconds = LEAST_SECONDS + content.size / LEAST_BYTES_A_SECOND
    words = ("data", "upload", upload.url, f"{folder}/*", *kept)
    asking.judge(asking.called(cli, *words, seconds=seconds, shown=_terminal()), Stage.SUBMIT)
    missing = content.files.keys() - stored.below(cli, upload.url, Stage.SUBMIT, patience)
    if missing:  # it ends with success all the same
        raise Rejected([_not_whole(upload, sorted(missing), len(content.files))])


@contextmanager
def _lying_there(plan: Plan, upload: Upload) -> Iterator[Path]:
    """The folder whose files are sent, by a path that `osmo` reads as it is: it would put variables into it."""
    with tempfile.TemporaryDirectory(prefix="robotrain-") as own:
        folder = Path(own) / "folder"
        if upload.path:
            folder.symlink_to(sendable.part(plan, upload.path))
        else:
            folder.mkdir()
            (folder / PAYLOAD).write_bytes(plan.files[PAYLOAD])
        yield folder if not upload.path or "$" in upload.path else sendable.part(plan, upload.path)


@contextmanager
def _told_of(upload: Upload) -> Iterator[None]:
    """What the command refuses is told of this upload."""
    try:
        yield
    except Refused as refused:
        problem = refused.refusal.problem()
        given = upload.url
        raise Rejected([dataclasses.replace(problem, where=problem.where or upload.flag, given=given)]) from refused


def _changed(plan: Plan, upload: Upload, when: str) -> Iterator[Problem]:
    """The folder is not what the workflow expects: it would refuse it there."""
    for why in sendable.unlike(plan, upload.path) if upload.path else ():
        yield _problem(upload, "upload-changed", f"the folder changed {when}", why, *_anew(upload, when))


def _anew(upload: Upload, when: str) -> tuple[Instead, ...]:
    again = Instead("the same command", "pins what is there now")
    if "while" not in when:
        return (again,)
    return (Instead(f"osmo data delete {upload.url}", "removes what was uploaded of it"), again)


def _other_files(upload: Upload, names: list[str]) -> Problem:
    return _problem(
        upload,
        "upload-mixed",
        "something else lies where this would be uploaded to",
        f"{upload.url} holds {sendable.some(names)}.",
        Instead(f"osmo data delete {upload.url}", "when nobody reads it"),
    )


def _not_whole(upload: Upload, names: list[str], count: int) -> Problem:
    return _problem(
        upload,
        "upload-incomplete",
        f"{len(names)} of {sendable.counted(count)} did not arrive",
        f"`osmo data upload` ended with success, and {sendable.some(names)} {'are' if names[1:] else 'is'} not there.",
        Instead("the same command", "uploads what is missing"),
    )


def _problem(upload: Upload, code: str, title: str, why: str, *instead: Instead) -> Problem:
    given = upload.path or upload.url
    return Problem(code=code, stage=Stage.SUBMIT, title=title, where=upload.flag, given=given, why=why, instead=instead)


def _terminal() -> bool:
    """Whether a progress bar is of use."""
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError):
        return False


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
