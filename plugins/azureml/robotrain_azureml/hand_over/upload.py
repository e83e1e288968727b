"""Folders of this machine that a job reads, brought to the workspace's datastore: by their content, once, and whole.

What has a digest in its address is sealed there, beside its folder, when all of it arrived; until then another submit
goes on with what is missing.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from robotrain.amounts import size
from robotrain.plan import Plan
from robotrain.problem import Instead, Problem, Rejected, Stage
from robotrain_azure import sendable
from robotrain_azure.arm import ArmError

from robotrain_azureml.hand_over.upload_progress import Progress, say
from robotrain_azureml.order import Order, Upload
from robotrain_azureml.service import datastore, datastore_folder, jobs
from robotrain_azureml.service.datastore import Blob, Blobs, StorageError
from robotrain_azureml.spec import inputs

SEAL = ".complete.json"


class Brought(NamedTuple):
    """Something that is there now: a line of it, and whether it is new."""

    line: str
    new: bool


def refuse(plan: Plan, order: Order) -> None:
    """Look at the folders themselves, before anything is asked. Raises Rejected with all that is wrong with them."""
    found = [problem for upload in order.uploads for problem in unfit(plan, upload, Stage.SUBMIT)]
    if not found:
        found = [problem for upload in order.uploads for problem in _changed(plan, upload, "since it was pinned")]
    if found:
        raise Rejected(found)


def unfit(plan: Plan, upload: Upload, stage: Stage) -> Iterator[Problem]:
    """Why a folder cannot be uploaded."""
    yield from sendable.problems(upload.path, upload.flag, sendable.part(plan, upload.path), stage, "Azure ML")


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
    content = sendable.content(folder)
    there = {blob.name.removeprefix(f"{upload.to}/"): blob for blob in blobs.below(upload.to)}
    if other := sorted(there.keys() - content.files.keys()):
        raise Rejected([_mixed(blobs, upload, other)])
    if _is_whole(there, content.files) and _is_sealed(blobs, upload):
        return None
    files = {name: folder / name for name in content.files}
    missing = _missing(upload, files, there)
    wanted = sum(content.files[name] for name in missing)
    kept = len(files) - len(missing)
    resumed = f", of which {kept} {'is' if kept == 1 else 'are'} there" if kept else ""
    counted = sendable.counted(len(files))
    say(f"uploading {upload.path} to {_place(blobs, upload)}: {counted}, {size(content.size)}{resumed}")
    with Progress(wanted) as progress:
        datastore_folder.send(blobs, missing, upload.to, progress.came, progress.whole)
    return content


def _missing(upload: Upload, files: Mapping[str, Path], there: Mapping[str, Blob]) -> dict[str, Path]:
    """Those that no blob holds yet; what arrived before is read, which is told of."""
    if there:
        amount = size(sum(blob.size for blob in there.values()))
        say(f"comparing {upload.path} with what is there of it: {sendable.counted(len(there))}, {amount}")
    return datastore_folder.differing(files, there)


def _is_whole(there: Mapping[str, Blob], files: Mapping[str, int]) -> bool:
    return {name: blob.size for name, blob in there.items()} == dict(files)


def _is_sealed(blobs: Blobs, upload: Upload) -> bool:
    """Whether somebody saw all of it arrive, and the folder unchanged."""
    if not inputs.is_by_content(upload.to):  # it is looked at anew, file by file
        return False
    try:
        return isinstance(json.loads(blobs.read(upload.to + SEAL)), dict)
    except ValueError:
        return False
    except StorageError as error:
        if error.status == 404:
            return False
        raise


def _seal_unless_changed(blobs: Blobs, plan: Plan, upload: Upload, brought: sendable.Content) -> None:
    if changed := list(_changed(plan, upload, "while it was uploaded")):
        raise Rejected(changed)
    if inputs.is_by_content(upload.to):
        told = {"files": len(brought.files), "size": brought.size}
        blobs.write(upload.to + SEAL, json.dumps(told).encode())


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
