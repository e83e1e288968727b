"""Which runs left a policy that can be registered or published."""

import itertools

from robotrain.model.run import RunRecord
from robotrain.pipelines import progress
from robotrain.plugins.manager import Plugins
from robotrain.store import run_log
from robotrain.store.latest_run import REGISTRABLE, RunNeed
from robotrain.submission.checkpoint_runs import MAX_QUERIED, may_be_continued


def may_be_registered(record: RunRecord, plugins: Plugins) -> bool:
    """Return False for a run that ended and left no policy; True also if its platform does not know or answer."""
    if record.steps:
        pipeline_progress = progress.read_progress(record.run) if record.is_sweep else None
        steps = [*pipeline_progress.steps.values()] if pipeline_progress else []
        return not steps or any(not step.finished or step.has_policy for step in steps)
    if record.makes != "checkpoints" or may_be_continued(record, plugins):
        return True
    platform = plugins.platform_of(record)
    return run_log.read_run_log(record, platform, on_error=lambda error: None)[0].may_have_policy


def make_policy_need(plugins: Plugins, *, with_sweeps: bool = True) -> RunNeed:
    """Return what `latest` has to have for a policy to be sent: the platforms of the newest runs are asked.

    :param with_sweeps: whether the best trial of a sweep counts.
    """
    queries = itertools.count()

    def is_met(record: RunRecord) -> bool:
        if record.is_sweep and not with_sweeps:
            return False
        return REGISTRABLE.is_met(record) and (next(queries) >= MAX_QUERIED or may_be_registered(record, plugins))

    return REGISTRABLE._replace(is_met=is_met)
