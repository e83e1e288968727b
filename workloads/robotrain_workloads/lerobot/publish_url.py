"""The --publish-url of a job: an absolute folder, a file URL or a remote URL, and whether it can be written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

PUBLISH_URL_FLAG = "--publish-url"
FILE_SCHEME = "file:"
OTHER_FOLDER_HINT = f"{PUBLISH_URL_FLAG} another folder"


def is_remote_url(url: str) -> bool:
    """Whether it is an address, and not that of a file: who takes it is known to the source kinds."""
    return "://" in url and not url.strip().lower().startswith(FILE_SCHEME)


def parse_folder(url: str) -> str:
    """The folder as a normal path; empty for none. Raises ValueError with a sentence when it names none."""
    path = url
    if url.lower().startswith(FILE_SCHEME):
        path = url[len(FILE_SCHEME) :]
        if path.startswith("//"):
            host, slash, rest = path[2:].partition("/")
            if host not in ("", "localhost"):
                raise ValueError("A file address names no other machine.")
            path = slash + rest
        if set(path) & set("?#"):
            raise ValueError("A file address takes no query and no fragment.")
        path = unquote(path)
    if path and not path.startswith("/"):
        raise ValueError("Where a relative folder starts from is another place on another machine.")
    return os.path.normpath("/" + path.lstrip("/")) if path else ""


def parse_publish_url(url: str) -> str:
    """The folder as a normal path, or the address. Raises ValueError as `folder` does."""
    return url if is_remote_url(url) else parse_folder(url)


def find_write_problems(url: str, output: Path, artifacts: str) -> Iterator[str]:
    """The same, whatever lies there already. what: is to be copied there, and saved in `output` before."""
    if is_remote_url(url):
        return  # asked there
    try:
        to = Path(parse_folder(url) or "/")
    except ValueError as error:
        yield f"{artifacts} cannot be published: {error}"
        return
    if to == Path("/"):
        return
    cannot = f"{artifacts} cannot be published to {to}"
    if output in (to, *to.parents):
        yield f"{cannot}: they are saved in {output}\n{OTHER_FOLDER_HINT}"
    elif to.exists() and not to.is_dir():
        yield f"{cannot}: it is a file"
    elif not to.parent.is_dir():
        yield f"{cannot}: there is no {to.parent}\nmkdir -p {to.parent}"
    elif not os.access(to if to.is_dir() else to.parent, os.W_OK | os.X_OK):
        yield f"{cannot}: the user that runs the job may not write there"
