"""Addresses of servers, shown and requested without user, password and query."""

import re
from urllib.parse import urlsplit

HIDDEN = "<redacted>"
TRACKING_VARIABLES = ("MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_RUN_ID", "MLFLOW_TRACKING_URI")
"""Variables that say where MLflow writes: those of a user's other projects would redirect the tracking of a run."""

_SCHEME = r"(?:[\w+.-]+:)?//"
_FILE = r"[\w+.-]+:///|(?:\.{0,2}|~)/(?!/)"
"""The start of the path of a file, in which an `@` ends no user."""
_END = r"[/?#\\]"
"""What ends the host of an address."""
_HOST = r"[\w-]+(?:\.[\w-]+)+|(?:localhost|\d{1,3}(?:\.\d{1,3}){3}|\[[0-9A-Fa-f:.]+\])(?::\d*)?"
"""What is certainly a host: with a port, a name with dots could be a user with a password."""


def redact_address(address: str) -> str:
    """Return an address without user, password, query and fragment.

    A password may contain `/`, `?`, `#` and `@`. Where it cannot be told from what follows the host, all but the scheme
    is hidden.
    """
    return re.split(r"[?#]", remove_user(address))[0]


def remove_user(address: str) -> str:
    """Return an address without user and password; if their end is not certain, with nothing after the scheme."""
    if re.match(_FILE, address):
        return address
    scheme = match[0] if (match := re.match(_SCHEME, address)) else ""
    bare_address = address[len(scheme) :]
    user, separator, host_and_path = bare_address.rpartition("@")
    authority = re.split(_END, bare_address)[0]
    if not separator or re.fullmatch(_HOST, authority):  # an `@` behind the host
        return address
    if len(user) < len(authority):
        return scheme + host_and_path
    # an `@` behind the host, or a password with `/`, `?` or `#`: the latter if it cannot be a port
    is_password = "@" not in authority and re.search(r":(?!\d*$)", authority)
    return scheme + (host_and_path if is_password and not re.search(_END, user[bare_address.index("@") :]) else HIDDEN)


def make_page_address(address: str, page: str) -> str:
    """Return the address of a page below that of a server, without user, password and query.

    Raise ValueError for an invalid address; the message does not repeat it.
    """
    try:
        parts = urlsplit(address)
        _ = parts.port  # the message of each error repeats the address, perhaps with a password
        is_valid = (
            parts.scheme in ("http", "https") and bool(parts.hostname) and not re.search(r"[\s\x00-\x1f]", address)
        )
        has_split_user = "@" in parts.path and HIDDEN in remove_user(address)
    except ValueError:
        is_valid = has_split_user = False
    if has_split_user or (not is_valid and "@" in address):
        reason = (
            "the address is not valid; in its user and password, `/`, `?`, `#`, `@` and blanks must be percent-encoded"
        )
        raise ValueError(reason)
    if not is_valid:
        raise ValueError("the address is not valid; it begins with http:// or https://, a host and perhaps a port")
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}{page}"
