"""The container plugin of single files: the transfer fetches them."""

from robotrain_sources.data_environment import ENVIRONMENT

__all__ = ["CARRIER", "ENVIRONMENT", "ORIGIN"]

CARRIER = "robotrain_sources.transfer.container"
ORIGIN = "robotrain_sources.https_file.fetch"
