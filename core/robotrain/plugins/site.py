"""Rules and notifications of a site: each plugin has a time limit, and one that fails is named and skipped."""

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from robotrain.errors import Problem, Stage
from robotrain.model.job import Job
from robotrain.model.run import RunChange, RunRecord, Status
from robotrain.plugins import calls
from robotrain.plugins.failures import PluginFailure
from robotrain.plugins.manager import Plugins

CHECK_HOOK, RUN_CHANGED_HOOK = "robotrain_check", "robotrain_run_changed"
MAX_PROBLEMS = 100
"""Problems that one rule may yield: more are neither read nor printed."""
CHANGE_PHRASES: Mapping[RunChange, str] = {"sent": "was sent", "cancelled": "was cancelled", "ended": "ended"}


def find_site_problems(plugins: Plugins, job: Job, platform: str) -> Iterator[Problem]:
    """Yield the problems that site rules find in a job, and one for each rule that failed."""
    found: list[tuple[int, Problem]] = []

    def collect(at: int, rule: Callable[[], Any]) -> None:
        for problem in itertools.islice(rule() or (), MAX_PROBLEMS):
            if not isinstance(problem, Problem):
                raise TypeError(f"{CHECK_HOOK} answers with robotrain.plugin.Problem objects")
            found.append((at, problem))

    failures = _call_hooks(plugins, CHECK_HOOK, collect, job=job, platform=platform)
    yield from (problem for _, problem in sorted([*found], key=lambda pair: pair[0]))  # also of a rule that failed
    effect = " and was skipped: its rules were not enforced"
    yield from (_make_problem(failure, effect, Stage.CHECK) for failure in failures)


def notify_run_changed(
    plugins: Plugins, run: RunRecord, change: RunChange = "sent", status: Status | None = None
) -> list[Problem]:
    """Notify every site plugin of a change of a run, and return warnings about those that failed."""
    failures = _call_hooks(plugins, RUN_CHANGED_HOOK, lambda at, hook: hook(), run=run, change=change, status=status)
    effect = f" and was skipped: it was not told that {run.run} {CHANGE_PHRASES[change]}"
    return [_make_problem(failure, effect, Stage.SUBMIT) for failure in failures]


def _call_hooks(plugins: Plugins, name: str, call: Callable[[int, Any], Any], **given: Any) -> list[PluginFailure]:
    """Call a hook of every site plugin with the arguments it takes; return failures that were not reported yet.

    One that hung before is not called again.
    """
    limit, failures = calls.get_time_limit(), plugins.load_site()
    hung = {claim for claim, failure in plugins.failures.items() if isinstance(failure.cause, calls.PluginTimeout)}
    hooks = [(owners[0], hook) for owners, hook in plugins.list_implementations(name) if owners[0] not in hung]
    bound = [functools.partial(hook.function, *(given[each] for each in hook.argnames)) for _, hook in hooks]
    results = calls.call_all_with_timeout([functools.partial(call, *each) for each in enumerate(bound)], limit)
    failed = [(claim, error) for (claim, _), (_, error) in zip(hooks, results, strict=True) if error]
    return [*failures, *(plugins.record_failure(claim, error, name) for claim, error in failed)]


def _make_problem(failure: PluginFailure, effect: str, stage: Stage) -> Problem:
    return Problem(
        code="site-plugin-failed",
        stage=stage,
        severity="warning",
        title=f"the site plugin {failure.claim.source} failed{effect}",
        why=f"{failure.hook or 'loading'}: {failure.reason.rstrip('.')}.",
        suggestions=failure.suggestions,
    )
