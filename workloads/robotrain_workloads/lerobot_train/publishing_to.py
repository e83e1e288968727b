"""Where checkpoints are copied to: an absolute folder, also written as a file address, or an address."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from robotrain_runtime.document import JobDocument, Source

if TYPE_CHECKING:
    from robotrain_runtime.target import Target

FLAG = "--publish-url"
FILE = "file:"
ANOTHER = f"{FLAG} another folder"


def is_address(said: str) -> bool:
    """Whether it is an address, and not that of a file: who takes it is known to the source kinds."""
    return "://" in said and not said.strip().lower().startswith(FILE)


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


def place(said: str) -> str:
    """The folder as a normal path, or the address. Raises ValueError as `folder` does."""
    return said if is_address(said) else folder(said)


def wrong(document: JobDocument, output: Path, first: int) -> Iterator[str]:
    """Why nothing could be copied there from this machine, in a sentence. first: the step that training starts at."""
    said = str(document.parameters["publish_url"] or "")
    hindered = list(unwritable(said, output, "checkpoints"))
    yield from hindered
    if said and not hindered and not is_address(said):
        to = Path(folder(said))
        if taken := next(_taken(document, to, first), ""):
            yield f"checkpoints cannot be published to {to}: it holds {taken}\n{ANOTHER}"


def unwritable(said: str, output: Path, what: str) -> Iterator[str]:
    """The same, whatever lies there already. what: is to be copied there, and saved in `output` before."""
    if is_address(said):
        return  # asked there
    try:
        to = Path(folder(said) or "/")
    except ValueError as error:
        yield f"{what} cannot be published: {error}"
        return
    if to == Path("/"):
        return
    cannot = f"{what} cannot be published to {to}"
    if output in (to, *to.parents):
        yield f"{cannot}: they are saved in {output}\n{ANOTHER}"
    elif to.exists() and not to.is_dir():
        yield f"{cannot}: it is a file"
    elif not to.parent.is_dir():
        yield f"{cannot}: there is no {to.parent}\nmkdir -p {to.parent}"
    elif not os.access(to if to.is_dir() else to.parent, os.W_OK | os.X_OK):
        yield f"{cannot}: the user that runs the job may not write there"


def targets(document: JobDocument, first: int | None) -> Iterator[Target]:
    """The place, when there is one. first: the step that training starts at; None while nobody can tell."""
    from robotrain_runtime.target import Target  # a job without such a place is rendered without it

    if said := str(document.parameters["publish_url"] or ""):
        keep = document.parameters["keep"]
        saves = None if first is None else lambda step: _saves(document, first, step)
        yield Target(to=place(said), keep=None if keep is None else int(str(keep)), saves=saves, way=ANOTHER)


def first(sources: Iterable[Source], told: int) -> int | None:
    """The step that training starts at. told: as the data says, where it is there; else the name of a checkpoint."""
    resumed = next((source for source in sources if source.role == "resume"), None)
    if told or resumed is None:
        return told
    name = resumed.uri.rstrip("/").rpartition("/")[2]
    return int(name) if name.isdecimal() else None


def _taken(document: JobDocument, to: Path, first: int) -> Iterator[str]:
    """Checkpoints of other runs, under the names of those that this one will save."""
    from robotrain_runtime import checkpoint

    for step, there in checkpoint.steps(to):
        made = checkpoint.read(there)
        if made and made.run != document.run and _saves(document, first, step):
            yield f"{there.name} of the run {made.run}"


def _saves(document: JobDocument, first: int, step: int) -> bool:
    last, every = int(str(document.parameters["training_steps"])), int(str(document.parameters["save_freq"]))
    return first < step <= last and (step % every == 0 or step == last)
