"""What a run was made of: its sources, its settings and where each came from."""

from collections.abc import Collection, Mapping
from typing import Any

from robotrain.report.elements import details, listed, named_run, quiet, said, section, table
from robotrain.report.facts import Facts


def lineage(facts: Facts, beside: Collection[str]) -> str:
    """Its sources, as they were, and what names it."""
    record = facts.record
    rows = [(source.role, source.kind, source.uri, source.pin or "not pinned") for source in facts.sources]
    tracking = facts.told.progress.tracking or {}
    named = [
        ("job", record.job),
        ("plan", record.plan),
        ("payload", facts.payload),
        *((f"tracking {name}", str(value)) for name, value in tracking.items() if value),
        *(("note", note) for note in record.notes),
    ]
    trained = f"<p>The policy was left by {named_run(facts.trained, beside)}.</p>" if facts.trained else ""
    return section("Lineage", table(("role", "kind", "source", "as it was"), rows) + trained + listed(named))


def settings(facts: Facts) -> str:
    """What somebody said stands first; the defaults can be opened."""
    head = ("name", "value", "from", "overrode")
    chosen = [value for value in facts.values if value["origin"] != "default"]
    left = [value for value in facts.values if value["origin"] == "default"]
    if not facts.values:
        return section("Settings", quiet("the plan of this run was not kept"))
    shown = table(head, map(_setting, chosen)) if chosen else quiet("everything is as it comes")
    return section("Settings", shown) + details(
        f"What was left as it comes ({len(left)})", table(head[:2], map(_default, left))
    )


def _setting(value: Mapping[str, Any]) -> tuple[str, ...]:
    losers = [f"{loser['value']} ({loser['origin']})" for loser in value["overrode"] if loser["value"] != "None"]
    return value["name"], said(value["value"]), value["origin"], ", ".join(losers)


def _default(value: Mapping[str, Any]) -> tuple[str, ...]:
    return value["name"], said(value["value"])
