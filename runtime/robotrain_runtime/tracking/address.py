"""Tracking addresses: the container plugin of each, and the setup of MLflow's import."""

import functools
import gc
import importlib
import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from importlib import metadata
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.container_plugin import TRACKING_PLUGINS_VARIABLE, TrackingContainerPlugin
from robotrain_runtime.contract.plugin_loader import load_container_plugin

SQLITE = "sqlite:///"


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


def import_mlflow(uri: str) -> Any:
    """Import MLflow without what takes long and a client does without: numpy and pandas, and for a database plugins."""
    gc.disable()  # a seventh of the import
    with _hide_modules("numpy", "pandas"), _hide_mlflow_plugins() if uri.startswith(SQLITE) else nullcontext():
        mlflow = importlib.import_module("mlflow")
    gc.freeze()
    gc.enable()
    return mlflow


@contextmanager
def _hide_modules(*names: str) -> Iterator[None]:
    """Hide modules that are not imported yet from imports inside the block."""
    hidden: dict[str, Any] = {name: None for name in names if name not in sys.modules}
    sys.modules.update(hidden)  # importing None raises ModuleNotFoundError
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


@contextmanager
def _hide_mlflow_plugins() -> Iterator[None]:
    """Hide MLflow's own plugins from imports inside the block: to load them is slow."""
    find = metadata.entry_points

    def find_others(**query: Any) -> Any:
        return metadata.EntryPoints() if str(query.get("group", "")).startswith("mlflow.") else find(**query)

    metadata.entry_points = find_others
    try:
        yield
    finally:
        metadata.entry_points = find


def has_mlflow_tables(database: Path) -> bool:
    """Return whether a database has all tables: MLflow creates its first experiment after them."""
    address = f"{database.absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True)) as connection:
            return connection.execute("SELECT 1 FROM experiments LIMIT 1").fetchone() is not None
    except sqlite3.Error:
        return False
