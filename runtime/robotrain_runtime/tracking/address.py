"""Tracking addresses: the plugin of each, its look at one, and what MLflow needs before it is imported.

`python -m robotrain_runtime.track.looking MODULE ADDRESS`
"""

import dataclasses
import functools
import json
import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.container_plugin import TRACKING_PLUGINS_VARIABLE, TrackingContainerPlugin
from robotrain_runtime.contract.plugin_loader import load_container_plugin


@functools.cache
def find_tracking_plugin(uri: str) -> TrackingContainerPlugin | None:
    """The half that takes an address; None when MLflow knows it by itself."""
    modules = filter(None, os.environ.get(TRACKING_PLUGINS_VARIABLE, "").split(","))
    known = (load_container_plugin(module, TrackingContainerPlugin) for module in modules)
    return next((one for one in known if one.accepts(uri)), None)


class AddressUnavailable(OSError):
    """The half of an address cannot tell what MLflow calls it. The text says why."""


@functools.cache
def resolve_address(uri: str) -> str:
    """The address as MLflow's client takes it, asked until it was told. Raises AddressUnavailable."""
    known = find_tracking_plugin(uri)
    if known is None:
        return uri
    try:
        address = known.address(uri)
    except OSError as error:
        raise AddressUnavailable(str(error)) from error
    os.environ["MLFLOW_TRACKING_URI"] = address  # stores of artifacts look there, not at their client's address
    return address


def get_run_page(uri: str, experiment_id: str, run_id: str) -> str:
    """Where a run is looked at, as its half says it; else the address."""
    plugin = find_tracking_plugin(uri)
    return plugin.ui(uri, experiment_id, run_id) if plugin else uri


MLFLOW_GROUPS = "mlflow."


@contextmanager
def hide_mlflow_plugins() -> Iterator[None]:
    """What is imported meanwhile finds no plugins of MLflow; all others as ever."""
    find = metadata.entry_points

    def others(**asked: Any) -> Any:
        return metadata.EntryPoints() if str(asked.get("group", "")).startswith(MLFLOW_GROUPS) else find(**asked)

    metadata.entry_points = others
    try:
        yield
    finally:
        metadata.entry_points = find


def has_mlflow_tables(database: Path) -> bool:
    """Whether all are there: MLflow notes its first experiment once they are."""
    address = f"{database.absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True)) as connection:
            return connection.execute("SELECT 1 FROM experiments LIMIT 1").fetchone() is not None
    except sqlite3.Error:
        return False


FINDINGS_PREFIX = "found: "


def print_findings(module: str, uri: str) -> None:
    """Look, and tell."""
    found = [
        dataclasses.asdict(one) for one in load_container_plugin(module, TrackingContainerPlugin).preflight_address(uri)
    ]
    print(FINDINGS_PREFIX + json.dumps(found), flush=True)


if __name__ == "__main__":
    print_findings(*sys.argv[1:])
