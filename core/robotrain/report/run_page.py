"""The page about one run: losses, checkpoints, lineage, settings, stages and log."""

from collections.abc import Collection, Iterator, Mapping
from html import escape
from typing import Any

from robotrain.model import scores
from robotrain.model.amounts import format_duration, format_size
from robotrain.report.charts import SMALL, Points, draw_chart
from robotrain.report.collect import LogFacts, RelatedRun, RunFacts
from robotrain.report.elements import (
    format_number,
    format_time,
    format_value,
    redact_text,
    render_details,
    render_document,
    render_facts,
    render_legend,
    render_remark,
    render_run_link,
    render_section,
    render_state,
    render_table,
    render_tiles,
)
from robotrain.report.evaluation_section import render_evaluation


def render_run_page(facts: RunFacts, linked_runs: Collection[str] = ()) -> str:
    """The whole document. Pure: equal facts give equal pages. beside: runs whose pages lie beside it, as RUN.html."""
    return render_document(facts.record.run, _run_sections(facts, linked_runs), facts.written)


def _run_sections(facts: RunFacts, linked_runs: Collection[str]) -> Iterator[str]:
    trains = facts.record.makes == "checkpoints"
    yield _render_header(facts)
    yield _render_run_tiles(facts)
    yield render_losses(facts.log, expected=trains)
    if facts.evaluation:
        yield render_evaluation(facts.evaluation, facts.record.run, facts.record.metrics)
    elif facts.record.makes == "results" and facts.status.finished:
        yield render_section("Evaluation", render_remark("it ended before it found anything"))
    yield render_other_metrics(facts.log)
    yield render_checkpoints(facts, expected=trains)
    yield render_evaluations(facts, linked_runs)
    yield render_result_places(facts)
    yield render_lineage(facts, linked_runs)
    yield render_settings(facts)
    yield render_stages(facts)
    yield render_machine(facts.log)
    yield render_log(facts)


def _render_header(facts: RunFacts) -> str:
    record, status = facts.record, facts.status
    reason = f'<p class="reason">{escape(redact_text(status.reason))}</p>' if status.reason else ""
    about = f"{record.workload} on {record.platform}, submitted {format_time(record.created)}"
    about += f" from {record.host}" if record.host else ""
    return (
        f"<header><h1>{escape(record.run)} {render_state(status.state)}</h1>"
        f'<p class="quiet">{escape(about)}</p>{reason}</header>'
    )


def _render_run_tiles(facts: RunFacts) -> str:
    known, status = facts.log.progress, facts.status
    until = status.ended or facts.written
    of = f"{known.step} of {known.total}" if known.step is not None and known.total else ""
    return render_tiles(
        [
            (f"{known.unit}s", of or (str(known.step) if known.step is not None else "")),
            *(
                (one.name, format_number(known.metrics.get(one.name)))
                for one in (known.main_metric, known.validation_metric)
                if one
            ),
            ("time", format_duration(until - status.started) if status.started else ""),
            (f"{known.unit}s/s", format_number(known.rate, 3) if known.rate else ""),
        ]
    )


def render_losses(log: LogFacts, expected: bool = True) -> str:
    """The losses on one pair of axes, else the headline score. expected: it is worth saying that there is none."""
    main = log.progress.main_metric
    found = {name: log.series[name] for name in _list_main_names(log) if name in log.series}
    title = main.title if main and main.kind != "loss" else "Loss"
    if not found:
        return (
            render_section(title, render_remark(f"the run told no {'loss' if title == 'Loss' else title}"))
            if expected and main
            else ""
        )
    return render_section(title, (render_legend(found) if len(found) > 1 else "") + draw_chart(found))


def render_other_metrics(log: LogFacts) -> str:
    """Everything else; what one episode has is in its row of a table, and scores are told as such."""
    known, first = log.progress, _list_main_names(log)
    found = {
        name: points
        for name, points in sorted(log.series.items())
        if name not in first and not known.is_episode_metric(name) and not known.is_score(name)
    }
    return _render_small_charts("Other metrics", found, log.progress.unit)


def _list_main_names(log: LogFacts) -> tuple[str, ...]:
    """The names of the metrics that have axes of their own."""
    known = log.progress
    return tuple(one.name for one in (known.main_metric, known.validation_metric) if one)


def render_machine(log: LogFacts) -> str:
    """What the machine was at."""
    return _render_small_charts("The machine", log.machine, "second")


def _render_small_charts(title: str, series: Mapping[str, Points], unit: str) -> str:
    """Small charts side by side, one a quantity; those that never change say so in a line."""
    moving = {name: points for name, points in series.items() if len({value for _, value in points}) > 1}
    still = {name: points[-1][1] for name, points in series.items() if name not in moving and points}
    drawn = "".join(
        f"<figure><figcaption>{escape(name)}</figcaption>{draw_chart({name: points}, unit, SMALL)}</figure>"
        for name, points in moving.items()
    )
    said = ", ".join(f"{escape(name)} {value:.4g}" for name, value in still.items())
    body = (f'<div class="charts">{drawn}</div>' if drawn else "") + (f'<p class="quiet">{said}</p>' if said else "")
    return render_details(title, body) if body else ""


def render_checkpoints(facts: RunFacts, expected: bool = True) -> str:
    """Those that are complete. expected: it is worth saying that there is none."""
    progress = facts.log.progress
    registered: dict[int | None, str] = {
        one.step: redact_text(f"{one.name} version {one.version}") for one in progress.registered
    }
    rows = [
        (
            str(output.step),
            format_size(output.size) if output.size is not None else "",
            output.digest[:12],
            registered.get(output.step, ""),
            redact_text(", ".join(progress.list_copies(output.step))),
            output.uri,
        )
        for output in facts.outputs
        if output.kind == "checkpoint"
    ]
    if not rows:
        return render_section("Checkpoints", render_remark("it left no complete checkpoint")) if expected else ""
    return render_section(
        "Checkpoints", render_table(("step", "size", "sha256", "registered as", "copied to", "where"), rows)
    )


def render_evaluations(facts: RunFacts, linked_runs: Collection[str]) -> str:
    """Runs that evaluated what this one trained."""
    listed = "".join(f"<li>{_render_related_run(one, linked_runs)}</li>" for one in facts.evaluations)
    return render_section("Evaluations of it", f"<ul>{listed}</ul>") if listed else ""


def _render_related_run(related: RelatedRun, linked_runs: Collection[str]) -> str:
    found = related.evaluated
    of = f"step {found.step}: " if found and found.step else ""
    said = (
        redact_text(of + "; ".join(f"{name} {text}" for name, text in scores.list_scores(found, related.metrics)))
        if found
        else ""
    )
    within = scores.format_conditions(found) if found else ""
    under = f'<div class="quiet">under: {escape(within)}</div>' if within else ""
    return f"{render_run_link(related.run, linked_runs)} {render_state(related.state)} {escape(said)}{under}"


def render_result_places(facts: RunFacts) -> str:
    """Where copies of an evaluation's results are, and what the policy became."""
    known = facts.log.progress
    rows = [("copied to", redact_text(place)) for place in known.results]
    rows += [("policy", redact_text(place)) for place in known.policies]
    if facts.evaluation:
        rows += [
            ("registered", redact_text(" ".join(filter(None, (one.name, "version", one.version, one.uri)))))
            for one in known.registered
        ]
    return render_section("Where it is", render_table(("", ""), rows)) if rows else ""


def render_lineage(facts: RunFacts, linked_runs: Collection[str]) -> str:
    """Its sources, as they were, and what names it."""
    record = facts.record
    rows = [(source.role, source.kind, source.uri, source.pin or "not pinned") for source in facts.sources]
    tracking = facts.log.progress.tracking or {}
    named = [
        ("job", record.job),
        ("plan", record.plan),
        ("payload", facts.payload),
        *((f"tracking {name}", str(value)) for name, value in tracking.items() if value),
        *(("note", note) for note in record.notes),
    ]
    trained = (
        f"<p>The policy was left by {render_run_link(facts.training_run, linked_runs)}.</p>"
        if facts.training_run
        else ""
    )
    return render_section(
        "Lineage", render_table(("role", "kind", "source", "as it was"), rows) + trained + render_facts(named)
    )


def render_settings(facts: RunFacts) -> str:
    """What somebody said stands first; the defaults can be opened."""
    head = ("name", "value", "from", "overrode")
    chosen = [value for value in facts.values if value["origin"] != "default"]
    left = [value for value in facts.values if value["origin"] == "default"]
    if not facts.values:
        return render_section("Settings", render_remark("the plan of this run was not kept"))
    shown = render_table(head, map(_setting_cells, chosen)) if chosen else render_remark("all values are defaults")
    return render_section("Settings", shown) + render_details(
        f"Defaults ({len(left)})", render_table(head[:2], map(_default_cells, left))
    )


def _setting_cells(value: Mapping[str, Any]) -> tuple[str, ...]:
    losers = [f"{loser['value']} ({loser['origin']})" for loser in value["overrode"] if loser["value"] != "None"]
    return value["name"], format_value(value["value"]), value["origin"], ", ".join(losers)


def _default_cells(value: Mapping[str, Any]) -> tuple[str, ...]:
    return value["name"], format_value(value["value"])


def render_stages(facts: RunFacts) -> str:
    """Each with how long it took, and what a person should know."""
    rows = [
        (
            stage.name,
            stage.state,
            format_duration(stage.seconds) if stage.seconds is not None else "",
            redact_text(stage.detail),
        )
        for stage in facts.log.stages
    ]
    notes = "".join(
        f'<li class="{escape(note.level)}"><b>{escape(note.level)}</b> {escape(redact_text(note.text))}</li>'
        for note in facts.log.notes
    )
    if not rows and not notes:
        return ""
    body = render_table(("stage", "", "took", ""), rows) + (f'<ul class="notes">{notes}</ul>' if notes else "")
    return render_section("What happened", body)


def render_log(facts: RunFacts) -> str:
    """Its last lines, open where it did not succeed."""
    lines = facts.log.last_lines
    if not lines:
        return ""
    title = f"The last {f'{len(lines)} lines' if len(lines) > 1 else 'line'} of its log"
    is_open = facts.status.finished and facts.status.state != "succeeded"
    return render_details(title, "<pre>" + escape("\n".join(lines)) + "</pre>", is_open)
