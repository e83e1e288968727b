"""The folder that `docker build` is given: the Dockerfile, the runtime as it is packed for runs, and the locks."""

import contextlib
import hashlib
import io
import json
import os
import re
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from robotrain import __version__
from robotrain.image import dockerfile
from robotrain.image.environments import Locked
from robotrain.payload import pack
from robotrain.problem import Instead, Problem, Rejected, Stage

MARKER = "robotrain-image.json"
DOCKERFILE = "Dockerfile"
SCHEMA = 1


def files(workload: str, image: str, locked: Sequence[Locked]) -> dict[str, bytes]:
    """Each file by its path; equal arguments give equal bytes."""
    with zipfile.ZipFile(io.BytesIO(pack(()).archive)) as packed:
        runtime = {name: packed.read(name) for name in packed.namelist()}
    pinned = re.search(r"^uv==(\S+)", runtime[dockerfile.UV].decode(), re.MULTILINE)
    assert pinned is not None
    text = dockerfile.text(workload, image, locked, pinned[1], __version__)
    locks = {f"{dockerfile.LOCKS}/{one.name}": one.lock for one in locked}
    return {DOCKERFILE: text.encode(), **locks, **runtime}


def write(content: Mapping[str, bytes], folder: Path) -> None:
    """Make `folder` hold that alone, in one step. Raises Rejected when it holds what is not ours, OSError."""
    folder = Path(os.path.abspath(folder))
    earlier = _earlier(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch, aside = (folder.with_name(f".{folder.name}.{os.urandom(4).hex()}.{end}") for end in ("new", "old"))
    try:
        _fill(scratch, content)
        if earlier:
            os.rename(folder, aside)
        os.rename(scratch, folder)
    except BaseException:
        if aside.exists():
            os.rename(aside, folder)
        raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        shutil.rmtree(aside, ignore_errors=True)


def _fill(folder: Path, content: Mapping[str, bytes]) -> None:
    listed = {path: hashlib.sha256(body).hexdigest() for path, body in content.items()}
    about = json.dumps({"schema": SCHEMA, "robotrain": __version__, "files": listed}, indent=1) + "\n"
    for path, body in {**content, MARKER: about.encode()}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(body)


def _earlier(folder: Path) -> bool:
    """Whether it holds what we wrote there earlier, and nothing else. Raises Rejected for any other content."""
    if not os.path.lexists(folder) or (folder.is_dir() and not any(folder.iterdir())):
        return False
    if not folder.is_dir():
        raise Rejected([_in_use(folder, "It is a file.")])
    listed = _listed(folder)
    if listed is None:
        raise Rejected([_in_use(folder, "Nothing of yours is overwritten.")])
    present = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if not path.is_dir()}
    changed = sorted(name for name, path in present.items() if name != MARKER and _digest(path) != listed.get(name))
    if changed := [name for name in changed if "__pycache__" not in name]:
        raise Rejected([_in_use(folder, f"Added or changed since we wrote it: {', '.join(changed[:5])}.")])
    return True


def _listed(folder: Path) -> dict[str, str] | None:
    """The digest of each file as it was written; None when it is no folder of ours."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        return dict(json.loads((folder / MARKER).read_text(encoding="utf-8"))["files"])
    return None


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def _in_use(folder: Path, why: str) -> Problem:
    return Problem(
        code="folder-in-use",
        stage=Stage.USAGE,
        title="the folder for the build context is not empty",
        where="--to",
        given=str(folder),
        why=why,
        instead=(Instead("--to NEW_FOLDER"),),
    )
