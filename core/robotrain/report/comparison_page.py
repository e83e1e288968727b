"""The page that shows several runs side by side."""

from collections.abc import Collection, Iterator, Sequence
from html import escape

from robotrain.progress import duration
from robotrain.report import comparison
from robotrain.report.chart import MOST_LINES, chart
from robotrain.report.comparison import Differing
from robotrain.report.elements import document, legend, moment, named_run, number, plain, quiet, section, state, table
from robotrain.report.facts import Facts
from robotrain.report.score_table import score_table
from robotrain.report.success import success
from robotrain.workload import Metric


def comparison_page(compared: Sequence[Facts], beside: Collection[str] = ()) -> str:
    """The whole document. Pure: equal facts give equal pages. beside: runs whose pages lie beside it, as RUN.html."""
    title = f"{len(compared)} runs compared"
    return document(title, _sections(title, compared, beside), max(facts.written for facts in compared))


def _sections(title: str, compared: Sequence[Facts], beside: Collection[str]) -> Iterator[str]:
    yield f"<header><h1>{escape(title)}</h1></header>"
    yield _runs(compared, beside)
    for metric in _drawn(compared):
        yield _curves(metric, compared)
    yield success(compared)
    yield score_table(compared)
    yield _differing("Metrics at the end", comparison.metrics(compared), compared)
    yield _settings(compared)
    yield _differing("Sources that differ", comparison.sources(compared), compared)


def _runs(compared: Sequence[Facts], beside: Collection[str]) -> str:
    """Each with its colour."""
    rows = "".join(
        f'<li class="key series-{at}">{named_run(facts.record.run, beside)} {state(facts.status.state)} '
        f'<span class="quiet">{escape(_about(facts))}</span></li>'
        for at, facts in enumerate(compared, 1)
    )
    most = quiet(f"curves are drawn of the first {MOST_LINES}: more cannot be told apart")
    return f'<ul class="runs">{rows}</ul>' + (most if len(compared) > MOST_LINES else "")


def _about(facts: Facts) -> str:
    known, status, record = facts.told.progress, facts.status, facts.record
    parts = [f"{record.workload} on {record.platform}", f"submitted {moment(record.created)}"]
    if known.step is not None:
        parts.append(f"{known.step}{f' of {known.total}' if known.total else ''} {known.unit}s")
    if status.started:
        parts.append(duration((status.ended or facts.written) - status.started))
    if facts.trained:
        parts.append(f"with the policy of {facts.trained}")
    return ", ".join(parts)


def _drawn(compared: Sequence[Facts]) -> Iterator[Metric]:
    """The metrics that are drawn, each once."""
    known = [facts.told.progress for facts in compared]
    mains = {one.main.name: one.main for one in known if one.main}
    yield from mains.values()
    yield from {one.validation.name: one.validation for one in known if one.validation}.values()


def _curves(metric: Metric, compared: Sequence[Facts]) -> str:
    """One metric of all runs on one pair of axes; a run keeps its colour where others have no such metric."""
    shown = compared[:MOST_LINES]
    series = {facts.record.run: facts.told.series.get(metric.name, []) for facts in shown}
    silent = (facts for facts in shown if metric in facts.record.metrics and not series[facts.record.run])
    without = ", ".join(facts.record.run for facts in silent)
    if not any(series.values()):
        return ""
    title = metric.title[:1].upper() + metric.title[1:]
    return section(title, legend(series) + chart(series) + (quiet(f"{without} told none") if without else ""))


def _settings(compared: Sequence[Facts]) -> str:
    """Those of each workload by themselves: another one has other settings."""
    lost = ", ".join(facts.record.run for facts in compared if not facts.values)
    remark = quiet(f"the plan of {lost} was not kept") if lost else ""
    groups: dict[str, list[Facts]] = {}
    for facts in compared:
        groups.setdefault(facts.record.workload, []).append(facts)
    tables = "".join(
        (f"<h3>{escape(workload)}</h3>" if len(groups) > 1 else "") + _rows(found, group)
        for workload, group in groups.items()
        if (found := comparison.settings(group))
    )
    return section("Settings that differ", tables + remark or quiet("none"))


def _differing(title: str, found: Sequence[Differing], compared: Sequence[Facts]) -> str:
    return section(title, _rows(found, compared)) if found else ""


def _rows(found: Sequence[Differing], compared: Sequence[Facts]) -> str:
    head = ("", *(facts.record.run for facts in compared))
    return table(head, [(plain(row.name), *map(_cell, row.values)) for row in found])


def _cell(value: str | float | None) -> str:
    return number(value) if isinstance(value, float) else value or ""
