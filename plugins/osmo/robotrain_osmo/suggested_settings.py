"""Settings that `robotrain init` suggests: the pool of the user's OSMO service, and the Azure ML workspace."""

import os
from pathlib import Path

from robotrain.cluster.answers import as_mapping
from robotrain.cluster.settings import read_configured_settings
from robotrain.model.platform import PlatformDefault
from robotrain_azure.suggested_settings import suggest_workspace_settings

from robotrain_osmo.client import service
from robotrain_osmo.client.failures import CommandFailed
from robotrain_osmo.settings import OsmoSettings

QUERY_SECONDS = 10.0
"""For each of at most two queries."""
LOGIN_FILE = "login.yaml"


def suggest_settings() -> dict[str, PlatformDefault]:
    """Return the pool and its platform, if one is the default or the only one, and a workspace that is complete."""
    found = {"pool": PlatformDefault("", ""), "gpu_platform": PlatformDefault("", "")}
    if _get_login_file().is_file():
        found |= _query_pool(read_configured_settings(OsmoSettings, "osmo").osmo_cli)
    of_workspace = suggest_workspace_settings()
    return found | (of_workspace if all(setting.value for setting in of_workspace.values()) else {})


def _get_login_file() -> Path:
    """Return the file of the sign-in, where the `osmo` command keeps it."""
    config = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(os.environ.get("OSMO_CONFIG_FILE_DIR") or Path(config, "osmo"), LOGIN_FILE)


def _query_pool(cli: str) -> dict[str, PlatformDefault]:
    """Return what the service says of the user's pool; an empty value where it does not answer or several would do."""
    try:
        pools = {pool.name: pool for pool in service.list_pools(cli, QUERY_SECONDS)}
        answer = service.query_json(cli, "profile", "list", "-t", "json", seconds=QUERY_SECONDS)
    except CommandFailed as error:
        return {"pool": PlatformDefault("", f"OSMO does not answer: {error.failure.title}")}
    default = as_mapping(as_mapping(answer).get("profile")).get("pool")
    name = default if default in pools else next(iter(pools)) if len(pools) == 1 else None
    if name is None:
        return {"pool": PlatformDefault("", f"one of {', '.join(sorted(pools)) or 'none: you have access to no pool'}")}
    machines = sorted(pools[name].platforms)
    return {
        "pool": PlatformDefault(name, "the default pool of your OSMO profile" if default else "your only pool"),
        "gpu_platform": PlatformDefault(machines[0], "its only platform")
        if len(machines) == 1
        else PlatformDefault("", f"one of {', '.join(machines)}" if machines else ""),
    }
