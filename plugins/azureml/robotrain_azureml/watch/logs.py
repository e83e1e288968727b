"""The log of a job: what there is by now, its end, or all of it as it comes.

It is read where Azure ML keeps it. What the SDK has for it fails where a workspace uses identities, and reads all of it
again with every look.
"""

from collections.abc import Iterator

from robotrain.problem import Rejected
from robotrain.run import Reference
from robotrain_runtime import event
from robotrain_runtime.event import Outcome, Stage

from robotrain_azureml.service.signed_blob import BlobError
from robotrain_azureml.watch import log_names, status_asked
from robotrain_azureml.watch.log_files import Files
from robotrain_azureml.watch.states import Job

LAST = 400
"""Lines in which a run's last word is looked for."""


def lines(reference: Reference, follow: bool, tail: int | None = None) -> Iterator[str]:
    """What the run printed, its events among it, robotrain's own words under a mark. Raises RunGone, Refused."""
    if follow:
        from robotrain_azureml.watch.logs_following import Following

        return Following(reference, tail).lines()
    return _by_now(reference, tail)


def outcome(reference: Reference, told: Job) -> Outcome | None:
    """The last word of a job that has ended; None where there is none, or it cannot be heard."""
    if not log_names.own(told.logs):
        return None
    last: Outcome | None = None
    try:
        for line in Files(reference, told).last(LAST):
            found = event.read(line)
            if found and isinstance(found.event, Outcome):
                last = found.event
            elif found and isinstance(found.event, Stage) and found.event.state == "started":
                last = None  # that was the word of an earlier try
    except (BlobError, Rejected):  # the state is known all the same
        return None
    return last


def _by_now(reference: Reference, tail: int | None) -> Iterator[str]:
    files = Files(reference, status_asked.of_region(reference))
    try:
        if tail is None:
            yield from files.new()
            yield from files.end() if files.told.finished else ()
            return
        found = [*files.last(tail), *(files.end() if files.told.finished else ())]
        yield from found[-tail:] if tail else ()
    except BlobError as error:
        raise files.refused(error) from None
