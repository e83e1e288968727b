"""The page about one run: losses, evaluation, checkpoints, lineage, settings, stages and log."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from robotrain_runtime.comparison.decision import CONFIDENCE
from robotrain_runtime.contract.event import Registered

from robotrain.model import checkpoint_table, scores
from robotrain.model.amounts import format_duration, format_size
from robotrain.model.code_commit_tags import format_commit
from robotrain.model.job import TRAINER_ARGS
from robotrain.model.progress import Progress
from robotrain.model.run import Output, RunRecord, StepStatus, measure_seconds
from robotrain.model.workload_profile import Metric
from robotrain.report import comparison_record
from robotrain.report.charts import Bar
from robotrain.report.collect import RelatedRun, RunFacts, format_value
from robotrain.report.curves import Panel, capitalize, list_panels
from robotrain.report.evaluation import (
    MAX_ROWS,
    SUMMARY,
    EpisodeOutcome,
    EvaluationFacts,
    MediaFile,
    format_number,
)
from robotrain.report.sweep_part import describe_sweep, list_sweep_tiles, select_shared_values
from robotrain.report.template import redact_text, render_template
from robotrain.store import run_values


def render_run_page(
    facts: RunFacts,
    run_pages: Mapping[str, str] | None = None,
    name: str = "",
    fault: str = "",
    next_commands: Sequence[tuple[str, str]] = (),
) -> str:
    """Return the page; equal facts give equal pages.

    :param name: the name of the run, if a command takes it: no other run has it.
    :param run_pages: the file of the page of each run that has one in the same folder.
    :param fault: whose fault a failure is, with what helps.
    :param next_commands: what to type next, and what each command does.
    """
    progress, record = facts.progress, facts.record
    series = {name: curve.points for name, curve in progress.series.items()}
    value_rows = select_shared_values(facts.values, facts.sweep) if facts.sweep else facts.values
    settings = list(run_values.merge_option_rows(value_rows))
    defaults = [value_row for value_row in settings if value_row["origin"] == "default"]
    main_names = [metric.name for metric in (progress.main_metric, progress.validation_metric) if metric]
    evaluation = _describe_evaluation(facts.evaluation, record.metrics) if facts.evaluation else {}
    return render_template(
        "run.html",
        f"{record.name} ({record.run})" if record.name and record.name != record.run else record.run,
        facts.written,
        run_pages,
        record=record,
        run_name=name,
        fault=fault,
        next_commands=next_commands,
        earlier_runs=[
            (earlier_run.record.run, earlier_run.record.name, earlier_run.step)
            for earlier_run in reversed(facts.earlier_runs)
        ],
        status=facts.status,
        known=progress,
        last_lines=facts.last_lines,
        machine_series={
            name.removeprefix("system/").replace("_", " "): curve.points
            for name, curve in progress.machine_series.items()
        },
        trains=record.makes == "checkpoints",
        tile_items=_list_tiles(facts),
        panels=_list_panels(facts),
        other_series={name: series[name] for name in _list_other_metrics(progress, main_names)},
        checkpoints=list(_list_checkpoints(facts)),
        files=[
            (str(output.step), output.digest, output.uri, redact_text(", ".join(progress.list_copies(output.step))))
            for output in facts.outputs
            if output.kind == "checkpoint"
        ],
        score_rows=checkpoint_table.list_table_rows(progress, MAX_ROWS),
        related_runs=[_describe_related_run(related_run) for related_run in facts.evaluations],
        locations=_list_locations(facts),
        step_rows=[_make_step_row(step, facts.written) for step in facts.steps],
        **describe_sweep(record.run, facts.sweep),
        source_rows=[
            *(
                (source.role, source.kind, source.uri, format_commit(source) or source.pin or "not pinned")
                for source in facts.sources
            ),
            *(("registered", "model", redact_text(model.uri), _format_version(model)) for model in progress.registered),
        ],
        training_run=facts.training_run,
        training_name=facts.training_name,
        identifiers=_list_identifiers(facts),
        values=facts.values,
        chosen_values=[_make_setting_row(value_row) for value_row in settings if value_row["origin"] != "default"],
        default_values=[
            (value_row["name"], format_value(value_row["value"]))
            for value_row in defaults
            if value_row["value"] is not None
        ],
        unset=sum(value_row["value"] is None for value_row in defaults),
        stages=[
            (
                stage.name,
                stage.state,
                format_duration(stage.seconds) if stage.seconds is not None else "",
                redact_text(stage.detail),
            )
            for stage in progress.stages
        ],
        evaluation=facts.evaluation,
        **evaluation,
    )


def _list_panels(facts: RunFacts) -> list[Panel]:
    """Return the charts of the main and the validation metric."""
    outputs = [*facts.outputs, *(output for _, output in _list_earlier_checkpoints(facts))]
    steps = sorted(output.step for output in outputs if output.kind == "checkpoint" and output.step is not None)
    curves = [len(series.points) for series in facts.progress.series.values()]
    has_only_scores = facts.evaluation and max(curves, default=0) < 2  # a chart of one point shows less than the score
    return [] if has_only_scores else list(list_panels(facts.progress, steps))


def _list_earlier_checkpoints(facts: RunFacts) -> Iterator[tuple[RunRecord, Output]]:
    """Yield the checkpoints that the run goes back to, each with the earlier run that has it."""
    for earlier_run in facts.earlier_runs:
        for output in earlier_run.outputs:
            if output.kind == "checkpoint" and output.step is not None and output.step <= earlier_run.step:
                yield earlier_run.record, output


def _make_step_row(step: StepStatus, now: float) -> tuple[str, ...]:
    seconds = measure_seconds(step, now)
    duration_text = "" if seconds is None else format_duration(seconds)
    return step.name, step.state, duration_text, step.run, redact_text(step.reason)


def _list_tiles(facts: RunFacts) -> list[tuple[str, str, str]]:
    progress = facts.progress
    total = f"of {progress.total}" if progress.total else ""
    steps = (f"{progress.unit}s", "" if progress.step is None else str(progress.step), total)
    metrics = (
        [] if facts.evaluation else [progress.main_metric, progress.validation_metric]
    )  # its scores have their tiles
    return [
        *(list_sweep_tiles(facts.sweep) if facts.sweep else [steps]),
        *((metric.title, format_number(progress.metrics.get(metric.name)), "") for metric in metrics if metric),
        ("time", "" if facts.seconds is None else format_duration(facts.seconds), _format_work_time(facts)),
        (f"{progress.unit}s/s", format_number(progress.rate, 3) if progress.rate else "", "without start-up and end"),
    ]


def _format_work_time(facts: RunFacts) -> str:
    """Return how long the steps of a pipeline, or the trials of a sweep, took together: what they used of machines."""
    seconds = [measure_seconds(step, facts.written) or 0.0 for step in facts.steps]
    return f"its {'trials' if facts.sweep else 'steps'} together: {format_duration(sum(seconds))}" if seconds else ""


def _list_other_metrics(progress: Progress, main_names: Collection[str]) -> Iterator[str]:
    """Yield the metrics without a chart or table of their own."""
    for name in sorted(progress.series):
        if name not in main_names and not progress.is_episode_metric(name) and not progress.is_score(name):
            yield name


def _list_checkpoints(facts: RunFacts) -> Iterator[tuple[str, ...]]:
    progress = facts.progress
    registered: dict[int | None, str] = {model.step: _format_version(model) for model in progress.registered}
    own_checkpoints = [(facts.record, output) for output in facts.outputs if output.kind == "checkpoint"]
    for record, output in (*_list_earlier_checkpoints(facts), *own_checkpoints):
        size = format_size(output.size) if output.size is not None else ""
        loss = validation_loss = None
        if output.step is not None:
            loss = checkpoint_table.find_loss(progress, output.step)
            validation_loss = checkpoint_table.find_validation_loss(progress, output.step)
        is_own = record is facts.record
        version = registered.get(output.step, "") if is_own else ""
        run = "" if is_own else record.run
        yield str(output.step), size, format_number(loss), format_number(validation_loss), version, run


def _describe_related_run(related_run: RelatedRun) -> tuple[RelatedRun, str, str]:
    """Return an evaluation with its scores and conditions."""
    evaluated = related_run.evaluated
    if evaluated is None:
        return related_run, "", ""
    step = f"step {evaluated.step}: " if evaluated.step else ""
    scores_text = "; ".join(
        f"{name} {score_text}" for name, score_text in scores.list_scores(evaluated, related_run.metrics)
    )
    return related_run, redact_text(step + scores_text), scores.format_conditions(evaluated)


def _format_version(model: Registered) -> str:
    return redact_text(f"{model.name} version {model.version}")


def _list_locations(facts: RunFacts) -> list[tuple[str, str]]:
    """Return the copies of an evaluation's results and policy, and the registered versions."""
    progress = facts.progress
    rows = [("copied to", redact_text(address)) for address in progress.results]
    rows += [("policy", redact_text(address)) for address in progress.policies]
    for model in progress.registered if facts.evaluation else ():
        rows.append(
            ("registered", redact_text(" ".join(filter(None, (model.name, "version", model.version, model.uri)))))
        )
    return rows


def _list_identifiers(facts: RunFacts) -> list[tuple[str, str]]:
    record, tracking = facts.record, facts.progress.tracking or {}
    return [
        ("job", record.job),
        ("plan", record.plan),
        ("payload", facts.payload),
        *((f"tracking {name}", str(value)) for name, value in tracking.items() if value),
        *(("note", note) for note in record.notes),
    ]


def _make_setting_row(value_row: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a row of the table of settings; an option of the trainer has its own name, an own program `command`."""
    step, _, name = value_row["name"].rpartition(".")
    value_text, option = format_value(value_row["value"]), value_row.get("option")
    if name == TRAINER_ARGS:
        name, value_text = (option, value_text.removeprefix(option).lstrip(" =")) if option else ("command", value_text)
        name = f"{step} {name}".strip()
    else:
        name = value_row["name"]
    overridden_values = [
        f"{overridden_value['value']} ({overridden_value['origin']})"
        for overridden_value in value_row["overrode"]
        if overridden_value["value"] is not None
    ]
    return name, value_text, value_row["origin"], ", ".join(overridden_values)


def _describe_evaluation(evaluation: EvaluationFacts, declared_metrics: Sequence[Metric]) -> dict[str, Any]:
    """Return the values of the templates `headline.html` and `evaluation.html`."""
    results, media = evaluation.results, evaluation.media
    images = [media_file for media_file in media if media_file.type == "image/png"]
    plots: dict[int, list[MediaFile]] = {}
    for image in images:
        if image.episode is not None:
            plots.setdefault(image.episode, []).append(image)
    tiles = _list_score_tiles(evaluation, declared_metrics)
    headline = next((tile for tile in tiles if tile.is_headline and tile.text), None)
    return {
        "conditions": scores.format_conditions(evaluation.evaluated),
        **_describe_comparison(evaluation.comparison),
        "headline": headline,
        "score_tiles": [(tile.title, tile.text, tile.remark) for tile in tiles if tile is not headline],
        "results_tables": results.tables if results else (),
        "max_rows": MAX_ROWS,
        "grid_videos": [
            media_file for media_file in media if media_file.type == "video/mp4" and media_file.episode is None
        ],
        "cards": _list_cards(evaluation),
        "video_note": results.video_note if results else "",
        "summary_plots": [image for image in images if image.name == SUMMARY],
        "episode_plots": plots,
        "omitted_size": format_size(sum(media_file.size for media_file in evaluation.omitted)),
        "omitted_files": [
            (media_file.name, format_size(media_file.size), (Path(evaluation.folder) / media_file.name).as_uri())
            for media_file in (evaluation.omitted if evaluation.folder else ())
        ],
    }


def _describe_comparison(record: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the table of the policies that an evaluation compared, and what it found."""
    if record is None:
        return {"compared_rows": []}
    rows = [tuple(map(redact_text, row)) for row in comparison_record.list_policies(record)]
    return {
        "compared_rows": rows,
        "compared_verdicts": [
            redact_text(comparison_record.format_verdict(text)) for text in comparison_record.list_sentences(record)
        ],
        "compared_notes": [redact_text(f"{capitalize(note)}.") for note in comparison_record.list_notes(record)],
        "explanation": comparison_record.explain_numbers(record.get("confidence") or CONFIDENCE, record.get("margin")),
    }


def _list_cards(evaluation: EvaluationFacts) -> list[tuple[int, MediaFile | None, str, str]]:
    """Return each episode with its video, how it ended, and what it reached."""
    videos = {
        media_file.episode: media_file
        for media_file in evaluation.media
        if media_file.type == "video/mp4" and media_file.episode is not None
    }
    outcomes = {outcome.episode: outcome for outcome in evaluation.results.outcomes} if evaluation.results else {}
    words = {True: "success", False: "failure", None: ""}
    cards = []
    for episode in sorted({*videos, *outcomes}):
        outcome = outcomes.get(episode) or EpisodeOutcome(episode=episode)
        cards.append((episode, videos.get(episode), words[outcome.success], outcome.remark))
    return cards


class _ScoreTile(NamedTuple):
    title: str
    text: str
    remark: str = ""
    bar: Bar | None = None
    is_headline: bool = False


def _list_score_tiles(evaluation: EvaluationFacts, declared_metrics: Sequence[Metric]) -> list[_ScoreTile]:
    evaluated = evaluation.evaluated
    reported_scores = {**(evaluation.results.values if evaluation.results else {}), **evaluated.scores}
    metrics = scores.add_described_metrics(declared_metrics, evaluated)
    in_share = {name for metric in metrics if metric.share for name in (metric.low, metric.high, metric.count)}
    tiles = []
    for metric in metrics:
        if metric.kind == "score" and metric.name not in in_share:
            bar = None
            if metric.share:
                share = scores.get_share(evaluated.scores, metric.name)
                score_text = "" if share is None else f"{share:.0%}"
                remarks = [scores.format_success_count(evaluated, metric)]
                if interval := scores.format_interval(evaluated, metric):
                    remarks.append(f"95% interval {interval}")
                if share is not None:
                    lower_bound, upper_bound = (
                        scores.get_share(evaluated.scores, name) for name in (metric.low, metric.high)
                    )
                    bar = Bar(metric.title, share, score_text, lower_bound, upper_bound)
            else:
                number_text = format_number(scores.get_number(reported_scores, metric.name), 3)
                remarks = []
                score_text = f"{number_text}{scores.format_unit(metric)}" if number_text else ""
                if score_text and (bounds := scores.format_bounds(evaluated, metric)):
                    remarks.append(f"95% interval {bounds}")
            remark = "; ".join(filter(None, remarks))
            tiles.append(_ScoreTile(metric.title, score_text, remark, bar, metric.headline))
    if any(tile.text for tile in tiles):
        return tiles
    return [_ScoreTile(name, score_text) for name, score_text in scores.list_scores(evaluated, declared_metrics)]
