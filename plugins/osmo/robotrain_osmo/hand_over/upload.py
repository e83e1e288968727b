"""What a workflow reads from this machine, brought to the storage it names: once, whole, and seen to be there."""

import dataclasses
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from robotrain.plan import Plan
from robotrain.problem import Problem, Rejected, Stage
from robotrain_azure import sendable

from robotrain_osmo.cli import asking
from robotrain_osmo.cli.refusals import Refused
from robotrain_osmo.hand_over import stored, upload_problems, upload_there
from robotrain_osmo.order import PAYLOAD, Order, Upload

LEAST_SECONDS = 900.0
LEAST_BYTES_A_SECOND = 128 << 10
"""An upload that is slower than this altogether is given up."""
ALL_BUT_KEPT = r"^(?!(?:.*/)?(?:\.|__pycache__(?:/|$)))"
"""All but what is kept here, as `listing` says, for `osmo`, which looks at paths below the folder."""


def bring(plan: Plan, order: Order) -> None:
    """Upload what is not there yet. Raises Rejected: then nothing of the workflow was sent."""
    for upload in missing(plan, order):
        with _lying_there(plan, upload) as folder, _told_of(upload):
            new = _bring(order.cli, upload, folder)
        if new and (changed := list(upload_problems.changed(plan, upload, "while it was uploaded"))):
            raise Rejected(changed)
        if new and upload.path and upload_there.is_by_content(upload):
            with _told_of(upload):
                upload_there.seal(order.cli, upload.url, new)


def missing(plan: Plan, order: Order) -> list[Upload]:
    """What is uploaded, or found there, by its folder; where that is not what it was, what is there counts, if it is
    whole. Raises Rejected with all that is wrong.
    """
    wrong = {upload: list(_wrong(plan, upload)) for upload in order.uploads if upload.path}
    held = {upload for upload, found in wrong.items() if found and upload_there.is_held(order.cli, upload)}
    if found := [problem for upload, problems in wrong.items() if upload not in held for problem in problems]:
        raise Rejected(found)
    for upload in held:
        _say_there(upload)
    return [upload for upload in order.uploads if upload not in held]


def unfit(plan: Plan, upload: Upload, stage: Stage) -> Iterator[Problem]:
    """Why a folder cannot be uploaded."""
    yield from sendable.problems(upload.path, upload.flag, sendable.part(plan, upload.path), stage, "OSMO")


def _wrong(plan: Plan, upload: Upload) -> list[Problem]:
    return [*unfit(plan, upload, Stage.SUBMIT)] or [*upload_problems.changed(plan, upload, "since it was pinned")]


def _bring(cli: str, upload: Upload, folder: Path) -> int:
    """Upload a folder, unless all of it is there: how many files were uploaded. Raises Rejected."""
    content = sendable.content(folder)
    patience = stored.SECONDS + len(content.files) / stored.LEAST_FILES_A_SECOND
    found = stored.below(cli, upload.url, Stage.SUBMIT, patience)
    there = upload_there.files(found)
    if upload_there.is_whole(upload, found) if upload.path else there == content.files.keys():
        _say_there(upload)
        return 0
    if there - content.files.keys():
        raise Rejected([upload_problems.other_files(upload, sorted(there - content.files.keys()))])
    resumed = f", of which {len(there)} {'is' if len(there) == 1 else 'are'} there" if there else ""
    _say(f"uploading {_named(upload)} to {upload.url}: {content}{resumed}")
    kept = ("-x", ALL_BUT_KEPT) if content.kept else ()
    seconds = LEAST_SECONDS + content.size / LEAST_BYTES_A_SECOND
    words = ("data", "upload", upload.url, f"{folder}/*", *kept)
    asking.judge(asking.called(cli, *words, seconds=seconds, shown=_terminal()), Stage.SUBMIT)
    lacking = content.files.keys() - stored.below(cli, upload.url, Stage.SUBMIT, patience)
    if lacking:  # it ends with success all the same
        raise Rejected([upload_problems.not_whole(upload, sorted(lacking), len(content.files))])
    return len(content.files)


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


def _terminal() -> bool:
    """Whether a progress bar is of use."""
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError):
        return False


def _say_there(upload: Upload) -> None:
    _say(f"{_named(upload)} is there already: {upload.url}")


def _named(upload: Upload) -> str:
    return upload.path or "the payload"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
