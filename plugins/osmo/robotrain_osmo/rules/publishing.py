"""Rules on where a run publishes to: what a place that OSMO copies to cannot do, and what is lost without a place."""

import re
from collections.abc import Iterator

from robotrain.job import Job
from robotrain.problem import Problem
from robotrain.workload import Outputs
from robotrain_azure.finding import cannot, warning, ways

from robotrain_osmo import tracking
from robotrain_osmo.kinds import storage
from robotrain_osmo.rules import tracked
from robotrain_osmo.rules.finding import unfit
from robotrain_osmo.rules.places import BLOB
from robotrain_osmo.settings import Settings
from robotrain_osmo.spec import carried

GONE = "The disk of a pod is gone when it ends."
_FLAG = f"--{carried.PARAMETER.replace('_', '-')}"


def publishing(job: Job, settings: Settings) -> Iterator[Problem]:
    """Where a workload publishes at all."""
    values = dict(job.parameters)
    text = str(values.get(carried.PARAMETER) or "")
    left = job.profile.outputs
    if carried.PARAMETER in values and not text:
        registered = values.get(left.register_parameter) is not None
        yield from _kept_nowhere(left, registered) if left.resumable else _results_kept_nowhere(left, settings)
    if not storage.recognises(text):
        return
    if values.get("keep") is not None:
        title = f"OSMO copies every checkpoint to {text.partition(':')[0]}://, and removes none"
        why = "Only what the run publishes itself is trimmed."
        instead = ways(f"--publish-url {BLOB}", "--save-freq STEPS")
        yield cannot("osmo-keeps-all", title, "--keep", why, instead, str(values["keep"]))
    output = str(values.get("output_dir") or "")
    if not re.fullmatch(r"[A-Za-z0-9._/+=@~-]*", output):
        lie = "checkpoints lie" if left.resumable else "results lie"
        why = f"OSMO is told where the {lie}: letters, digits and `._/+=@~-`."
        yield unfit("--output-dir", output, "a folder that OSMO can copy", why)


def _kept_nowhere(left: Outputs, registered: bool) -> Iterator[Problem]:
    if registered:
        title = "checkpoints are kept nowhere before the last is registered: a preempted run starts anew"
    else:
        title = f"nothing of this {left.noun} is kept"
    instead = ways(
        f"--publish-url {BLOB}", *([] if registered else [f"--{left.register_parameter.replace('_', '-')} NAME"])
    )
    yield warning("osmo-nothing-kept", title, _FLAG, GONE, instead, registered)


def _results_kept_nowhere(left: Outputs, settings: Settings) -> Iterator[Problem]:
    """Those of a run that is tracked are among its artifacts."""
    if not tracking.uri(settings):
        title = f"nothing of this {left.noun} is kept but what its log says"
        instead = ways(f"--publish-url {BLOB}", *tracked.to_track(settings))
        yield warning("osmo-nothing-kept", title, _FLAG, GONE, instead)
