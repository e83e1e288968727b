"""What the programs share that ask MLflow: how it is asked, and what of it lies on this machine."""

import contextlib
import difflib
import importlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from robotrain_runtime.track import plugins, tracking_tables

from robotrain_sources.fetching import answer, landing

QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}
PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}
"""Unless the environment says otherwise."""
SQLITE = "sqlite:///"
MOST_TOLD = 5


def main(fetch: Callable[[str], Path], what: str, whom: str) -> None:
    """Answer with the folder that `fetch` brings from the tracking address of the environment. Raises SystemExit.

    what, whom: is fetched, and is asked, in words.
    """
    os.environ.update({**PATIENCE, **os.environ, **QUIET})
    answer.main(lambda: _fetched(fetch, os.environ["MLFLOW_TRACKING_URI"], what, whom))


def mlflow(address: str) -> Any:
    """MLflow; a database of this machine needs none of the plugins that are installed beside it."""
    with plugins.none() if address.startswith(SQLITE) else contextlib.nullcontext():
        return importlib.import_module("mlflow")


def here(uri: str) -> Path | None:
    """The folder of this machine that an artifact address means; None when it lies elsewhere."""
    address = urlsplit(uri)
    if address.scheme == "file" and address.netloc in ("", "localhost"):
        return Path(unquote(address.path))
    return Path(uri) if not address.scheme and uri.startswith("/") else None


def alone(address: str) -> contextlib.AbstractContextManager[None]:
    """A database's tables are made once, by whoever comes first: the run's own tracking may be at it that moment.

    Where they are there, nobody waits for anybody.
    """
    if not address.startswith(SQLITE):
        return contextlib.nullcontext()
    database = Path(address.removeprefix(SQLITE))
    if tracking_tables.made(database):
        return contextlib.nullcontext()
    database.parent.mkdir(parents=True, exist_ok=True)
    return landing.held(
        database.with_name(database.name + ".lock"), f"waiting for {database}, which another run is making"
    )


def shown(address: str) -> str:
    """A tracking address without a user's name and password."""
    return address if "@" not in address else address.rpartition("@")[2]


def near(wanted: str, there: Sequence[str]) -> list[str]:
    """The names of `there` that were probably meant: the alike ones, else the first ones."""
    return difflib.get_close_matches(wanted, there, n=MOST_TOLD) or list(there[:MOST_TOLD])


def _fetched(fetch: Callable[[str], Path], address: str, what: str, whom: str) -> Path:
    try:
        return fetch(address)
    except (answer.Refused, OSError):
        raise
    except ModuleNotFoundError as error:
        raise answer.Refused(f"the run's environment holds no {error.name}, which asks {whom}") from error
    except Exception as error:
        why = f"{what} could not be had from {whom} at {shown(address)}"
        raise answer.Refused(f"{why} ({answer.plain(error)})") from error
