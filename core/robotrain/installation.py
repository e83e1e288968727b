"""The packages beside this robotrain, and the command that adds some. Imported for errors only."""

import shlex
import sys
from importlib import metadata

from robotrain.errors import Suggestion


def suggest_install(*requirements: str, remark: str = "installs it", option: str = "") -> Suggestion:
    """Return the suggestion to install packages into the environment of this robotrain.

    :param option: one of pip's, such as `--upgrade`.
    """
    words = ["pip", "install", *([option] if option else []), *requirements]
    return Suggestion(shlex.join(words), f"{remark} into {sys.prefix}")


def find_version(distribution: str) -> str:
    """Return the version of a distribution; empty if it is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""
