"""The user's own code, on the submit side: what every workload with the role `code` checks of its folder."""

import os
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from robotrain.errors import Problem, Suggestion
from robotrain.messages import Messages
from robotrain.model.amounts import format_size
from robotrain.redaction import redact
from robotrain.store import code_folder
from robotrain.store.code_folder import CodeContent
from robotrain.store.secret_files import find_files_with_tokens
from robotrain_runtime.contract.parameter import load_texts

if TYPE_CHECKING:
    from robotrain.model.job import Job
    from robotrain_runtime.contract.document import JobSource

make_problem = Messages(__file__)

CODE_ROLE, CODE_FLAG = "code", "--code"
ALLOW_SECRET_FILE = "allow_secret_file"
MAX_NAMES = 3


def find_code(job: "Job") -> "JobSource | None":
    """Return the source of the user's code; None for a job without."""
    return next((source for source in job.sources if source.role == CODE_ROLE), None)


def check_code(
    job: "Job", flag: str = CODE_FLAG, check_content: Callable[[CodeContent], Iterable[Problem]] = lambda content: ()
) -> Iterator[Problem]:
    """Yield why the folder of a job's code cannot be sent: unreadable, too large, secrets, or links out of it.

    Nothing for a job without code, and for code that the job fetches itself. Nothing is copied, and of a folder of any
    size only the first 100,000 names are looked at.

    :param flag: the option that gives the code, for messages.
    :param check_content: yields what the workload itself misses in the folder's files.
    """
    source = find_code(job)
    if source is None or source.kind != "local_path" or not Path(source.uri).is_dir():
        return
    folder = source.uri
    try:
        content = code_folder.scan_folder(Path(folder))
    except OSError as error:
        reason = redact(f"{error}.")
        yield make_problem("upload-unreadable", where=flag, given=folder, why=reason)
        return
    yield from _check_size(content, folder, flag)
    if content.is_complete:
        yield from check_content(content)
    ignore = code_folder.OWN_IGNORE_FILE
    yield from _check_secrets(job, content, folder, flag)
    if content.links:
        fix = _suggest_ignoring(folder, content.links[:MAX_NAMES], f"what {ignore} names stays here")
        yield make_problem("upload-links", fix, where=flag, given=folder, files=_join_names(content.links))


def _check_secrets(job: "Job", content: CodeContent, folder: str, flag: str) -> Iterator[Problem]:
    """Yield an error for files that look like secrets, by name or content, unless the job allows them."""
    try:
        allowed = {os.path.normpath(path) for path in load_texts(dict(job.parameters).get(ALLOW_SECRET_FILE))}
    except ValueError:  # reported where values are converted
        allowed = set[str]()
    suspected = {*content.secrets, *find_files_with_tokens(content.files, content.sizes)} - allowed
    if names := sorted(suspected):
        shown = names[:MAX_NAMES]
        ignore = _suggest_ignoring(folder, shown, f"what {code_folder.OWN_IGNORE_FILE} names stays here")
        flags = shlex.join(word for name in (*sorted(allowed), *shown) for word in ("--allow-secret-file", name))
        allow = Suggestion(flags, f"if {'they are' if len(shown) > 1 else 'it is'} meant to be sent")
        yield make_problem("upload-secret", ignore, allow, where=flag, given=folder, files=_join_names(names))


def _check_size(content: CodeContent, folder: str, flag: str) -> Iterator[Problem]:
    """Yield an error for a folder that is too large to be sent as code, and a warning for a large one."""
    largest = sorted(content.sizes, key=lambda path: content.sizes[path], reverse=True)[:MAX_NAMES]
    named = ", ".join(f"{path} ({format_size(content.sizes[path])})" for path in largest)
    if content.is_too_large:
        most = f"{code_folder.MAX_FILES:,} files of {format_size(code_folder.MAX_BYTES)}"
        counted = f"{format_size(content.size)} in {len(content.files):,} files"
        stopped = f"Counting stopped at {len(content.files):,} files among {content.names.total():,} names."
        reason = f"It has {counted}; the largest: {named}." if content.is_complete else stopped
        fix = Suggestion(f"{flag} FOLDER", "the folder of the program alone")
        if heaviest := content.find_heaviest():
            fix = _suggest_ignoring(folder, [heaviest], "most of it stays here")
        yield make_problem("code-too-large", fix, where=flag, given=folder, most=most, why=reason)
    elif content.size > code_folder.LARGE_BYTES:
        fix = _suggest_ignoring(folder, [content.find_heaviest()], "if the program does not need it")
        yield make_problem("code-large", fix, where=flag, given=folder, size=format_size(content.size), named=named)


def _suggest_ignoring(folder: str, names: Sequence[str], remark: str) -> Suggestion:
    file = shlex.quote(str(Path(folder, code_folder.OWN_IGNORE_FILE)))
    lines = shlex.join(f"/{name}" for name in names)
    return Suggestion(f"printf '%s\\n' {lines} >> {file}" if names[1:] else f"echo {lines} >> {file}", remark)


def _join_names(names: list[str]) -> str:
    more = f" and {len(names) - MAX_NAMES} more" if names[MAX_NAMES:] else ""
    return f"{', '.join(names[:MAX_NAMES])}{more}"
