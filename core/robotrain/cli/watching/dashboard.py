"""A picture of runs that go on, as lines that fit: as much of each as there is room for."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from robotrain.cli.columns import cut, plain, width
from robotrain.cli.watching.curve import BLOCKS, sparkline
from robotrain.cli.watching.machine import machine
from robotrain.progress import Progress, duration

if TYPE_CHECKING:
    from robotrain.cli.watching.followed import Followed

WIDEST_BAR, NARROWEST_BAR = 30, 8
WIDEST_SPARKLINE = 40


class Part(NamedTuple):
    """A piece of a line. style: of `terminal.STYLES`, or empty."""

    text: str
    style: str = ""


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The characters that are drawn with."""

    full: str = "█"
    empty: str = "░"
    blocks: str = BLOCKS[1:]
    mark: str = "…"
    dot: str = "·"


ASCII = Glyphs(full="#", empty=".", blocks="_.-=+*#", mark="~", dot="?")


class Room(NamedTuple):
    """What there is to draw on, in columns and rows, at a time in seconds since the epoch."""

    columns: int
    rows: int
    now: float
    glyphs: Glyphs = Glyphs()


Line = list[Part]


def frame(runs: Sequence[Followed], room: Room) -> list[Line]:
    """The runs, in as much detail as all of them fit with; those that do not fit at all are counted."""
    for level in (_block, _brief):
        gap: list[Line] = [[]] if level is _block else []
        lines = [line for one in runs for line in [*_drawn(one, level, room), *gap]]
        if len(lines) - len(gap) <= room.rows:
            return lines[: len(lines) - len(gap)]
    shown = sorted(runs, key=lambda one: one.over)[: room.rows if len(runs) <= room.rows else max(0, room.rows - 1)]
    lines = [line for one in runs if one in shown for line in _drawn(one, _line, room)]
    left = len(runs) - len(shown)
    return lines + ([[Part(cut(f"{room.glyphs.mark} and {left} more", room.columns))]] if left else [])


def fitted(line: Line, columns: int, mark: str) -> Line:
    """As much of a line as fits."""
    kept: Line = []
    for part in line:
        left = columns - sum(width(one.text) for one in kept)
        if left <= 0:
            break
        kept.append(Part(cut(part.text, left, mark), part.style))
    return kept


def _drawn(one: Followed, level: Callable[[Followed, Room], Iterator[Line]], room: Room) -> list[Line]:
    with one.lock:
        return [fitted(line, room.columns, room.glyphs.mark) for line in level(one, room)]


def _block(one: Followed, room: Room) -> Iterator[Line]:
    """Everything that is known of a run; what is not has no line."""
    yield _head(one, room)
    if said := one.trouble or one.status.reason:
        yield [Part(f"  {plain(said)}", "yellow" if one.trouble else "")]
    known = one.progress
    if known.step is not None:
        yield [Part(_steps(known, one.over, room))]
    elif known.download is not None and not one.over:
        yield [Part(f"  {known.line()}")]
    if known.score:
        yield [Part(f"  {known.score}")]
    if known.curve:
        yield [Part(_curve(known, room))]
    if known.machine and not one.over:
        yield [Part(f"  {machine(known.machine)}")]
    yield from ([Part(f"  {text}")] for text in _kept(known, room))
    if known.warnings:
        yield [Part(f"  warning: {plain(known.warnings[-1])}", "yellow")]


def _brief(one: Followed, room: Room) -> Iterator[Line]:
    yield _head(one, room)
    if one.progress.step is not None:
        yield [Part(_steps(one.progress, one.over, room))]
    elif one.progress.download is not None and not one.over:
        yield [Part(f"  {one.progress.line()}")]


def _line(one: Followed, room: Room) -> Iterator[Line]:
    yield [*_name(one), Part(f"  {one.progress.line(ended=one.over)}")]


def _head(one: Followed, room: Room) -> Line:
    status, stage = one.status, one.progress.stage
    parts = [*_name(one)]
    if stage and not status.finished:
        parts.append(Part(f"  {stage}"))
    if status.started:
        parts.append(Part(f"  {duration((status.ended or room.now) - status.started)}", "dim"))
    return [*parts, Part(f"  on {one.record.platform}", "dim")]


def _name(one: Followed) -> Line:
    from robotrain.cli.terminal import STATES

    state = "unknown" if one.failure else one.status.state if one.looked else "asking"
    return [Part(one.record.run, "bold"), Part("  "), Part(state, STATES.get(state, ""))]


def _steps(known: Progress, over: bool, room: Room) -> str:
    """The bar, and what fits beside it of: how far, how long still, how fast."""
    assert known.step is not None
    if not known.total:
        return f"  {known.unit} {known.step}"
    share = min(1.0, known.step / known.total)
    said = f"{known.step}/{known.total} ({share:.0%})"
    left = f"  {duration(known.seconds_left)} left" if known.seconds_left is not None and not over else ""
    rate = f"  {known.pace} {known.unit}s/s" if known.rate else ""
    for more in (rate + left, left, ""):
        bar = min(WIDEST_BAR, room.columns - len(said + more) - 4)
        if bar >= NARROWEST_BAR:
            full = int(share * bar)
            return f"  {room.glyphs.full * full}{room.glyphs.empty * (bar - full)}  {said}{more}"
    return f"  {said}"


def _curve(known: Progress, room: Room) -> str:
    said = f"  {known.newest_value}  "
    held_out = f"  {known.validated}" if known.validated else ""
    left = min(WIDEST_SPARKLINE, room.columns - len(said) - len(held_out))
    drawn = sparkline(known.curve, left, room.glyphs.blocks, room.glyphs.dot) if left >= NARROWEST_BAR else ""
    return said + drawn + held_out


def _kept(known: Progress, room: Room) -> Iterator[str]:
    """The newest checkpoint or the results, a copy, and what was registered; of a long address the end tells it."""
    if known.checkpoint:
        yield _place(f"checkpoint {known.checkpoint_step}", known.checkpoint, room)
    for copy in known.published[-1:]:
        yield _place(f"published {copy.step}", copy.to, room)
    if known.evaluated and known.evaluated.results:
        yield _place("results", known.evaluated.results, room)
    for place in known.results[-1:]:
        yield _place("copied to", place, room)
    for one in known.registered[-1:]:
        yield f"registered {one.name} version {one.version}" + (f" (step {one.step})" if one.step else "")


def _place(name: str, where: str, room: Room) -> str:
    where, left = plain(where), room.columns - len(name) - 4
    if width(where) > left > 1:
        where = room.glyphs.mark + where[len(where) - left + 1 :]
    return f"{name}  {where}"
