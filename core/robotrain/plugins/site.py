"""Rules and notifications of a site."""

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from robotrain.errors import Problem, Stage
from robotrain.messages import Messages
from robotrain.model.job import Job
from robotrain.model.run import RunChange, RunRecord, Status
from robotrain.plugins.discovery import Claim
from robotrain.plugins.failures import PluginFailure, make_failure
from robotrain.plugins.manager import Plugins

make_problem = Messages(__file__)

CHECK_HOOK, RUN_CHANGED_HOOK = "robotrain_check", "robotrain_run_changed"
CHANGE_PHRASES: Mapping[RunChange, str] = {"sent": "was sent", "cancelled": "was cancelled", "ended": "ended"}


def find_site_problems(plugins: Plugins, job: Job, platform: str) -> Iterator[Problem]:
    """Yield the problems that site rules find in a job, and a warning for each plugin that does not load."""
    effect = " and was skipped: its rules were not enforced"
    yield from (_make_problem(failure, effect, Stage.CHECK) for failure in plugins.load_site())
    for _, rule in _list_calls(plugins, CHECK_HOOK, job=job, platform=platform):
        yield from rule() or ()


def notify_run_changed(
    plugins: Plugins, run: RunRecord, change: RunChange = "sent", status: Status | None = None
) -> list[Problem]:
    """Notify every site plugin of a change of a run, and return warnings about those that failed: the run goes on."""
    failures = plugins.load_site()
    for claim, notify in _list_calls(plugins, RUN_CHANGED_HOOK, run=run, change=change, status=status):
        try:
            notify()
        except Exception as error:  # of whatever it notifies
            failures.append(make_failure(claim, error, RUN_CHANGED_HOOK))
    effect = f" and was skipped: it was not told that {run.run} {CHANGE_PHRASES[change]}"
    return [_make_problem(failure, effect, Stage.SUBMIT) for failure in failures]


def _list_calls(plugins: Plugins, name: str, **values: Any) -> Iterator[tuple[Claim, Callable[[], Any]]]:
    """Yield a claim and the call of each site plugin that implements a hook, with the arguments that it takes."""
    for owners, hook in plugins.list_implementations(name):
        yield owners[0], functools.partial(hook.function, *(values[argument] for argument in hook.argnames))


def _make_problem(failure: PluginFailure, effect: str, stage: Stage) -> Problem:
    return make_problem(
        "plugin-failed.site",
        *failure.suggestions,
        stage=stage,
        source=failure.claim.source,
        effect=effect,
        hook=failure.hook or "loading",
        reason=failure.reason.rstrip("."),
    )
