"""A repository of the Hub in the container: the transfer brings it, with all the other sources."""

from robotrain_sources.data_environment import ENVIRONMENT

__all__ = ["CARRIER", "ENVIRONMENT", "ORIGIN"]

CARRIER = "robotrain_sources.transfer.container"
ORIGIN = "robotrain_sources.huggingface.fetch"
