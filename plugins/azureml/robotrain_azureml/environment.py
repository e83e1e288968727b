"""The environment of the workspace that a job runs in, and its image: as said, else that of the job's workload.

Its version is made of the image's name, so that equal images have equal ones (contract A.0).
"""

from robotrain.workload import Profile
from robotrain_azure import image_reference

from robotrain_azureml.settings import Settings


def image(profile: Profile, settings: Settings) -> str:
    """The container's."""
    return profile.container.image if settings.image is None else settings.image


def name(profile: Profile, settings: Settings) -> str:
    """The environment's, without its version."""
    said = settings.environment_name
    return profile.container.environment if said is None else said


def version(profile: Profile, settings: Settings) -> str:
    """As said, else of the image. Raises ValueError."""
    return settings.environment_version or of_image(image(profile, settings))


def of_image(image: str) -> str:
    """`2.11.0-runtime` of `pytorch:2.11.0-runtime`, with `-sha256-DIGEST` after it where the image has a digest.

    Raises ValueError for an image without a tag, and for a text that names none.
    """
    found = image_reference.read(image)
    if found is None or not found.tag:
        raise ValueError("an environment's version is made of the image's tag, and it has none")
    return f"{found.tag}-sha256-{found.digest}" if found.digest else found.tag
