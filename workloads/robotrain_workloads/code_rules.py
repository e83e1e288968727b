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
MAX_NAMES, MAX_IGNORED = 3, 6
"""Files that a message names, and that a suggested line leaves out."""


def find_code(job: "Job") -> "JobSource | None":
    """Return the source of the user's code; None for a job without."""
    return next((source for source in job.sources if source.role == CODE_ROLE), None)


def check_code(
    job: "Job",
    flag: str = CODE_FLAG,
    check_content: Callable[[CodeContent], Iterable[Problem]] = lambda content: (),
    program: str = "",
) -> Iterator[Problem]:
    """Yield why the folder of a job's code cannot be sent: unreadable, too large, secrets, or links out of it.

    Nothing for a job without code, and for code that the job fetches itself. Nothing is copied, and of a folder of any
    size only the first 100,000 names are looked at. What is too large is not read.

    :param flag: the option that gives the code, for messages.
    :param check_content: yields what the workload itself misses in the folder's files.
    :param program: the path of the program in the code, where it is known: its folder may do alone.
    """
    source = find_code(job)
    if source is None or source.kind != "local_path" or not Path(source.uri).is_dir():
        return
    folder = source.uri
    try:
        code_content = code_folder.scan_folder(Path(folder))
    except OSError as error:
        ways = _suggest_program_folder(folder, program, flag)
        if error.filename and Path(error.filename).is_relative_to(os.path.realpath(folder)):
            name = os.path.relpath(error.filename, os.path.realpath(folder))
            ways += _suggest_ignoring(folder, [name], "what it names stays here")
        reason = redact(f"{error}.")
        yield make_problem("upload-unreadable", *ways, where=flag, given=folder, why=reason)
        return
    if code_content.is_too_large:
        most = f"{code_folder.MAX_FILES:,} files of {format_size(code_folder.MAX_BYTES)}"
        ways = _suggest_less(folder, flag, program)
        yield make_problem("code-too-large", *ways, where=flag, given=folder, most=most)
        return
    if code_content.size > code_folder.LARGE_BYTES:
        size = f"{format_size(code_content.size)} in {len(code_content.files):,} files"
        yield make_problem("code-large", *_suggest_less(folder, flag, program), where=flag, given=folder, size=size)
    yield from check_content(code_content)
    yield from _check_secrets(job, code_content, folder, flag)
    if code_content.links:
        ways = _suggest_program_folder(folder, program, flag)
        link_names = (
            code_content.links
            if len(code_content.links) <= MAX_IGNORED
            else _find_top_names(code_content.links, program)
        )
        if len(link_names) <= MAX_IGNORED:
            ways += _suggest_ignoring(folder, link_names, f"what {code_folder.OWN_IGNORE_FILE} names stays here")
        yield make_problem("upload-links", *ways, where=flag, given=folder, files=_join_names(code_content.links))


def _find_top_names(paths: Iterable[str], program: str) -> list[str]:
    """Return the files and folders of the code that these are in, below the folders that the program is in."""
    top_names = dict[str, None]()
    for path in paths:
        path_parts = path.split("/")
        depth = 1
        while depth < len(path_parts) and program.startswith(f"{'/'.join(path_parts[:depth])}/"):
            depth += 1
        top_names["/".join(path_parts[:depth]) + ("/" if depth < len(path_parts) else "")] = None
    return [*top_names]


def _suggest_program_folder(folder: str, program: str, flag: str) -> list[Suggestion]:
    """Return the option that takes the folder of the program alone; nothing if that is the code already."""
    path = Path(folder, program).parent
    if not program or path == Path(folder) or not Path(folder, program).is_file():
        return []
    short_path = os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
    return [Suggestion(f"{flag} {shlex.quote(short_path)}", "the folder of the program alone")]


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
        listed_names = suspected_names[:MAX_NAMES]
        ignore = _suggest_ignoring(folder, listed_names, f"what {code_folder.OWN_IGNORE_FILE} names stays here")
        flags = shlex.join(
            word for name in (*sorted(allowed_files), *listed_names) for word in ("--allow-secret-file", name)
        )
        allow = Suggestion(flags, f"if {'they are' if len(listed_names) > 1 else 'it is'} meant to be sent")
        yield make_problem(
            "upload-secret", *ignore, allow, where=flag, given=folder, files=_join_names(suspected_names)
        )


def _suggest_less(folder: str, flag: str, program: str) -> list[Suggestion]:
    """Return how less is sent: the folder of the program alone, or without what need not be sent."""
    ways = _suggest_program_folder(folder, program, flag) or [Suggestion(f"{flag} FOLDER", "a smaller folder")]
    file = os.path.join(folder, code_folder.OWN_IGNORE_FILE)
    return [*ways, Suggestion(shlex.quote(file), "names what stays here, as a .gitignore does")]


def _suggest_ignoring(folder: str, ignored_names: Sequence[str], remark: str) -> list[Suggestion]:
    if code_folder.is_commit(folder):  # all of it is sent
        return []
    file = shlex.quote(str(Path(folder, code_folder.OWN_IGNORE_FILE)))
    ignore_lines = shlex.join(f"/{name}" for name in ignored_names)
    command = "printf '%s\\n'" if ignored_names[1:] else "echo"
    return [Suggestion(f"{command} {ignore_lines} >> {file}", remark)]


def _join_names(names: list[str]) -> str:
    more_text = f" and {len(names) - MAX_NAMES} more" if names[MAX_NAMES:] else ""
    return f"{', '.join(names[:MAX_NAMES])}{more_text}"
