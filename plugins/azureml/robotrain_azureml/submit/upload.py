"""Uploads of local folders to the workspace's datastore: once for each content, sealed when complete.

A folder with a digest gets a seal beside it when everything has arrived; then the local folder is not needed any more.
Until then another submit uploads what is missing.
"""

import functools
import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

from robotrain.cluster.outputs import print_progress
from robotrain.errors import Problem, Rejected, Stage
from robotrain.messages import Messages
from robotrain.model.amounts import format_size
from robotrain.model.plan import Plan
from robotrain_azure import storage
from robotrain_azure.arm import ServiceError, StorageError
from robotrain_runtime.contract.document import JobSource
from robotrain_sources.local_path import upload as local_upload
from robotrain_sources.local_path.byte_progress import ByteProgress

from robotrain_azureml.service import datastore, jobs
from robotrain_azureml.service.datastore import DatastoreBlob, DatastoreBlobs
from robotrain_azureml.spec import inputs
from robotrain_azureml.spec.submission_spec import AzureMLSubmissionSpec, DatastoreUpload
from robotrain_azureml.submit.job_file import list_parts

make_problem = Messages(__file__)

ENGINE = "Azure ML"
SEAL_SUFFIX = ".complete.json"


def find_uploaded_sources(plan: Plan) -> list[JobSource]:
    """Return the local folders of a plan that are uploaded as they were pinned. Raises Rejected."""
    uploaded_sources: dict[JobSource, None] = {}
    for part in list_parts(plan, Stage.SUBMIT):
        complete_uploads = find_complete_uploads(part.spec, part.spec.uploads)
        sources = local_upload.select_uploaded_sources(
            part.plan, [(upload.path, upload.to) for upload in complete_uploads]
        )
        uploaded_sources |= dict.fromkeys(sources)
    return [*uploaded_sources]


def find_complete_uploads(spec: AzureMLSubmissionSpec, uploads: Collection[DatastoreUpload]) -> set[DatastoreUpload]:
    """Return the uploads that are complete; empty if that cannot be checked."""
    pinned_uploads = [upload for upload in uploads if inputs.is_by_content(upload.to)]
    if not pinned_uploads:
        return set()
    try:
        with _open_datastore(spec) as blobs:
            return {
                upload for upload in pinned_uploads if is_complete(blobs, upload, list(blobs.list_blobs(upload.to)))
            }
    except (ServiceError, Rejected):
        return set()


def _open_datastore(spec: AzureMLSubmissionSpec) -> AbstractContextManager[DatastoreBlobs]:
    arm = jobs.get_client()
    return datastore.open_datastore(arm, storage.get_datastore(arm, spec.target_workspace, spec.datastore))


def is_complete(blobs: DatastoreBlobs, upload: DatastoreUpload, listed: Collection[DatastoreBlob]) -> bool:
    """Return whether an upload is sealed and nothing of it is missing."""
    if not listed or not inputs.is_by_content(upload.to):  # without a digest, files are compared one by one
        return False
    try:
        seal = json.loads(blobs.read_blob(upload.to + SEAL_SUFFIX))
    except ValueError:
        return False
    except StorageError as error:
        if error.status == 404:
            return False
        raise
    return bool(seal == {"files": len(listed), "size": sum(blob.size for blob in listed)})


class PreparedPart(NamedTuple):
    """A part of a plan that is ready in the workspace, in one line, and whether it is new."""

    line: str
    new: bool


def require_uploadable(plan: Plan, spec: AzureMLSubmissionSpec) -> None:
    """Raise Rejected if folders to upload are invalid, before anything is uploaded."""
    problems = {upload: local_upload.find_upload_problems(plan, upload, ENGINE) for upload in spec.uploads}
    if blocking := _drop_complete(spec, problems):
        raise Rejected(blocking)


def check_uploads(plan: Plan, spec: AzureMLSubmissionSpec) -> Iterator[Problem]:
    """Check folders that are not uploaded yet, say how much they are, and warn of secrets in them."""
    complete_uploads = find_complete_uploads(spec, spec.uploads)
    for upload in spec.uploads:
        if upload in complete_uploads:
            continue
        problems = [*local_upload.check_upload(plan, upload, Stage.PREFLIGHT, ENGINE)]
        if problems:
            yield from problems
        else:
            address, is_kept = _make_uri(spec.datastore, upload), inputs.is_by_content(upload.to)
            yield local_upload.describe_upload(plan, upload, "the datastore", address, is_kept=is_kept)
        yield from local_upload.check_upload_secrets(plan, upload)


def _drop_complete(spec: AzureMLSubmissionSpec, problems: Mapping[DatastoreUpload, list[Problem]]) -> list[Problem]:
    return local_upload.drop_complete(problems, functools.partial(find_complete_uploads, spec))[1]


def upload_folders(plan: Plan, spec: AzureMLSubmissionSpec) -> Iterator[PreparedPart]:
    """Upload the folders of a spec and yield each. Raises Rejected, ArmError, StorageError."""
    if not spec.uploads:
        return
    with _open_datastore(spec) as blobs:
        for upload in spec.uploads:
            try:
                folder_content = _upload_folder(blobs, upload, local_upload.select_uploaded_part(plan, upload.path))
            except ServiceError:
                raise
            except OSError as error:
                reason = f"{error.filename}: {error.strerror}." if error.filename else f"{error}."
                raise Rejected(
                    [make_problem("upload-unreadable", where=upload.flag, given=upload.path, why=reason)]
                ) from error
            if folder_content is not None:
                if change_problems := list(local_upload.find_changes(plan, upload, "while it was uploaded")):
                    raise Rejected(change_problems)
                if inputs.is_by_content(upload.to):
                    seal = {"files": len(folder_content.files), "size": folder_content.size}
                    blobs.write_blob(upload.to + SEAL_SUFFIX, json.dumps(seal).encode())
            state = "was uploaded" if folder_content else "is uploaded already"
            yield PreparedPart(
                f"{upload.path} {state}: {_make_uri(blobs.store.name, upload)}", folder_content is not None
            )


def _upload_folder(blobs: DatastoreBlobs, upload: DatastoreUpload, folder: Path) -> local_upload.FolderContent | None:
    """Upload a folder and return its content; None if it was complete already."""
    blobs_in_storage = list(blobs.list_blobs(upload.to))
    if is_complete(blobs, upload, blobs_in_storage):
        return None
    folder_content = local_upload.scan_folder(folder)
    uploaded = {blob.name.removeprefix(f"{upload.to}/"): blob for blob in blobs_in_storage}
    if other_names := uploaded.keys() - folder_content.files.keys():
        blob_options = (
            f"--account-name {blobs.store.account} --source {blobs.store.container} --pattern '{upload.to}/*'"
        )
        command = f"az storage blob delete-batch {blob_options} --auth-mode login"
        raise Rejected(
            [local_upload.make_mixed_problem(upload, _make_uri(blobs.store.name, upload), other_names, command)]
        )
    files = {name: folder / name for name in folder_content.files}
    if uploaded:
        count = local_upload.format_file_count(len(uploaded))
        size = sum(blob.size for blob in uploaded.values())
        print_progress(f"comparing {upload.path} with its uploaded part: {count}, {format_size(size)}")
    differing_files = datastore.find_differing_files(files, uploaded)
    present_count = len(files) - len(differing_files)
    resume_note = f"; {local_upload.format_file_count(present_count)} uploaded already" if present_count else ""
    print_progress(f"uploading {upload.path} to {_make_uri(blobs.store.name, upload)}: {folder_content}{resume_note}")
    progress = ByteProgress(sum(folder_content.files[name] for name in differing_files))
    try:
        datastore.upload_files(blobs, differing_files, upload.to, progress.add_bytes, progress.add_file)
    except BaseException:
        if progress.complete_bytes:
            print_progress(f"  {format_size(progress.complete_bytes)} are uploaded; repeat the command for the rest")
        raise
    return folder_content


def _make_uri(datastore_name: str, upload: DatastoreUpload) -> str:
    return f"azureml://datastores/{datastore_name}/paths/{upload.to}"
