"""The site of these documents: `./uvw run --group docs sphinx-build -W docs .site`, then open `.site/index.html`."""

import importlib
import re
import sys
from pathlib import Path
from typing import Any

import robotrain

sys.path.insert(0, str(Path(__file__).parent))
import references

project = "robotrain"
author = "the people who build robotrain"
copyright = author
version = release = robotrain.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc"]
html_theme = "furo"
html_title = f"robotrain {version}"
html_show_sourcelink = False
myst_enable_extensions = ["attrs_inline"]
myst_heading_anchors = 3
suppress_warnings = ["misc.highlighting_failure"]  # robotrain's own messages, shown as code, are in no language
default_role = "code"  # as docstrings have their backticks
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True

OUTSIDE = re.compile(r"\[([^\]]+)\]\((\.\./[^)#]+)[^)]*\)")
"""A link to a file of the repository that is no document: people read it there, and the site has no such page."""
PAGE_LINK = re.compile(r"\[([\w-]+\.md)\]\(\1(#[\w-]+)?\)")
"""A link to another page that shows its file's name."""

MODULES = "<!-- what follows is written by .ci/pages: the public modules -->"
COMMANDS = "<!-- the commands -->"


def setup(app: Any) -> None:
    """Connect what the documents need beside the extensions."""
    app.connect("source-read", replace_repository_links)
    app.connect("source-read", use_titles_of_pages)
    app.connect("source-read", insert_public_modules)
    app.connect("source-read", insert_commands)


def insert_public_modules(app: Any, document: str, source: list[str]) -> None:
    """Put the docstrings of the public names in place of their tables."""
    introduction, found, _ = source[0].partition(MODULES)
    if found:
        described: dict[int, str] = {}
        modules = [_describe_module(name, described) for name in references.PUBLIC_MODULES]
        source[0] = introduction + "\n".join([*modules, references.format_scheduler()])


def insert_commands(app: Any, document: str, source: list[str]) -> None:
    """Put the help of every command into its page."""
    if COMMANDS in source[0]:
        source[0] = source[0].replace(COMMANDS, references.format_commands())


def _describe_module(name: str, described: dict[int, str]) -> str:
    members = [member for member in importlib.import_module(name).__all__ if not member.startswith("_")]
    listed = "\n".join(_describe_member(name, member, described) for member in members)
    opened = f".. automodule:: {name}\n   :no-members:\n\n.. currentmodule:: {name}\n"
    return f"## {name}\n\n```{{eval-rst}}\n{opened}\n{listed}\n```\n"


def _describe_member(module: str, member: str, described: dict[int, str]) -> str:
    """Return what autodoc needs; a name of two modules is described in the first."""
    thing = getattr(importlib.import_module(module), member)
    if callable(thing) and (first := described.setdefault(id(thing), module)) != module:
        return f"`{member}`: see `{first}`.\n"
    return f".. {_make_directive(thing, member)}"


def _make_directive(thing: Any, member: str) -> str:
    """Return the directive of a name. Data is shown without its value: the tables are long."""
    if isinstance(thing, type):
        return f"autoclass:: {member}\n   :members:\n   :undoc-members:\n   :member-order: bysource\n"
    if callable(thing) and hasattr(thing, "__name__"):
        return f"autofunction:: {member}\n"
    return f"autodata:: {member}\n   :no-value:\n"


def replace_repository_links(app: Any, document: str, source: list[str]) -> None:
    """Name files outside `docs/` in place of linking to them; the README is the first page."""
    text = source[0].replace("(../README.md)", "(index.md)")
    source[0] = OUTSIDE.sub(lambda link: _format_path(link[1], link[2].removeprefix("../")), text)


def use_titles_of_pages(app: Any, document: str, source: list[str]) -> None:
    """Let links that show a file's name show the title of its page: readers of the site do not know the files."""
    source[0] = PAGE_LINK.sub(lambda link: f"[{_read_title(link[1])}]({link[1]}{link[2] or ''})", source[0])


def _read_title(page: str) -> str:
    return Path(__file__).with_name(page).read_text().partition("\n")[0].removeprefix("# ")


def _format_path(words: str, path: str) -> str:
    return f"`{path}`" if words == path else f"{words} (`{path}`)"
