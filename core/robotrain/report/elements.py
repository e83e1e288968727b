"""The pieces that pages are made of: plain HTML, in which no text is ever taken as markup."""

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any
from urllib.parse import quote

from robotrain import __version__
from robotrain.model import scores
from robotrain.redaction import redact

MAX_TEXT = 1000
CONTENT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src data:"
"""What a browser may load for a page: nothing but what stands in it."""


def render_document(title: str, sections: Iterable[str], written: float) -> str:
    """A whole page, for a browser without a network; light or dark as the reader has it."""
    style = files("robotrain.report").joinpath("style.css").read_text(encoding="utf-8")
    body = "\n".join(part for part in sections if part)
    foot = f"<footer>written {format_time(written)} by robotrain {__version__}</footer>"
    return (
        "<!doctype html>\n"
        f'<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(CONTENT_POLICY)}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{style}</style></head>\n<body><main>\n{body}\n{foot}\n</main></body></html>\n"
    )


def render_section(title: str, body: str) -> str:
    """A part with its title."""
    return f"<section><h2>{escape(title)}</h2>{body}</section>"


def render_details(title: str, body: str, is_open: bool = False) -> str:
    """A part that can be opened."""
    return f"<details{' open' if is_open else ''}><summary>{escape(title)}</summary>{body}</details>"


def render_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table that scrolls by itself when it is wider than the page; columns without a value are left out."""
    kept = list(rows)
    shown = [index for index in range(len(head)) if any(row[index] for row in kept)]
    top = "".join(f"<th>{escape(head[index])}</th>" for index in shown)
    body = "".join("<tr>" + "".join(f"<td>{escape(row[index])}</td>" for index in shown) + "</tr>" for row in kept)
    return f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>' if kept else ""


def render_short_table(head: Sequence[str], rows: Sequence[Sequence[str]], first: int = 50) -> str:
    """A table whose further rows can be opened."""
    more = render_details(f"{len(rows) - first} more", render_table(head, rows[first:])) if len(rows) > first else ""
    return render_table(head, rows[:first]) + more


def render_tiles(items: Iterable[Sequence[str]]) -> str:
    """Numbers that matter, each with its name, and perhaps a remark; those without a value are left out."""
    cells = "".join(_render_tile(*one) for one in items if one[1])
    return f'<dl class="tiles">{cells}</dl>' if cells else ""


def _render_tile(name: str, text: str, remark: str = "") -> str:
    small = f"<small>{escape(remark)}</small>" if remark else ""
    return f"<div><dt>{escape(name)}</dt><dd>{escape(text)}{small}</dd></div>"


def render_facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Facts, a line each with its name; those without a value are left out."""
    lines = "".join(f"<dt>{escape(name)}</dt><dd>{escape(redact_text(text))}</dd>" for name, text in pairs if text)
    return f'<dl class="facts">{lines}</dl>' if lines else ""


def render_remark(text: str) -> str:
    """A remark."""
    return f'<p class="quiet">{escape(text)}</p>'


def render_warning(text: str) -> str:
    """A remark that must not be overlooked."""
    return f'<p class="reason warning">{escape(text)}</p>'


def render_legend(series: Mapping[str, Sequence[object]]) -> str:
    """What is drawn in which colour."""
    keys = (
        f'<span class="key series-{at}">{escape(name)}</span>'
        for at, (name, points) in enumerate(series.items(), 1)
        if points
    )
    return f'<p class="legend">{"".join(keys)}</p>'


def render_state(word: str) -> str:
    """How a run is."""
    return f'<span class="state {escape(word)}">{escape(word)}</span>'


def render_run_link(run: str, linked_runs: Collection[str]) -> str:
    """A run by its name, which leads to its page where that lies beside this one."""
    if run in linked_runs:
        return f'<a href="{escape(quote(run))}.html">{escape(run)}</a>'
    return f"<b>{escape(run)}</b>"


def redact_text(text: str) -> str:
    """What a log, a file or a platform says, without what must not be shown."""
    return redact(text, max_length=MAX_TEXT)


def format_value(value: Any) -> str:
    """A setting's value as people write it."""
    return "–" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def format_number(value: float | None, digits: int = 4) -> str:
    """A value in few digits; empty for none."""
    return "" if value is None else scores.format_number(value, digits)


def format_time(seconds: float) -> str:
    """A time as the reader's clock has it."""
    return time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(seconds))
