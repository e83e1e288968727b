"""The part of a page that tells an evaluation: scores, videos, every episode, errors, plots."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path

from robotrain_runtime.event import Evaluated

from robotrain import scores
from robotrain.amounts import size
from robotrain.report.bars import bars
from robotrain.report.elements import details, listed, number, quiet, section, shortened, tiles, warning
from robotrain.report.evaluation import Evaluation
from robotrain.report.media import GRID, PLOTS, SUMMARY, Medium
from robotrain.report.results_file import MOST, Outcome, Table
from robotrain.workload import Metric

OPEN_PANELS = 3
"""Of episodes; those of the others can be opened."""
FIRST_BARS = 12


def evaluation_part(found: Evaluation, run: str, declared: Sequence[Metric]) -> str:
    """The whole of it. declared: the metrics of the run's workload."""
    return "\n".join(part for part in _parts(found, run, declared) if part)


def _parts(found: Evaluation, run: str, declared: Sequence[Metric]) -> Iterator[str]:
    yield section("Evaluation", "".join(map(warning, found.remarks)) + _scores(found, declared))
    yield _videos(found)
    yield from map(_table, found.said.tables if found.said else ())
    yield _plots(found)
    yield _left_out(found, run)


def _scores(found: Evaluation, declared: Sequence[Metric]) -> str:
    said, told = found.said, found.told
    values = {**(said.values if said else {}), **told.scores}
    of_share = {name for one in declared if one.share for name in (one.low, one.high, one.count)}
    shown = [
        _share_tile(told, one) if one.share else (one.title, _text(one, values))
        for one in declared
        if one.kind == "score" and one.name not in of_share
    ]
    others = [] if any(text for _, text, *_ in shown) else scores.pairs(told, declared)
    verdict = '<p class="reason">less than was demanded</p>' if told.passed is False else ""
    return _conditions(told) + tiles([*shown, *others]) + verdict + (listed(said.facts) if said else "")


def _text(metric: Metric, values: Mapping[str, float]) -> str:
    value = number(scores.number(values, metric.name), 3)
    return f"{value}{scores.unit_of(metric)}" if value else ""


def _conditions(told: Evaluated) -> str:
    """Under which the scores hold, above them."""
    within = scores.conditions(told)
    return f"<p>Under: {escape(within)}</p>" if within else ""


def _share_tile(told: Evaluated, metric: Metric) -> tuple[str, ...]:
    rate, within = scores.share(told.scores, metric.name), scores.interval(told, metric)
    remarks = (scores.counted(told, metric), f"95% interval {within}" if within else "")
    return (metric.title, "" if rate is None else f"{rate:.0%}", "; ".join(filter(None, remarks)))


def _videos(found: Evaluation) -> str:
    outcomes = {one.episode: one for one in found.said.outcomes} if found.said else {}
    of_all = "".join(_video(one, "the first episodes side by side") for one in found.media if one.name == GRID)
    of_one = [(one.episode, one) for one in found.media if one.type == "video/mp4" and one.episode is not None]
    failed = {at for at, one in outcomes.items() if one.success is False}
    of_one.sort(key=lambda pair: pair[0] not in failed)
    single = "".join(_video(one, _caption(at, outcomes.get(at))) for at, one in of_one)
    title = "Each episode" + (", those that failed first" if failed else "")
    body = of_all + (details(title, f'<div class="videos">{single}</div>', not of_all) if single else "")
    return section("Videos", body) if body else ""


def _caption(episode: int, outcome: Outcome | None) -> str:
    word = "" if outcome is None or outcome.success is None else "success" if outcome.success else "failure"
    return ", ".join(filter(None, (f"episode {episode}", word, outcome.remark if outcome else "")))


def _table(found: Table) -> str:
    """A table of the results, with its bars."""
    remark = quiet(found.remark) if found.remark else ""
    most = quiet(f"the first {MOST} episodes") if len(found.rows) == MOST else ""
    return section(found.title, remark + shortened(found.head, found.rows) + most + _bars(found))


def _bars(found: Table) -> str:
    if not found.bars:
        return ""
    first, rest = found.bars[:FIRST_BARS], found.bars[FIRST_BARS:]
    top = max(bar.value for bar in found.bars)
    more = details(f"{len(rest)} more", bars(rest, top)) if rest else ""
    return f"<h3>{escape(found.bars_title)}</h3>{bars(first, top)}{more}"


def _plots(found: Evaluation) -> str:
    images = [one for one in found.media if one.type == "image/png"]
    episodes = list(dict.fromkeys(one.episode for one in images if one.episode is not None))
    body = "".join(_picture(one, "all episodes") for one in images if one.name == SUMMARY)
    for at, episode in enumerate(episodes):
        of_it = [one for one in images if one.episode == episode]
        body += details(f"Episode {episode}", "".join(map(_plot, of_it)), at < OPEN_PANELS)
    return section("Plots", body) if body else ""


def _plot(one: Medium) -> str:
    """The panel as it is; what it sums up can be opened."""
    shown = _picture(one, one.title)
    return shown if one.name.endswith(f"/{PLOTS[0]}.png") else details(one.title, shown)


def _picture(one: Medium, caption: str) -> str:
    alt = escape(f"{one.title}, {caption}")
    return f'<figure><img alt="{alt}" src="{_address(one)}"><figcaption>{escape(caption)}</figcaption></figure>'


def _video(one: Medium, caption: str) -> str:
    return (
        f'<figure><video controls loop muted playsinline preload="metadata" src="{_address(one)}"></video>'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def _address(one: Medium) -> str:
    """The file itself, as an address."""
    return f"data:{one.type};base64,{base64.b64encode(one.data).decode('ascii')}"


def _left_out(found: Evaluation, run: str) -> str:
    """What the page has no room for, and where it is."""
    if not found.left_out:
        return ""
    total = size(sum(one.size for one in found.left_out))
    said = f"{len(found.left_out)} plots and videos ({total}) would make this page too large"
    if not found.folder:
        return section("Not on this page", quiet(f"{said}: robotrain outputs --to FOLDER {run} brings them"))
    links = "".join(
        f'<li><a href="{escape((Path(found.folder) / one.name).as_uri())}">{escape(one.name)}</a> {size(one.size)}</li>'
        for one in found.left_out
    )
    return section("Not on this page", quiet(f"{said}; here they lie in {found.folder}") + f"<ul>{links}</ul>")
