"""The rules and notifications of a site: each plugin has its time, and one that fails is named and skipped."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

import functools
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from robotrain import limited
from robotrain.problem import Problem, Rejected, Stage, raise_if_any

if TYPE_CHECKING:
    from robotrain.job import Job
    from robotrain.loading.failure import Failure
    from robotrain.plugins import Plugins
    from robotrain.run import Change, RunRecord, Status

CHECK, CHANGED = "robotrain_check", "robotrain_run_changed"
HAPPENED: Mapping[Change, str] = {"sent": "was sent", "cancelled": "was cancelled", "ended": "ended"}
MOST = 100
"""Problems that one rule may answer with: a generator that never ends must not fill the memory."""


def problems(plugins: Plugins, job: Job, platform: str) -> Iterator[Problem]:
    """What the rules of this site say of a job, and which of them were not enforced."""
    limit = limited.seconds()
    failures = plugins.load_site()
    hooks = plugins.site_hooks(CHECK)
    said: list[list[Problem]] = [[] for _ in hooks]
    rules = [functools.partial(call, hook, job=job, platform=platform) for _, hook in hooks]
    calls = [functools.partial(_listen, rule, found, limit) for rule, found in zip(rules, said, strict=True)]
    for at, asked in enumerate(limited.together(calls, limit)):
        yield from list(said[at])  # also of a rule that hung or raised later: it said so
        if asked.error:
            failures.append(plugins.failed(hooks[at][0], asked.error, CHECK))
    for failure in failures:
        yield _not_enforced(failure, plugins.mode == "strict")


def changed(plugins: Plugins, run: RunRecord, change: Change, status: Status | None) -> list[Problem]:
    """Tell every site plugin of a change; warnings about those that could not be told, errors in strict mode.

    Raises Rejected in strict mode when one could not be told.
    """
    limit = limited.seconds()
    failures = plugins.load_site()
    hooks = plugins.site_hooks(CHANGED)
    calls = [functools.partial(call, hook, run=run, change=change, status=status) for _, hook in hooks]
    for (claim, _), asked in zip(hooks, limited.together(calls, limit), strict=True):
        if asked.error:
            failures.append(plugins.failed(claim, asked.error, CHANGED))
    found = [_not_told(failure, run.run, change, plugins.mode == "strict") for failure in failures]
    raise_if_any(found)
    return found


def ended(plugins: Plugins, run: RunRecord, status: Status) -> list[Problem]:
    """The same of a run that was seen to end, as it did whoever could be told: nothing is raised in strict mode."""
    try:
        return plugins.run_changed(run, "ended", status)
    except Rejected as rejected:
        return list(rejected.problems)


def call(implementation: Any, **given: Any) -> Any:
    """Call a hook with the arguments it takes: it may leave out those it does not use, as pluggy allows."""
    return implementation.function(*(given[name] for name in implementation.argnames))


def _listen(rule: Callable[[], Any], found: list[Problem], limit: float) -> None:
    """Put what a rule says into `found`, as it says it. Raises TypeError and ValueError for an answer that is none."""
    until = time.monotonic() + limit
    for problem in rule() or ():
        if not isinstance(problem, Problem):
            raise TypeError(f"{CHECK} answers with robotrain.problem.Problem objects")
        if len(found) == MOST:
            raise ValueError(f"it answers with more than {MOST} problems")
        found.append(problem)
        if time.monotonic() > until:  # nobody listens any more
            return


def _not_enforced(failure: Failure, strict: bool) -> Problem:
    title = f"the site plugin {failure.who} failed and was skipped: its rules were not enforced"
    if strict:
        title = f"the site plugin {failure.who} failed, so its rules could not be enforced"
    return _problem(failure, title, Stage.USAGE if strict else Stage.CHECK, strict)


def _not_told(failure: Failure, run: str, change: Change, strict: bool) -> Problem:
    title = f"the site plugin {failure.who} failed and was skipped: it was not told that {run} {HAPPENED[change]}"
    return _problem(failure, title, Stage.SUBMIT, strict)


def _problem(failure: Failure, title: str, stage: Stage, strict: bool) -> Problem:
    return Problem(
        code="site-plugin-failed",
        stage=stage,
        severity="error" if strict else "warning",
        title=title,
        why=f"{failure.hook or 'loading'}: {failure.why.rstrip('.')}.",
        instead=failure.ways,
    )
