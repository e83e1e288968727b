"""The run's folder, put in its place whole and in one step, whatever an earlier attempt at the same plan left there."""

import contextlib
import os
import shutil
import zipfile
from pathlib import Path

from robotrain import plan as plans
from robotrain.plan import Plan

from robotrain_local import folder as files


def provide(plan: Plan, folder: Path, payload: zipfile.ZipFile) -> None:
    """Make `folder` hold `plan` and its payload. Raises FileExistsError when something else lies there, OSError."""
    if not os.path.lexists(folder):
        _move_in(plan, folder, payload)
    elif not cut_off(plan, folder):
        raise FileExistsError(f"{folder} is there already")
    elif not files.begun(folder):
        _complete(plan, folder, payload)
    for part in parts(folder):  # of submits that were cut off
        shutil.rmtree(part, ignore_errors=True)


def cut_off(plan: Plan, folder: Path) -> bool:
    """Whether `folder` is what a submit of this very plan left that was cut off: before its run began, or after."""
    if files.begun(folder):
        return not (folder / files.SENT).exists() and holds(plan, folder)
    return _left_over(plan, folder)


def holds(plan: Plan, folder: Path) -> bool:
    """Whether `folder` is that of exactly this plan, the payload by its digest. Raises OSError."""
    try:
        return all((folder / path).read_bytes() == plan.files[path] for path in plan.files if path != files.PAYLOAD)
    except (FileNotFoundError, NotADirectoryError):
        return False


def discard(folder: Path) -> None:
    """Take a folder away again, unless its run began all the same."""
    aside = _part(folder)
    with contextlib.suppress(OSError):
        os.rename(folder, aside)
        if files.begun(aside):
            os.rename(aside, folder)
        shutil.rmtree(aside, ignore_errors=True)


def parts(folder: Path) -> list[Path]:
    """What submits that were cut off left beside the run's folder."""
    return sorted(folder.parent.glob(f".{folder.name}.*.part"))


def _left_over(plan: Plan, folder: Path) -> bool:
    """Whether there is nothing but files of this plan, or the beginnings of them."""
    try:
        there = os.listdir(folder)
    except OSError:
        return False
    known = {files.UNPACKED, files.LOG, *(path.partition("/")[0] for path in plan.files)}
    whole = all(content.startswith(_read(folder / path)) for path, content in plan.files.items())
    return whole and all(name in known or name.startswith(".") for name in there)


def _move_in(plan: Plan, folder: Path, payload: zipfile.ZipFile) -> None:
    part = _part(folder)
    try:
        plans.write(plan, part)
        payload.extractall(part / files.UNPACKED)
        os.rename(part, folder)
    except OSError:
        if not holds(plan, folder):  # else another submit of this very plan was quicker
            raise
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _complete(plan: Plan, folder: Path, payload: zipfile.ZipFile) -> None:
    """Write what is missing or was torn, file by file: a supervisor may be starting there at this moment."""
    unpacked = {f"{files.UNPACKED}/{name}": payload.read(name) for name in payload.namelist() if not name.endswith("/")}
    for path, content in {**unpacked, **plan.files}.items():
        if _read(folder / path) != content:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            files.put(folder / path, content)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _part(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.{os.urandom(4).hex()}.part")
