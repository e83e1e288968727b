"""Rules and notifications of a site: a plugin that fails is named and skipped."""

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from robotrain.errors import Problem, Stage
from robotrain.messages import Messages
from robotrain.model.job import Job
from robotrain.model.run import RunChange, RunRecord, Status
from robotrain.plugins.failures import PluginFailure
from robotrain.plugins.manager import Plugins

make_problem = Messages(__file__)

CHECK_HOOK, RUN_CHANGED_HOOK = "robotrain_check", "robotrain_run_changed"
MAX_PROBLEMS = 100
"""Problems that one rule may yield: more are neither read nor printed."""
CHANGE_PHRASES: Mapping[RunChange, str] = {"sent": "was sent", "cancelled": "was cancelled", "ended": "ended"}


def find_site_problems(plugins: Plugins, job: Job, platform: str) -> Iterator[Problem]:
    """Yield the problems that site rules find in a job, and one for each rule that failed."""
    found: list[Problem] = []

    def collect(rule: Callable[[], Any]) -> None:
        for problem in itertools.islice(rule() or (), MAX_PROBLEMS):
            if not isinstance(problem, Problem):
                raise TypeError(f"{CHECK_HOOK} answers with robotrain.plugin.Problem objects")
            found.append(problem)

    failures = _call_hooks(plugins, CHECK_HOOK, collect, job=job, platform=platform)
    effect = " and was skipped: its rules were not enforced"
    yield from found  # also those of a rule that failed
    yield from (_make_problem(failure, effect, Stage.CHECK) for failure in failures)


def notify_run_changed(
    plugins: Plugins, run: RunRecord, change: RunChange = "sent", status: Status | None = None
) -> list[Problem]:
    """Notify every site plugin of a change of a run, and return warnings about those that failed."""
    failures = _call_hooks(plugins, RUN_CHANGED_HOOK, lambda hook: hook(), run=run, change=change, status=status)
    effect = f" and was skipped: it was not told that {run.run} {CHANGE_PHRASES[change]}"
    return [_make_problem(failure, effect, Stage.SUBMIT) for failure in failures]


def _call_hooks(plugins: Plugins, name: str, call: Callable[[Any], None], **given: Any) -> list[PluginFailure]:
    """Call a hook of every site plugin with the arguments it takes; return failures that were not reported yet."""
    failures = plugins.load_site()
    for owners, hook in plugins.list_implementations(name):
        try:
            call(functools.partial(hook.function, *(given[each] for each in hook.argnames)))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit too, and what ends a task
            failures.append(plugins.record_failure(owners[0], error, name))
    return failures


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
