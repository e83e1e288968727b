"""Rules on the container: its image, the environment that holds it, its shared memory, how long it may run."""

import re
from collections.abc import Iterator

from robotrain.job import Job
from robotrain.problem import Problem
from robotrain_azure import image_reference
from robotrain_azure.finding import warning, ways
from robotrain_azure.times import QuantityError

from robotrain_azureml import environment as named
from robotrain_azureml import timeout
from robotrain_azureml.rules.finding import unfit
from robotrain_azureml.settings import Settings

NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}"
VERSION = r"[A-Za-z0-9._-]{1,255}"
SIZE = r"[1-9][0-9]{0,14}[bkmg]"
SIZE_IS = "It is a whole number above 0 and one of the units b, k, m and g, as docker has it."


def image(job: Job, settings: Settings) -> Iterator[Problem]:
    """A reference with a tag, which the environment's version is made of, unless that one is said."""
    given = named.image(job.profile, settings)
    found = image_reference.read(given)
    if found is None:
        digest = "A digest is `@sha256:` and 64 hex digits in small letters." if "@" in given else ""
        what, good = "the reference of a container image", job.profile.container.image
        yield unfit("--image", given, what, digest or image_reference.FORM, ways(f"--image {good}"))
    elif not found.tag and not settings.environment_version:
        why = "The version of the environment that holds it is made of its tag."
        name, at, digest = given.partition("@")
        instead = ways(f"--image {name}:TAG{at}{digest}", "--environment-version VERSION")
        yield unfit("--image", given, "an image with a tag", why, instead)
    elif not found.digest and not settings.environment_version:
        version = named.of_image(given)
        title = f"the image {given} is named by a tag, which may move below the environment {version}"
        ways_out = ways(f"--image {given}@sha256:DIGEST", "--environment-version VERSION")
        yield warning("azureml-image-moves", title, "--image", "", ways_out)


def environment(job: Job, settings: Settings) -> Iterator[Problem]:
    """Its name and its version."""
    name, version = named.name(job.profile, settings), settings.environment_version
    if not re.fullmatch(NAME, name):
        why = "It is letters, digits, `_`, `.` and `-`, 255 at most, a letter or a digit first."
        bare = name.removeprefix("azureml:").partition(":")[0]
        instead = ways(f"--environment-name {bare}" if re.fullmatch(NAME, bare) else "")
        yield unfit("--environment-name", name, "the name of an environment", why, instead)
    if version and not re.fullmatch(VERSION, version):
        why = "It is letters, digits, `_`, `.` and `-`, 255 at most."
        yield unfit("--environment-version", version, "the version of an environment", why)


def shared_memory(settings: Settings) -> Iterator[Problem]:
    """As docker has it."""
    given = settings.shm_size
    if not re.fullmatch(SIZE, given, re.ASCII):
        meant = re.fullmatch(r"\s*0*([1-9][0-9]{0,14})\s*([bkmg]?)(?:i?b)?\s*", given.lower(), re.ASCII)
        instead = ways(f"--shm-size {meant[1]}{meant[2] or 'g'}" if meant else "--shm-size 8g")
        yield unfit("--shm-size", given, "a size of shared memory", SIZE_IS, instead)


def time(settings: Settings) -> Iterator[Problem]:
    """How long it may run."""
    try:
        timeout.seconds(settings)
    except QuantityError as error:
        instead = ways(error.instead and f"--exec-timeout {error.instead}")
        yield unfit("--exec-timeout", settings.exec_timeout or "", "a time", str(error), instead)
