"""Tracking addresses that MLflow alone does not know, in the tracking process: the half of each, and what it says."""

import functools
import importlib
import os
import typing

from robotrain_runtime.half import TRACKING_HALVES, TrackingHalf


@functools.cache
def half(uri: str) -> TrackingHalf | None:
    """The half that takes an address; None when MLflow knows it by itself."""
    modules = filter(None, os.environ.get(TRACKING_HALVES, "").split(","))
    known = (typing.cast(TrackingHalf, importlib.import_module(module)) for module in modules)
    return next((one for one in known if one.takes(uri)), None)


class Unreached(OSError):
    """The half of an address cannot tell what MLflow calls it. The text says why."""


@functools.cache
def reached(uri: str) -> str:
    """The address as MLflow's client takes it, asked until it was told. Raises Unreached."""
    known = half(uri)
    if known is None:
        return uri
    try:
        address = known.address(uri)
    except OSError as error:
        raise Unreached(str(error)) from error
    os.environ["MLFLOW_TRACKING_URI"] = address  # stores of artifacts look there, not at their client's address
    return address


def ui(uri: str, experiment_id: str, run_id: str) -> str:
    """Where a run is looked at, as its half says it; else the address."""
    say = getattr(half(uri), "ui", None)
    return str(say(uri, experiment_id, run_id)) if say else uri
