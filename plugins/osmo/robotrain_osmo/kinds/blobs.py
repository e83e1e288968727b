"""Azure storage has two addresses: `azure://ACCOUNT/CONTAINER/PREFIX`, as OSMO has it, and that of its blobs."""

import re

HOST = ".blob.core.windows.net"
_BLOBS = rf"https://([a-z0-9]{{3,24}}){re.escape(HOST)}/([^?#]+)"
_OF_ACCOUNT = r"azure://([a-z0-9]+)/.*|https?://([a-z0-9]+)\.(?:blob|dfs)\..*"


def as_storage(url: str) -> str:
    """The address of blobs as OSMO has it; any other as it is."""
    found = re.fullmatch(_BLOBS, url)
    return f"azure://{found[1]}/{found[2]}" if found else url


def as_blobs(place: str) -> str:
    """OSMO's address as that of its blobs; empty for a storage that is not Azure's."""
    if not place.startswith("azure://"):
        return ""
    account, _, below = place.removeprefix("azure://").partition("/")
    return f"https://{account}{HOST}/{below}"


def account(url: str) -> str:
    """The storage account that an address of either form is in; empty for none."""
    found = re.fullmatch(_OF_ACCOUNT, url)
    return (found[1] or found[2]) if found else ""
