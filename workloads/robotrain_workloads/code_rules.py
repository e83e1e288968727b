"""The user's own code, on the submit side: what every workload with the role `code` checks of its folder."""

import os
import shlex
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from robotrain.errors import Problem, Suggestion
from robotrain.messages import Messages
from robotrain.model.amounts import format_size
from robotrain.redaction import redact
from robotrain.slow_notice import SlowNotice
from robotrain.store import code_folder
from robotrain.store.code_folder import CodeContent
from robotrain.store.secret_files import find_files_with_secrets
from robotrain_runtime.contract.parameter import load_texts

if TYPE_CHECKING:
    from robotrain.model.job import Job
    from robotrain_runtime.contract.document import JobSource

make_problem = Messages(__file__)

CODE_ROLE, CODE_FLAG = "code", "--code"
ALLOW_SECRET_FILE = "allow_secret_file"
MAX_NAMES = 3
"""Files that a message names."""


def find_code(job: "Job") -> "JobSource | None":
    """Return the source of the user's code; None for a job without."""
    return next((source for source in job.sources if source.role == CODE_ROLE), None)


def check_code(
    job: "Job",
    flag: str = CODE_FLAG,
    check_content: Callable[[CodeContent], Iterable[Problem]] = lambda content: (),
) -> Iterator[Problem]:
    """Yield why the folder of a job's code cannot be sent: unreadable, too large, secrets, or links out of it.

    Nothing for a job without code, and for code that the job fetches itself. Nothing is copied, and of a folder of any
    size only the first 100,000 names are looked at. What is too large is not read.

    :param flag: the option that gives the code, for messages.
    :param check_content: yields what the workload itself misses in the folder's files.
    """
    source = find_code(job)
    if source is None or source.kind != "local_path" or not Path(source.uri).is_dir():
        return
    folder = source.uri
    try:
        code_content = code_folder.scan_folder(Path(folder))
    except OSError as error:
        reason = redact(f"{error}.")
        yield make_problem("upload-unreadable", *_suggest_ignoring(folder), where=flag, given=folder, why=reason)
        return
    smaller = Suggestion(f"{flag} FOLDER", "a smaller folder")
    if code_content.is_too_large:
        most = f"{code_folder.MAX_FILES:,} files of {format_size(code_folder.MAX_BYTES)}"
        yield make_problem("code-too-large", smaller, *_suggest_ignoring(folder), where=flag, given=folder, most=most)
        return
    if code_content.size > code_folder.LARGE_BYTES:
        size = f"{format_size(code_content.size)} in {len(code_content.files):,} files"
        yield make_problem("code-large", smaller, *_suggest_ignoring(folder), where=flag, given=folder, size=size)
    yield from check_content(code_content)
    yield from _check_secrets(job, code_content, folder, flag)
    if code_content.links:
        yield make_problem(
            "upload-links", *_suggest_ignoring(folder), where=flag, given=folder, files=_join_names(code_content.links)
        )


def _check_secrets(job: "Job", content: CodeContent, folder: str, flag: str) -> Iterator[Problem]:
    """Yield an error for files that look like secrets, by name or content, unless the job allows them."""
    try:
        allowed_files = {os.path.normpath(path) for path in load_texts(dict(job.parameters).get(ALLOW_SECRET_FILE))}
    except ValueError:  # reported where values are converted
        allowed_files = set[str]()
    notice = SlowNotice(f"looking for secrets in the folder of code {folder}")
    suspected = {
        *content.secrets,
        *find_files_with_secrets(content.files, content.sizes, notice.update),
    } - allowed_files
    if suspected_names := sorted(suspected):
        flags = shlex.join(
            word
            for name in (*sorted(allowed_files), *suspected_names[:MAX_NAMES])
            for word in ("--allow-secret-file", name)
        )
        allow = Suggestion(flags, "if it is meant to be sent")
        yield make_problem(
            "upload-secret",
            *_suggest_ignoring(folder),
            allow,
            where=flag,
            given=folder,
            files=_join_names(suspected_names),
        )


def _suggest_ignoring(folder: str) -> list[Suggestion]:
    """Return what leaves files of a folder out; nothing for a commit, of which all is sent."""
    file = os.path.join(folder, code_folder.OWN_IGNORE_FILE)
    is_commit = code_folder.is_commit(folder)
    return [] if is_commit else [Suggestion(shlex.quote(file), "names what stays here, as a .gitignore does")]


def _join_names(names: list[str]) -> str:
    more_text = f" and {len(names) - MAX_NAMES} more" if names[MAX_NAMES:] else ""
    return f"{', '.join(names[:MAX_NAMES])}{more_text}"
