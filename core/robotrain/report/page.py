"""The page: plain HTML with everything in it, for a browser without a network; light or dark as the reader has it."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any

from robotrain import __version__
from robotrain.amounts import size
from robotrain.progress import duration
from robotrain.redaction import redact
from robotrain.report.chart import SMALL, chart
from robotrain.report.facts import Facts

LOSSES = ("train/loss", "val/loss")
LONGEST = 1000


def page(facts: Facts) -> str:
    """The whole document. Pure: equal facts give equal pages."""
    run = escape(facts.record.run)
    style = files("robotrain.report").joinpath("style.css").read_text(encoding="utf-8")
    body = "\n".join(part for part in _sections(facts) if part)
    return (
        "<!doctype html>\n"
        f'<html lang="en"><head><meta charset="utf-8"><title>{run}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{style}</style></head>\n<body><main>\n{body}\n</main></body></html>\n"
    )


def _sections(facts: Facts) -> Iterator[str]:
    yield _head(facts)
    yield _tiles(facts)
    yield _losses(facts)
    yield _side_charts("Other metrics", _others(facts), "step")
    yield _checkpoints(facts)
    yield _lineage(facts)
    yield _settings(facts)
    yield _stages(facts)
    yield _side_charts("The machine", facts.told.machine, "second")
    yield _log(facts)
    yield f"<footer>written {_moment(facts.written)} by robotrain {__version__}</footer>"


def _head(facts: Facts) -> str:
    record, status = facts.record, facts.status
    reason = f'<p class="reason">{escape(_plain(status.reason))}</p>' if status.reason else ""
    about = f"{record.workload} on {record.platform}, submitted {_moment(record.created)}"
    about += f" from {record.host}" if record.host else ""
    return (
        f'<header><h1>{escape(record.run)} <span class="state {status.state}">{status.state}</span></h1>'
        f'<p class="quiet">{escape(about)}</p>{reason}</header>'
    )


def _tiles(facts: Facts) -> str:
    progress, status = facts.told.progress, facts.status
    until = status.ended or facts.written
    took = duration(until - status.started) if status.started else ""
    step = f"{progress.step} of {progress.total}" if progress.step is not None and progress.total else ""
    shown = [
        ("steps", step or (str(progress.step) if progress.step is not None else "")),
        ("train/loss", _number(facts, "train/loss")),
        ("val/loss", _number(facts, "val/loss")),
        ("time", took),
        ("steps/s", f"{progress.rate:.3g}" if progress.rate else ""),
    ]
    cells = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(text)}</dd></div>" for name, text in shown if text)
    return f'<dl class="tiles">{cells}</dl>' if cells else ""


def _losses(facts: Facts) -> str:
    found = {name: facts.told.series[name] for name in LOSSES if name in facts.told.series}
    if not found:
        return _section("Loss", '<p class="quiet">the run told no loss</p>')
    legend = "".join(f'<span class="key series-{index + 1}">{escape(name)}</span>' for index, name in enumerate(found))
    return _section("Loss", (f'<p class="legend">{legend}</p>' if len(found) > 1 else "") + chart(found))


def _others(facts: Facts) -> Mapping[str, Any]:
    return {name: points for name, points in sorted(facts.told.series.items()) if name not in LOSSES}


def _side_charts(title: str, series: Mapping[str, Any], unit: str) -> str:
    """Small charts side by side, one a quantity; those that never change say so in a line."""
    moving = {name: points for name, points in series.items() if len({value for _, value in points}) > 1}
    still = {name: points[-1][1] for name, points in series.items() if name not in moving and points}
    drawn = "".join(
        f"<figure><figcaption>{escape(name)}</figcaption>{chart({name: points}, unit, SMALL)}</figure>"
        for name, points in moving.items()
    )
    said = ", ".join(f"{escape(name)} {value:.4g}" for name, value in still.items())
    body = (f'<div class="charts">{drawn}</div>' if drawn else "") + (f'<p class="quiet">{said}</p>' if said else "")
    return _details(title, body) if body else ""


def _checkpoints(facts: Facts) -> str:
    progress = facts.told.progress
    registered: dict[int | None, str] = {
        one.step: _plain(f"{one.name} version {one.version}") for one in progress.registered
    }
    rows = [
        (
            str(output.step),
            size(output.size) if output.size is not None else "",
            output.digest[:12],
            registered.get(output.step, ""),
            _plain(", ".join(progress.copies(output.step))),
            output.uri,
        )
        for output in facts.outputs
        if output.kind == "checkpoint"
    ]
    if not rows:
        return _section("Checkpoints", '<p class="quiet">it left no complete checkpoint</p>')
    return _section("Checkpoints", _table(("step", "size", "sha256", "registered as", "copied to", "where"), rows))


def _lineage(facts: Facts) -> str:
    record = facts.record
    rows = [(source.role, source.kind, source.uri, source.pin or "not pinned") for source in facts.sources]
    sources = _table(("role", "kind", "source", "as it was"), rows) if rows else ""
    named = [
        ("job", record.job),
        ("plan", record.plan),
        ("payload", facts.payload),
        *((f"tracking {name}", str(value)) for name, value in (facts.told.progress.tracking or {}).items() if value),
        *(("note", note) for note in record.notes),
    ]
    listed = "".join(f"<dt>{escape(name)}</dt><dd>{escape(_plain(text))}</dd>" for name, text in named if text)
    return _section("Lineage", sources + f'<dl class="facts">{listed}</dl>')


def _settings(facts: Facts) -> str:
    """What somebody said stands first; the defaults can be opened."""
    head = ("name", "value", "from", "overrode")
    said = [value for value in facts.values if value["origin"] != "default"]
    left = [value for value in facts.values if value["origin"] == "default"]
    if not facts.values:
        return _section("Settings", '<p class="quiet">the plan of this run was not kept</p>')
    shown = _table(head, map(_setting, said)) if said else '<p class="quiet">everything is as it comes</p>'
    return _section("Settings", shown) + _details(
        f"What was left as it comes ({len(left)})", _table(head[:2], map(_default, left))
    )


def _setting(value: Mapping[str, Any]) -> tuple[str, ...]:
    losers = [f"{loser['value']} ({loser['origin']})" for loser in value["overrode"] if loser["value"] != "None"]
    return value["name"], _said(value["value"]), value["origin"], ", ".join(losers)


def _default(value: Mapping[str, Any]) -> tuple[str, ...]:
    return value["name"], _said(value["value"])


def _stages(facts: Facts) -> str:
    rows = [
        (stage.name, stage.state, duration(stage.seconds) if stage.seconds is not None else "", _plain(stage.detail))
        for stage in facts.told.stages
    ]
    notes = "".join(
        f'<li class="{escape(note.level)}"><b>{escape(note.level)}</b> {escape(_plain(note.text))}</li>'
        for note in facts.told.notes
    )
    if not rows and not notes:
        return ""
    body = _table(("stage", "", "took", ""), rows) + (f'<ul class="notes">{notes}</ul>' if notes else "")
    return _section("What happened", body)


def _log(facts: Facts) -> str:
    lines = facts.told.last_lines
    if not lines:
        return ""
    title = f"The last {f'{len(lines)} lines' if len(lines) > 1 else 'line'} of its log"
    is_open = facts.status.finished and facts.status.state != "succeeded"
    return _details(title, "<pre>" + escape("\n".join(lines)) + "</pre>", is_open)


def _section(title: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{body}</section>"


def _details(title: str, body: str, is_open: bool = False) -> str:
    return f"<details{' open' if is_open else ''}><summary>{escape(title)}</summary>{body}</details>"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table that scrolls by itself when it is wider than the page; columns without a value are left out."""
    kept = list(rows)
    shown = [index for index in range(len(head)) if any(row[index] for row in kept)]
    top = "".join(f"<th>{escape(head[index])}</th>" for index in shown)
    body = "".join("<tr>" + "".join(f"<td>{escape(row[index])}</td>" for index in shown) + "</tr>" for row in kept)
    return f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>' if kept else ""


def _plain(text: str) -> str:
    """What a log or a platform says, without what must not be shown."""
    return redact(text, longest=LONGEST)


def _number(facts: Facts, name: str) -> str:
    value = facts.told.progress.metrics.get(name)
    return f"{value:.4g}" if value is not None else ""


def _said(value: Any) -> str:
    return "–" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(seconds))
