"""The part of a page that tells an evaluation: scores, videos, every episode, errors, plots."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path

from robotrain_runtime.contract.event import Evaluated

from robotrain.model import scores
from robotrain.model.amounts import format_size
from robotrain.model.workload import Metric
from robotrain.report.charts import draw_bars
from robotrain.report.elements import (
    format_number,
    render_details,
    render_facts,
    render_remark,
    render_section,
    render_short_table,
    render_tiles,
    render_warning,
)
from robotrain.report.evaluation import (
    GRID,
    MAX_ROWS,
    PLOTS,
    SUMMARY,
    EpisodeOutcome,
    EvaluationFacts,
    MediaFile,
    ResultsTable,
)

MAX_OPEN_PANELS = 3
"""Of episodes; those of the others can be opened."""
MAX_OPEN_BARS = 12


def render_evaluation(evaluation: EvaluationFacts, run: str, declared: Sequence[Metric]) -> str:
    """The whole of it. declared: the metrics of the run's workload."""
    return "\n".join(part for part in _evaluation_parts(evaluation, run, declared) if part)


def _evaluation_parts(evaluation: EvaluationFacts, run: str, declared: Sequence[Metric]) -> Iterator[str]:
    yield render_section(
        "Evaluation", "".join(map(render_warning, evaluation.remarks)) + _render_scores(evaluation, declared)
    )
    yield _render_videos(evaluation)
    yield from map(_render_results_table, evaluation.results.tables if evaluation.results else ())
    yield _render_plots(evaluation)
    yield _render_omitted(evaluation, run)


def _render_scores(evaluation: EvaluationFacts, declared: Sequence[Metric]) -> str:
    said, told = evaluation.results, evaluation.evaluated
    values = {**(said.values if said else {}), **told.scores}
    of_share = {name for one in declared if one.share for name in (one.low, one.high, one.count)}
    shown = [
        _share_tile_cells(told, one) if one.share else (one.title, _format_metric(one, values))
        for one in declared
        if one.kind == "score" and one.name not in of_share
    ]
    others = [] if any(text for _, text, *_ in shown) else scores.list_scores(told, declared)
    verdict = '<p class="reason">less than was demanded</p>' if told.passed is False else ""
    return (
        _render_conditions(told)
        + render_tiles([*shown, *others])
        + verdict
        + (render_facts(said.facts) if said else "")
    )


def _format_metric(metric: Metric, values: Mapping[str, float]) -> str:
    value = format_number(scores.get_number(values, metric.name), 3)
    return f"{value}{scores.format_unit(metric)}" if value else ""


def _render_conditions(evaluated: Evaluated) -> str:
    """Under which the scores hold, above them."""
    within = scores.format_conditions(evaluated)
    return f"<p>Under: {escape(within)}</p>" if within else ""


def _share_tile_cells(evaluated: Evaluated, metric: Metric) -> tuple[str, ...]:
    rate, within = scores.get_share(evaluated.scores, metric.name), scores.format_interval(evaluated, metric)
    remarks = (scores.format_success_count(evaluated, metric), f"95% interval {within}" if within else "")
    return (metric.title, "" if rate is None else f"{rate:.0%}", "; ".join(filter(None, remarks)))


def _render_videos(evaluation: EvaluationFacts) -> str:
    outcomes = {one.episode: one for one in evaluation.results.outcomes} if evaluation.results else {}
    of_all = "".join(
        _render_video(one, "the first episodes side by side") for one in evaluation.media if one.name == GRID
    )
    of_one = [(one.episode, one) for one in evaluation.media if one.type == "video/mp4" and one.episode is not None]
    failed = {at for at, one in outcomes.items() if one.success is False}
    of_one.sort(key=lambda pair: pair[0] not in failed)
    single = "".join(_render_video(one, _format_caption(at, outcomes.get(at))) for at, one in of_one)
    title = "Each episode" + (", those that failed first" if failed else "")
    body = of_all + (render_details(title, f'<div class="videos">{single}</div>', not of_all) if single else "")
    return render_section("Videos", body) if body else ""


def _format_caption(episode: int, outcome: EpisodeOutcome | None) -> str:
    word = "" if outcome is None or outcome.success is None else "success" if outcome.success else "failure"
    return ", ".join(filter(None, (f"episode {episode}", word, outcome.remark if outcome else "")))


def _render_results_table(results_table: ResultsTable) -> str:
    """A table of the results, with its bars."""
    remark = render_remark(results_table.remark) if results_table.remark else ""
    most = render_remark(f"the first {MAX_ROWS} episodes") if len(results_table.rows) == MAX_ROWS else ""
    return render_section(
        results_table.title,
        remark + render_short_table(results_table.head, results_table.rows) + most + _render_table_bars(results_table),
    )


def _render_table_bars(results_table: ResultsTable) -> str:
    if not results_table.bars:
        return ""
    first, rest = results_table.bars[:MAX_OPEN_BARS], results_table.bars[MAX_OPEN_BARS:]
    top = max(bar.value for bar in results_table.bars)
    more = render_details(f"{len(rest)} more", draw_bars(rest, top)) if rest else ""
    return f"<h3>{escape(results_table.bars_title)}</h3>{draw_bars(first, top)}{more}"


def _render_plots(evaluation: EvaluationFacts) -> str:
    images = [one for one in evaluation.media if one.type == "image/png"]
    episodes = list(dict.fromkeys(one.episode for one in images if one.episode is not None))
    body = "".join(_render_image(one, "all episodes") for one in images if one.name == SUMMARY)
    for at, episode in enumerate(episodes):
        of_it = [one for one in images if one.episode == episode]
        body += render_details(f"Episode {episode}", "".join(map(_render_plot, of_it)), at < MAX_OPEN_PANELS)
    return render_section("Plots", body) if body else ""


def _render_plot(media: MediaFile) -> str:
    """The panel as it is; what it sums up can be opened."""
    shown = _render_image(media, media.title)
    return shown if media.name.endswith(f"/{PLOTS[0]}.png") else render_details(media.title, shown)


def _render_image(media: MediaFile, caption: str) -> str:
    alt = escape(f"{media.title}, {caption}")
    return f'<figure><img alt="{alt}" src="{_data_uri(media)}"><figcaption>{escape(caption)}</figcaption></figure>'


def _render_video(media: MediaFile, caption: str) -> str:
    return (
        f'<figure><video controls loop muted playsinline preload="metadata" src="{_data_uri(media)}"></video>'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def _data_uri(media: MediaFile) -> str:
    """The file itself, as an address."""
    return f"data:{media.type};base64,{base64.b64encode(media.data).decode('ascii')}"


def _render_omitted(evaluation: EvaluationFacts, run: str) -> str:
    """What the page has no room for, and where it is."""
    if not evaluation.omitted:
        return ""
    total = format_size(sum(one.size for one in evaluation.omitted))
    said = f"{len(evaluation.omitted)} plots and videos ({total}) would make this page too large"
    if not evaluation.folder:
        return render_section(
            "Not on this page", render_remark(f"{said}: robotrain outputs --to FOLDER {run} brings them")
        )
    links = "".join(
        f'<li><a href="{escape((Path(evaluation.folder) / one.name).as_uri())}">{escape(one.name)}</a> '
        f"{format_size(one.size)}</li>"
        for one in evaluation.omitted
    )
    return render_section(
        "Not on this page", render_remark(f"{said}; here they lie in {evaluation.folder}") + f"<ul>{links}</ul>"
    )
