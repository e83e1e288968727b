"""Tracking addresses: the container plugin of each, and the setup of MLflow's import."""

import functools
import importlib
import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.container_plugin import TRACKING_PLUGINS_VARIABLE, TrackingContainerPlugin
from robotrain_runtime.contract.plugin_loader import load_container_plugin

SQLITE = "sqlite:///"
UNUSED_PACKAGES = ("numpy", "pandas")
"""MLflow imports them where they are installed, in 0.5 s of processor time; its client does without."""


@functools.cache
def find_tracking_plugin(uri: str) -> TrackingContainerPlugin | None:
    """Return the container plugin of an address; None if MLflow knows the address."""
    modules = filter(None, os.environ.get(TRACKING_PLUGINS_VARIABLE, "").split(","))
    plugins = (load_container_plugin(module, TrackingContainerPlugin) for module in modules)
    return next((plugin for plugin in plugins if plugin.accepts(uri)), None)


class AddressUnavailable(OSError):
    """A container plugin cannot resolve its address; the message says why."""


@functools.cache
def resolve_address(uri: str) -> str:
    """Return the address as MLflow's client takes it; errors are not cached. Raise AddressUnavailable."""
    plugin = find_tracking_plugin(uri)
    if plugin is None:
        return uri
    try:
        address = plugin.address(uri)
    except OSError as error:
        raise AddressUnavailable(str(error)) from error
    os.environ["MLFLOW_TRACKING_URI"] = address  # artifact stores read it instead of their client's address
    return address


def get_run_page(uri: str, experiment_id: str, run_id: str) -> str:
    """Return the URL of a run's page; the address if it has no container plugin."""
    plugin = find_tracking_plugin(uri)
    return plugin.ui(uri, experiment_id, run_id) if plugin else uri


def import_mlflow() -> Any:
    """Import MLflow in a process that is there for it alone, without what takes long and a client does without."""
    unused: dict[str, Any] = dict.fromkeys(UNUSED_PACKAGES)
    sys.modules.update(unused)  # importing None raises ModuleNotFoundError
    return importlib.import_module("mlflow")


def has_mlflow_tables(database: Path) -> bool:
    """Return whether a database has all tables: MLflow creates its first experiment after them."""
    address = f"{database.absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True)) as connection:
            return connection.execute("SELECT 1 FROM experiments LIMIT 1").fetchone() is not None
    except sqlite3.Error:
        return False
