"""What happened while a run went on: its stages, its notes, the end of its log."""

from html import escape

from robotrain.progress import duration
from robotrain.report.elements import details, plain, section, table
from robotrain.report.facts import Facts


def stages(facts: Facts) -> str:
    """Each with how long it took, and what a person should know."""
    rows = [
        (stage.name, stage.state, duration(stage.seconds) if stage.seconds is not None else "", plain(stage.detail))
        for stage in facts.told.stages
    ]
    notes = "".join(
        f'<li class="{escape(note.level)}"><b>{escape(note.level)}</b> {escape(plain(note.text))}</li>'
        for note in facts.told.notes
    )
    if not rows and not notes:
        return ""
    body = table(("stage", "", "took", ""), rows) + (f'<ul class="notes">{notes}</ul>' if notes else "")
    return section("What happened", body)


def log(facts: Facts) -> str:
    """Its last lines, open where it did not succeed."""
    lines = facts.told.last_lines
    if not lines:
        return ""
    title = f"The last {f'{len(lines)} lines' if len(lines) > 1 else 'line'} of its log"
    is_open = facts.status.finished and facts.status.state != "succeeded"
    return details(title, "<pre>" + escape("\n".join(lines)) + "</pre>", is_open)
