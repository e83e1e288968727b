"""The tags of a job that a person gives it."""

from robotrain.tables import pairs

from robotrain_azureml.settings import Settings


def tags(settings: Settings) -> dict[str, str]:
    """By name."""
    return pairs(settings.labels)
