"""Uploads of a workflow's local inputs: once, complete, and marked with a seal.

`osmo` lists only names, so the name of the seal contains the number of files. A leading dot excludes it from the data.
"""

import dataclasses
import functools
import re
import sys
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from robotrain.errors import Rejected, Stage, Suggestion
from robotrain.messages import Messages
from robotrain.model.plan import Plan
from robotrain_runtime.contract.document import JobSource
from robotrain_sources.local_path import upload as local_upload

from robotrain_osmo.client import service
from robotrain_osmo.client.failures import CommandFailed
from robotrain_osmo.spec.submission_spec import PAYLOAD_FILE, OsmoSubmissionSpec, OsmoUpload, list_parts

make_problem = Messages(__file__)


def prepare_plan(plan: Plan) -> Iterator[str]:
    """Upload the pinned folders of a plan; yield a line with the path and URL of each. Raise Rejected.

    Folders without a digest are uploaded by each submit.
    """
    for part, submission in list_parts(plan, Stage.SUBMIT):
        pinned_uploads = tuple(upload for upload in submission.uploads if upload.path and is_content_addressed(upload))
        upload_folders(part, dataclasses.replace(submission, uploads=pinned_uploads))
        yield from (f"{upload.path} {upload.url}" for upload in pinned_uploads)


MIN_UPLOAD_SECONDS = 900.0
MIN_BYTES_PER_SECOND = 128 << 10
"""A slower upload is cancelled."""
EXCLUDE_PATTERN = r"^(?!(?:.*/)?(?:\.|__pycache__(?:/|$)))"
"""Matches paths of a folder without hidden files and caches, as in `robotrain_sources.local_path`."""


def upload_folders(plan: Plan, submission: OsmoSubmissionSpec) -> None:
    """Upload missing inputs. Raise Rejected if that fails."""
    for upload in find_missing_uploads(plan, submission):
        with _provide_folder(plan, upload) as folder, _attribute_failures(upload):
            count = _upload_folder(submission.cli, upload, folder)
        remove = Suggestion(f"osmo data delete {upload.url}", "removes the uploaded files")
        if count and (changes := [*local_upload.find_changes(plan, upload, "while it was uploaded", remove)]):
            raise Rejected(changes)
        if count and upload.path and is_content_addressed(upload):
            with _attribute_failures(upload), tempfile.TemporaryDirectory(prefix="robotrain-") as temporary:
                seal = Path(temporary) / _make_seal_name(count)
                seal.write_text(f"{local_upload.format_file_count(count)}\n", encoding="utf-8")
                service.query_text(submission.cli, "data", "upload", upload.url, str(seal), seconds=SEAL_SECONDS)


def find_missing_uploads(plan: Plan, submission: OsmoSubmissionSpec) -> list[OsmoUpload]:
    """Return the inputs to upload. A changed folder is not needed if its pinned content is in the storage.

    Raise Rejected with the problems of all others.
    """
    folders = [upload for upload in submission.uploads if upload.path]
    problems = {upload: local_upload.find_upload_problems(plan, upload, "OSMO") for upload in folders}
    uploaded, blocking = local_upload.drop_complete(problems, functools.partial(_select_uploaded, submission.cli))
    if blocking:
        raise Rejected(blocking)
    for upload in uploaded:
        print(f"{upload.path} is already uploaded: {upload.url}", file=sys.stderr, flush=True)
    return [upload for upload in submission.uploads if upload not in uploaded]


def _upload_folder(cli: str, upload: OsmoUpload, folder: Path) -> int:
    """Upload a folder unless it is complete in the storage. Return the number of uploaded files. Raise Rejected."""
    scanned_folder = local_upload.scan_folder(folder)
    name = upload.path or "the payload"
    list_seconds = service.LIST_SECONDS + len(scanned_folder.files) / service.MIN_FILES_PER_SECOND
    stored_files = service.list_stored_files(cli, upload.url, Stage.SUBMIT, list_seconds)
    data_files = _exclude_seal(stored_files)
    if is_complete(upload, stored_files) if upload.path else data_files == scanned_folder.files.keys():
        print(f"{name} is already uploaded: {upload.url}", file=sys.stderr, flush=True)
        return 0
    if other_files := data_files - scanned_folder.files.keys():
        command = f"osmo data delete {upload.url}"
        raise Rejected([local_upload.make_mixed_problem(upload, upload.url, other_files, command)])
    resume_note = f" ({len(data_files)} already uploaded)" if data_files else ""
    print(f"uploading {name} to {upload.url}: {scanned_folder}{resume_note}", file=sys.stderr, flush=True)
    exclude_options = ("-x", EXCLUDE_PATTERN) if scanned_folder.excluded else ()
    upload_seconds = MIN_UPLOAD_SECONDS + scanned_folder.size / MIN_BYTES_PER_SECOND
    words = ("data", "upload", upload.url, f"{folder}/*", *exclude_options)
    is_terminal = sys.stderr.isatty()  # then a progress bar is useful
    service.query_text(cli, *words, seconds=upload_seconds, inherit_stderr=is_terminal)
    missing_files = scanned_folder.files.keys() - service.list_stored_files(cli, upload.url, Stage.SUBMIT, list_seconds)
    if missing_files:  # the command reports success in this case, too
        missing_names = local_upload.summarize_names(sorted(missing_files))
        raise Rejected(
            [
                make_problem(
                    "assets-not-brought",
                    where=upload.flag,
                    given=upload.path or upload.url,
                    count=len(missing_files),
                    file_count=local_upload.format_file_count(len(scanned_folder.files)),
                    names=missing_names,
                )
            ]
        )
    return len(scanned_folder.files)


@contextmanager
def _provide_folder(plan: Plan, upload: OsmoUpload) -> Iterator[Path]:
    """Yield the folder to send, by a path without `$`, which `osmo` would expand."""
    source = local_upload.select_uploaded_part(plan, upload.path) if upload.path else None
    if source and "$" not in str(source):
        yield source  # `osmo` names it in its messages
        return
    with tempfile.TemporaryDirectory(prefix="robotrain-") as temporary:
        folder = Path(temporary) / "folder"
        if source:
            folder.symlink_to(source)
        else:
            folder.mkdir()
            (folder / PAYLOAD_FILE).write_bytes(plan.files[PAYLOAD_FILE])
        yield folder


@contextmanager
def _attribute_failures(upload: OsmoUpload) -> Iterator[None]:
    """Turn a failure of the command into a problem of this upload."""
    try:
        yield
    except CommandFailed as error:
        problem = error.failure.to_problem()
        problem = dataclasses.replace(problem, where=problem.where or upload.flag, given=upload.url)
        raise Rejected([problem]) from error


RUN_FOLDER = "/robotrain/runs/"
"""Part of the URLs without a digest."""
SEAL_SECONDS = 300.0
SEAL_PATTERN = r"\.robotrain-complete-\d+"


def find_uploaded(plan: Plan) -> list[JobSource]:
    """Return the sources of a plan whose pinned content is in the storage."""
    uploaded_sources: list[JobSource] = []
    for part, submission in list_parts(plan, Stage.SUBMIT):
        complete_uploads = _select_uploaded(submission.cli, submission.uploads)
        uploaded_sources += local_upload.select_uploaded_sources(
            part, [(upload.path, upload.url) for upload in complete_uploads]
        )
    return uploaded_sources


def is_content_addressed(upload: OsmoUpload) -> bool:
    """Return whether the URL contains the digest, so that all runs share it."""
    return RUN_FOLDER not in upload.url


def _select_uploaded(cli: str, uploads: Collection[OsmoUpload]) -> list[OsmoUpload]:
    """Return the uploads whose pinned content is complete in the storage; what cannot be listed is none of them."""
    selected_uploads = []
    for upload in uploads:
        if upload.files is not None and is_content_addressed(upload):
            seconds = service.LIST_SECONDS + upload.files / service.MIN_FILES_PER_SECOND
            with suppress(CommandFailed):
                if is_complete(upload, service.list_stored_files(cli, upload.url, Stage.SUBMIT, seconds)):
                    selected_uploads.append(upload)
    return selected_uploads


def _exclude_seal(paths: Collection[str]) -> set[str]:
    return {path for path in paths if not re.fullmatch(SEAL_PATTERN, path)}


def is_complete(upload: OsmoUpload, paths: Collection[str]) -> bool:
    """Return whether there is a seal for exactly this number of files."""
    return is_content_addressed(upload) and _make_seal_name(len(_exclude_seal(paths))) in paths


def _make_seal_name(count: int) -> str:
    return f".robotrain-complete-{count}"
