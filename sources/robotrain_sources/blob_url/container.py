"""The container plugin of blob folders: the transfer fetches them."""

from robotrain_sources.data_environment import ENVIRONMENT

__all__ = ["CARRIER", "ENVIRONMENT", "ORIGIN"]

CARRIER = "robotrain_sources.transfer.container"
ORIGIN = "robotrain_sources.blob_url.fetch"
