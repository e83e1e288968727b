"""How long a job may run."""

from robotrain_azure import times

from robotrain_azureml.settings import Settings

LONGEST = 365 * 86400
"""Seconds; more is a slip of the pen."""


def seconds(settings: Settings) -> int | None:
    """Of `--exec-timeout`; None for no limit. Raises robotrain_azure.times.QuantityError."""
    if settings.exec_timeout is None:
        return None
    found = times.seconds(settings.exec_timeout, LONGEST, "It is more than a year.")
    if found != int(found):
        raise times.QuantityError("It is no whole number of seconds.", f"{int(found)}s")
    return int(found)
