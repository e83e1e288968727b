"""Settings and sources with the folders of the cluster as its nodes see them, where it is reached by ssh."""

import functools
import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from robotrain.model.source import LOCAL_KIND, REMOTE_KIND
from robotrain.run_folder.settings import SQLITE_SCHEME
from robotrain_runtime.contract.document import JobSource
from robotrain_runtime.contract.parameter import load_pairs
from robotrain_sources.local_path.remote_folder import parse_remote_folder

from robotrain_slurm.settings import SlurmSettings

FOLDERS = ("runs_dir", "cache_dir", "environment", "blob_credential_file", "hub_token_file", "image")


def place_settings(settings: SlurmSettings) -> SlurmSettings:
    """Return the settings with absolute paths, and without a login node, which is asked for the home folder if need be.

    Raise Rejected.
    """
    if not settings.login:
        return settings
    find_home = functools.cache(functools.partial(_find_home, settings.login))
    changes: dict[str, Any] = {
        name: _expand(folder, find_home)
        for name in FOLDERS
        if (folder := getattr(settings, name)) and str(folder).startswith("~")
    }
    if (uri := settings.tracking_uri or "").startswith(f"{SQLITE_SCHEME}~"):
        changes["tracking_uri"] = SQLITE_SCHEME + _expand(uri.removeprefix(SQLITE_SCHEME), find_home)
    if settings.secrets:
        secret_files = load_pairs(settings.secrets)
        changes["secrets"] = json.dumps({name: _expand(file, find_home) for name, file in secret_files.items()})
    return replace(settings, login=None, **changes)


def place_sources(sources: Iterable[JobSource], login: str) -> tuple[JobSource, ...]:
    """Return the sources of a job for a login node, with absolute paths there; without one, as they are.

    Raise Rejected.
    """
    if not login:
        return tuple(sources)
    find_home = functools.cache(functools.partial(_find_home, login))
    return tuple(_place_source(source, find_home) if source.kind == REMOTE_KIND else source for source in sources)


def _place_source(source: JobSource, find_home: Callable[[], str]) -> JobSource:
    """Return a folder of the cluster as one of the machine that runs the job."""
    return replace(source, kind=LOCAL_KIND, uri=_expand(parse_remote_folder(source.uri).path, find_home))


def _expand(text: str, find_home: Callable[[], str]) -> str:
    return f"{find_home().rstrip('/')}{text[1:]}" if text == "~" or text.startswith("~/") else text


def _find_home(login: str) -> str:
    from robotrain_slurm.login.reach import reach  # costs start-up

    return reach(login).query('printf %s "$HOME"').text
