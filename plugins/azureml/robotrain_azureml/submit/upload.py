"""Local folders uploaded to the workspace's datastore: by content, once, sealed when complete.

Then it counts, whatever became of the folder on this machine.

What has a digest in its address is sealed there, beside its folder, when all of it arrived; until then another submit
goes on with what is missing.
"""

import json
import sys
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from robotrain.errors import Problem, Rejected, Stage, Suggestion
from robotrain.model.amounts import format_size
from robotrain.model.plan import Plan
from robotrain_azure import upload_rules
from robotrain_azure.arm import ArmError
from robotrain_runtime.contract.document import JobSource

from robotrain_azureml.service import datastore, folder_transfer, jobs
from robotrain_azureml.service.datastore import DatastoreBlob, DatastoreBlobs, StorageError
from robotrain_azureml.spec import inputs
from robotrain_azureml.spec.submission_spec import AzureMLSubmissionSpec, DatastoreUpload

SEAL_SUFFIX = ".complete.json"


def find_uploaded_sources(plan: Plan, spec: AzureMLSubmissionSpec) -> list[JobSource]:
    """The folders of a plan that are there as they were pinned."""
    return upload_rules.select_uploaded_sources(
        plan, {(upload.path, upload.to.rpartition("/")[2]) for upload in find_complete_uploads(spec)}
    )


def find_complete_uploads(spec: AzureMLSubmissionSpec) -> set[DatastoreUpload]:
    """The uploads of which all is there; none where that cannot be seen."""
    pinned = [upload for upload in spec.uploads if inputs.is_by_content(upload.to)]
    if not pinned:
        return set()
    try:
        arm = jobs.get_client()
        with datastore.open_datastore(
            arm, datastore.get_datastore(arm, spec.target_workspace, spec.datastore)
        ) as blobs:
            return {upload for upload in pinned if is_complete(blobs, upload, list(blobs.list_blobs(upload.to)))}
    except (ArmError, StorageError, Rejected):
        return set()


def is_complete(blobs: DatastoreBlobs, upload: DatastoreUpload, listed: Collection[DatastoreBlob]) -> bool:
    """Whether it is sealed, and none of what was sealed is missing: no folder needs to be looked at."""
    if not listed or not inputs.is_by_content(upload.to):  # one without a digest is looked at anew, file by file
        return False
    return _read_seal(blobs, upload) == {"files": len(listed), "size": sum(blob.size for blob in listed)}


def write_seal(blobs: DatastoreBlobs, upload: DatastoreUpload, files: int, size: int) -> None:
    """Say that all of it arrived, and the folder unchanged."""
    if inputs.is_by_content(upload.to):
        blobs.write_blob(upload.to + SEAL_SUFFIX, json.dumps({"files": files, "size": size}).encode())


def _read_seal(blobs: DatastoreBlobs, upload: DatastoreUpload) -> object:
    try:
        return json.loads(blobs.read_blob(upload.to + SEAL_SUFFIX))
    except ValueError:
        return None
    except StorageError as error:
        if error.status == 404:
            return None
        raise


LINE_INTERVAL_SECONDS = 10.0
"""Seconds between two lines."""


class UploadProgress:
    """total: bytes that are to come. Heard by several threads."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._there = self._whole = 0
        self._next = time.monotonic() + LINE_INTERVAL_SECONDS
        self._lock = threading.Lock()

    def __enter__(self) -> "UploadProgress":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with self._lock:
            if error is not None and self._whole:
                print_progress(
                    f"  {format_size(self._whole)} arrived, and stay there: the same command goes on with the rest"
                )

    def add_file(self, count: int) -> None:
        """A file of so many bytes arrived: a part of one is sent again."""
        with self._lock:
            self._whole += count

    def add_bytes(self, count: int) -> None:
        """So many bytes more."""
        with self._lock:
            self._there += count
            if time.monotonic() >= self._next:
                self._next = time.monotonic() + LINE_INTERVAL_SECONDS
                share = min(100, self._there * 100 // max(1, self._total))
                print_progress(f"  {share} %: {format_size(self._there)} of {format_size(self._total)}")


def print_progress(line: str) -> None:
    """To whoever watches."""
    print(line, file=sys.stderr, flush=True)


class PreparedPart(NamedTuple):
    """Something that is there now: a line of it, and whether it is new."""

    line: str
    new: bool


def require_uploadable(plan: Plan, spec: AzureMLSubmissionSpec) -> None:
    """Look at the folders themselves, before anything is brought. Raises Rejected with all that is wrong with them."""
    if found := _drop_complete(spec, {upload: _check_pinned_folder(plan, upload) for upload in spec.uploads}):
        raise Rejected(found)


def check_uploads(plan: Plan, spec: AzureMLSubmissionSpec) -> Iterator[Problem]:
    """Why folders cannot be uploaded that are not there yet, and what in them had better not be; as a look ahead."""
    yield from _drop_complete(
        spec, {upload: list(_check_folder(plan, upload, Stage.PREFLIGHT)) for upload in spec.uploads}
    )
    for upload in spec.uploads:
        folder = upload_rules.select_uploaded_part(plan, upload.path)
        yield from upload_rules.check_upload_secrets(upload.path, upload.flag, folder, Stage.PREFLIGHT)


def _check_folder(plan: Plan, upload: DatastoreUpload, stage: Stage) -> Iterator[Problem]:
    yield from upload_rules.check_upload(
        upload.path, upload.flag, upload_rules.select_uploaded_part(plan, upload.path), stage, "Azure ML"
    )


def _check_pinned_folder(plan: Plan, upload: DatastoreUpload) -> list[Problem]:
    return [*_check_folder(plan, upload, Stage.SUBMIT)] or [*_check_unchanged(plan, upload, "since it was pinned")]


def _drop_complete(spec: AzureMLSubmissionSpec, problems: Mapping[DatastoreUpload, list[Problem]]) -> list[Problem]:
    """What is wrong with folders, but those of which all is there: they are needed no more."""
    there = find_complete_uploads(spec) if any(problems.values()) else set()
    return [problem for upload, found in problems.items() if upload not in there for problem in found]


def upload_folders(plan: Plan, spec: AzureMLSubmissionSpec) -> Iterator[PreparedPart]:
    """Upload what is not there yet; each folder is told of. Raises Rejected, ArmError, StorageError."""
    if not spec.uploads:
        return
    arm = jobs.get_client()
    with datastore.open_datastore(arm, datastore.get_datastore(arm, spec.target_workspace, spec.datastore)) as blobs:
        for upload in spec.uploads:
            try:
                brought = _upload_folder(blobs, upload, upload_rules.select_uploaded_part(plan, upload.path))
            except (ArmError, StorageError):
                raise
            except OSError as error:
                raise Rejected([_make_unreadable_problem(upload, error)]) from error
            if brought is not None:
                _seal_unless_changed(blobs, plan, upload, brought)
            how = "was uploaded" if brought else "is there already"
            yield PreparedPart(f"{upload.path} {how}: {_make_uri(blobs, upload)}", brought is not None)


def _upload_folder(blobs: DatastoreBlobs, upload: DatastoreUpload, folder: Path) -> upload_rules.FolderContent | None:
    """What it holds when it was uploaded; None where all of it was there and sealed."""
    found = list(blobs.list_blobs(upload.to))
    if is_complete(blobs, upload, found):
        return None
    content = upload_rules.scan_folder(folder)
    there = {blob.name.removeprefix(f"{upload.to}/"): blob for blob in found}
    if other := sorted(there.keys() - content.files.keys()):
        raise Rejected([_make_mixed_problem(blobs, upload, other)])
    files = {name: folder / name for name in content.files}
    missing = _find_missing_files(upload, files, there)
    wanted = sum(content.files[name] for name in missing)
    kept = len(files) - len(missing)
    resumed = f", of which {kept} {'is' if kept == 1 else 'are'} there" if kept else ""
    print_progress(f"uploading {upload.path} to {_make_uri(blobs, upload)}: {content}{resumed}")
    with UploadProgress(wanted) as progress:
        folder_transfer.upload_files(blobs, missing, upload.to, progress.add_bytes, progress.add_file)
    return content


def _find_missing_files(
    upload: DatastoreUpload, files: Mapping[str, Path], uploaded: Mapping[str, DatastoreBlob]
) -> dict[str, Path]:
    """Those that no blob holds yet; what arrived before is read, which is told of."""
    if uploaded:
        amount = format_size(sum(blob.size for blob in uploaded.values()))
        print_progress(
            f"comparing {upload.path} with what is there of it: {upload_rules.format_file_count(len(uploaded))}, {amount}"
        )
    return folder_transfer.find_differing_files(files, uploaded)


def _seal_unless_changed(
    blobs: DatastoreBlobs, plan: Plan, upload: DatastoreUpload, content: upload_rules.FolderContent
) -> None:
    if changed := list(_check_unchanged(plan, upload, "while it was uploaded")):
        raise Rejected(changed)
    write_seal(blobs, upload, len(content.files), content.size)


def _check_unchanged(plan: Plan, upload: DatastoreUpload, when: str) -> Iterator[Problem]:
    """The folder is not what the job expects: it would refuse it there."""
    again = Suggestion("the same command", "pins what is there now")
    for why in upload_rules.find_pin_mismatches(plan, upload.path):
        yield _make_problem(upload, "upload-changed", f"the folder changed {when}", why, again)


def _make_mixed_problem(blobs: DatastoreBlobs, upload: DatastoreUpload, names: list[str]) -> Problem:
    store = blobs.store
    where = f"--account-name {store.account} --source {store.container} --pattern '{upload.to}/*' --auth-mode login"
    return _make_problem(
        upload,
        "upload-mixed",
        "something else lies where this would be uploaded to",
        f"{_make_uri(blobs, upload)} holds {upload_rules.summarize_names(names)}.",
        Suggestion(f"az storage blob delete-batch {where}", "when nobody reads it"),
    )


def _make_unreadable_problem(upload: DatastoreUpload, error: OSError) -> Problem:
    why = f"{error.filename}: {error.strerror}." if error.filename else f"{error}."
    return _make_problem(upload, "upload-unreadable", "what is to be uploaded cannot be read", why)


def _make_problem(upload: DatastoreUpload, code: str, title: str, reason: str, *instead: Suggestion) -> Problem:
    return Problem(
        code=code,
        stage=Stage.SUBMIT,
        title=title,
        where=upload.flag,
        given=upload.path,
        why=reason,
        suggestions=instead,
    )


def _make_uri(blobs: DatastoreBlobs, upload: DatastoreUpload) -> str:
    """As a job names it."""
    return f"azureml://datastores/{blobs.store.name}/paths/{upload.to}"
