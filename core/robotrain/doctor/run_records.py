"""Health check of the records of runs: readable, and none of an interrupted submit."""

import itertools
import time
from collections.abc import Iterator

from robotrain.errors import Rejected, Suggestion
from robotrain.model.amounts import format_age
from robotrain.model.health import (
    HealthResult,
    convert_problem,
    report_ok,
    report_warning,
)
from robotrain.store import name_lock, records

MAX_RECORDS = 1000
"""How many of the newest records are read."""
MAX_FINDINGS = 5


def check_records() -> Iterator[HealthResult]:
    """Warn of unreadable records and interrupted submits."""
    count, problem_results = 0, list[HealthResult]()
    run_names = records.iterate_runs()
    for run in itertools.islice(run_names, MAX_RECORDS):
        count += 1
        try:
            record = records.read_record(run)
        except records.UnknownRun:  # removed in between
            continue
        except Rejected as rejected:
            broken_result = convert_problem(rejected.problems[0])
            problem_results.append(report_warning(broken_result.text, *broken_result.suggestions))
            continue
        if record.phase == "sending" and not name_lock.is_being_submitted(run):
            status = Suggestion(f"robotrain status {run}", f"looks for it on {record.platform}")
            retry_suggestion = Suggestion(
                "the same `robotrain submit …`", "finds or submits it; it is never submitted twice"
            )
            age_text = format_age(time.time() - record.created)
            text = f"the submit of {run} to {record.platform} was interrupted {age_text}"
            problem_results.append(report_warning(f"{text}; it is unknown whether it runs", status, retry_suggestion))
    yield from problem_results[:MAX_FINDINGS]
    if len(problem_results) > MAX_FINDINGS:
        text = f"and {len(problem_results) - MAX_FINDINGS} more like these"
        yield report_warning(text, Suggestion("robotrain runs --state interrupted"))
    if not problem_results:
        newest_note = "the newest " if next(run_names, None) else ""
        text = f"{newest_note}{count} run{'' if count == 1 else 's'} recorded, all readable"
        yield report_ok(text if count else "no runs yet")
