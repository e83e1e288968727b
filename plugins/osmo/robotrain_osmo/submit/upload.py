"""Upload what a workflow reads from this machine: once, completely, and verified by a seal.

`osmo` tells names alone: the seal's says how many files there are. It begins with a dot, so it is no part of the data.
"""

import dataclasses
import re
import sys
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from robotrain.errors import Problem, Rejected, Stage, Suggestion
from robotrain.model.plan import Plan
from robotrain_azure import upload_rules
from robotrain_runtime.contract.document import JobSource

from robotrain_osmo.client import service
from robotrain_osmo.client.failures import CommandFailed
from robotrain_osmo.spec import submission_spec
from robotrain_osmo.spec.submission_spec import PAYLOAD_FILE, OsmoSubmissionSpec, OsmoUpload


def prepare_plan(plan: Plan) -> Iterator[str]:
    """Upload its folders; then a line for each, with the address that it lies at. Raises Rejected.

    What goes to a place of one run alone, having no digest, is uploaded anew by the submit: it is left to that.
    """
    order = submission_spec.load_submission_spec(plan, Stage.SUBMIT)
    ahead = tuple(one for one in order.uploads if one.path and is_content_addressed(one))
    upload_folders(plan, dataclasses.replace(order, uploads=ahead))
    yield from (f"{one.path} {one.url}" for one in ahead)


MIN_UPLOAD_SECONDS = 900.0
MIN_BYTES_PER_SECOND = 128 << 10
"""An upload that is slower than this altogether is given up."""
EXCLUDE_PATTERN = r"^(?!(?:.*/)?(?:\.|__pycache__(?:/|$)))"
"""All but what is kept here, as `listing` says, for `osmo`, which looks at paths below the folder."""


def upload_folders(plan: Plan, order: OsmoSubmissionSpec) -> None:
    """Upload what is not there yet. Raises Rejected: then nothing of the workflow was sent."""
    for upload in find_missing_uploads(plan, order):
        with _provide_folder(plan, upload) as folder, _attribute_failures(upload):
            new = _upload_folder(order.cli, upload, folder)
        if new and (changed := list(find_changes(plan, upload, "while it was uploaded"))):
            raise Rejected(changed)
        if new and upload.path and is_content_addressed(upload):
            with _attribute_failures(upload):
                write_seal(order.cli, upload.url, new)


def find_missing_uploads(plan: Plan, order: OsmoSubmissionSpec) -> list[OsmoUpload]:
    """What is uploaded, or found there, by its folder; where that is not what it was, what is there counts, if it is
    whole. Raises Rejected with all that is wrong.
    """
    wrong = {upload: list(_find_upload_problems(plan, upload)) for upload in order.uploads if upload.path}
    held = {upload for upload, found in wrong.items() if found and is_uploaded(order.cli, upload)}
    if found := [problem for upload, problems in wrong.items() if upload not in held for problem in problems]:
        raise Rejected(found)
    for upload in held:
        _print_already_uploaded(upload)
    return [upload for upload in order.uploads if upload not in held]


def check_uploadable(plan: Plan, upload: OsmoUpload, stage: Stage) -> Iterator[Problem]:
    """Why a folder cannot be uploaded."""
    yield from upload_rules.check_upload(
        upload.path, upload.flag, upload_rules.select_uploaded_part(plan, upload.path), stage, "OSMO"
    )


def _find_upload_problems(plan: Plan, upload: OsmoUpload) -> list[Problem]:
    return [*check_uploadable(plan, upload, Stage.SUBMIT)] or [*find_changes(plan, upload, "since it was pinned")]


def _upload_folder(cli: str, upload: OsmoUpload, folder: Path) -> int:
    """Upload a folder, unless all of it is there: how many files were uploaded. Raises Rejected."""
    content = upload_rules.scan_folder(folder)
    patience = service.LIST_SECONDS + len(content.files) / service.MIN_FILES_PER_SECOND
    found = service.list_stored_files(cli, upload.url, Stage.SUBMIT, patience)
    there = exclude_seal(found)
    if is_complete(upload, found) if upload.path else there == content.files.keys():
        _print_already_uploaded(upload)
        return 0
    if there - content.files.keys():
        raise Rejected([make_other_files_problem(upload, sorted(there - content.files.keys()))])
    resumed = f", of which {len(there)} {'is' if len(there) == 1 else 'are'} there" if there else ""
    _print_line(f"uploading {_describe_upload(upload)} to {upload.url}: {content}{resumed}")
    kept = ("-x", EXCLUDE_PATTERN) if content.excluded else ()
    seconds = MIN_UPLOAD_SECONDS + content.size / MIN_BYTES_PER_SECOND
    words = ("data", "upload", upload.url, f"{folder}/*", *kept)
    service.raise_for_failure(
        service.call_command(cli, *words, seconds=seconds, inherit_stderr=_is_terminal()), Stage.SUBMIT
    )
    lacking = content.files.keys() - service.list_stored_files(cli, upload.url, Stage.SUBMIT, patience)
    if lacking:  # it ends with success all the same
        raise Rejected([make_incomplete_problem(upload, sorted(lacking), len(content.files))])
    return len(content.files)


@contextmanager
def _provide_folder(plan: Plan, upload: OsmoUpload) -> Iterator[Path]:
    """The folder whose files are sent, by a path that `osmo` reads as it is: it would put variables into it."""
    with tempfile.TemporaryDirectory(prefix="robotrain-") as own:
        folder = Path(own) / "folder"
        if upload.path:
            folder.symlink_to(upload_rules.select_uploaded_part(plan, upload.path))
        else:
            folder.mkdir()
            (folder / PAYLOAD_FILE).write_bytes(plan.files[PAYLOAD_FILE])
        yield folder if not upload.path or "$" in upload.path else upload_rules.select_uploaded_part(plan, upload.path)


@contextmanager
def _attribute_failures(upload: OsmoUpload) -> Iterator[None]:
    """What the command refuses is told of this upload."""
    try:
        yield
    except CommandFailed as refused:
        problem = refused.failure.to_problem()
        given = upload.url
        raise Rejected([dataclasses.replace(problem, where=problem.where or upload.flag, given=given)]) from refused


def _is_terminal() -> bool:
    """Whether a progress bar is of use."""
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError):
        return False


def _print_already_uploaded(upload: OsmoUpload) -> None:
    _print_line(f"{_describe_upload(upload)} is there already: {upload.url}")


def _describe_upload(upload: OsmoUpload) -> str:
    return upload.path or "the payload"


def _print_line(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


RUN_FOLDER = "/robotrain/runs/"
"""Below it lies what has no digest in its address: it is uploaded anew."""
SEAL_SECONDS = 300.0
SEAL_PATTERN = r"\.robotrain-complete-\d+"


def find_uploaded(plan: Plan, order: OsmoSubmissionSpec) -> list[JobSource]:
    """The folders of a plan that are there as they were pinned."""
    held = [upload for upload in order.uploads if is_uploaded(order.cli, upload)]
    return upload_rules.select_uploaded_sources(plan, {(upload.path, upload.url.rpartition("/")[2]) for upload in held})


def is_content_addressed(upload: OsmoUpload) -> bool:
    """Whether its address is its digest, so that it is the same for everybody."""
    return RUN_FOLDER not in upload.url


def is_uploaded(cli: str, upload: OsmoUpload) -> bool:
    """Whether all of what was pinned lies there, whatever the folder holds now; False where that cannot be seen."""
    if upload.files is None or not is_content_addressed(upload):
        return False
    patience = service.LIST_SECONDS + upload.files / service.MIN_FILES_PER_SECOND
    try:
        return is_complete(upload, service.list_stored_files(cli, upload.url, Stage.SUBMIT, patience))
    except CommandFailed:
        return False


def exclude_seal(paths: Collection[str]) -> set[str]:
    """What lies there, without its seal."""
    return {path for path in paths if not re.fullmatch(SEAL_PATTERN, path)}


def is_complete(upload: OsmoUpload, paths: Collection[str]) -> bool:
    """Whether what lies there is sealed, and none of what was sealed is missing."""
    return is_content_addressed(upload) and _make_seal_name(len(exclude_seal(paths))) in paths


def write_seal(cli: str, url: str, count: int) -> None:
    """Say of a folder of so many files that it is whole. Raises Refused."""
    with tempfile.TemporaryDirectory(prefix="robotrain-") as own:
        file = Path(own) / _make_seal_name(count)
        file.write_text(f"{upload_rules.format_file_count(count)}\n", encoding="utf-8")
        service.raise_for_failure(
            service.call_command(cli, "data", "upload", url, str(file), seconds=SEAL_SECONDS), Stage.SUBMIT
        )


def _make_seal_name(count: int) -> str:
    return f".robotrain-complete-{count}"


def find_changes(plan: Plan, upload: OsmoUpload, when: str) -> Iterator[Problem]:
    """The folder is not what the workflow expects: it would refuse it there."""
    for why in upload_rules.find_pin_mismatches(plan, upload.path) if upload.path else ():
        yield _make_upload_problem(
            upload, "upload-changed", f"the folder changed {when}", why, *_suggest_retry(upload, when)
        )


def _suggest_retry(upload: OsmoUpload, when: str) -> tuple[Suggestion, ...]:
    again = Suggestion("the same command", "pins what is there now")
    if "while" not in when:
        return (again,)
    return (Suggestion(f"osmo data delete {upload.url}", "removes what was uploaded of it"), again)


def make_other_files_problem(upload: OsmoUpload, names: list[str]) -> Problem:
    """Files lie there that the folder does not have."""
    return _make_upload_problem(
        upload,
        "upload-mixed",
        "something else lies where this would be uploaded to",
        f"{upload.url} holds {upload_rules.summarize_names(names)}.",
        Suggestion(f"osmo data delete {upload.url}", "when nobody reads it"),
    )


def make_incomplete_problem(upload: OsmoUpload, names: list[str], count: int) -> Problem:
    """Files are missing of so many that were uploaded."""
    return _make_upload_problem(
        upload,
        "upload-incomplete",
        f"{len(names)} of {upload_rules.format_file_count(count)} did not arrive",
        f"`osmo data upload` ended with success, and {upload_rules.summarize_names(names)} {'are' if names[1:] else 'is'} not there.",
        Suggestion("the same command", "uploads what is missing"),
    )


def _make_upload_problem(upload: OsmoUpload, code: str, title: str, why: str, *instead: Suggestion) -> Problem:
    given = upload.path or upload.url
    return Problem(
        code=code, stage=Stage.SUBMIT, title=title, where=upload.flag, given=given, why=why, suggestions=instead
    )
