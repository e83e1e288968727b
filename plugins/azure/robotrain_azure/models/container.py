"""A model of a workspace in the container: the transfer brings its blobs, with all the other sources."""

from robotrain_runtime.document import Source
from robotrain_runtime.half import Place
from robotrain_sources.data_environment import ENVIRONMENT

from robotrain_azure import workspace
from robotrain_azure.models import named

__all__ = ["CARRIER", "ENVIRONMENT", "ORIGIN", "asked"]

CARRIER = "robotrain_sources.transfer.delivery"
ORIGIN = "robotrain_azure.models.origin"


def asked(source: Source, place: Place) -> str:
    """Its full name: a short one means the workspace that the run is tracked in. As it is, where that is none."""
    try:
        return str(named.of(source.uri, workspace.of_address(place.tracking_uri)))
    except named.Unnamed:  # told where it is opened
        return source.uri
