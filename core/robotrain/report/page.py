"""The page about a run: plain HTML with everything in it, for a browser without a network."""

from collections.abc import Collection, Iterator
from html import escape

from robotrain.progress import duration
from robotrain.report import course, curves, leavings, origin
from robotrain.report.elements import document, moment, number, plain, quiet, section, state, tiles
from robotrain.report.evaluation_page import evaluation_part
from robotrain.report.facts import Facts


def page(facts: Facts, beside: Collection[str] = ()) -> str:
    """The whole document. Pure: equal facts give equal pages. beside: runs whose pages lie beside it, as RUN.html."""
    return document(facts.record.run, _sections(facts, beside), facts.written)


def _sections(facts: Facts, beside: Collection[str]) -> Iterator[str]:
    trains = facts.record.makes == "checkpoints"
    yield _head(facts)
    yield _tiles(facts)
    yield curves.losses(facts.told, expected=trains)
    if facts.evaluation:
        yield evaluation_part(facts.evaluation, facts.record.run, facts.record.metrics)
    elif facts.record.makes == "results" and facts.status.finished:
        yield section("Evaluation", quiet("it ended before it found anything"))
    yield curves.others(facts.told)
    yield leavings.checkpoints(facts, expected=trains)
    yield leavings.evaluations(facts, beside)
    yield leavings.results(facts)
    yield origin.lineage(facts, beside)
    yield origin.settings(facts)
    yield course.stages(facts)
    yield curves.machine(facts.told)
    yield course.log(facts)


def _head(facts: Facts) -> str:
    record, status = facts.record, facts.status
    reason = f'<p class="reason">{escape(plain(status.reason))}</p>' if status.reason else ""
    about = f"{record.workload} on {record.platform}, submitted {moment(record.created)}"
    about += f" from {record.host}" if record.host else ""
    return (
        f"<header><h1>{escape(record.run)} {state(status.state)}</h1>"
        f'<p class="quiet">{escape(about)}</p>{reason}</header>'
    )


def _tiles(facts: Facts) -> str:
    known, status = facts.told.progress, facts.status
    until = status.ended or facts.written
    of = f"{known.step} of {known.total}" if known.step is not None and known.total else ""
    return tiles(
        [
            (f"{known.unit}s", of or (str(known.step) if known.step is not None else "")),
            *((one.name, number(known.metrics.get(one.name))) for one in (known.main, known.validation) if one),
            ("time", duration(until - status.started) if status.started else ""),
            (f"{known.unit}s/s", number(known.rate, 3) if known.rate else ""),
        ]
    )
