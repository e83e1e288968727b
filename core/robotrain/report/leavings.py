"""What a run left: checkpoints with their copies, results, and what others found of it."""

from collections.abc import Collection
from html import escape

from robotrain import scores
from robotrain.amounts import size
from robotrain.report.elements import named_run, plain, quiet, section, state, table
from robotrain.report.facts import Facts
from robotrain.report.related import Known


def checkpoints(facts: Facts, expected: bool = True) -> str:
    """Those that are complete. expected: it is worth saying that there is none."""
    progress = facts.told.progress
    registered: dict[int | None, str] = {
        one.step: plain(f"{one.name} version {one.version}") for one in progress.registered
    }
    rows = [
        (
            str(output.step),
            size(output.size) if output.size is not None else "",
            output.digest[:12],
            registered.get(output.step, ""),
            plain(", ".join(progress.copies(output.step))),
            output.uri,
        )
        for output in facts.outputs
        if output.kind == "checkpoint"
    ]
    if not rows:
        return section("Checkpoints", quiet("it left no complete checkpoint")) if expected else ""
    return section("Checkpoints", table(("step", "size", "sha256", "registered as", "copied to", "where"), rows))


def evaluations(facts: Facts, beside: Collection[str]) -> str:
    """Runs that evaluated what this one trained."""
    listed = "".join(f"<li>{_evaluation(one, beside)}</li>" for one in facts.evaluations)
    return section("Evaluations of it", f"<ul>{listed}</ul>") if listed else ""


def _evaluation(one: Known, beside: Collection[str]) -> str:
    found = one.told
    of = f"step {found.step}: " if found and found.step else ""
    said = plain(of + "; ".join(f"{name} {text}" for name, text in scores.pairs(found, one.metrics))) if found else ""
    within = scores.conditions(found) if found else ""
    under = f'<div class="quiet">under: {escape(within)}</div>' if within else ""
    return f"{named_run(one.run, beside)} {state(one.state)} {escape(said)}{under}"


def results(facts: Facts) -> str:
    """Where copies of an evaluation's results are, and what the policy became."""
    known = facts.told.progress
    rows = [("copied to", plain(place)) for place in known.results]
    rows += [("policy", plain(place)) for place in known.policies]
    if facts.evaluation:
        rows += [
            ("registered", plain(" ".join(filter(None, (one.name, "version", one.version, one.uri)))))
            for one in known.registered
        ]
    return section("Where it is", table(("", ""), rows)) if rows else ""
