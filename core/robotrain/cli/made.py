"""Typer apps of our own commands: without rich, without completion of their own, with examples that never wrap."""

import inspect
from collections.abc import Callable
from typing import Any

import typer

KEPT = "\b"
"""Before a paragraph of help: its lines stay as they are."""


def make_app(*commands: Callable[..., None]) -> typer.Typer:
    """The app of a module's commands, each helped by its docstring."""
    app = _bare()
    for command in commands:
        app.command(help=with_examples(inspect.getdoc(command) or ""))(command)
    return app


def make_job_app(name: str, cls: Any, help: str, settings: dict[str, Any]) -> typer.Typer:
    """The app of one command over a job, whose options are composed later."""
    app = _bare()
    app.command(name, cls=cls, help=with_examples(help), context_settings=settings)(lambda: None)
    return app


def with_examples(text: str) -> str:
    """Help whose examples can be copied: a paragraph that begins with `robotrain` keeps its lines."""
    paragraphs = text.strip().split("\n\n")
    return "\n\n".join(
        f"{KEPT}\n{paragraph}" if paragraph.lstrip().startswith("robotrain ") else paragraph for paragraph in paragraphs
    )


def _bare() -> typer.Typer:
    return typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
