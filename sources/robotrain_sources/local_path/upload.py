"""Uploads of local folders by platforms: the files to send, problems, and files that are uploaded already."""

import contextlib
import shlex
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol, TypeVar

from robotrain.errors import Problem, Stage, Suggestion
from robotrain.messages import Messages
from robotrain.model.amounts import format_size
from robotrain.model.plan import Plan
from robotrain.store import code_folder
from robotrain.store.secret_files import find_files_with_secrets
from robotrain_runtime.contract.document import JobSource

from robotrain_sources.local_path import folder_content
from robotrain_sources.local_path.folder_content import parse_pin
from robotrain_sources.local_path.pin import check_pin

make_problem = Messages(__file__)

MAX_NAMES = 3
ASKED_BYTES = 20e9
"""An upload of more is begun only after a yes: it takes hours, and the storage there may be small."""


class LocalUpload(Protocol):
    """An upload of a platform: the folder as it was typed, and the option that named it."""

    @property
    def path(self) -> str:
        """The folder."""

    @property
    def flag(self) -> str:
        """The option."""


Upload = TypeVar("Upload", bound=LocalUpload)


@dataclass(frozen=True, slots=True)
class FolderContent:
    """The content of a folder."""

    files: dict[str, int]
    """The size in bytes of each uploaded file, by path. A checkpoint's manifest is uploaded, but not part of its
    digest.
    """
    unsupported: tuple[str, ...]
    """What is neither file nor folder: links may lead anywhere, and pipes would never end."""
    excluded: tuple[str, ...]
    """Files that stay on this machine."""

    @property
    def size(self) -> int:
        """Bytes that are uploaded."""
        return sum(self.files.values())

    def __str__(self) -> str:
        excluded_note = f" (not uploaded: {summarize_names(self.excluded)})" if self.excluded else ""
        return f"{format_file_count(len(self.files))}, {format_size(self.size)}{excluded_note}"


def scan_folder(folder: Path) -> FolderContent:
    """Return the content of a folder. Raises OSError."""
    files: dict[str, int] = {}
    unsupported_paths: list[str] = []
    excluded_paths: list[str] = []
    for path, folder_entry in folder_content.list_entries(folder, excluded_paths.append):
        if folder_entry.is_file(follow_symlinks=False):
            files[path] = folder_entry.stat(follow_symlinks=False).st_size
        else:
            unsupported_paths.append(path)
    return FolderContent(files, tuple(unsupported_paths), tuple(excluded_paths))


def select_uploaded_part(plan: Plan, path: str) -> Path:
    """Return what is uploaded of a folder: of a policy the model, of code what no ignore file names; so is its pin.

    Of a file, it is a folder with that file alone.
    """
    folder = Path(path)
    sources = [source for source in plan.job.sources if source.uri == path]
    if [source.role for source in sources] == ["code"] and folder.is_dir():
        return code_folder.stage_folder(folder, sources[0].pin)
    if sources and folder_content.is_used_file(folder, sources[0].role):
        return code_folder.stage_file(folder)
    return folder_content.find_used_part(folder, sources[0].role) if len(sources) == 1 else folder


def find_upload_problems(plan: Plan, upload: LocalUpload, platform: str) -> list[Problem]:
    """Return the problems that prevent the upload of a folder, or how it differs from its pin."""
    return [*check_upload(plan, upload, Stage.SUBMIT, platform)] or [*find_changes(plan, upload, "since it was pinned")]


def drop_complete(
    problems: Mapping[Upload, list[Problem]], find_complete: Callable[[Collection[Upload]], Collection[Upload]]
) -> tuple[Collection[Upload], list[Problem]]:
    """Return the uploads with problems that are complete already, whose folders are not needed, and other problems.

    :param find_complete: returns those of some uploads that are complete; called only if there are problems.
    """
    affected_uploads = [upload for upload, upload_problems in problems.items() if upload_problems]
    complete_uploads = find_complete(affected_uploads) if affected_uploads else ()
    return complete_uploads, [
        problem for upload in affected_uploads if upload not in complete_uploads for problem in problems[upload]
    ]


def find_changes(plan: Plan, upload: LocalUpload, when: str, *fixes: Suggestion) -> Iterator[Problem]:
    """Yield a problem for each pin that a folder does not match; whoever reads it would reject it."""
    for source in plan.job.sources:
        if source.pin and source.uri == upload.path:
            try:
                reason = check_pin(select_uploaded_part(plan, upload.path), source.pin)
            except OSError as error:
                reason = f"{error.filename} cannot be read: {error.strerror}."
            if reason:
                yield make_problem(
                    "upload-changed", *fixes, where=upload.flag, given=upload.path, when=when, why=reason
                )


def select_uploaded_sources(plan: Plan, uploaded: Iterable[tuple[str, str]]) -> list[JobSource]:
    """Return the local folders of a plan that are uploaded as they were pinned.

    `uploaded`: the path of each complete upload, and its address, which ends with the digest.
    """
    uploaded_pins = {(path, address.rpartition("/")[2]) for path, address in uploaded}
    folders = [source for source in plan.job.sources if source.kind == "local_path"]
    return [source for source in folders if (pin := parse_pin(source.pin)) and (source.uri, pin.hex) in uploaded_pins]


def check_upload(plan: Plan, upload: LocalUpload, stage: Stage, platform: str) -> Iterator[Problem]:
    """Check that a folder can be uploaded. `platform`: its name in messages."""
    path, flag = upload.path, upload.flag
    try:
        scanned_folder = scan_folder(select_uploaded_part(plan, path))
    except OSError as error:
        yield make_problem(
            "upload-unreadable", where=flag, given=path, stage=stage, filename=error.filename, strerror=error.strerror
        )
        return
    if scanned_folder.unsupported:
        yield make_problem(
            "upload-links",
            where=flag,
            given=path,
            stage=stage,
            platform=platform,
            summarize_names=summarize_names(scanned_folder.unsupported),
            path=path,
        )
    elif not scanned_folder.files:
        yield make_problem("upload-empty", where=flag, given=path, stage=stage, platform=platform)


def describe_upload(
    plan: Plan, upload: LocalUpload, target: str, address: str, *ways: Suggestion, is_kept: bool
) -> Problem:
    """Return how much is to be uploaded: a note, or a question where it is much. Raise OSError.

    :param plan: that of a job that reads the folder.
    :param target: what it is uploaded to, such as `cluster` or `the storage`.
    :param address: where the folder will be.
    :param ways: what the user may do instead of uploading much.
    :param is_kept: whether other jobs find it there, by its content.
    """
    content = scan_folder(select_uploaded_part(plan, upload.path))
    if content.size > ASKED_BYTES:
        size = format_size(content.size)
        return make_problem(
            "upload-large", *ways, where=upload.flag, given=upload.path, target=target, address=address, size=size
        )
    message = "upload-needed" if is_kept else "upload-needed.unpinned"
    return make_problem(message, where=upload.flag, given=upload.path, target=target, address=address, content=content)


def summarize_names(file_names: Sequence[str]) -> str:
    """Return the first names and how many more there are."""
    omitted_note = f" and {len(file_names) - MAX_NAMES} more" if file_names[MAX_NAMES:] else ""
    return f"{', '.join(file_names[:MAX_NAMES])}{omitted_note}"


def format_file_count(files: int) -> str:
    """`1 file`, `3 files`."""
    return f"{files} file{'' if files == 1 else 's'}"


def check_upload_secrets(plan: Plan, upload: LocalUpload) -> Iterator[Problem]:
    """Warn, before a submit, about files that seem to hold secrets, without their content."""
    if secret_files := list(_list_files_with_secrets(select_uploaded_part(plan, upload.path))):
        hidden_path = PurePosixPath(secret_files[0]).with_name(f".{PurePosixPath(secret_files[0]).name}")
        command = f"mv {shlex.quote(secret_files[0])} {shlex.quote(str(hidden_path))}"
        fix = Suggestion(command, "names that begin with a dot are not uploaded")
        stage = Stage.PREFLIGHT
        yield make_problem(
            "upload-secret",
            fix,
            where=upload.flag,
            given=upload.path,
            stage=stage,
            summarize_names=summarize_names(secret_files),
        )


def _list_files_with_secrets(folder: Path) -> Iterator[str]:
    with contextlib.suppress(OSError):  # `check_upload` reports it
        sizes = scan_folder(folder).files
        yield from find_files_with_secrets({name: str(folder / name) for name in sizes}, sizes)


def make_mixed_problem(upload: LocalUpload, address: str, other_names: Collection[str], command: str) -> Problem:
    """Return the problem of a target folder with other files. `command`: removes them."""
    fix = Suggestion(command, "if nobody needs them")
    return make_problem(
        "upload-mixed",
        fix,
        where=upload.flag,
        given=upload.path or address,
        url=address,
        summarize_names=summarize_names(sorted(other_names)),
    )
