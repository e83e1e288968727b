"""Forms of settings that name folders and files of this machine."""

import os
import re
from collections.abc import Callable

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


PATH_SETTINGS = (
    *("runs_dir", "cache_dir", "environment"),
    *("blob_credential_file", "hub_token_file"),
)


def make_settings_absolute(
    settings: object,
    make_path: Callable[[str], str] = make_absolute_path,
    make_uri: Callable[[str], str] = make_absolute_uri,
) -> None:
    """Make the paths and the tracking URI of new settings absolute: a record must not depend on the current folder.

    Called in their `__post_init__`; a platform that lacks one of these settings may.
    """
    for name in PATH_SETTINGS:
        if value := getattr(settings, name, None):
            object.__setattr__(settings, name, make_path(value))
    if uri := getattr(settings, "tracking_uri", None):
        object.__setattr__(settings, "tracking_uri", make_uri(uri))
