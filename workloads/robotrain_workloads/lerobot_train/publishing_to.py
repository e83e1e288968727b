"""Where checkpoints are copied to: an absolute folder, also written as a file address."""

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from robotrain_runtime.document import JobDocument

FLAG = "--publish-url"
FILE = "file:"


def folder(said: str) -> str:
    """The folder as a normal path; empty for none. Raises ValueError with a sentence when it names none."""
    path = said
    if said.lower().startswith(FILE):
        path = said[len(FILE) :]
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


def wrong(document: JobDocument, output: Path, first: int) -> Iterator[str]:
    """Why nothing could be copied there from this machine, in a sentence. first: the step that training starts at."""
    try:
        to = Path(folder(str(document.parameters["publish_url"] or "")) or "/")
    except ValueError as error:
        yield f"checkpoints cannot be published: {error}"
        return
    if to == Path("/"):
        return
    cannot = f"checkpoints cannot be published to {to}"
    if output in (to, *to.parents):
        yield f"{cannot}: they are saved in {output}\n{FLAG} another folder"
    elif to.exists() and not to.is_dir():
        yield f"{cannot}: it is a file"
    elif not to.parent.is_dir():
        yield f"{cannot}: there is no {to.parent}\nmkdir -p {to.parent}"
    elif not os.access(to if to.is_dir() else to.parent, os.W_OK | os.X_OK):
        yield f"{cannot}: the user that runs the job may not write there"
    elif taken := next(_taken(document, to, first), ""):
        yield f"{cannot}: it holds {taken}\n{FLAG} another folder"


def _taken(document: JobDocument, to: Path, first: int) -> Iterator[str]:
    """Checkpoints of other runs, under the names of those that this one will save."""
    from robotrain_runtime import checkpoint  # a job without such a folder is rendered without it

    last, every = int(str(document.parameters["training_steps"])), int(str(document.parameters["save_freq"]))
    for step, there in checkpoint.steps(to):
        made = checkpoint.read(there)
        if made and made.run != document.run and first < step <= last and (step % every == 0 or step == last):
            yield f"{there.name} of the run {made.run}"
