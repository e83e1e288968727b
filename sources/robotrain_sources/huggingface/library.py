"""The Hub's library, with an end to its patience: of its own it waits for a page of a listing for ever."""

import functools
import importlib
from typing import Any

SECONDS = 20.0
"""That a request may go on without a byte, where the library sets no end."""
WAITS = ("connect", "read", "write", "pool")


@functools.cache  # to set the factory again would close the client that another source uses
def patient() -> Any:
    """The library; it keeps its own client, and its own tries after one that took too long."""
    importlib.import_module("huggingface_hub").set_client_factory(_client)
    return importlib.import_module("huggingface_hub")


def _client() -> Any:
    client = importlib.import_module("huggingface_hub.utils._http").default_client_factory()
    client.event_hooks["request"].append(_end)
    return client


def _end(request: Any) -> None:
    """A client's own timeout would not do: the library asks page after page with none, in so many words."""
    given = request.extensions.get("timeout", {})
    waits = {what: SECONDS if given.get(what) is None else given[what] for what in WAITS}
    request.extensions = {**request.extensions, "timeout": waits}
