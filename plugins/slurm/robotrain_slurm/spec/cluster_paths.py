"""Folders and files of a cluster that is reached by ssh: `~` is the user's home folder there.

What a shell has put in place of `~`, the home folder of this machine, stands for that too.
"""

import os

from robotrain.run_folder.settings import SQLITE_SCHEME, make_absolute_path, make_absolute_uri


def keep_home(text: str) -> str:
    """Return a path of a cluster that does not depend on a folder of this machine, with `~` for the home folder."""
    if text.startswith("~"):
        return text
    home = os.path.expanduser("~").rstrip("/")
    path = make_absolute_path(text)
    return f"~{path[len(home) :]}" if home and (path == home or path.startswith(f"{home}/")) else path


def keep_home_in_uri(uri: str) -> str:
    """Return a tracking URI, of which a file is one of the cluster."""
    if uri.startswith(SQLITE_SCHEME):
        return SQLITE_SCHEME + keep_home(uri.removeprefix(SQLITE_SCHEME))
    return make_absolute_uri(uri)
