"""A bar on stderr that shows how much of a long piece of work is done."""

import contextlib
import sys
from collections.abc import Callable, Iterator

from robotrain.cli.output import is_terminal


@contextlib.contextmanager
def show_progress(title: str, *, hidden: bool = False) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on stderr, if that is a terminal; yield what takes how much is done, and of how much."""
    if hidden or not is_terminal(sys.stderr):
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import Progress  # costs start-up

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
