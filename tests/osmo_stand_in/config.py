"""How the service is set up: versions, pools, credentials, limits. Plain values, kept in `service.json`."""

import copy
from typing import Any

from osmo_stand_in.state import State

FILE = "service"
URL = "https://osmo.example.com"
Version = tuple[int, int, int]


def platform(
    allowed_mounts: tuple[str, ...] = (),
    default_mounts: tuple[str, ...] = (),
    node: dict[str, str | int] | None = None,
) -> dict[str, Any]:
    """A kind of machine of a pool. node: one of it, as `{"cpu": 8, "memory": "64Gi", "storage": "99Gi", "gpu": 1}`."""
    return {
        "description": "",
        "host_network_allowed": False,
        "privileged_allowed": False,
        "allowed_mounts": list(allowed_mounts),
        "default_mounts": list(default_mounts),
        "node": node,
    }


def pool(
    platforms: dict[str, dict[str, Any]] | None = None,
    status: str = "ONLINE",
    guarantee: int = -1,
    max_exec_timeout: str = "",
) -> dict[str, Any]:
    """A pool."""
    kinds = {"gpu_platform": platform()} if platforms is None else platforms
    return {
        "description": "d",
        "status": status,
        "download_type": None,
        "enable_maintenance": False,
        "backend": "default",
        "default_platform": next(iter(kinds), None),
        "default_exec_timeout": "",
        "default_queue_timeout": "",
        "max_exec_timeout": max_exec_timeout,
        "max_queue_timeout": "",
        "default_exit_actions": {},
        "resources": {"gpu": {"guarantee": guarantee, "maximum": -1, "weight": 1}},
        "topology_keys": [],
        "platforms": kinds,
    }


DEFAULT: dict[str, Any] = {
    "client": "6.4.0",
    "service": "6.4.0",
    "user": "testuser",
    "administrator": False,
    "profile_pool": None,
    "pools": {"default": pool({"gpu_platform": platform(), "gpu": platform()})},
    "credentials": {},
    "buckets": [],
    "cancelling": "at-once",
    "data_access": True,
    "limits": {
        "max_num_tasks": 20,
        "max_retry_per_task": 0,
        "max_name_length": 64,
        "max_exec_timeout": "60d",
        "max_queue_timeout": "60d",
        "max_log_lines": 10000,
        "max_task_log_lines": 1000,
        "min_supported": "",
        "sandbox_seconds": 0.5,
        "expanded_bytes": 8_000_000,
        "images_refused": [],
        "registries_open": [],
        "registries_unknown": [],
    },
}


def read(state: State) -> dict[str, Any]:
    """The set-up as it is now."""
    there: dict[str, Any] = state.read(FILE)
    return copy.deepcopy(DEFAULT) if there is None else there


def change(state: State, **values: Any) -> None:
    """Set up some of it anew."""
    with state.alone():
        state.write(FILE, {**read(state), **values})


def numbers(version: str) -> Version:
    """A version to compare."""
    major, minor, revision = (int(part) for part in version.split("."))
    return major, minor, revision
