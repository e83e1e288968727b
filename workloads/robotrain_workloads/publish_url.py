"""The --publish-url of a job: an absolute folder, a file URL or a remote URL, and whether it is writable."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from robotrain_runtime.contract.problem import Problem, make_data_problem

if TYPE_CHECKING:
    from robotrain_runtime.contract.container_plugin import ArtifactTarget
    from robotrain_runtime.contract.document import JobDocument

PUBLISH_URL_FLAG = "--publish-url"
FILE_SCHEME = "file:"
OTHER_FOLDER_HINT = f"{PUBLISH_URL_FLAG} another folder"


def is_remote_url(url: str) -> bool:
    """Return whether it is a URL other than that of a file; source kinds decide who writes there."""
    return "://" in url and not url.strip().lower().startswith(FILE_SCHEME)


def parse_folder(url: str) -> str:
    """Return the folder as a normal path; empty for none. Raise ValueError with a sentence for anything else."""
    path = url
    if url.lower().startswith(FILE_SCHEME):
        path = url[len(FILE_SCHEME) :]
        if path.startswith("//"):
            host, slash, local_path = path[2:].partition("/")
            if host not in ("", "localhost"):
                raise ValueError("A file URL cannot name another machine.")
            path = slash + local_path
        if set(path) & set("?#"):
            raise ValueError("A file URL has no query and no fragment.")
        path = unquote(path)
    if re.search(r"[\x00-\x1f\x7f-\x9f]", path):
        raise ValueError("The name of a folder has no control characters.")
    if path and not path.startswith("/"):
        raise ValueError("A relative folder would be another place on another machine.")
    return os.path.normpath("/" + path.lstrip("/")) if path else ""


def parse_publish_url(url: str) -> str:
    """Return the folder as a normal path, or the URL. Raise ValueError as `parse_folder` does."""
    return url if is_remote_url(url) else parse_folder(url)


def list_targets(document: "JobDocument", data: object) -> "Iterator[ArtifactTarget]":
    """Yield the target of a job's `--publish-url`, if it has one. Raise ValueError as `parse_folder` does."""
    from robotrain_runtime.contract.container_plugin import ArtifactTarget  # costs start-up

    if url := str(document.parameters["publish_url"] or ""):
        yield ArtifactTarget(to=parse_publish_url(url), suggestion=OTHER_FOLDER_HINT)


def find_write_problems(url: str, output: Path, artifacts: str) -> Iterator[Problem | str]:
    """Yield why `artifacts`, which are saved in `output`, cannot be copied there; remote URLs are checked elsewhere."""
    if is_remote_url(url):
        return
    try:
        target = Path(parse_folder(url) or "/")
    except ValueError as error:
        yield f"{artifacts} cannot be published: {error}"
        return
    if target == Path("/"):
        return
    prefix = f"{artifacts} cannot be published to {target}"
    if output in (target, *target.parents):
        yield make_data_problem(f"{prefix}: they are saved in {output}", OTHER_FOLDER_HINT)
    elif target.exists() and not target.is_dir():
        yield f"{prefix}: it is a file"
    elif not target.parent.is_dir():
        yield make_data_problem(f"{prefix}: there is no {target.parent}", f"mkdir -p {target.parent}")
    elif not os.access(target if target.is_dir() else target.parent, os.W_OK | os.X_OK):
        yield f"{prefix}: the user that runs the job has no permission to write there"
