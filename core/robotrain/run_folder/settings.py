"""Forms of settings that name folders and files of this machine."""

import os
import re

SQLITE_SCHEME = "sqlite:///"
NO_TRACKING = "none"
"""The tracking URI of a run that is not tracked."""


def make_absolute_path(text: str) -> str:
    """Return a path that does not depend on the current folder."""
    return os.path.abspath(os.path.expanduser(text))


def make_absolute_uri(uri: str) -> str:
    """Return a tracking URI that does not depend on the current folder; a folder becomes its path."""
    if uri.startswith(SQLITE_SCHEME):
        return SQLITE_SCHEME + make_absolute_path(uri.removeprefix(SQLITE_SCHEME))
    return uri if uri == NO_TRACKING or re.match(r"[a-z][a-z0-9+.-]*:|databricks$", uri) else make_absolute_path(uri)
