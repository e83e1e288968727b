"""Folders of this machine that a job reads, brought to the workspace's datastore: by their content, once, and whole.

What has a digest in its address is sealed there, beside its folder, when all of it arrived; until then another submit
goes on with what is missing.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from robotrain.amounts import size
from robotrain.plan import Plan
from robotrain.problem import Instead, Problem, Rejected, Stage
from robotrain_azure import sendable, sendable_secrets
from robotrain_azure.arm import ArmError

from robotrain_azureml.hand_over import upload_there
from robotrain_azureml.hand_over.upload_progress import Progress, say
from robotrain_azureml.order import Order, Upload
from robotrain_azureml.service import datastore, datastore_folder, jobs
from robotrain_azureml.service.datastore import Blob, Blobs, StorageError


class Brought(NamedTuple):
    """Something that is there now: a line of it, and whether it is new."""

    line: str
    new: bool


def refuse(plan: Plan, order: Order) -> None:
    """Look at the folders themselves, before anything is brought. Raises Rejected with all that is wrong with them."""
    if found := _missed(order, {upload: _wrong(plan, upload) for upload in order.uploads}):
        raise Rejected(found)


def looked_at(plan: Plan, order: Order) -> Iterator[Problem]:
    """Why folders cannot be uploaded that are not there yet, and what in them had better not be; as a look ahead."""
    yield from _missed(order, {upload: list(_unfit(plan, upload, Stage.PREFLIGHT)) for upload in order.uploads})
    for upload in order.uploads:
        folder = sendable.part(plan, upload.path)
        yield from sendable_secrets.problems(upload.path, upload.flag, folder, Stage.PREFLIGHT)


def _unfit(plan: Plan, upload: Upload, stage: Stage) -> Iterator[Problem]:
    yield from sendable.problems(upload.path, upload.flag, sendable.part(plan, upload.path), stage, "Azure ML")


def _wrong(plan: Plan, upload: Upload) -> list[Problem]:
    return [*_unfit(plan, upload, Stage.SUBMIT)] or [*_changed(plan, upload, "since it was pinned")]


def _missed(order: Order, wrong: Mapping[Upload, list[Problem]]) -> list[Problem]:
    """What is wrong with folders, but those of which all is there: they are needed no more."""
    there = upload_there.held(order) if any(wrong.values()) else set()
    return [problem for upload, found in wrong.items() if upload not in there for problem in found]


def bring(plan: Plan, order: Order) -> Iterator[Brought]:
    """Upload what is not there yet; each folder is told of. Raises Rejected, ArmError, StorageError."""
    if not order.uploads:
        return
    arm = jobs.signed_in()
    with datastore.opened(arm, datastore.named(arm, order.at, order.datastore)) as blobs:
        for upload in order.uploads:
            try:
                brought = _bring(blobs, upload, sendable.part(plan, upload.path))
            except (ArmError, StorageError):
                raise
            except OSError as error:
                raise Rejected([_unread(upload, error)]) from error
            if brought is not None:
                _seal_unless_changed(blobs, plan, upload, brought)
            how = "was uploaded" if brought else "is there already"
            yield Brought(f"{upload.path} {how}: {_place(blobs, upload)}", brought is not None)


def _bring(blobs: Blobs, upload: Upload, folder: Path) -> sendable.Content | None:
    """What it holds when it was uploaded; None where all of it was there and sealed."""
    found = list(blobs.below(upload.to))
    if upload_there.is_whole(blobs, upload, found):
        return None
    content = sendable.content(folder)
    there = {blob.name.removeprefix(f"{upload.to}/"): blob for blob in found}
    if other := sorted(there.keys() - content.files.keys()):
        raise Rejected([_mixed(blobs, upload, other)])
    files = {name: folder / name for name in content.files}
    missing = _missing(upload, files, there)
    wanted = sum(content.files[name] for name in missing)
    kept = len(files) - len(missing)
    resumed = f", of which {kept} {'is' if kept == 1 else 'are'} there" if kept else ""
    say(f"uploading {upload.path} to {_place(blobs, upload)}: {content}{resumed}")
    with Progress(wanted) as progress:
        datastore_folder.send(blobs, missing, upload.to, progress.came, progress.whole)
    return content


def _missing(upload: Upload, files: Mapping[str, Path], there: Mapping[str, Blob]) -> dict[str, Path]:
    """Those that no blob holds yet; what arrived before is read, which is told of."""
    if there:
        amount = size(sum(blob.size for blob in there.values()))
        say(f"comparing {upload.path} with what is there of it: {sendable.counted(len(there))}, {amount}")
    return datastore_folder.differing(files, there)


def _seal_unless_changed(blobs: Blobs, plan: Plan, upload: Upload, brought: sendable.Content) -> None:
    if changed := list(_changed(plan, upload, "while it was uploaded")):
        raise Rejected(changed)
    upload_there.seal(blobs, upload, len(brought.files), brought.size)


def _changed(plan: Plan, upload: Upload, when: str) -> Iterator[Problem]:
    """The folder is not what the job expects: it would refuse it there."""
    again = Instead("the same command", "pins what is there now")
    for why in sendable.unlike(plan, upload.path):
        yield _problem(upload, "upload-changed", f"the folder changed {when}", why, again)


def _mixed(blobs: Blobs, upload: Upload, names: list[str]) -> Problem:
    store = blobs.store
    where = f"--account-name {store.account} --source {store.container} --pattern '{upload.to}/*' --auth-mode login"
    return _problem(
        upload,
        "upload-mixed",
        "something else lies where this would be uploaded to",
        f"{_place(blobs, upload)} holds {sendable.some(names)}.",
        Instead(f"az storage blob delete-batch {where}", "when nobody reads it"),
    )


def _unread(upload: Upload, error: OSError) -> Problem:
    why = f"{error.filename}: {error.strerror}." if error.filename else f"{error}."
    return _problem(upload, "upload-unreadable", "what is to be uploaded cannot be read", why)


def _problem(upload: Upload, code: str, title: str, why: str, *instead: Instead) -> Problem:
    return Problem(
        code=code, stage=Stage.SUBMIT, title=title, where=upload.flag, given=upload.path, why=why, instead=instead
    )


def _place(blobs: Blobs, upload: Upload) -> str:
    """As a job names it."""
    return f"azureml://datastores/{blobs.store.name}/paths/{upload.to}"
