"""What is wrong with a plugin file that somebody named, and where in it."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

import dataclasses
import os
import shlex
import traceback
from typing import TYPE_CHECKING

from robotrain.problem import Instead, Problem, Rejected, Stage
from robotrain.redaction import redact

if TYPE_CHECKING:
    from pathlib import Path

    from robotrain.claims import Claim


def missing(path: Path) -> Rejected:
    """Nothing of that name is there."""
    named = path.parent
    lacks = "has no robotrain_plugin.py" if named.is_dir() else "is not a folder"
    folder = shlex.quote(redact(str(named.parent))) if named.is_file() else "FOLDER"
    return _usage(f"{redact(str(named))} {lacks}", named, "plugin-file-missing", folder=folder)


def empty(path: Path) -> Rejected:
    """It was read, and has nothing for robotrain."""
    why = "It has functions marked with robotrain.hookspecs.hook, or `commands = {…}`."
    return _usage("the plugin file brings nothing", path, "plugin-file-empty", why)


def broken(claim: Claim, cause: BaseException, path: Path) -> Rejected:
    """It does not load."""
    from robotrain.loading.failure import failed

    failure = failed(claim, cause)
    title = f"the plugin file does not load: {failure.why}"
    place = redact(f"{path}{_line(cause, path)}")
    return Rejected([dataclasses.replace(failure.problem(), title=title, where="--plugins-from", given=place)])


def _usage(title: str, path: Path, code: str, why: str = "", folder: str = "FOLDER") -> Rejected:
    given, way = redact(str(path)), Instead(f"--plugins-from {folder}", "the folder that robotrain_plugin.py lies in")
    where = "--plugins-from"
    problem = Problem(code=code, stage=Stage.USAGE, title=title, where=where, given=given, why=why, instead=(way,))
    return Rejected([problem])


def _line(cause: BaseException, path: Path) -> str:
    """`:12`, the last line of the file that was at work; nothing when that is not known."""
    if isinstance(cause, SyntaxError) and _same(cause.filename, path):
        return f":{cause.lineno}"
    frames = traceback.extract_tb(cause.__traceback__)
    lines = [frame.lineno for frame in frames if _same(frame.filename, path)]
    return f":{lines[-1]}" if lines else ""


def _same(name: str | None, path: Path) -> bool:
    return bool(name) and os.path.realpath(str(name)) == os.path.realpath(path)
