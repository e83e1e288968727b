"""Rules on where it runs: the pool, the kind of machine, its size, the image, the times."""

import re
from collections.abc import Callable, Iterator

from robotrain.job import Job
from robotrain.problem import Problem
from robotrain_azure import image_reference
from robotrain_azure.finding import cannot, missing, warning, ways
from robotrain_azure.times import QuantityError

from robotrain_osmo import machine, names, quantities, shared_memory
from robotrain_osmo.rules.finding import unfit
from robotrain_osmo.settings import Settings
from robotrain_osmo.spec import workflow


def pool(settings: Settings) -> Iterator[Problem]:
    """One has to be said: OSMO guesses none."""
    if settings.pool is None:
        why = "OSMO runs nothing outside a pool; `osmo pool list` shows those that you may use."
        yield missing("osmo-pool-missing", "no pool is named", "--pool", why, ways("--pool NAME", "OSMO_POOL=NAME"))
    elif not re.fullmatch(names.WORD, settings.pool):
        yield unfit("--pool", settings.pool, "the name of a pool", "It is letters, digits, `-`, `_` and `.`.")
    if not re.fullmatch(names.WORD, settings.gpu_platform):
        what = "the name of a pool's platform"
        yield unfit("--gpu-platform", settings.gpu_platform, what, "It is letters, digits, `-`, `_` and `.`.")


def gpus(job: Job, settings: Settings) -> Iterator[Problem]:
    """As many as the job trains on; a job for the processor needs none."""
    wanted, have = workflow.wanted_gpus(job), workflow.gpus(job, settings)
    if have < wanted and not (have == 0 and dict(job.parameters).get("device") == "cpu"):
        title = f"the job trains on {wanted} GPU{'s' if wanted > 1 else ''}, and the task would have {have}"
        other = f"--num-gpus {have}" if have else "--device cpu"
        why = "Without a GPU the training would not begin." if not have else "It would not begin."
        yield cannot("osmo-gpus-too-few", title, "--gpus", why, ways(f"--gpus {wanted}", other), str(have))


def image(job: Job, settings: Settings) -> Iterator[Problem]:
    """A reference with a tag or a digest: what has neither is another image tomorrow."""
    given = machine.of(job.profile, settings).image
    found = image_reference.read(given)
    if not found:
        what = "the reference of a container image"
        good = machine.usually(job.profile).image
        yield unfit("--image", given, what, image_reference.FORM, ways(f"--image {good}"))
    elif not (found.tag or found.digest):
        why = "Without a tag or a digest it is another image tomorrow."
        instead = ways(f"--image {given}:TAG", f"--image {given}@sha256:DIGEST")
        yield unfit("--image", given, "an image with a tag or a digest", why, instead)


def sizes(settings: Settings) -> Iterator[Problem]:
    """Of memory and disk."""
    for flag, given in (("--memory", settings.memory), ("--storage", settings.storage)):
        if given is not None:
            yield from _quantity(flag, given, "a size", quantities.size)


def times(settings: Settings) -> Iterator[Problem]:
    """How long it may run and wait."""
    for flag, given in (("--exec-timeout", settings.exec_timeout), ("--queue-timeout", settings.queue_timeout)):
        if given is not None:
            yield from _quantity(flag, given, "a time", quantities.seconds)


def loading(job: Job, settings: Settings) -> Iterator[Problem]:
    """Processes that load data hand it over in shared memory, of which a pod has 64 MiB."""
    workers = dict(job.parameters).get("num_workers")
    if workers and settings.shared_memory != shared_memory.MOUNT:
        why = (
            "A pod has 64 MiB of it, unless the platform brings more by itself: where that does not do, the training "
            "dies of a bus error."
        )
        instead = ways("--shared-memory mount", "--num-workers 0")
        yield warning(
            "osmo-no-shared-memory",
            f"{workers} processes load data, without shared memory to hand it over in",
            "--num-workers",
            why,
            instead,
        )


def _quantity(flag: str, given: str, what: str, read: Callable[[str], float]) -> Iterator[Problem]:
    try:
        read(given)
    except QuantityError as error:
        yield unfit(
            flag, given, f"{what} as OSMO has it", str(error), ways(error.instead and f"{flag} {error.instead}")
        )
