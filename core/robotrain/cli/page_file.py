"""The file of an HTML page that a command writes, or stdout."""

import html
import itertools
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from robotrain.cli.arguments import check_place
from robotrain.cli.output import print_message, print_result
from robotrain.store import files
from robotrain.store.written_files import GENERATOR

SUBJECT = '<meta name="robotrain-subject" content="{}">'
SUBJECT_PATTERN = re.compile(SUBJECT.format('([^"]*)').encode())
HEAD_SIZE = 64 << 10
"""Bytes of a page that are searched for its subject, which names every run of a comparison."""


def check_page_place(to: str) -> None:
    """Raise Rejected if the page cannot be written to the place that --to names."""
    if to not in ("", "-"):
        check_place(Path(to, "page.html") if _is_folder(to) else Path(to), "--to")


def _is_folder(to: str) -> bool:
    """Return whether --to names a folder: one that exists, or a new one, which has no ending as a file has."""
    place = Path(to or ".")
    return place.is_dir() or to.endswith("/") or not (place.suffix or place.exists())


def write_page(to: str, names: Sequence[str], subject: str, render: Callable[[Path], str]) -> Path | None:
    """Write a page, or print it; return where it is. Where `to` names no file, only an earlier page of the same subject
    is replaced.

    :param to: what was given as --to: a file, a folder, or `-` for stdout; empty for this folder.
    :param names: what the file may be called, without its ending, where `to` has no name; the best one first.
    :param subject: what the page is about: its run, its runs, its dataset.
    :param render: returns the page; it is given the folder that the page will be in.
    """
    if to == "-":
        print_result(_mark_subject(render(Path()), subject).rstrip("\n"))
        return None
    target = Path(to or ".")
    if _is_folder(to):
        target = _choose_file(target, names, subject)
    if not target.parent.is_dir():
        target.parent.mkdir(parents=True, exist_ok=True)
        print_message(f"made the folder {target.parent}")
    page = _mark_subject(render(target.parent), subject)
    files.write_given_file(target, page.encode(errors="backslashreplace"))
    return target


def _choose_file(folder: Path, names: Sequence[str], subject: str) -> Path:
    """Return the first file of these names, or else of the last one with a number, that holds nothing else."""
    numbered_names = (f"{names[-1]}.{number}" for number in itertools.count(2))
    paths = (folder / f"{name}.html" for name in itertools.chain(names, numbered_names))
    return next(path for path in paths if not path.exists() or read_subject(path) == subject)


def _mark_subject(page: str, subject: str) -> str:
    return page.replace(GENERATOR, GENERATOR + SUBJECT.format(html.escape(subject)), 1)


def read_subject(file: Path) -> str:
    """Return what a page is about; empty for another file."""
    try:
        with files.open_regular_file(file) as page:
            match = SUBJECT_PATTERN.search(page.read(HEAD_SIZE))
    except OSError:
        return ""
    return html.unescape(match[1].decode(errors="replace")) if match else ""


def print_page(target: Path) -> None:
    """Print where a page is: on stdout nothing else, for scripts."""
    print_result(str(target))
    print_message("open this file in a browser; it needs no network")
