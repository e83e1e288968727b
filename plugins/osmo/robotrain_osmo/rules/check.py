"""OSMO's own rules on a job, before anything is sent: everything that is wrong, at once."""

from collections.abc import Iterator

from robotrain.job import Job
from robotrain.problem import Problem, errors
from robotrain_azure import said_again

from robotrain_osmo.rules import machine, models, named_credentials, naming, places, publishing, tracked
from robotrain_osmo.settings import Settings
from robotrain_osmo.spec import environment


def check(job: Job, settings: Settings) -> Iterator[Problem]:
    """What OSMO would refuse, or take for something else, and what nobody said."""
    found = list(_rules(job, settings))
    yield from found
    if not errors(found):  # else nobody was asked for the platform's own defaults
        yield from machine.loading(job, settings)


def _rules(job: Job, settings: Settings) -> Iterator[Problem]:
    yield from machine.pool(settings)
    yield from machine.gpus(job, settings)
    yield from machine.image(job, settings)
    yield from machine.sizes(settings)
    yield from machine.times(settings)
    yield from naming.task(job)
    yield from naming.labels(settings)
    yield from named_credentials.wrong_with(job, settings)
    yield from places.buckets(settings)
    yield from places.datasets(job, settings)
    yield from places.uploads(job, settings)
    yield from places.to_go_on_from(job)
    yield from publishing.publishing(job, settings)
    yield from models.reached(job, settings)
    yield from tracked.context(settings)
    yield from tracked.reached(settings)
    yield from tracked.anywhere(job, settings)
    yield from said_again.too_long("osmo-variable-too-long", environment.promised(job), {})
