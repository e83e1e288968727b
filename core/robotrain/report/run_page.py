"""The page about one run: losses, evaluation, checkpoints, lineage, settings, stages and log."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.event import Registered

from robotrain.model import checkpoint_table, scores
from robotrain.model.amounts import format_duration, format_size
from robotrain.model.code_commit_tags import format_commit
from robotrain.model.progress import Progress
from robotrain.model.run import RunRecord, StepStatus, measure_seconds
from robotrain.model.series import Point, Series
from robotrain.model.workload_profile import Metric
from robotrain.report.collect import RelatedRun, RunFacts, format_value
from robotrain.report.evaluation import (
    MAX_ROWS,
    SUMMARY,
    EpisodeOutcome,
    EvaluationFacts,
    MediaFile,
    format_number,
)
from robotrain.report.template import redact_text, render_template
from robotrain.store import run_values
from robotrain.sweeps import results
from robotrain.sweeps.space import format_point


def render_run_page(facts: RunFacts, run_pages: Mapping[str, str] | None = None, name: str = "") -> str:
    """Return the page; equal facts give equal pages.

    :param name: the name of the run, if no other run has it.
    :param run_pages: the file of the page of each run that has one in the same folder.
    """
    known, record = facts.progress, facts.record
    main, series = known.main_metric, _get_points(known.series)
    settings = list(run_values.merge_option_rows(facts.values))
    main_names = [metric.name for metric in (main, known.validation_metric) if metric]
    evaluation = _describe_evaluation(facts.evaluation, record.metrics) if facts.evaluation else {}
    main_series = {name: series[name] for name in main_names if name in series}
    if facts.evaluation and all(len(points) < 2 for points in main_series.values()):
        main_series = {}  # a chart of one point shows less than the score
    return render_template(
        "run.html",
        f"{name} ({record.run})" if name else record.run,
        facts.written,
        run_pages,
        record=record,
        run_name=name,
        status=facts.status,
        known=known,
        last_lines=facts.last_lines,
        machine_series=_get_points(known.machine_series),
        trains=record.makes == "checkpoints",
        tile_items=_list_tiles(facts),
        main_title=main.title if main and main.kind != "loss" else "Loss",
        main_series=main_series,
        other_series={name: series[name] for name in _list_other_metrics(known, main_names)},
        checkpoints=list(_list_checkpoints(facts)),
        score_rows=checkpoint_table.list_table_rows(known, MAX_ROWS),
        related_runs=[_describe_related_run(related) for related in facts.evaluations],
        locations=_list_locations(facts),
        step_rows=[_make_step_row(step, facts.written) for step in facts.steps],
        **_describe_sweep(record),
        source_rows=[
            *(
                (source.role, source.kind, source.uri, format_commit(source) or source.pin or "not pinned")
                for source in facts.sources
            ),
            *(("registered", "model", redact_text(model.uri), _format_version(model)) for model in known.registered),
        ],
        training_run=facts.training_run,
        identifiers=_list_identifiers(facts),
        values=facts.values,
        chosen_values=[_make_setting_row(value) for value in settings if value["origin"] != "default"],
        default_values=[
            (value["name"], format_value(value["value"])) for value in settings if value["origin"] == "default"
        ],
        stages=[
            (
                stage.name,
                stage.state,
                format_duration(stage.seconds) if stage.seconds is not None else "",
                redact_text(stage.detail),
            )
            for stage in known.stages
        ],
        evaluation=facts.evaluation,
        **evaluation,
    )


def _describe_sweep(record: RunRecord) -> dict[str, Any]:
    """Return the values of the part of the template that is about a sweep; empty tables for any other run."""
    found = results.read_results(record.run) if record.is_sweep else None
    best = found.best if found else None
    return {
        "trial_rows": results.list_trial_rows(found) if found else (),
        "group_rows": results.list_group_rows(found) if found else (),
        "best": f"{best.name} ({format_point(best.values)})" if best else "",
        "register_command": results.make_register_command(record.run, found) if found else "",
    }


def _make_step_row(step: StepStatus, now: float) -> tuple[str, ...]:
    seconds = measure_seconds(step, now)
    took = "" if seconds is None else format_duration(seconds)
    return step.name, step.state, took, step.registered or step.run, redact_text(step.reason)


def _list_tiles(facts: RunFacts) -> list[tuple[str, str, str]]:
    known = facts.progress
    step = "" if known.step is None else f"{known.step} of {known.total}" if known.total else str(known.step)
    metrics = [] if facts.evaluation else [known.main_metric, known.validation_metric]  # its scores have their tiles
    return [
        (f"{known.unit}s", step, ""),
        *((metric.name, format_number(known.metrics.get(metric.name)), "") for metric in metrics if metric),
        ("time", "" if facts.seconds is None else format_duration(facts.seconds), ""),
        (f"{known.unit}s/s", format_number(known.rate, 3) if known.rate else "", ""),
    ]


def _get_points(series: Mapping[str, Series]) -> dict[str, list[Point]]:
    return {name: one.points for name, one in series.items()}


def _list_other_metrics(known: Progress, main_names: Collection[str]) -> Iterator[str]:
    """Yield the metrics without a chart or table of their own."""
    for name in sorted(known.series):
        if name not in main_names and not known.is_episode_metric(name) and not known.is_score(name):
            yield name


def _list_checkpoints(facts: RunFacts) -> Iterator[tuple[str, ...]]:
    progress = facts.progress
    registered: dict[int | None, str] = {model.step: _format_version(model) for model in progress.registered}
    for output in facts.outputs:
        if output.kind == "checkpoint":
            size = format_size(output.size) if output.size is not None else ""
            copies = redact_text(", ".join(progress.list_copies(output.step)))
            yield str(output.step), size, output.digest[:12], registered.get(output.step, ""), copies, output.uri


def _describe_related_run(related: RelatedRun) -> tuple[RelatedRun, str, str]:
    """Return an evaluation with its scores and conditions."""
    evaluated = related.evaluated
    if evaluated is None:
        return related, "", ""
    step = f"step {evaluated.step}: " if evaluated.step else ""
    listed = "; ".join(f"{name} {text}" for name, text in scores.list_scores(evaluated, related.metrics))
    return related, redact_text(step + listed), scores.format_conditions(evaluated)


def _format_version(model: Registered) -> str:
    return redact_text(f"{model.name} version {model.version}")


def _list_locations(facts: RunFacts) -> list[tuple[str, str]]:
    """Return the copies of an evaluation's results and policy, and the registered versions."""
    known = facts.progress
    rows = [("copied to", redact_text(place)) for place in known.results]
    rows += [("policy", redact_text(place)) for place in known.policies]
    for model in known.registered if facts.evaluation else ():
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


def _make_setting_row(value: Mapping[str, Any]) -> tuple[str, ...]:
    overrode = [f"{lost['value']} ({lost['origin']})" for lost in value["overrode"] if lost["value"] != "None"]
    return value["name"], format_value(value["value"]), value["origin"], ", ".join(overrode)


def _describe_evaluation(evaluation: EvaluationFacts, declared: Sequence[Metric]) -> dict[str, Any]:
    """Return the values of the template `evaluation.html`."""
    results, media = evaluation.results, evaluation.media
    images = [item for item in media if item.type == "image/png"]
    plots: dict[int, list[MediaFile]] = {}
    for image in images:
        if image.episode is not None:
            plots.setdefault(image.episode, []).append(image)
    outcomes = {outcome.episode: outcome for outcome in results.outcomes} if results else {}
    failed = {episode for episode, outcome in outcomes.items() if outcome.success is False}
    videos = [(item.episode, item) for item in media if item.type == "video/mp4" and item.episode is not None]
    videos.sort(key=lambda pair: pair[0] not in failed)
    return {
        "conditions": scores.format_conditions(evaluation.evaluated),
        "score_tiles": _list_score_tiles(evaluation, declared),
        "results_tables": results.tables if results else (),
        "max_rows": MAX_ROWS,
        "grid_videos": [item for item in media if item.type == "video/mp4" and item.episode is None],
        "episode_videos": [(item, _format_caption(episode, outcomes.get(episode))) for episode, item in videos],
        "any_failed": bool(failed),
        "summary_plots": [image for image in images if image.name == SUMMARY],
        "episode_plots": plots,
        "omitted_size": format_size(sum(item.size for item in evaluation.omitted)),
        "omitted_files": [
            (item.name, format_size(item.size), (Path(evaluation.folder) / item.name).as_uri())
            for item in (evaluation.omitted if evaluation.folder else ())
        ],
    }


def _list_score_tiles(evaluation: EvaluationFacts, declared: Sequence[Metric]) -> list[tuple[str, str, str]]:
    evaluated = evaluation.evaluated
    values = {**(evaluation.results.values if evaluation.results else {}), **evaluated.scores}
    metrics = scores.add_described_metrics(declared, evaluated)
    in_share = {name for metric in metrics if metric.share for name in (metric.low, metric.high, metric.count)}
    found = []
    for metric in metrics:
        if metric.kind == "score" and metric.name not in in_share:
            if metric.share:
                share = scores.get_share(evaluated.scores, metric.name)
                text = "" if share is None else f"{share:.0%}"
                remarks = [scores.format_success_count(evaluated, metric)]
                if interval := scores.format_interval(evaluated, metric):
                    remarks.append(f"95% interval {interval}")
            else:
                value, remarks = format_number(scores.get_number(values, metric.name), 3), []
                text = f"{value}{scores.format_unit(metric)}" if value else ""
                if text and (bounds := scores.format_bounds(evaluated, metric)):
                    remarks.append(f"95% interval {bounds}")
            found.append((metric.title, text, "; ".join(filter(None, remarks))))
    if any(text for _, text, _ in found):
        return found
    return [(name, text, "") for name, text in scores.list_scores(evaluated, declared)]


def _format_caption(episode: int, outcome: EpisodeOutcome | None) -> str:
    word = "" if outcome is None or outcome.success is None else "success" if outcome.success else "failure"
    return ", ".join(filter(None, (f"episode {episode}", word, outcome.remark if outcome else "")))
