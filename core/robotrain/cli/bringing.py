"""Copies of what runs left: each whole or not there, never over something else, with a word on how far it is."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

import os
import shutil
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from robotrain import amounts, disk
from robotrain.cli import terminal
from robotrain.cli.columns import cut
from robotrain.cli.output import say
from robotrain.problem import Instead, Problem, Stage, raise_if_any

if TYPE_CHECKING:
    from robotrain.run import Output, RunRecord

LOOK_SECONDS = 0.5


def bring_all(chosen: Sequence[Output], platform: Any, record: RunRecord, to: Path) -> dict[str, Path]:
    """Copy each to its name below `to`: where each lies now, by name. Raises Rejected before anything is copied when
    one cannot be; those that were copied before a later one fails stay.
    """
    places = {one.name: to / one.name for one in chosen}
    raise_if_any(_unsafe(chosen))
    raise_if_any([*_there(places.values()), *_no_room(chosen, to)])
    for number, one in enumerate(chosen, 1):
        count = f"{number} of {len(chosen)}: " if len(chosen) > 1 else ""
        _bring(one, platform, record, places[one.name], f"{count}{one.name}")
    return places


def _bring(one: Output, platform: Any, record: RunRecord, place: Path, title: str) -> None:
    """Into a folder beside the place first: what has the name is whole."""
    place.parent.mkdir(parents=True, exist_ok=True)
    scratch = place.with_name(f".{place.name}.part-{os.getpid()}")
    failed: list[BaseException] = []

    def copy() -> None:
        try:
            platform.bring(record.reference, one, scratch)
        except BaseException as error:
            failed.append(error)

    copying = threading.Thread(target=copy, daemon=True)
    try:
        copying.start()
        _see_through(copying, scratch, one, title)
        if failed:
            raise failed[0]
        os.replace(scratch, place)
    finally:
        _remove(scratch)


def _see_through(copying: threading.Thread, scratch: Path, one: Output, title: str) -> None:
    """Until it is copied; on a terminal with what is there by now."""
    live = terminal.is_live(sys.stderr)
    copying.join(LOOK_SECONDS)
    while copying.is_alive():
        if live:
            of = f" of {amounts.size(one.size)}" if one.size else ""
            text = f"  {title}  {amounts.size(_size(scratch))}{of}"
            sys.stderr.write("\r" + cut(text, terminal.size(sys.stderr)[0] - 1) + "\x1b[K")
            sys.stderr.flush()
        copying.join(LOOK_SECONDS)
    if live:
        sys.stderr.write("\r\x1b[K")
    say(f"  {title}  {amounts.size(_size(scratch))}")


def _unsafe(chosen: Sequence[Output]) -> Iterator[Problem]:
    """A name that leads out of the folder: where names come from is not always ours."""
    for one in chosen:
        path = PurePosixPath(one.name)
        if not one.name or path.is_absolute() or ".." in path.parts:
            title = f"the platform calls an output {one.name!r}, which is no place below a folder"
            yield Problem(code="output-name-unsafe", stage=Stage.SUBMIT, title=title)


def _there(places: Iterator[Path] | Sequence[Path] | Any) -> Iterator[Problem]:
    for place in places:
        if os.path.lexists(place):
            yield Problem(
                code="output-there-already",
                stage=Stage.PREFLIGHT,
                title="something is there already, and is not overwritten",
                where="--to",
                given=str(place),
                instead=(Instead("--to FOLDER", "another folder"), Instead(f"rm -r {place}", "when it is not needed")),
            )


def _no_room(chosen: Sequence[Output], to: Path) -> Iterator[Problem]:
    needed = sum(one.size or 0 for one in chosen)
    free = disk.free(to.absolute())
    if needed > free:
        yield Problem(
            code="disk-too-small",
            stage=Stage.PREFLIGHT,
            title=f"{amounts.size(needed)} would be brought, and the disk has room for {amounts.size(free)}",
            where="--to",
            given=str(to),
            instead=(Instead("--checkpoint last", "the newest checkpoint alone"),),
        )


def _size(path: Path) -> int:
    """Bytes that are there by now, of a file or a folder."""
    if path.is_file():
        return path.stat().st_size
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            try:
                total += os.lstat(os.path.join(folder, name)).st_size
            except OSError:  # renamed while we look
                continue
    return total


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
