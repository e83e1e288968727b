"""The file of an HTML page that a command writes, or stdout."""

from collections.abc import Callable
from pathlib import Path

from robotrain.cli.arguments import check_place
from robotrain.cli.output import print_message, print_result
from robotrain.store import files


def check_page_place(to: str) -> None:
    """Raise Rejected if the page cannot be written to the place that --to names."""
    if to not in ("", "-"):
        check_place(Path(to, "page.html") if to.endswith("/") else Path(to), "--to")


def write_page(to: str, choose_name: Callable[[Path], str], render: Callable[[Path], str]) -> Path | None:
    """Write a page, or print it; return where it is. Both functions are given the folder that it will be in.

    :param to: what was given as --to: a file, a folder, or `-` for stdout; empty for this folder.
    :param choose_name: returns the name of the file without its ending, where `to` has none.
    """
    if to == "-":
        print_result(render(Path()).rstrip("\n"))
        return None
    target = Path(to or ".")
    if target.is_dir() or to.endswith("/"):
        target /= f"{choose_name(target)}.html"
    if not target.parent.is_dir():
        target.parent.mkdir(parents=True, exist_ok=True)
        print_message(f"made the folder {target.parent}")
    files.write_given_file(target, render(target.parent).encode(errors="backslashreplace"))
    return target


def print_page(target: Path) -> None:
    """Print where a page is: on stdout nothing else, for scripts."""
    print_result(str(target))
    print_message("open this file in a browser; it needs no network")
