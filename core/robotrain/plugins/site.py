"""Rules and notifications of a site: each plugin has a time limit, and one that fails is named and skipped."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

import functools
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from robotrain.errors import Problem, Rejected, Stage, raise_if_any
from robotrain.plugins import calls as plugins_calls

if TYPE_CHECKING:
    from robotrain.model.job import Job
    from robotrain.model.run import RunChange, RunRecord, Status
    from robotrain.plugins.failures import PluginFailure
    from robotrain.plugins.manager import Plugins

CHECK_HOOK, RUN_CHANGED_HOOK = "robotrain_check", "robotrain_run_changed"
CHANGE_PHRASES: Mapping[RunChange, str] = {"sent": "was sent", "cancelled": "was cancelled", "ended": "ended"}
MAX_PROBLEMS = 100
"""Problems that one rule may yield: an endless generator must not fill the memory."""


def find_site_problems(plugins: Plugins, job: Job, platform: str) -> Iterator[Problem]:
    """Yield the problems that site rules find in a job, and one for each rule that failed."""
    limit = plugins_calls.get_time_limit()
    failures = plugins.load_site()
    hooks = plugins.site_hooks(CHECK_HOOK)
    problems: list[list[Problem]] = [[] for _ in hooks]
    rules = [functools.partial(call_hook, hook, job=job, platform=platform) for _, hook in hooks]
    calls = [
        functools.partial(_collect_rule_problems, rule, found, limit)
        for rule, found in zip(rules, problems, strict=True)
    ]
    for at, call in enumerate(plugins_calls.call_all_with_timeout(calls, limit)):
        yield from list(problems[at])  # also of a rule that hung or raised later
        if call.error:
            failures.append(plugins.record_failure(hooks[at][0], call.error, CHECK_HOOK))
    for failure in failures:
        yield _make_skipped_rule_problem(failure, plugins.mode == "strict")


def notify_run_changed(plugins: Plugins, run: RunRecord, change: RunChange, status: Status | None) -> list[Problem]:
    """Notify every site plugin of a change, and return warnings about those that failed.

    Raise Rejected in strict mode if one failed.
    """
    limit = plugins_calls.get_time_limit()
    failures = plugins.load_site()
    hooks = plugins.site_hooks(RUN_CHANGED_HOOK)
    calls = [functools.partial(call_hook, hook, run=run, change=change, status=status) for _, hook in hooks]
    for (claim, _), call in zip(hooks, plugins_calls.call_all_with_timeout(calls, limit), strict=True):
        if call.error:
            failures.append(plugins.record_failure(claim, call.error, RUN_CHANGED_HOOK))
    found = [
        _make_skipped_notification_problem(failure, run.run, change, plugins.mode == "strict") for failure in failures
    ]
    raise_if_any(found)
    return found


def notify_run_ended(plugins: Plugins, run: RunRecord, status: Status) -> list[Problem]:
    """Notify of a run that ended; a failure is returned, not raised, in strict mode too: the run ended anyway."""
    try:
        return plugins.notify_run_changed(run, "ended", status)
    except Rejected as rejected:
        return list(rejected.problems)


def call_hook(implementation: Any, **given: Any) -> Any:
    """Call a hook with the arguments it takes."""
    return implementation.function(*(given[name] for name in implementation.argnames))


def _collect_rule_problems(rule: Callable[[], Any], found: list[Problem], limit: float) -> None:
    """Add a rule's problems to `found` as it yields them. Raise TypeError or ValueError for a wrong answer."""
    until = time.monotonic() + limit
    for problem in rule() or ():
        if not isinstance(problem, Problem):
            raise TypeError(f"{CHECK_HOOK} answers with robotrain.plugin.Problem objects")
        if len(found) == MAX_PROBLEMS:
            raise ValueError(f"it answers with more than {MAX_PROBLEMS} problems")
        found.append(problem)
        if time.monotonic() > until:  # the caller has given up
            return


def _make_skipped_rule_problem(failure: PluginFailure, strict: bool) -> Problem:
    title = f"the site plugin {failure.source} failed and was skipped: its rules were not enforced"
    if strict:
        title = f"the site plugin {failure.source} failed, so its rules could not be enforced"
    return _make_problem(failure, title, Stage.USAGE if strict else Stage.CHECK, strict)


def _make_skipped_notification_problem(failure: PluginFailure, run: str, change: RunChange, strict: bool) -> Problem:
    title = (
        f"the site plugin {failure.source} failed and was skipped: it was not told that {run} {CHANGE_PHRASES[change]}"
    )
    return _make_problem(failure, title, Stage.SUBMIT, strict)


def _make_problem(failure: PluginFailure, title: str, stage: Stage, strict: bool) -> Problem:
    return Problem(
        code="site-plugin-failed",
        stage=stage,
        severity="error" if strict else "warning",
        title=title,
        why=f"{failure.hook or 'loading'}: {failure.reason.rstrip('.')}.",
        suggestions=failure.suggestions,
    )
