"""The tracking address that a job of a workspace finds in its environment: Azure ML sets it, and nobody has to ask."""

import os
from urllib.parse import urlsplit

from robotrain_runtime.half import TRACKING_GIVEN

from robotrain_azure.workspace import Workspace


def address(at: Workspace) -> str:
    """That of this very workspace; empty where there is none, or another's."""
    said = os.environ.get(TRACKING_GIVEN, "")
    parts = urlsplit(said)
    return said if parts.scheme == "azureml" and parts.path.lower().endswith(at.resource.lower()) else ""
